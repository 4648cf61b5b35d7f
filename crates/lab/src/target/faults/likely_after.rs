//! Defects that an engineer would seed first: what becomes of data, sense and state behind a command.

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Protection, Response, Target};

impl Target {
    pub(super) fn spoiled_likely(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        if now.writes() || now.opcode == 0x41 {
            self.miswritten(task, now);
        }
        if now.reads() {
            self.misread(task, now, &mut data);
        }
        self.mistold_modes(task, &mut data);
        self.mistold_capacity(now.opcode, &mut data);
        self.misleft(task);
        match (self.defect, now.opcode) {
            (Some(Defect::VpdSigned), command::INQUIRY) if task.bit(1, 0) && task.byte(4) > 127 => {
                data.bytes.clear();
            }
            (Some(Defect::VpdSerialAfterReset), command::INQUIRY)
                if task.bit(1, 0) && task.byte(2) == 0x80 && self.memory.device_reset =>
            {
                data.bytes.iter_mut().skip(4).for_each(|byte| *byte = b' ');
            }
            (Some(Defect::InquiryRemovableEmpty), command::INQUIRY) if !self.medium.present => {
                if let Some(byte) = data.bytes.get_mut(1).filter(|_| !task.bit(1, 0)) {
                    *byte = 0;
                }
            }
            (Some(Defect::InquiryTypeProtected), command::INQUIRY)
                if self.medium.protection == Protection::On =>
            {
                if let Some(byte) = data.bytes.first_mut() {
                    *byte = 4;
                }
            }
            (Some(Defect::InquirySoftReset), command::INQUIRY) if !task.bit(1, 0) => {
                if let Some(byte) = data.bytes.get_mut(7) {
                    *byte |= 1;
                }
            }
            (Some(Defect::BufferModeReadShift), 0x3c) if task.byte(1) & 7 == 0 && data.bytes.len() > 5 => {
                data.bytes.remove(4);
                data.bytes.push(0);
            }
            _ => {}
        }
        data
    }

    fn miswritten(&mut self, task: &Task<'_>, now: Done) {
        let Done { lba, count, .. } = now;
        let before = std::mem::take(&mut self.memory.likely.before);
        let second = task.initiator == Initiator::B;
        let last = self.memory.last;
        let fresh = second && std::mem::take(&mut self.memory.likely.second_fresh);
        let lost = match self.defect {
            Some(Defect::WriteThirdSame) if self.memory.likely.same == 2 => 0..count,
            Some(Defect::WriteDescending)
                if last.is_some_and(|last| last.writes() && last.lba == now.end()) =>
            {
                0..count
            }
            Some(Defect::WriteOf65) if count == 65 => 64..65,
            Some(Defect::WriteAligned8) if count == 8 && lba.is_multiple_of(256) => 0..count,
            Some(Defect::WriteFuaSecondReset) if fresh && now.opcode == 0x2a && task.bit(1, 3) => 0..count,
            Some(Defect::WriteSame17th) if now.opcode == 0x41 && count > 16 => 16..17,
            _ => 0..0,
        };
        for step in lost {
            if let Some(block) = usize::try_from(step).ok().and_then(|at| before.get(at)) {
                self.put_back(lba + step, block);
            }
        }
        match self.defect {
            Some(Defect::WritePairSwapped) if count == 2 && lba % 2 == 1 && now.opcode != 0x41 => {
                let (low, high) = (self.medium.before(lba), self.medium.before(lba + 1));
                self.put_back(lba, &high);
                self.put_back(lba + 1, &low);
            }
            Some(Defect::WriteAfterSeek)
                if last.is_some_and(|last| last.opcode == 0x2b)
                    && now.end() < self.medium.blocks
                    && count > 0 =>
            {
                for at in (lba..now.end()).rev() {
                    let block = self.medium.before(at);
                    self.put_back(at + 1, &block);
                }
                if let Some(first) = before.first() {
                    self.put_back(lba, first);
                }
            }
            Some(Defect::WriteAfterBuffer) if last.is_some_and(|last| last.opcode == 0x3c) && count > 0 => {
                let block: Vec<_> = self.buffer.iter().take(BLOCK_BYTES).copied().collect();
                self.put_back(lba, &block);
            }
            _ => {}
        }
    }

    fn misread(&mut self, task: &Task<'_>, now: Done, data: &mut Data) {
        let Done { opcode, lba, count } = now;
        let at_end = now.end() == self.medium.blocks;
        let bytes = &mut data.bytes;
        match self.defect {
            Some(Defect::ReadOf1021 | Defect::ReadBlock65535) => {
                for (lba, block) in (lba..).zip(bytes.chunks_exact_mut(BLOCK_BYTES)) {
                    if lba.is_multiple_of(1021)
                        && self.defect == Some(Defect::ReadOf1021)
                        && let Some(byte) = block.last_mut()
                    {
                        *byte = 0;
                    }
                    if lba == 65_535 && self.defect == Some(Defect::ReadBlock65535) {
                        block.copy_from_slice(&self.medium.before(65_534));
                    }
                }
            }
            Some(Defect::ReadAligned64) if count > 32 && lba.is_multiple_of(64) => {
                bytes.copy_within(..BLOCK_BYTES, BLOCK_BYTES);
            }
            Some(Defect::ReadOf33) if count == 33 => {
                bytes.copy_within(31 * BLOCK_BYTES..32 * BLOCK_BYTES, 32 * BLOCK_BYTES);
            }
            Some(Defect::ReadPast256) if count > 256 => {
                bytes.get_mut(256 * BLOCK_BYTES..).unwrap_or_default().fill(0);
            }
            Some(Defect::ReadEndZeros) if count > 16 && at_end => {
                let last = bytes.len().saturating_sub(BLOCK_BYTES);
                bytes.get_mut(last..).unwrap_or_default().fill(0);
            }
            Some(Defect::ReadAfterInquiry)
                if self.memory.last.is_some_and(|last| last.opcode == command::INQUIRY) =>
            {
                bytes.iter_mut().zip([0, 0, 2, 2]).for_each(|(place, byte)| *place = byte);
            }
            Some(Defect::ReadDpoLast) if opcode == 0x28 && task.bit(1, 4) && at_end && count == 1 => {
                bytes.fill(0);
            }
            _ => {}
        }
    }

    fn mistold_modes(&mut self, task: &Task<'_>, data: &mut Data) {
        let opcode = task.opcode();
        let (senses, selects) = (matches!(opcode, 0x1a | 0x5a), matches!(opcode, 0x15 | 0x55));
        if selects {
            self.memory.likely.second_selected = task.initiator == Initiator::B;
        }
        if !senses {
            return;
        }
        let (kind, code) = (task.byte(2) >> 6, task.byte(2) & 0x3f);
        let header = if opcode == 0x1a { 4 } else { 8 };
        let mut at = header + usize::from(data.bytes.get(header - 1).copied().unwrap_or_default());
        let stale = self.memory.likely.modes.take().filter(|_| kind == 0);
        let stale = stale.filter(|_| self.memory.last.is_some_and(|last| matches!(last.opcode, 0x15 | 0x55)));
        while let Some([told, length, ..]) = data.bytes.get(at..) {
            let (told, end) = (told & 0x3f, at + 2 + usize::from(*length));
            if code != 0x3f && told != code {
                break;
            }
            match self.defect {
                Some(Defect::ModeSaved3Zero) if told == 3 && kind == 3 => {
                    data.bytes.iter_mut().take(end).skip(at + 2).for_each(|byte| *byte = 0);
                }
                Some(Defect::ModeStaleOnce) => {
                    if let Some(all) = &stale {
                        let mut from = 4;
                        while let Some([old, old_length, ..]) = all.get(from..) {
                            let next = from + 2 + usize::from(*old_length);
                            if old & 0x3f == told {
                                let old = all.get(from..next).unwrap_or_default();
                                data.bytes
                                    .iter_mut()
                                    .skip(at)
                                    .zip(old)
                                    .for_each(|(place, byte)| *place = *byte);
                            }
                            from = next;
                        }
                    }
                }
                _ => {}
            }
            at = end;
        }
    }

    fn mistold_capacity(&mut self, opcode: u8, data: &mut Data) {
        let protected = self.medium.protection == Protection::On;
        if opcode == 0x04 && self.has(Defect::CapacityAfterFormat) {
            self.memory.likely.more = 1;
        }
        let more = match self.defect {
            Some(Defect::CapacityProtectedLess) if protected => -1,
            Some(Defect::CapacityAfterFormat | Defect::CapacityAfterChange | Defect::CapacityAfterLoad) => {
                self.memory.likely.more
            }
            _ => 0,
        };
        if let Some((last, _)) = data.bytes.split_first_chunk_mut::<4>()
            && opcode == 0x25
        {
            *last = u32::from_be_bytes(*last).saturating_add_signed(more.into()).to_be_bytes();
        }
    }

    /// What a command that was carried out leaves in the unit's state.
    fn misleft(&mut self, task: &Task<'_>) {
        let other = task.initiator.other();
        let (starts, ejects) =
            (task.opcode() == 0x1b && task.byte(4) == 1, task.opcode() == 0x1b && task.byte(4) == 2);
        if task.opcode() == 0x04 {
            self.memory.likely.formatter = Some(task.initiator);
        }
        match self.defect {
            Some(Defect::AttentionStartSecond) if starts && self.memory.was_stopped => {
                self.kept(other).attention = Some(Sense::MEDIUM_CHANGED);
            }
            Some(Defect::AttentionSelfTestOther) if task.opcode() == 0x1d && task.bit(1, 2) => {
                self.kept(other).attention = Some(Sense::RESET);
            }
            Some(Defect::AttentionByEject) if ejects => self.attend_all(Sense::MEDIUM_CHANGED),
            Some(Defect::CapacityAfterLoad) if task.opcode() == 0x1b && task.byte(4) == 3 => {
                self.memory.likely.more = -1;
            }
            _ => {}
        }
    }

    /// What the sense of an error becomes.
    pub(in crate::target) fn missensed(&mut self, initiator: Initiator, sense: Sense) -> Sense {
        self.memory.likely.miscompares += u32::from(sense.key == Sense::MISCOMPARE.key);
        let other = initiator.other();
        let unread = self.kept(other).sense.is_some();
        match self.defect {
            Some(Defect::SenseCollides) if unread => {
                self.kept(other).sense = Some(sense);
                sense
            }
            Some(Defect::AttentionSecondCode) if sense == Sense::RESET && initiator == Initiator::B => {
                Sense { code: 0, ..sense }
            }
            Some(Defect::MiscompareStep) if sense.key == Sense::MISCOMPARE.key => {
                Sense { block: sense.block.map(|block| block.wrapping_sub(self.memory.compared)), ..sense }
            }
            Some(Defect::StopSecondCode)
                if sense == Sense::STOPPED && self.traces.stopped_by != Some(initiator) =>
            {
                Sense::BECOMING_READY
            }
            _ => sense,
        }
    }

    /// Whether older sense stays though another command came.
    pub(in crate::target) fn sense_survives(&self, opcode: u8) -> bool {
        opcode == command::INQUIRY && self.has(Defect::SenseSurvivesInquiry)
            || opcode == 0x00 && self.has(Defect::SenseSurvivesReady)
    }

    /// The whole answer, once more.
    pub(in crate::target) fn misanswered_likely(
        &mut self,
        task: &Task<'_>,
        mut response: Response,
    ) -> Response {
        if response.status == Some(0x18) {
            self.memory.likely.conflicts += 1;
            if task.opcode() == 0x16 {
                self.memory.likely.wants = Some(task.initiator);
            }
            if self.memory.likely.conflicts == 40 && self.has(Defect::ReserveWorn40) {
                self.reserved_by = None;
            }
            if self.has(Defect::SenseLostByConflict) {
                self.kept(task.initiator.other()).sense = None;
            }
        }
        let exact = match self.defect {
            Some(Defect::ResidualSenseZero) => task.opcode() != 0x03,
            Some(Defect::ResidualCapacityZero) => task.opcode() != 0x25,
            _ => true,
        };
        if !exact {
            response.residual = 0;
        }
        response
    }

    /// Whether the progress of a format is told to who asks.
    pub(in crate::target) fn hides_progress(&self, initiator: Initiator) -> bool {
        self.has(Defect::FormatProgressOwn)
            && matches!(self.spindle, Spindle::Formatting(..))
            && self.memory.likely.formatter != Some(initiator)
    }
}
