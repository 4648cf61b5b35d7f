//! Defects as reviewers would seed them who know old drives from errata and from the tables of quirks in kernels.

use std::time::Duration;

use super::outsiders::{pages_of, sensed_page};
use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{
    BLOCK_BYTES, Data, Initiator, Protection, Refusal, Reply, Reset, Response, Target, nothing,
};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Veterans {
    /// The blocks of a write from the 513th on as they were before it.
    beyond: Vec<[u8; BLOCK_BYTES]>,
    /// Current values of pages before MODE SELECT.
    pages: Vec<(u8, Vec<u8>)>,
    /// Whether the initiator of the command held a reservation.
    held: bool,
    /// Whether there was a reset since power-on.
    was_reset: bool,
    /// Whether nothing was written since a bus reset.
    unwritten: bool,
}

impl Target {
    /// What power-off loses.
    pub(super) fn mispowered_veteran(&mut self) {
        if self.traces.power_cycles > 1 && self.has(Defect::PowerLosesPage8) {
            self.pages.lose_saved(0x08);
        }
    }

    /// What a reset does besides.
    pub(super) fn misreset_veteran(&mut self, reset: Reset) {
        self.memory.veterans.was_reset = true;
        self.memory.veterans.unwritten = reset == Reset::Bus;
    }

    /// What comes before a command is looked at.
    pub(super) fn preempted_veteran(&mut self, task: &Task<'_>, absent: bool) -> Option<Reply> {
        let told = self.kept(task.initiator).attention.is_none();
        let page = task.bit(1, 0) && !matches!(task.byte(2), 0x00 | 0x80);
        match (self.defect?, task.opcode()) {
            _ if absent => None,
            (Defect::AttentionPassesCapacity, 0x25) if !told && self.medium.present => {
                Some(self.read_capacity(task))
            }
            (Defect::AttentionSyncHangs, 0x35) if !told => Self::hung(),
            (Defect::AttentionBufferExecuted, 0x3b) if !told => {
                drop(self.write_buffer(task));
                None
            }
            (Defect::VpdUnknownHangs, command::INQUIRY) if page => Self::hung(),
            (Defect::LogSenseHangs, 0x4d)
            | (Defect::ReportLunsHangs, 0xa0)
            | (Defect::ServiceActionHangs, 0x9e)
                if told =>
            {
                Self::hung()
            }
            _ => None,
        }
    }

    /// What an absent logical unit answers instead.
    pub(super) fn absent_veteran(&mut self, task: &Task<'_>) -> Option<Reply> {
        match (self.defect?, task.opcode()) {
            (Defect::LunCapacityAnswered, 0x25) => Some(self.read_capacity(task)),
            (Defect::LunInquiryConnected, command::INQUIRY) => {
                Some(self.absent_inquiry(task).map(|mut data| {
                    if let Some(unit) = data.bytes.first_mut() {
                        *unit &= 0x1f;
                    }
                    data
                }))
            }
            _ => None,
        }
    }

    pub(super) fn instead_of_veteran(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        self.memory.veterans.held = self.reserved_by == Some(task.initiator);
        if now.writes() && fits && count > 512 {
            let beyond = (lba + 512..now.end()).map(|lba| self.medium.before(lba));
            self.memory.veterans.beyond = beyond.collect();
        }
        if matches!(opcode, 0x15 | 0x55) {
            let codes = [0x01, 0x02, 0x08, 0x0a];
            self.memory.veterans.pages = codes.map(|code| (code, self.pages.values_of(code))).into();
        }
        self.instead_of_veteran_blocks(task, now, fits).or_else(|| self.instead_of_veteran_unit(task))
    }

    fn instead_of_veteran_blocks(&mut self, task: &Task<'_>, now: Done, fits: bool) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let (cached, protected) = (self.pages.write_cache(), self.medium.protection == Protection::On);
        let second = task.initiator == Initiator::B;
        let plain = matches!(opcode, 0x0a | 0x2a);
        match self.defect? {
            Defect::WriteCachedRange if plain && cached && !fits => Some(nothing()),
            Defect::WriteCachedProtected if plain && cached && protected => Some(nothing()),
            Defect::WriteVerifyCachedLost if opcode == 0x2e && cached => Some(self.forgotten(now)),
            Defect::WriteSameSecondLost if opcode == 0x41 && second && task.byte(1) & 7 == 0 => {
                Some(self.forgotten(now))
            }
            Defect::ResetFirstProtected
                if now.writes() && std::mem::take(&mut self.memory.veterans.unwritten) =>
            {
                Some(Err(Sense::PROTECTED.into()))
            }
            Defect::MiscompareWrites if opcode == 0x2f && task.bit(1, 1) && fits => {
                let reply = self.verify(task);
                if reply.is_err() {
                    for (at, block) in (lba..now.end()).zip(task.out.chunks(BLOCK_BYTES)) {
                        self.medium.write(at, block, Through::Medium);
                    }
                }
                Some(reply)
            }
            Defect::VerifyZeroSlow if opcode == 0x2f && count == 0 => {
                self.clock += Duration::from_secs(90);
                None
            }
            _ => None,
        }
    }

    fn instead_of_veteran_unit(&mut self, task: &Task<'_>) -> Option<Reply> {
        let opcode = task.opcode();
        let prevented = self.remembered.iter().any(|kept| kept.prevents_removal);
        let own = self.kept(task.initiator).prevents_removal;
        let protected = self.medium.protection == Protection::On;
        match self.defect? {
            Defect::InquiryLongRefused if opcode == command::INQUIRY && task.byte(4) > 127 => {
                Some(Err(Sense::field(4).into()))
            }
            Defect::ModeAllDefaultHangs if matches!(opcode, 0x1a | 0x5a) && task.byte(2) == 0xbf => {
                Self::hung()
            }
            Defect::SeekProtected if opcode == 0x2b && protected => Some(Err(Sense::PROTECTED.into())),
            Defect::Seek6ZeroHangs if opcode == 0x0b && task.be24(1) & 0x1f_ffff == 0 => Self::hung(),
            Defect::ReserveSecondRefused
                if opcode == 0x16 && task.initiator == Initiator::B && self.reserved_by.is_none() =>
            {
                Some(Err(Refusal::ReservationConflict))
            }
            Defect::StartPreventedRefused if opcode == 0x1b && task.byte(4) == 1 && prevented => {
                Some(Err(Sense::PREVENTED.into()))
            }
            Defect::AllowIdleHangs if opcode == 0x1e && !task.bit(4, 0) && !own => Self::hung(),
            Defect::DefectOver255Hangs if opcode == 0x37 && task.be16(7) > 255 => Self::hung(),
            Defect::FormatSecondHangs if opcode == 0x04 && task.initiator == Initiator::B => Self::hung(),
            _ => None,
        }
    }

    pub(super) fn spoiled_veteran(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = now.opcode;
        let other = task.initiator.other();
        match opcode {
            0x08 | 0x28 => self.veteran_read(now, &mut data),
            0x15 | 0x55 => self.veteran_selected(task),
            0x1a | 0x5a => self.veteran_sensed(task, &mut data),
            _ => {}
        }
        let beyond = std::mem::take(&mut self.memory.veterans.beyond);
        match self.defect {
            Some(Defect::AttentionSelfTestLost) if opcode == 0x1d => self.kept(other).attention = None,
            Some(Defect::AttentionReleaseReset) if opcode == 0x17 && self.memory.veterans.held => {
                self.kept(other).attention = Some(Sense::RESET);
            }
            Some(Defect::InquiryOf32) if opcode == command::INQUIRY && !task.bit(1, 0) => {
                data.bytes.truncate(32);
                if let Some(length) = data.bytes.get_mut(4) {
                    *length = 27;
                }
            }
            Some(Defect::WritePast512) if now.writes() => {
                for (lba, block) in (now.lba + 512..).zip(&beyond) {
                    self.put_back(lba, block);
                }
            }
            Some(Defect::FuaCacheOff) if opcode == 0x2a && task.bit(1, 3) => self.pages.clear_write_cache(),
            Some(Defect::StopCacheOff) if opcode == 0x1b && task.byte(4) == 0 => {
                self.pages.clear_write_cache();
            }
            Some(Defect::ReassignCacheOff) if opcode == 0x07 => self.pages.clear_write_cache(),
            Some(Defect::ReserveEndsByReady) if opcode == 0x00 && self.memory.veterans.held => {
                self.reserved_by = None;
            }
            Some(Defect::ReserveEndsByPrevent)
                if opcode == 0x1e && task.bit(4, 0) && self.memory.veterans.held =>
            {
                self.reserved_by = None;
            }
            Some(Defect::PreventEndsByBuffer) if opcode == 0x3b => {
                self.kept(task.initiator).prevents_removal = false;
            }
            _ => {}
        }
        data
    }

    fn veteran_read(&mut self, now: Done, data: &mut Data) {
        match self.defect {
            Some(Defect::Read6PassesCache) if now.opcode == 0x08 && now.count == 1 => {
                data.bytes = self.medium.read_uncached(now.lba).to_vec();
            }
            Some(Defect::RcdReadRepeats) if now.count > 8 && self.pages.read_cache_off() => {
                let first = data.bytes.get(..BLOCK_BYTES).unwrap_or_default().to_vec();
                let at = data.bytes.len().saturating_sub(BLOCK_BYTES);
                if let Some(last) = data.bytes.get_mut(at..).filter(|last| last.len() == first.len()) {
                    last.copy_from_slice(&first);
                }
            }
            _ => {}
        }
    }

    fn veteran_selected(&mut self, task: &Task<'_>) {
        let begins = pages_of(task).map(|(begins, _)| begins).unwrap_or_default();
        let codes: Vec<_> = begins.iter().filter_map(|at| task.out.get(*at).copied()).collect();
        let before = std::mem::take(&mut self.memory.veterans.pages);
        let saves = task.bit(1, 0);
        let lost: Vec<u8> = match self.defect {
            Some(Defect::SelectCacheSaves) if !saves => vec![0x08],
            Some(Defect::SelectTenFirst) if task.opcode() == 0x55 => codes.iter().skip(1).copied().collect(),
            _ => Vec::new(),
        };
        for (code, values) in before.iter().filter(|(code, _)| lost.contains(code)) {
            self.pages.set(*code, values);
        }
    }

    fn veteran_sensed(&mut self, task: &Task<'_>, data: &mut Data) {
        let all = task.byte(2) & 0x3f == 0x3f;
        match self.defect {
            Some(Defect::ModeCachingMissing) if all => {
                let at = sensed_page(task, &data.bytes, 0x08).unwrap_or(usize::MAX);
                let end = at.saturating_add(12).min(data.bytes.len());
                if at < end {
                    data.bytes.drain(at..end);
                }
                let length = usize::from(task.opcode() == 0x5a);
                if let Some(told) = data.bytes.get_mut(length) {
                    *told = told.saturating_sub(12);
                }
            }
            Some(Defect::ModeRatiosAll) if all && task.byte(2) >> 6 == 0 => {
                let at = sensed_page(task, &data.bytes, 0x02).unwrap_or(usize::MAX);
                let ratios = data.bytes.iter_mut().skip(at.saturating_add(2)).take(2);
                ratios.for_each(|ratio| *ratio = 0);
            }
            Some(Defect::ModeCylindersReset) if self.memory.veterans.was_reset => {
                let at = sensed_page(task, &data.bytes, 0x04).unwrap_or(usize::MAX);
                let cylinders = data.bytes.iter_mut().skip(at.saturating_add(2)).take(3);
                cylinders.for_each(|byte| *byte = 0);
            }
            _ => {}
        }
    }

    /// The whole answer, once more.
    pub(in crate::target) fn misanswered_veteran(
        &mut self,
        task: &Task<'_>,
        absent: bool,
        mut response: Response,
    ) -> Response {
        let opcode = task.opcode();
        let sense = opcode == command::REQUEST_SENSE && response.status == Some(0);
        let key = response.data.get(2).map_or(0, |byte| byte & 0x0f);
        let mut put = |at: usize, bits: u8| {
            if let Some(byte) = response.data.get_mut(at) {
                *byte |= bits;
            }
        };
        match self.defect {
            Some(Defect::SenseReservedBit) if sense && key != 0 => put(2, 0x10),
            Some(Defect::SensePointerAttention) if sense && key == 6 => put(15, 0xc0),
            Some(Defect::SenseEmptyValid) if sense && key == 0 => put(0, 0x80),
            Some(Defect::ReadStarts)
                if opcode == 0x28
                    && !absent
                    && response.status == Some(0x02)
                    && self.spindle == Spindle::Stopped =>
            {
                self.spindle = Spindle::Ready;
            }
            Some(Defect::UnknownResets) if !absent && command::find(opcode).is_none() => {
                self.pages.restore_saved();
                self.attend_all(Sense::RESET);
            }
            _ => {}
        }
        response
    }
}
