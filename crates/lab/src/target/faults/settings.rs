//! Defects of time, of what is kept over time, and of what a command leaves behind in the cache or in the mode parameters.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Reply, Target, nothing};

impl Target {
    /// A command that takes long.
    pub(super) fn dawdle(&mut self, task: &Task<'_>) {
        let opcode = task.opcode();
        let selects = matches!(opcode, 0x15 | 0x55);
        let seconds = match self.defect {
            Some(Defect::StopSlowCached) if opcode == 0x1b && task.byte(4) == 0 && self.medium.is_dirty() => {
                100
            }
            Some(Defect::ReserveSlow) if opcode == 0x16 => 8,
            Some(Defect::FirstInquirySlow) if opcode == command::INQUIRY && self.memory.inquiries == 0 => 15,
            Some(Defect::SaveSlow) if selects && task.bit(1, 0) => 40,
            _ => 0,
        };
        self.memory.inquiries += u32::from(opcode == command::INQUIRY);
        self.clock += Duration::from_secs(seconds);
    }

    pub(super) fn instead_of_settings(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let opcode = task.opcode();
        let second = task.initiator == Initiator::B;
        let fits = self.range((now.lba, now.count)).is_ok();
        let ejects = opcode == 0x1b && task.byte(4) == 2;
        let loads = opcode == 0x1b && task.byte(4) == 3;
        match self.defect? {
            Defect::StartThirdHangs if opcode == 0x1b && task.byte(4) == 1 => {
                self.memory.starts += 1;
                if self.memory.starts == 3 { Self::hung() } else { None }
            }
            Defect::ReleaseOtherHangs
                if opcode == 0x17 && self.reserved_by.is_some_and(|holder| holder != task.initiator) =>
            {
                Self::hung()
            }
            Defect::SyncOnce if opcode == 0x35 && fits => {
                self.memory.syncs += 1;
                if self.memory.syncs > 1 { Some(nothing()) } else { None }
            }
            Defect::StopSecondDrops if opcode == 0x1b && task.byte(4) == 0 && second => {
                self.medium.lose_cache();
                None
            }
            Defect::VerifyDropsCache if opcode == 0x2f && fits && !task.bit(1, 1) => {
                (now.lba..now.end()).for_each(|lba| self.medium.drop_cached(lba));
                None
            }
            Defect::BufferDropsCache if opcode == 0x3b => {
                self.medium.lose_cache();
                None
            }
            Defect::ReadLongDropsCache if now.reads() && now.count > 255 && fits => {
                let reply = if opcode == 0x28 { self.read_10(task) } else { self.read_6(task) };
                self.medium.lose_cache();
                Some(reply)
            }
            Defect::EjectImmediateLost | Defect::LoadImmediateLost
                if task.bit(1, 0)
                    && (ejects && self.has(Defect::EjectImmediateLost)
                        || loads && self.has(Defect::LoadImmediateLost))
                    && self.model.medium == crate::target::MediumKind::Removable =>
            {
                Some(nothing())
            }
            Defect::ReassignFiveHangs if opcode == 0x07 && task.data_out(4).get(3) >= Some(&20) => {
                Self::hung()
            }
            Defect::SaveEighthLost if matches!(opcode, 0x15 | 0x55) && task.bit(1, 0) => {
                self.memory.saves += 1;
                let mut block = task.cdb.to_vec();
                block.get_mut(1).map(|flags| *flags &= !1)?;
                let task = Task { cdb: &block, ..*task };
                let lost = self.memory.saves.is_multiple_of(8);
                lost.then(
                    || if opcode == 0x15 { self.mode_select_6(&task) } else { self.mode_select_10(&task) },
                )
            }
            _ => None,
        }
    }

    /// What a refusal leaves behind.
    pub(super) fn refused(&mut self, task: &Task<'_>) {
        if !matches!(task.opcode(), 0x15 | 0x55) {
            return;
        }
        if self.has(Defect::SelectFailedRestores) {
            self.pages.restore_saved();
        }
        if self.has(Defect::SelectFailedSaves) && task.bit(1, 0) {
            self.pages.save(&[0x01, 0x02, 0x08, 0x0a]);
        }
    }

    pub(super) fn spoiled_settings(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = task.opcode();
        let second = task.initiator == Initiator::B;
        let senses = matches!(opcode, 0x1a | 0x5a);
        let stopped = self.spindle == Spindle::Stopped;
        let loads = opcode == 0x1b && task.byte(4) == 3;
        match self.defect {
            Some(Defect::AttentionSavedSelf) if matches!(opcode, 0x15 | 0x55) && task.bit(1, 0) => {
                self.kept(task.initiator).attention = Some(crate::target::sense::Sense::MODE_CHANGED);
            }
            Some(Defect::VpdListSecond)
                if opcode == command::INQUIRY && second && task.bit(1, 0) && task.byte(2) == 0 =>
            {
                if let Some(length) = data.bytes.get_mut(3) {
                    *length = 1;
                }
                data.bytes.truncate(5);
            }
            Some(Defect::ModeCacheStopped) if senses && stopped && task.byte(2) & 0x3f == 0x08 => {
                if let [.., flags, _, _, _, _, _, _, _, _, _] = data.bytes.as_mut_slice() {
                    *flags = 0;
                }
            }
            Some(Defect::ModeProtectFirst) if senses && second => {
                let at = if opcode == 0x1a { 2 } else { 3 };
                if let Some(specific) = data.bytes.get_mut(at) {
                    *specific &= 0x7f;
                }
            }
            Some(Defect::LoadEndsReservation) if loads => self.reserved_by = None,
            Some(Defect::LoadRestoresModes) if loads => self.pages.restore_saved(),
            Some(Defect::BufferOddOffset) if opcode == 0x3c && task.byte(1) & 7 == 2 && task.bit(5, 0) => {
                data.bytes.rotate_right(1);
            }
            Some(Defect::Write4096Byte) if now.reads() => {
                for (step, block) in (now.lba..).zip(data.bytes.chunks_mut(BLOCK_BYTES)) {
                    if step.is_multiple_of(4096)
                        && let Some(last) = block.last_mut()
                    {
                        *last = 0;
                    }
                }
            }
            Some(Defect::ReadOf255) if opcode == 0x28 && now.count == 255 => repeat_last(&mut data),
            Some(Defect::Read6OfNine) if opcode == 0x08 && now.count == 9 => repeat_last(&mut data),
            Some(Defect::Read6Above65535) if opcode == 0x08 && now.lba > 0xffff => {
                data.bytes = (now.lba - 1..now.end() - 1).flat_map(|lba| self.medium.read(lba)).collect();
            }
            _ => {}
        }
        data
    }
}

/// Gives the block before the last one twice.
fn repeat_last(data: &mut Data) {
    let end = data.bytes.len();
    if let Some(begin) = end.checked_sub(2 * BLOCK_BYTES) {
        data.bytes.copy_within(begin..end - BLOCK_BYTES, end - BLOCK_BYTES);
    }
}
