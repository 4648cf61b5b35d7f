//! Defects of options that are seldom set, of first times, and of what data look like beside what is there.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::{BLOCK_BYTES, Data, Initiator, Reply, Target, nothing};

impl Target {
    pub(super) fn dawdle_again(&mut self, task: &Task<'_>, now: Done) {
        let far = now.reads() && self.memory.last.is_some_and(|last| last.lba.abs_diff(now.lba) > 1 << 20);
        let slow = match self.defect {
            Some(Defect::ReadFarSlow) => far,
            Some(Defect::SyncSlowMany) => task.opcode() == 0x35 && self.medium.cached_blocks() > 30,
            Some(Defect::DeviceResetSlow) => std::mem::take(&mut self.memory.slow_once),
            _ => false,
        };
        if slow {
            self.clock += Duration::from_secs(30);
        }
    }

    pub(super) fn instead_of_options(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let opcode = task.opcode();
        let fits = self.range((now.lba, now.count)).is_ok();
        match self.defect? {
            Defect::BufferModeOffset if matches!(opcode, 0x3b | 0x3c) && task.byte(1) & 7 == 0 => {
                let mut block = task.cdb.to_vec();
                block.get_mut(3..6).map(|offset| offset.fill(0))?;
                let task = Task { cdb: &block, ..*task };
                Some(if opcode == 0x3b { self.write_buffer(&task) } else { self.read_buffer(&task) })
            }
            Defect::DiagnosticPfRefused if opcode == 0x1d && task.bit(1, 4) => {
                Some(Err(Sense::field(1).into()))
            }
            Defect::WriteVerifyLastRefused if opcode == 0x2e && fits && now.end() == self.medium.blocks => {
                Some(Err(Sense::RANGE.into()))
            }
            Defect::FuaLongStale if opcode == 0x28 && fits && task.bit(1, 3) && now.count > 64 => {
                let blocks = (now.lba..now.end()).flat_map(|lba| self.medium.read_uncached(lba));
                Some(crate::target::data(blocks.collect()))
            }
            Defect::RezeroRestoresModes if opcode == 0x01 => {
                self.pages.restore_saved();
                None
            }
            Defect::PrefetchLongHangs if opcode == 0x34 && now.count > 255 => Self::hung(),
            Defect::PrefetchZeroRefused if opcode == 0x34 && now.count == 0 => {
                Some(Err(Sense::field(7).into()))
            }
            Defect::SyncImmediateLost if opcode == 0x35 && fits && task.bit(1, 1) => Some(nothing()),
            Defect::ReleaseAfterConflict if opcode == 0x17 && self.traces.conflicts > 0 => {
                self.traces.conflicts = 0;
                Some(nothing())
            }
            Defect::SelectSameHangs if opcode == 0x15 && task.out == self.memory.list => Self::hung(),
            Defect::WriteSameRangeCode if opcode == 0x41 && !fits => Some(Err(Sense::field(2).into())),
            _ if now.writes() && fits && self.writable().is_ok() => self.instead_of_alike(task, now),
            _ => None,
        }
    }

    /// Writes whose data are like others.
    fn instead_of_alike(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { lba, count, .. } = now;
        let lost = match self.defect? {
            Defect::WriteEqualNeighbour => {
                count == 1 && lba > 0 && self.medium.read(lba - 1).as_slice() == task.out
            }
            Defect::WriteAbaLost => {
                let was = (lba, task.out.to_vec());
                let before = self.medium.read(lba).to_vec();
                let lost = count == 1 && self.memory.replaced.as_ref() == Some(&was);
                self.memory.replaced = Some((lba, before)).filter(|_| count == 1);
                lost
            }
            Defect::WriteTrackEndLost => count == 1 && lba % 63 == 62,
            _ => false,
        };
        if lost {
            return Some(nothing());
        }
        match self.defect? {
            Defect::WriteVerifyAhead if now.opcode == 0x2e => {
                let ahead = *self.medium.ahead();
                let bytes = task.data_out(usize::try_from(count).unwrap_or(0) * BLOCK_BYTES);
                let reply = self.write((lba, count), &bytes, Through::Medium);
                *self.medium.ahead() = ahead;
                Some(reply)
            }
            Defect::WriteVerifyLowCount if now.opcode == 0x2e && count > 255 => {
                let bytes = task.data_out(usize::try_from(count & 0xff).unwrap_or(0) * BLOCK_BYTES);
                Some(self.write((lba, count & 0xff), &bytes, Through::Medium))
            }
            _ => None,
        }
    }

    pub(super) fn spoiled_options(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = task.opcode();
        if opcode == 0x15 {
            self.memory.list = task.out.to_vec();
        }
        let first =
            matches!(opcode, 0x1a | 0x5a) && !std::mem::replace(&mut self.memory.has_sensed_modes, true);
        match self.defect {
            Some(Defect::BufferDescriptorId)
                if opcode == 0x3c && task.byte(1) & 7 == 3 && task.byte(2) == 0 =>
            {
                data.bytes.fill(0);
            }
            Some(Defect::DefectListBoth) if opcode == 0x37 && task.byte(2) & 0x18 == 0x08 => {
                if let Some(lists) = data.bytes.get_mut(1) {
                    *lists |= 0x10;
                }
            }
            Some(Defect::SavedAllShort)
                if matches!(opcode, 0x1a | 0x5a) && task.byte(2) == 0xff && data.bytes.len() > 40 =>
            {
                let end = data.bytes.len() - 8;
                data.bytes.truncate(end);
            }
            Some(Defect::InquiryFirstBlank)
                if opcode == command::INQUIRY && self.memory.inquiries == 1 && !task.bit(1, 0) =>
            {
                if let Some(vendor) = data.bytes.get_mut(8..16) {
                    vendor.fill(b' ');
                }
            }
            Some(Defect::CapacityFirstSecond)
                if opcode == 0x25
                    && task.initiator == Initiator::B
                    && !std::mem::replace(&mut self.memory.second_told, true) =>
            {
                data.bytes.fill(0);
            }
            Some(Defect::ModeFirstDefault) if first && task.byte(2) >> 6 == 0 && opcode == 0x1a => {
                let mut block = task.cdb.to_vec();
                if let Some(page) = block.get_mut(2) {
                    *page |= 0x80;
                }
                if let Ok(other) = self.mode_sense_6(&Task { cdb: &block, ..*task }) {
                    data = other;
                }
            }
            Some(Defect::PatternEightZeros) if now.reads() => {
                for block in data.bytes.chunks_mut(BLOCK_BYTES).filter(|block| block.starts_with(&[0; 8])) {
                    block.fill(0);
                }
            }
            Some(Defect::ReadTrack63) if now.reads() && now.count == 63 && now.lba.is_multiple_of(63) => {
                let begin = now.lba.saturating_sub(63);
                data.bytes = (begin..begin + 63).flat_map(|lba| self.medium.read(lba)).collect();
            }
            _ => {}
        }
        data
    }
}
