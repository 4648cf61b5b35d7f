//! What is read of the disc: capacity, blocks, headers, the table of contents (9.2, 14.2.8, 14.2.9, 14.2.11).

use super::audio::Audio;
use super::disc::{Kind, LEAD_OUT, in_bcd, told, told_early};
use super::unit::cut;
use super::{CD_BLOCK_BYTES, CdDefect, CdRom};
use crate::target::command::Task;
use crate::target::sense::Sense;
use crate::target::{Refusal, Reply, data, nothing};

/// END OF USER AREA ENCOUNTERED ON THIS TRACK: a data track ends within what is to be read.
const END_OF_TRACK: Sense = Sense::new(5, 0x63, 0);
/// ILLEGAL MODE FOR THIS TRACK: not of the kind that the command is for.
pub(super) const WRONG_TRACK: Sense = Sense::new(5, 0x64, 0);
/// Address a defect adds to audio tracks in the table of contents.
const SHIFT: u32 = 150;

impl CdRom {
    fn last_block(&self) -> u32 {
        self.disc.lead_out().saturating_sub(1)
    }

    pub(super) fn in_range(&self, block: u32) -> Result<(), Refusal> {
        match block <= self.last_block() {
            true => Ok(()),
            false if self.has(CdDefect::RangeCode) => Err(Sense::field(2).into()),
            false => Err(Sense::RANGE.at(block).into()),
        }
    }

    /// The last block and the block length. Without PMI an address is an error (9.2.7); with it, the last block of the track
    /// is where a delay comes.
    pub(super) fn read_capacity(&mut self, task: &Task<'_>) -> Reply {
        // RelAdr is for linked commands.
        if task.bit(1, 0) {
            return Err(Sense::field(1).into());
        }
        let (block, partial) = (task.be32(2), task.bit(8, 0));
        if block != 0 && !partial && !self.has(CdDefect::PmiIgnored) {
            return Err(Sense::field(2).into());
        }
        self.in_range(block)?;
        let track_end = self.disc.track_at(block).map(|track| self.disc.track_end(track.number));
        let mut end = track_end.filter(|_| partial).unwrap_or(self.disc.lead_out());
        if !self.has(CdDefect::CapacityIsCount) {
            end = end.saturating_sub(1);
        }
        if self.has(CdDefect::CapacityShort) {
            end = end.saturating_sub(1);
        }
        let length = if self.has(CdDefect::BlockLengthWrong) { 2336 } else { CD_BLOCK_BYTES };
        let length = u32::try_from(length).unwrap_or_default();
        data([end.to_be_bytes(), length.to_be_bytes()].concat())
    }

    /// A length of 0 means 256 blocks (9.2.5).
    pub(super) fn read_6(&mut self, task: &Task<'_>) -> Reply {
        let length = match task.byte(4) {
            0 if self.has(CdDefect::Read6ZeroNone) => 0,
            0 => 256,
            length => length.into(),
        };
        let mask = if self.has(CdDefect::Read6Middle) { 0xff } else { 0x1f_ffff };
        self.read(task.be24(1) & mask, length)
    }

    pub(super) fn read_10(&mut self, task: &Task<'_>) -> Reply {
        if task.bit(1, 0) {
            return Err(Sense::field(1).into());
        }
        let length = match task.be16(7) {
            16 if self.has(CdDefect::ReadSixteen) => 15,
            0 if self.has(CdDefect::ReadZeroOne) => 1,
            length => length.into(),
        };
        self.read(task.be32(2), length)
    }

    fn read(&mut self, start: u32, length: u32) -> Reply {
        self.in_range(start)?;
        let Some(last) = length.checked_sub(1).map(|more| start.saturating_add(more)) else {
            return nothing();
        };
        self.in_range(last).map_err(|_| Sense::RANGE.at(self.disc.lead_out()))?;
        for block in start..=last {
            let audio = self.disc.track_at(block).is_some_and(|track| track.kind == Kind::Audio);
            let end = self.has(CdDefect::DataEnd) && block + 1 == self.disc.track_end(1);
            if end || audio && !self.has(CdDefect::AudioReadable) {
                return Err(if block == start { WRONG_TRACK } else { END_OF_TRACK }.at(block).into());
            }
        }
        // The head is needed: what is played ends.
        (self.audio, self.head) = (Audio::None, last);
        let slips = |block: u32| u32::from(block - start >= 32 && self.has(CdDefect::ReadSlips));
        let bytes = (start..=last).flat_map(|block| self.disc.data(block - slips(block))).collect();
        data(bytes)
    }

    pub(super) fn seek_6(&mut self, task: &Task<'_>) -> Reply {
        self.seek(task.be24(1) & 0x1f_ffff)
    }

    pub(super) fn seek_10(&mut self, task: &Task<'_>) -> Reply {
        self.seek(task.be32(2))
    }

    fn seek(&mut self, block: u32) -> Reply {
        self.in_range(block)?;
        (self.audio, self.head) = (Audio::None, block);
        nothing()
    }

    /// The header of a block of a data track: mode 1, and its address (14.2.9).
    pub(super) fn read_header(&mut self, task: &Task<'_>) -> Reply {
        let block = task.be32(2);
        self.in_range(block)?;
        let is_data = self.disc.track_at(block).is_some_and(|track| track.kind == Kind::Data);
        if !is_data && !self.has(CdDefect::HeaderAudio) {
            return Err(WRONG_TRACK.at(block).into());
        }
        let shown = if self.has(CdDefect::HeaderShifted) { block + 1 } else { block };
        let msf = task.bit(1, 1) && !self.has(CdDefect::HeaderMsfIgnored);
        (self.audio, self.head) = (Audio::None, block);
        let mut bytes = vec![0x01, 0, 0, 0];
        bytes.extend(told(shown, msf));
        cut(bytes, task.be16(7))
    }

    /// The tracks from a number on, 0 being the first, and the lead-out (14.2.11).
    pub(super) fn read_toc(&mut self, task: &Task<'_>) -> Reply {
        let (msf, from, allocation) = (task.bit(1, 1), task.byte(6), usize::from(task.be16(7)));
        let stale = self.disc_before.filter(|_| self.has(CdDefect::TocStale));
        let disc = stale.unwrap_or(self.disc);
        let mut tracks = disc.tracks();
        if let [most @ .., _] = tracks
            && self.has(CdDefect::TocTrackShort)
        {
            tracks = most;
        }
        let (Some(first), Some(last)) = (tracks.first(), tracks.last()) else { return nothing() };
        if from > last.number && from != LEAD_OUT && !self.has(CdDefect::TocBeyondAnswered) {
            return Err(Sense::field(6).into());
        }
        let from = if self.has(CdDefect::TocStartIgnored) { 0 } else { from };
        let early = msf && self.has(CdDefect::TocMsfTwoSeconds);
        let packed = msf && self.has(CdDefect::TocBcd);
        let mut descriptors = Vec::new();
        let mut tell = |number, adr_and_control, start: u32| {
            descriptors.extend([0, adr_and_control, number, 0]);
            let address = if early { told_early(start) } else { told(start, msf) };
            descriptors.extend(address.map(|byte| if packed { in_bcd(byte) } else { byte }));
        };
        for track in tracks.iter().filter(|track| track.number >= from) {
            let shift = track.kind == Kind::Audio && self.has(CdDefect::TocAudioShifted);
            let control = if self.has(CdDefect::TocControl) { 0x14 } else { track.adr_and_control() };
            tell(track.number, control, track.start + if shift { SHIFT } else { 0 });
        }
        if !self.has(CdDefect::TocLeadOutMissing) {
            tell(LEAD_OUT, last.adr_and_control(), disc.lead_out());
        }
        let allocation = if self.has(CdDefect::TocAllocationZero) { allocation.max(4) } else { allocation };
        let mut length = 2 + descriptors.len();
        if self.has(CdDefect::TocLengthCut) {
            length = length.min(allocation.saturating_sub(2));
        }
        let mut bytes = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        let wrong = from == LEAD_OUT && self.has(CdDefect::TocLastWrong);
        bytes.extend([first.number, if wrong { LEAD_OUT } else { last.number }]);
        bytes.extend(descriptors);
        if self.has(CdDefect::AllocationIgnored) { data(bytes) } else { cut(bytes, allocation) }
    }
}
