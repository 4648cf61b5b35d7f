//! Defects that are siblings of those an engineer would seed first: another length, another command, another count.

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, MediumKind, Protection, Refusal, Reply, Target, data, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// Commands since removal was prevented.
    since_prevent: u32,
    /// Whether WCE was ever set.
    pub(super) cached: bool,
    /// Whether nothing was reserved since a reset.
    pub(super) fresh: bool,
    /// Resets since power-on.
    pub(super) resets: u32,
    /// Reads since power-on.
    reads: u32,
    /// What was read last.
    read: Vec<u8>,
    /// TEST UNIT READY in a row.
    polls: u32,
    /// REQUEST SENSE in a row, apart from those behind errors.
    asked: u32,
    /// Whether block 777 was written.
    wrote: bool,
}

impl Target {
    pub(super) fn instead_of_sibling(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        let at_end = now.end() == self.medium.blocks;
        let protected = self.medium.protection == Protection::On;
        self.memory.siblings.polls = if opcode == 0x00 { self.memory.siblings.polls + 1 } else { 0 };
        self.memory.siblings.cached |= self.pages.write_cache();
        let fresh = opcode == 0x16 && std::mem::take(&mut self.memory.siblings.fresh);
        self.memory.siblings.since_prevent += 1;
        if self.memory.siblings.since_prevent > 64 && self.has(Defect::PreventExpires) {
            self.remembered.iter_mut().for_each(|kept| kept.prevents_removal = false);
        }
        if opcode == 0x1e {
            self.memory.siblings.since_prevent = 0;
        }
        let refused = match self.defect? {
            Defect::ProtectRead6 if opcode == 0x08 && protected => Sense::PROTECTED,
            Defect::SyncEndRefused if opcode == 0x35 && at_end && count > 0 => Sense::RANGE,
            Defect::PrefetchLastRefused if opcode == 0x34 && at_end && count == 1 => Sense::RANGE,
            Defect::WriteSameLastRefused if opcode == 0x41 && at_end && count == 1 => Sense::RANGE,
            Defect::WriteCompareMiscompares if opcode == 0x2e && task.bit(1, 1) && fits => {
                let _ = self.write_and_verify(task);
                Sense::MISCOMPARE.at(lba)
            }
            Defect::Write6Signed if opcode == 0x0a && count > 127 && fits => {
                return Some(self.forgotten(now));
            }
            Defect::ReserveAfterReset if fresh => return Some(nothing()),
            Defect::Ready33rdBusy if self.memory.siblings.polls == 33 => return Some(Err(Refusal::Busy)),
            Defect::FormatInterleaveHangs if opcode == 0x04 && task.be16(3) == 2 => return Self::hung(),
            Defect::RezeroAfterLast
                if opcode == 0x01
                    && self.traces.heads == self.medium.last()
                    && self.memory.last.is_some_and(|last| last.opcode == 0x2b) =>
            {
                return Self::hung();
            }
            Defect::Read6Of200 if opcode == 0x08 && count > 200 && fits => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(4)? = 200;
                return Some(self.read_6(&Task { cdb: &block, ..*task }));
            }
            Defect::ReadHighBit | Defect::VerifyHighBit if lba >= 1 << 31 => {
                let wanted = if self.has(Defect::ReadHighBit) { 0x28 } else { 0x2f };
                let mut block = task.cdb.to_vec();
                *block.get_mut(2)? &= 0x7f;
                let task = Task { cdb: &block, ..*task };
                return match opcode {
                    0x28 if wanted == 0x28 => Some(self.read_10(&task)),
                    0x2f if wanted == 0x2f => Some(self.verify(&task)),
                    _ => None,
                };
            }
            Defect::ReadOf127 if now.reads() && count == 127 && now.end() < self.medium.blocks => {
                return Some(data((lba + 1..=now.end()).flat_map(|lba| self.medium.read(lba)).collect()));
            }
            Defect::VerifyOfSeven if opcode == 0x2f && task.bit(1, 1) && count == 7 && fits => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(8)? = 6;
                return Some(self.verify(&Task { cdb: &block, ..*task }));
            }
            Defect::CacheForEver if now.writes() && opcode != 0x2e && self.memory.siblings.cached && fits => {
                self.writable().ok()?;
                let bytes = task.data_out(usize::try_from(count).ok()? * BLOCK_BYTES);
                return Some(self.write((lba, count), &bytes, Through::Cache));
            }
            Defect::BufferNothingClears if opcode == 0x3b && task.be24(6) == 0 => {
                self.buffer.fill(0);
                return None;
            }
            Defect::BufferDescriptorLong if opcode == 0x3c && task.byte(1) & 7 == 3 => {
                let mut bytes = vec![0, 0, 16, 0, 0, 0, 0, 0];
                bytes.truncate(usize::try_from(task.be24(6)).ok()?);
                return Some(data(bytes));
            }
            _ => return self.instead_of_sibling_state(task),
        };
        Some(Err(refused.into()))
    }

    fn instead_of_sibling_state(&mut self, task: &Task<'_>) -> Option<Reply> {
        let opcode = task.opcode();
        let spins = opcode == 0x1b && task.byte(4) == 1;
        match self.defect? {
            Defect::StartCacheOff if spins && self.spindle == Spindle::Stopped => {
                self.pages.clear_write_cache();
            }
            Defect::StartImmediateSpins
                if spins && task.bit(1, 0) && self.spindle == Spindle::Ready && self.medium.present =>
            {
                self.spindle = Spindle::Starting(self.clock + std::time::Duration::from_millis(1));
                return Some(nothing());
            }
            Defect::EjectAttentionLost
                if opcode == 0x1b && task.byte(4) == 2 && self.model.medium == MediumKind::Removable =>
            {
                self.kept(task.initiator.other()).attention = None;
            }
            Defect::DiagnosticSecond if opcode == 0x1c && task.initiator == crate::target::Initiator::B => {
                return Some(nothing());
            }
            Defect::DefectPrimaryBoth if opcode == 0x37 && task.byte(2) & 0x18 == 0x10 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(2)? |= 0x08;
                return Some(self.read_defect_data(&Task { cdb: &block, ..*task }));
            }
            _ => {}
        }
        None
    }

    pub(super) fn spoiled_sibling(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let Done { opcode, lba, count } = now;
        let before: Vec<_> = std::mem::take(&mut self.memory.siblings_before);
        let put = |target: &mut Self, at: u32| {
            if let Some(block) = usize::try_from(at - lba).ok().and_then(|step| before.get(step)) {
                target.put_back(at, block);
            }
        };
        match self.defect {
            Some(Defect::WriteThreeAligned) if now.writes() && count == 3 && lba.is_multiple_of(4) => {
                put(self, lba + 1);
            }
            Some(Defect::Block777Once)
                if now.writes()
                    && (lba..now.end()).contains(&777)
                    && std::mem::replace(&mut self.memory.siblings.wrote, true) =>
            {
                put(self, 777);
            }
            Some(Defect::WriteMirrors) if now.writes() => {
                for at in (lba..now.end()).filter(|at| (1000..1008).contains(at)) {
                    let block = self.medium.before(at);
                    self.put_back(at + 8, &block);
                }
            }
            Some(Defect::Read100thStale) if now.reads() => {
                self.memory.siblings.reads += 1;
                if self.memory.siblings.reads == 100 {
                    let length = data.bytes.len();
                    data.bytes.clone_from(&self.memory.siblings.read);
                    data.bytes.resize(length, 0);
                }
                self.memory.siblings.read.clone_from(&data.bytes);
            }
            Some(Defect::InquiryEven) if opcode == command::INQUIRY && data.bytes.len() % 2 == 1 => {
                data.bytes.pop();
            }
            Some(Defect::AttentionInquiryOther) if opcode == command::INQUIRY => {
                self.kept(task.initiator.other()).attention = None;
            }
            Some(Defect::LoadSecondUntold) if opcode == 0x1b && task.byte(4) == 3 => {
                self.kept(task.initiator.other()).attention = None;
            }
            Some(Defect::SaveTakesNext)
                if matches!(opcode, 0x15 | 0x55) && task.bit(1, 0) && self.selects_page(task, 0x01) =>
            {
                self.pages.save(&[0x02]);
            }
            _ => {}
        }
        data
    }

    /// Whether the first page of a list is this one.
    fn selects_page(&self, task: &Task<'_>, code: u8) -> bool {
        let header = if task.opcode() == 0x15 { 4 } else { 8 };
        let descriptor = task.out.get(header - 1).copied().unwrap_or_default();
        task.out.get(header + usize::from(descriptor)) == Some(&code)
    }

    /// Blocks of a write before it is carried out.
    pub(super) fn remember_blocks(&mut self, now: Done) {
        let wanted = matches!(self.defect, Some(Defect::WriteThreeAligned | Defect::Block777Once));
        if wanted && now.writes() && now.count <= 1024 && self.range((now.lba, now.count)).is_ok() {
            let blocks = (now.lba..now.end()).map(|lba| self.medium.before(lba));
            self.memory.siblings_before = blocks.collect();
        }
    }

    /// What comes before a command is looked at: nothing, where the firmware is sound.
    pub(in crate::target) fn preempted(&mut self, task: &Task<'_>, absent: Option<u8>) -> Option<Reply> {
        let automatic = self.traces.after_error;
        let opcode = task.opcode();
        let asked = &mut self.memory.siblings.asked;
        *asked = if opcode == 0x03 && !automatic { *asked + 1 } else { 0 };
        let gone = absent.is_some();
        let reply = self
            .preempted_area(task, gone)
            .or_else(|| self.preempted_corner(task, gone))
            .or_else(|| self.preempted_outsider(task, absent))
            .or_else(|| self.preempted_newcomer(task, absent))
            .or_else(|| self.preempted_veteran(task, gone));
        if reply.is_some() {
            return reply;
        }
        match self.defect? {
            Defect::SenseSecondBusy if self.memory.siblings.asked == 2 => Some(Err(Refusal::Busy)),
            Defect::ResetTenthHangs if self.memory.siblings.resets == 10 => {
                self.memory.siblings.resets = 11;
                Self::hung()
            }
            Defect::VendorHangs if opcode >= 0xc0 => Self::hung(),
            Defect::Opcode5fGood if opcode == 0x5f => Some(nothing()),
            Defect::LunHighDropsSense if opcode == 0x03 && absent.is_some_and(|lun| lun > 3) => {
                self.kept(task.initiator).sense = None;
                None
            }
            _ => None,
        }
    }
}
