//! Defects by area: reservations, resets, corners of mode parameters, what one command leaves for the next, exact places.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Protection, Reply, Response, Target, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Areas {
    /// Commands since power-on.
    commands: u32,
    /// Whether no TEST UNIT READY came since a bus reset.
    reset: bool,
    /// Whether nothing was written since a FORMAT UNIT.
    formatted: bool,
    /// Whether nothing was written since an address out of range.
    ranged: bool,
    /// What was sent for a comparison that failed.
    compared: Option<Vec<u8>>,
    /// The block at fault of the miscompare before.
    miscompared: Option<u32>,
    /// The command before: its bytes.
    before: Vec<u8>,
    /// Whether the last MODE SENSE found the medium protected.
    protected: bool,
    /// The blocks of a write as they were before it.
    blocks: Vec<[u8; BLOCK_BYTES]>,
}

impl Target {
    /// What comes before a command is looked at.
    pub(in crate::target) fn preempted_area(&mut self, task: &Task<'_>, absent: bool) -> Option<Reply> {
        let areas = &mut self.memory.areas;
        areas.commands += 1;
        let first = areas.commands == 1;
        let opcode = task.opcode();
        match self.defect? {
            Defect::AttentionPowerSense if first && opcode == command::REQUEST_SENSE => {
                self.kept(task.initiator).attention = None;
            }
            Defect::ResetReadySlow if opcode == 0x00 && std::mem::take(&mut self.memory.areas.reset) => {
                self.clock += Duration::from_secs(20);
            }
            Defect::SenseSlow
                if opcode == command::REQUEST_SENSE && self.kept(task.initiator).sense.is_some() =>
            {
                self.clock += Duration::from_secs(15);
            }
            Defect::LogSelectRestores if opcode == 0x4c => self.pages.restore_default(),
            Defect::SetLimitsGood if opcode == 0x33 && !absent => return Some(nothing()),
            Defect::SearchHangs if opcode == 0x30 && !absent => return Self::hung(),
            Defect::LockCacheGood if opcode == 0x36 && !absent => return Some(nothing()),
            _ => {}
        }
        None
    }

    pub(super) fn instead_of_area(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        let selects = matches!(opcode, 0x15 | 0x55);
        if (now.writes() || opcode == 0x41) && fits && count <= 1024 {
            self.memory.areas.blocks = (lba..now.end()).map(|lba| self.medium.before(lba)).collect();
        }
        let after = |opcode: u8| self.memory.areas.before.first() == Some(&opcode);
        match self.defect? {
            Defect::ReserveToggles
                if opcode == 0x16 && task.byte(1) & 0x11 == 0 && self.reserved_by == Some(task.initiator) =>
            {
                self.reserved_by = None;
                return Some(nothing());
            }
            Defect::ReserveExtentHolds if opcode == 0x16 && task.bit(1, 0) => {
                self.reserved_by = Some(task.initiator);
            }
            Defect::ReleaseThird if opcode == 0x17 && task.byte(1) & 0x11 == 0x10 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(1)? &= !0x1f;
                return Some(self.release(&Task { cdb: &block, ..*task }));
            }
            Defect::ModeSaved10Refused if opcode == 0x5a && task.byte(2) >> 6 == 3 => {
                return Some(Err(Sense { code: 0x39, field: None, ..Sense::field(2) }.into()));
            }
            Defect::ModeDbdSticks
                if matches!(opcode, 0x1a | 0x5a)
                    && (after(0x1a) || after(0x5a))
                    && self.memory.areas.before.get(1).is_some_and(|byte| byte & 0x08 != 0)
                    && !task.bit(1, 3) =>
            {
                let mut block = task.cdb.to_vec();
                *block.get_mut(1)? |= 0x08;
                let task = Task { cdb: &block, ..*task };
                return Some(if opcode == 0x1a {
                    self.mode_sense_6(&task)
                } else {
                    self.mode_sense_10(&task)
                });
            }
            Defect::EmptyModeRefused if matches!(opcode, 0x1a | 0x5a) && !self.medium.present => {
                return Some(Err(Sense::NO_MEDIUM.into()));
            }
            Defect::EmptyReserveRefused if opcode == 0x16 && !self.medium.present => {
                return Some(Err(Sense::NO_MEDIUM.into()));
            }
            Defect::SelectEmptySaved
                if selects && task.bit(1, 0) && task.out.len() <= if opcode == 0x15 { 4 } else { 8 } =>
            {
                self.pages.restore_default();
            }
            Defect::SelectSlow if opcode == 0x15 => self.clock += Duration::from_secs(20),
            Defect::WriteFormatSlow if now.writes() && std::mem::take(&mut self.memory.areas.formatted) => {
                self.clock += Duration::from_secs(60);
            }
            Defect::WriteSameSlow if opcode == 0x41 && count > 64 => self.clock += Duration::from_secs(60),
            Defect::VerifyCompareSticks if opcode == 0x2f && !task.bit(1, 1) => {
                if let Some(block) = self.memory.areas.miscompared.take() {
                    return Some(Err(Sense::MISCOMPARE.at(block).into()));
                }
            }
            Defect::StartUnwaited if opcode == 0x1b && task.byte(4) == 1 && task.byte(1) & 1 == 0 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(1)? |= 1;
                return Some(self.start_stop_unit(&Task { cdb: &block, ..*task }));
            }
            Defect::RezeroProtected if opcode == 0x01 && self.medium.protection == Protection::On => {
                return Some(Err(Sense::PROTECTED.into()));
            }
            Defect::BufferBeyondGood if opcode == 0x3c && task.byte(1) & 7 == 2 && task.be24(3) > 4096 => {
                return Some(nothing());
            }
            Defect::BufferRefusedWrites if opcode == 0x3b && task.byte(1) & 7 == 2 => {
                let offset = usize::try_from(task.be24(3)).ok()?;
                let length = usize::try_from(task.be24(6)).ok()?;
                let bytes = task.data_out(length.min(4096));
                self.buffer.iter_mut().skip(offset).zip(bytes).for_each(|(place, byte)| *place = byte);
            }
            Defect::DefectFormat4 if opcode == 0x37 && task.byte(2) & 7 == 4 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(2)? ^= 4;
                return Some(self.read_defect_data(&Task { cdb: &block, ..*task }));
            }
            Defect::SeekOneBeyond if opcode == 0x2b && task.be32(2) == self.medium.blocks => {
                return Some(nothing());
            }
            _ => {}
        }
        None
    }

    pub(super) fn spoiled_area(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let Done { opcode, .. } = now;
        if now.writes() || opcode == 0x41 {
            self.area_wrote(task, now);
        }
        if now.reads() {
            self.area_read(now, &mut data);
        }
        self.memory.areas.formatted |= opcode == 0x04;
        let senses = matches!(opcode, 0x1a | 0x5a);
        if senses {
            self.area_sensed(task, &mut data);
        }
        let before = std::mem::replace(&mut self.memory.areas.before, task.cdb.to_vec());
        let after = |opcode: u8| before.first() == Some(&opcode);
        match self.defect {
            Some(Defect::CapacityPmiSticks)
                if opcode == 0x25 && after(0x25) && before.get(8) == Some(&1) && task.byte(8) == 0 =>
            {
                data.bytes.iter_mut().zip(before.get(2..6).unwrap_or_default()).for_each(|(a, b)| *a = *b);
            }
            Some(Defect::InquiryZeroSticks)
                if opcode == command::INQUIRY && after(command::INQUIRY) && before.get(4) == Some(&0) =>
            {
                data.bytes.truncate(5);
            }
            Some(Defect::BufferDescriptorSticks)
                if opcode == 0x3c
                    && after(0x3c)
                    && before.get(1).is_some_and(|byte| byte & 7 == 3)
                    && task.byte(1) & 7 == 2 =>
            {
                data.bytes.iter_mut().zip([0, 0, 16, 0]).for_each(|(a, b)| *a = b);
            }
            Some(Defect::DiagnosticPageOne) if opcode == 0x1c => {
                if let Some(byte) = data.bytes.first_mut() {
                    *byte = 1;
                }
            }
            _ => {}
        }
        data
    }

    fn area_wrote(&mut self, task: &Task<'_>, now: Done) {
        let Done { opcode, lba, count } = now;
        let before = std::mem::take(&mut self.memory.areas.blocks);
        let ranged = std::mem::take(&mut self.memory.areas.ranged);
        let same = self.memory.areas.before.first() == Some(&0x41);
        let plain = opcode != 0x41;
        let lost = match self.defect {
            Some(Defect::WriteAfterRangeLost) if ranged && plain => 0..count,
            Some(Defect::WriteCrossing4096) if plain && lba < 4096 && now.end() > 4096 => {
                4096 - lba..4097 - lba
            }
            Some(Defect::WriteOf31) if plain && count == 31 => 30..31,
            _ => 0..0,
        };
        for step in lost {
            if let Some(block) = usize::try_from(step).ok().and_then(|at| before.get(at)) {
                self.put_back(lba + step, block);
            }
        }
        match self.defect {
            Some(Defect::WriteSameSticks) if plain && same && count > 1 => {
                let block = self.medium.before(lba);
                (lba..now.end()).for_each(|at| self.put_back(at, &block));
            }
            Some(Defect::WriteAt1) if plain && lba == 1 && count == 1 => {
                let block = self.medium.before(1);
                self.put_back(0, &block);
            }
            Some(Defect::FuaReversed) if opcode == 0x2a && task.bit(1, 3) => {
                let blocks: Vec<_> = (lba..now.end()).rev().map(|at| self.medium.before(at)).collect();
                (lba..now.end()).zip(blocks).for_each(|(at, block)| self.put_back(at, &block));
            }
            Some(Defect::PatternUniform) if plain => {
                for at in lba..now.end() {
                    let mut block = self.medium.before(at);
                    if block.iter().all(|byte| *byte == block[0]) && !matches!(block[0], 0 | 0xff) {
                        block[BLOCK_BYTES - 1] = 0;
                        self.put_back(at, &block);
                    }
                }
            }
            Some(Defect::WriteSameEnd) if opcode == 0x41 && count == 0 => {
                let last = self.medium.last();
                self.medium.lose(last);
            }
            Some(Defect::WriteSevenOfEight) if plain && lba % 8 == 7 && count > 1 => {
                let (low, high) = (self.medium.before(lba), self.medium.before(lba + 1));
                self.put_back(lba, &high);
                self.put_back(lba + 1, &low);
            }
            _ => {}
        }
    }

    fn area_read(&mut self, now: Done, data: &mut Data) {
        let Done { lba, count, .. } = now;
        let compared = self.memory.areas.compared.take();
        match self.defect {
            Some(Defect::ReadAfterMiscompare) => {
                if let Some(sent) = compared {
                    data.bytes.iter_mut().zip(sent).for_each(|(a, b)| *a = b);
                }
            }
            Some(Defect::ReadBeyond192) if count > 192 && now.end() < self.medium.blocks => {
                let moved: Vec<_> = (lba + 193..=now.end()).flat_map(|lba| self.medium.before(lba)).collect();
                data.bytes.truncate(192 * BLOCK_BYTES);
                data.bytes.extend(moved);
            }
            Some(Defect::ReadEndPair) if count == 2 && now.end() == self.medium.blocks => {
                data.bytes.rotate_left(BLOCK_BYTES);
            }
            _ => {}
        }
    }

    fn area_sensed(&mut self, task: &Task<'_>, data: &mut Data) {
        let six = task.opcode() == 0x1a;
        let header = if six { 4 } else { 8 };
        let kind = task.byte(2) >> 6;
        let described = data.bytes.get(header - 1) == Some(&8);
        let protected =
            std::mem::replace(&mut self.memory.areas.protected, self.medium.protection == Protection::On);
        let put = |data: &mut Data, at: usize, value: u8| {
            if let Some(byte) = data.bytes.get_mut(at) {
                *byte = value;
            }
        };
        match self.defect {
            Some(Defect::ModeMediumType) if six => put(data, 1, 5),
            Some(Defect::Mode10MediumType) if !six => put(data, 2, 1),
            Some(Defect::ModeDescriptorMask) if described && kind == 1 => {
                (header + 5..header + 8).for_each(|at| put(data, at, 0xff));
            }
            Some(Defect::ModeDensity) if described && kind != 1 => put(data, header, 1),
            Some(Defect::ModeProtectLate) if !protected => {
                let at = if six { 2 } else { 3 };
                if let Some(byte) = data.bytes.get_mut(at) {
                    *byte &= 0x7f;
                }
            }
            Some(Defect::ModeMaskSecond | Defect::ModeDefault3) => {
                let mut at = header + if described { 8 } else { 0 };
                while let Some([code, length, ..]) = data.bytes.get(at..) {
                    let (code, end) = (code & 0x3f, at + 2 + usize::from(*length));
                    if self.has(Defect::ModeDefault3) && code == 3 && kind == 2 {
                        put(data, at + 12, 4);
                    }
                    if self.has(Defect::ModeMaskSecond) && kind == 1 && task.initiator == Initiator::B {
                        (at + 2..end).for_each(|at| put(data, at, 0));
                    }
                    at = end;
                }
            }
            _ => {}
        }
    }

    /// What the sense of an error becomes.
    pub(in crate::target) fn missensed_area(&mut self, sense: Sense) -> Sense {
        let sense = self.missensed_corner(sense);
        self.memory.areas.ranged |= sense == Sense::RANGE;
        let block = self.memory.areas.miscompared.take();
        if sense.key == Sense::MISCOMPARE.key {
            self.memory.areas.miscompared = sense.block;
        }
        match self.defect {
            Some(Defect::SenseBlockSticks) if sense.block.is_none() => Sense { block, ..sense },
            Some(Defect::EmptyCapacityCode) if sense == Sense::NO_MEDIUM && self.memory.opcode == 0x25 => {
                Sense::STOPPED
            }
            Some(Defect::SensePointerPage)
                if matches!(self.memory.opcode, 0x1a | 0x5a) && sense.field == Some(2) =>
            {
                Sense { field: Some(3), ..sense }
            }
            _ => sense,
        }
    }

    /// What a reset does besides.
    pub(in crate::target) fn misreset_area(
        &mut self,
        bus: bool,
        before: [(Option<Sense>, bool); 2],
        holder: Option<Initiator>,
    ) {
        self.memory.areas.reset = bus;
        self.misreset_corner(holder);
        let [(a, prevents), (b, _)] = before;
        match self.defect {
            Some(Defect::ReserveSecondBusReset) if bus && holder == Some(Initiator::B) => {
                self.reserved_by = holder;
            }
            Some(Defect::ResetKeepsPreventFirst) => self.kept(Initiator::A).prevents_removal = prevents,
            Some(Defect::ResetUnderMedium) => {
                for (initiator, pending) in [(Initiator::A, a), (Initiator::B, b)] {
                    if pending == Some(Sense::MEDIUM_CHANGED) {
                        self.kept(initiator).attention = pending;
                    }
                }
            }
            Some(Defect::ResetZeroesPage2) => {
                let zeros = vec![0; self.pages.values_of(0x02).len()];
                self.pages.set(0x02, &zeros);
            }
            Some(Defect::BusResetStops) if bus => self.spindle = Spindle::Stopped,
            Some(Defect::DeviceResetModeCode) if !bus => {
                self.kept(Initiator::B).attention = Some(Sense::MODE_CHANGED);
            }
            _ => {}
        }
    }

    /// The whole answer, and what it leaves.
    pub(in crate::target) fn misanswered_area(
        &mut self,
        task: &Task<'_>,
        mut response: Response,
    ) -> Response {
        let opcode = task.opcode();
        if opcode == 0x2f && response.status == Some(2) && task.bit(1, 1) {
            self.memory.areas.compared = Some(task.out.to_vec());
        }
        if response.status == Some(0x18) {
            match (self.defect, opcode) {
                (Some(Defect::PreventConflictHolds), 0x1e) => {
                    self.kept(task.initiator).prevents_removal = true;
                }
                (Some(Defect::SelectConflictExecuted), 0x15) => drop(self.mode_select_6(task)),
                (Some(Defect::SelectConflictExecuted), 0x55) => drop(self.mode_select_10(task)),
                _ => {}
            }
        }
        if opcode == 0x1b
            && response.status == Some(0)
            && self.reserved_by == Some(task.initiator)
            && self.has(Defect::ReserveHolderStart)
        {
            response.status = Some(0x18);
        }
        if response.status == Some(2)
            && self.has(Defect::AttentionMediumShared)
            && self.kept(task.initiator).sense == Some(Sense::MEDIUM_CHANGED)
        {
            self.kept(task.initiator.other()).attention = None;
        }
        response
    }
}
