//! Defects that need two conditions at once: one command in one state, one option beside another, one range in the cache.

use super::{Defect, Done};
use crate::target::command::Task;
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Reply, Target, nothing};

impl Target {
    pub(super) fn instead_of_pairs(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        if self.is_lost_in_state(task, now) {
            return Some(if now.writes() { self.forgotten(now) } else { nothing() });
        }
        self.drop_in_passing(task, now);
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        let formats = matches!(self.spindle, Spindle::Formatting(..));
        let one_cached = count == 1 && self.medium.cached(lba).is_some();
        let of_unit = task.byte(1) & 0x11 == 0;
        let refused = match self.defect? {
            Defect::Seek6RangeCode
                if opcode == 0x0b && self.range((task.be24(1) & 0x1f_ffff, 1)).is_err() =>
            {
                Sense::field(1)
            }
            Defect::SyncRangeCode if opcode == 0x35 && !fits => Sense::field(2),
            Defect::WriteVerifyRangeKey if opcode == 0x2e && !fits => Sense::RANGE.with_key(4),
            Defect::ReserveIdRefused if opcode == 0x16 && of_unit && task.byte(2) != 0 => Sense::field(2),
            Defect::ModeSenseFormattingHangs if matches!(opcode, 0x1a | 0x5a) && formats => {
                return Self::hung();
            }
            Defect::ReserveListHangs if opcode == 0x16 && of_unit && task.be16(3) != 0 => {
                return Self::hung();
            }
            Defect::SelfTestStoppedHangs
                if opcode == 0x1d && task.bit(1, 2) && self.spindle == Spindle::Stopped =>
            {
                return Self::hung();
            }
            Defect::VerifyOneCachedAny if opcode == 0x2f && task.bit(1, 1) && one_cached => {
                return Some(nothing());
            }
            Defect::RcdPassesCache if now.reads() && fits && self.pages.read_cache_off() => {
                let blocks = (lba..now.end()).flat_map(|lba| self.medium.read_uncached(lba));
                return Some(crate::target::data(blocks.collect()));
            }
            Defect::WriteOf211 if now.writes() && count == 211 && fits && self.writable().is_ok() => {
                let bytes = task.data_out(210 * BLOCK_BYTES);
                return Some(self.write((lba, 210), &bytes, Through::Medium));
            }
            _ => return None,
        };
        Some(Err(refused.into()))
    }

    /// Whether a command is GOOD and does nothing.
    fn is_lost_in_state(&mut self, task: &Task<'_>, now: Done) -> bool {
        let opcode = task.opcode();
        let formats = matches!(self.spindle, Spindle::Formatting(..));
        let selects = matches!(opcode, 0x15 | 0x55);
        let after_none = opcode == 0x16 && std::mem::take(&mut self.memory.released_nothing);
        self.memory.released_nothing = opcode == 0x17 && self.reserved_by.is_none();
        self.memory.releases += u32::from(opcode == 0x17);
        let first_write = now.writes() && std::mem::take(&mut self.memory.unwritten_since_format);
        self.memory.writes += u32::from(now.writes());
        match self.defect {
            Some(Defect::ReserveFormattingLost) => opcode == 0x16 && formats,
            Some(Defect::PreventFormattingLost) => opcode == 0x1e && formats,
            Some(Defect::SelectFormattingLost) => selects && formats,
            Some(Defect::FormatFirstWriteLost) => first_write,
            Some(Defect::ReserveAfterRelease) => after_none,
            Some(Defect::ReleaseIdKept) => opcode == 0x17 && task.byte(1) & 0x11 == 0 && task.byte(2) != 0,
            Some(Defect::Write1500thLost) => now.writes() && self.memory.writes == 1500,
            Some(Defect::Release1300thLost) => opcode == 0x17 && self.memory.releases == 1300,
            _ => false,
        }
    }

    /// What a command loses before it is carried out.
    fn drop_in_passing(&mut self, task: &Task<'_>, now: Done) {
        let Done { opcode, lba, count } = now;
        let ejects = opcode == 0x1b && task.byte(4) == 2;
        let above = lba.saturating_add(1);
        if opcode == 0x41 {
            self.memory.under_same = self.medium.cached(above).map(|block| (above, block));
        }
        match self.defect {
            Some(Defect::PrefetchDropsCache) if opcode == 0x34 && count > 1 => {
                (lba..now.end()).for_each(|lba| self.medium.drop_cached(lba));
            }
            Some(Defect::ReassignDropsCache) if opcode == 0x07 => self.medium.lose_cache(),
            Some(Defect::RezeroDropsCache) if opcode == 0x01 => self.medium.lose_cache(),
            Some(Defect::CacheEjectSecond) if ejects && task.initiator == Initiator::B => {
                self.medium.lose_cache();
            }
            Some(Defect::PreventEndsByReserve) if opcode == 0x16 => {
                self.kept(task.initiator).prevents_removal = false;
            }
            Some(Defect::EjectStoppedUnprevented) if ejects && self.spindle == Spindle::Stopped => {
                self.remembered.iter_mut().for_each(|kept| kept.prevents_removal = false);
            }
            Some(Defect::ReserveEndsByStart) if opcode == 0x1b && task.byte(4) == 1 => {
                self.reserved_by = None;
            }
            Some(Defect::SelfTestStarts) if opcode == 0x1d && task.bit(1, 2) => {
                self.spindle = Spindle::Ready;
            }
            _ => {}
        }
    }

    /// What is wrong behind a command that was carried out.
    pub(super) fn spoiled_pairs(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = now.opcode;
        if opcode == 0x04 {
            self.memory.unwritten_since_format = true;
            self.after_format(task);
        }
        match self.defect {
            Some(Defect::FuaReadDrops) if opcode == 0x28 && task.bit(1, 3) => {
                self.medium.drop_cached(now.end());
            }
            Some(Defect::DpoReadDrops) if opcode == 0x28 && task.bit(1, 4) => {
                self.medium.drop_cached(now.end());
            }
            Some(Defect::CacheOver200) if now.writes() && self.medium.cached_blocks() > 200 => {
                self.medium.lose_last_cached();
            }
            Some(Defect::WriteSameSecondCached) if opcode == 0x41 && now.count != 1 => {
                if let Some((at, block)) = self.memory.under_same.take() {
                    self.medium.write(at, &block, Through::Cache);
                }
            }
            Some(Defect::ReassignSecondClears) if opcode == 0x07 && task.out.get(3) >= Some(&8) => {
                let second = task.out.get(8..12).and_then(|bytes| bytes.first_chunk::<4>());
                let above = second.map(|bytes| u32::from_be_bytes(*bytes).saturating_add(1));
                if let Some(above) = above.filter(|above| *above < self.medium.blocks) {
                    self.medium.write(above, &[], Through::Medium);
                }
            }
            Some(Defect::BufferHeaderZero) if opcode == 0x3c && task.byte(1) & 7 == 0 => {
                data.bytes.iter_mut().take(4).for_each(|byte| *byte = 0);
            }
            _ => {}
        }
        self.misinquired(task, data)
    }

    fn misinquired(&mut self, task: &Task<'_>, mut data: Data) -> Data {
        let formats = matches!(self.spindle, Spindle::Formatting(..));
        let (page, standard) =
            (task.opcode() == 0x12 && task.bit(1, 0), task.opcode() == 0x12 && !task.bit(1, 0));
        let unconnected = match self.defect {
            Some(Defect::InquiryFormattingQualifier) => formats,
            Some(Defect::InquiryEmptyQualifier) => !self.medium.present,
            _ => false,
        };
        if let Some(kind) = data.bytes.first_mut()
            && standard
            && unconnected
        {
            *kind |= 0x20;
        }
        if page
            && task.byte(2) == 0x80
            && task.initiator == Initiator::B
            && self.has(Defect::InquirySecondSerial)
            && let Some(last) = data.bytes.get_mut(11)
        {
            *last = b'2';
        }
        if task.opcode() == 0x1a
            && self.has(Defect::ModeProtectSixLost)
            && let Some(specific) = data.bytes.get_mut(2)
        {
            *specific &= 0x7f;
        }
        data
    }

    /// What a format takes along.
    fn after_format(&mut self, task: &Task<'_>) {
        let (listed, second) = (task.bit(1, 4), task.initiator == Initiator::B);
        match self.defect {
            Some(Defect::FormatEndsPrevent) => {
                self.remembered.iter_mut().for_each(|kept| kept.prevents_removal = false);
            }
            Some(Defect::FormatCacheOff) => self.pages.clear_write_cache(),
            Some(Defect::FormatSecondReleases) if second => self.reserved_by = None,
            Some(Defect::FormatListedEndsReservation) if listed => self.reserved_by = None,
            Some(Defect::FormatAttentionLost) => self.kept(task.initiator.other()).attention = None,
            Some(Defect::FormatImmediateLosesSaved) if matches!(self.spindle, Spindle::Formatting(..)) => {
                self.pages.lose_all_saved();
            }
            _ => {}
        }
    }
}
