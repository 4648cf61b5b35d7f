//! Defects of a third list in the same manner: exact lengths, what one initiator does to the other's next command, options.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Protection, Reply, Response, Target, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Cousins {
    /// INQUIRY in a row.
    inquiries: u32,
    /// Where one block was written last, and with what.
    one: Option<(u32, Vec<u8>)>,
    /// A block that was written with the same data.
    shared: Option<(u32, u32)>,
    /// How often in a row the same block was read.
    reads: u32,
    /// Who has written last, and the first block.
    wrote: Option<(Initiator, u32)>,
    /// FORMAT UNIT commands.
    formats: u32,
    /// The blocks of a write as they were before it.
    before: Vec<[u8; BLOCK_BYTES]>,
}

impl Target {
    pub(super) fn instead_of_cousin(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        let selects = matches!(opcode, 0x15 | 0x55);
        let header = if opcode == 0x15 { 4 } else { 8 };
        let page_at = header + usize::from(task.out.get(header - 1).copied().unwrap_or_default());
        if now.writes() && fits && count <= 1024 {
            self.memory.cousins.before = (lba..now.end()).map(|lba| self.medium.before(lba)).collect();
        }
        let addresses = task.out.get(4..).unwrap_or_default().chunks_exact(4);
        match self.defect? {
            Defect::SelectCacheTenOnly if opcode == 0x15 && task.out.get(page_at) == Some(&8) => {
                return Some(nothing());
            }
            Defect::SelectEmptyRestores if selects && page_at >= task.out.len() => self.pages.restore_saved(),
            Defect::Mode10Over4095 if opcode == 0x5a && task.be16(7) > 4095 => return Some(nothing()),
            Defect::SyncSkipsRange if opcode == 0x35 && count > 0 && fits => {
                let kept: Vec<_> =
                    (lba..now.end()).filter_map(|at| Some((at, self.medium.cached(at)?))).collect();
                (lba..now.end()).for_each(|at| self.medium.drop_cached(at));
                self.medium.flush();
                for (at, block) in kept {
                    self.medium.write(at, &block, crate::target::medium::Through::Cache);
                }
                return Some(nothing());
            }
            Defect::StopOver10 if opcode == 0x1b && task.byte(4) == 0 && self.medium.cached_blocks() > 10 => {
                self.medium.lose_last_cached();
            }
            Defect::PreventEmptyLost if opcode == 0x1e && !self.medium.present => return Some(nothing()),
            Defect::VerifyStraddles
                if opcode == 0x2f && count > 1 && now.end() == self.medium.blocks + 1 && !task.bit(1, 1) =>
            {
                return Some(nothing());
            }
            Defect::VerifyOver64 if opcode == 0x2f && task.bit(1, 1) && count > 64 && fits => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(7)? = 0;
                *block.get_mut(8)? = 64;
                return Some(self.verify(&Task { cdb: &block, ..*task }));
            }
            Defect::ReassignFirstRefused
                if opcode == 0x07 && addresses.clone().any(|address| address == [0; 4]) =>
            {
                return Some(Err(Sense::RANGE.at(0).into()));
            }
            Defect::ReassignTwiceHangs
                if opcode == 0x07 && addresses.clone().zip(addresses.skip(1)).any(|(a, b)| a == b) =>
            {
                return Self::hung();
            }
            Defect::BufferLengthWide if opcode == 0x3c && task.byte(6) != 0 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(6)? = 0;
                return Some(self.read_buffer(&Task { cdb: &block, ..*task }));
            }
            Defect::SyncProtectedSlow if opcode == 0x35 && self.medium.protection == Protection::On => {
                self.clock += Duration::from_secs(15);
            }
            Defect::BufferLongSlow if opcode == 0x3b && task.be24(6) > 2048 => {
                self.clock += Duration::from_secs(12);
            }
            Defect::InquiryStoppedSlow if opcode == command::INQUIRY && self.spindle == Spindle::Stopped => {
                self.clock += Duration::from_secs(30);
            }
            Defect::SelfTestCacheOff if opcode == 0x1d && task.bit(1, 2) => self.pages.clear_write_cache(),
            Defect::SelfTestEndsPrevent if opcode == 0x1d && task.bit(1, 2) => {
                self.kept(task.initiator).prevents_removal = false;
            }
            _ => {}
        }
        None
    }

    pub(super) fn spoiled_cousin(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = now.opcode;
        if now.writes() {
            self.cousin_wrote(task, now);
        }
        if now.reads() {
            self.cousin_read(task, now, &mut data);
        }
        self.memory.cousins.formats += u32::from(opcode == 0x04);
        if opcode == 0x04 && self.memory.cousins.formats == 2 && self.has(Defect::FormatTwiceShrinks) {
            self.medium.blocks = self.medium.last();
        }
        let standard = opcode == command::INQUIRY && !task.bit(1, 0);
        self.memory.cousins.inquiries = if standard { self.memory.cousins.inquiries + 1 } else { 0 };
        let page_at = |opcode| if opcode == 0x1a { 4 } else { 8 };
        match self.defect {
            Some(Defect::Inquiry36Short) if opcode == command::INQUIRY && task.byte(4) == 36 => {
                data.bytes.truncate(35);
            }
            Some(Defect::InquiryThirdBlank) if self.memory.cousins.inquiries == 3 => {
                data.bytes.iter_mut().take(32).skip(16).for_each(|byte| *byte = b' ');
            }
            Some(Defect::VpdSerialPadded)
                if opcode == command::INQUIRY && task.bit(1, 0) && task.byte(2) == 0x80 =>
            {
                data.bytes.resize(usize::from(task.byte(4)).min(16), 0);
            }
            Some(Defect::ModeCylindersSecond)
                if matches!(opcode, 0x1a | 0x5a) && task.initiator == Initiator::B =>
            {
                let header = page_at(opcode);
                let at = header + usize::from(data.bytes.get(header - 1).copied().unwrap_or_default());
                if data.bytes.get(at).is_some_and(|code| code & 0x3f == 4) {
                    data.bytes.iter_mut().take(at + 5).skip(at + 2).for_each(|byte| *byte = 0);
                }
            }
            Some(Defect::CapacityAfter200) if opcode == 0x25 && self.commands > 200 => {
                data.bytes.get_mut(4..).unwrap_or_default().reverse();
            }
            _ => {}
        }
        data
    }

    fn cousin_wrote(&mut self, task: &Task<'_>, now: Done) {
        let Done { opcode, lba, count } = now;
        let before = std::mem::take(&mut self.memory.cousins.before);
        let last_lost = opcode == 0x2a && count == 256 && self.has(Defect::WriteOf256)
            || opcode == 0x2e && count > 32 && self.has(Defect::WriteVerifyOver32);
        if let Some(block) = before.last().filter(|_| last_lost) {
            self.put_back(now.end() - 1, block);
        }
        if count > 64 && lba % 2 == 1 && self.has(Defect::WriteOddSwapped) {
            let (low, high) = (self.medium.before(lba), self.medium.before(lba + 1));
            self.put_back(lba, &high);
            self.put_back(lba + 1, &low);
        }
        self.memory.cousins.wrote = Some((task.initiator, lba));
        if !self.has(Defect::WriteShared) || count == 0 {
            return;
        }
        if let Some((source, copy)) = self.memory.cousins.shared
            && (lba..now.end()).contains(&source)
        {
            let block = self.medium.before(source);
            self.put_back(copy, &block);
        }
        let bytes = self.medium.before(lba).to_vec();
        let one = (count == 1).then(|| (lba, bytes.clone()));
        if let (Some((source, old)), Some((at, new))) = (&self.memory.cousins.one, &one)
            && old == new
            && source != at
        {
            self.memory.cousins.shared = Some((*source, *at));
        }
        self.memory.cousins.one = one;
    }

    fn cousin_read(&mut self, task: &Task<'_>, now: Done, data: &mut Data) {
        let Done { lba, count, .. } = now;
        let again =
            self.memory.last.is_some_and(|last| last.reads() && (last.lba, last.count) == (lba, count));
        self.memory.cousins.reads = if again { self.memory.cousins.reads + 1 } else { 1 };
        let wrote = self.memory.cousins.wrote;
        match self.defect {
            Some(Defect::ReadPairReversed) if count == 2 && (lba + 1).is_multiple_of(1024) => {
                data.bytes.rotate_left(BLOCK_BYTES);
            }
            Some(Defect::ReadBelowOther)
                if count == 1
                    && self.memory.last.is_some_and(Done::writes)
                    && wrote.is_some_and(|(who, at)| who != task.initiator && at == lba + 1) =>
            {
                data.bytes.fill(0);
            }
            Some(Defect::ReadTwentieth) if self.memory.cousins.reads == 20 => {
                if let Some(byte) = data.bytes.get_mut(7) {
                    *byte ^= 0x10;
                }
            }
            _ => {}
        }
    }

    /// The whole answer, for the last time.
    pub(in crate::target) fn misanswered_cousin(
        &mut self,
        task: &Task<'_>,
        absent: bool,
        mut response: Response,
    ) -> Response {
        let refused = response.status == Some(2);
        let exact = match self.defect {
            Some(Defect::ResidualReadRefused) => !(refused && matches!(task.opcode(), 0x08 | 0x28)),
            Some(Defect::ResidualModeSix) => task.opcode() != 0x1a,
            _ => true,
        };
        if !exact {
            response.residual = 0;
        }
        if absent && task.opcode() == 0x00 && self.has(Defect::LunReadyAttention) {
            self.kept(task.initiator).attention = Some(Sense::RESET);
        }
        if absent && task.opcode() == command::INQUIRY && self.has(Defect::LunInquiryPadded) {
            let length = i64::try_from(response.data.len()).unwrap_or(0);
            let wanted = i64::from(task.byte(4));
            response.residual -= (wanted - length).min(response.residual).max(0);
            response.data.resize(usize::from(task.byte(4)).max(response.data.len()), 0);
        }
        response
    }
}
