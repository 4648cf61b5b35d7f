//! Defects in pairs of states, at exact lengths and places, and at counts.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Protection, Refusal, Reply, Target, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Corners {
    /// The block read last, alone.
    read: Option<(u32, [u8; BLOCK_BYTES])>,
    /// Who cached blocks.
    cached: std::collections::BTreeMap<u32, Initiator>,
    /// The blocks of a write as they were before it.
    blocks: Vec<[u8; BLOCK_BYTES]>,
    /// What was cached before a write.
    under: Vec<(u32, [u8; BLOCK_BYTES])>,
    /// Commands of the kind that a defect counts.
    of_kind: u32,
    /// Who read last, and how often in turn.
    turn: (Option<Initiator>, u32),
    /// What was read last.
    bytes: Vec<u8>,
}

impl Target {
    /// What comes before a command is looked at.
    pub(super) fn preempted_corner(&mut self, task: &Task<'_>, absent: bool) -> Option<Reply> {
        let opcode = task.opcode();
        let pending = self.kept(task.initiator).attention;
        let foreign = self.reserved_by.is_some_and(|holder| holder != task.initiator);
        match self.defect? {
            Defect::InquiryAttentionShort
                if opcode == command::INQUIRY && pending.is_some() && !absent && !task.bit(1, 0) =>
            {
                let mut block = task.cdb.to_vec();
                let allocation = block.get_mut(4)?;
                *allocation = (*allocation).min(5);
                return Some(self.inquiry(&Task { cdb: &block, ..*task }));
            }
            Defect::VpdAttentionRefused
                if opcode == command::INQUIRY && pending.is_some() && !absent && task.bit(1, 0) =>
            {
                return Some(Err(Sense::field(1).into()));
            }
            Defect::AttentionSenseTells if opcode == command::REQUEST_SENSE && !absent => {
                let pending = pending.filter(|_| self.kept(task.initiator).sense.is_none())?;
                return Some(self.sense_data(pending, task));
            }
            Defect::AttentionReservedLost
                if foreign && pending.is_some() && !absent && matches!(opcode, 0x00 | 0x08 | 0x28 | 0x2a) =>
            {
                self.kept(task.initiator).attention = None;
                return Some(Err(Refusal::ReservationConflict));
            }
            _ => {}
        }
        None
    }

    pub(super) fn instead_of_corner(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        let prevented = self.remembered.iter().any(|kept| kept.prevents_removal);
        let protected = self.medium.protection == Protection::On;
        let selects = matches!(opcode, 0x15 | 0x55);
        let compares = opcode == 0x2f && task.bit(1, 1);
        if (now.writes() || opcode == 0x41) && fits && count <= 1024 {
            let range = lba..now.end();
            self.memory.corners.blocks = range.clone().map(|lba| self.medium.before(lba)).collect();
            self.memory.corners.under =
                range.filter_map(|lba| Some((lba, self.medium.cached(lba)?))).collect();
        }
        match self.defect? {
            Defect::CacheReserveLost if opcode == 0x16 => self.medium.lose_cache(),
            Defect::CachePreventLost if opcode == 0x1e && task.bit(4, 0) => self.medium.lose_cache(),
            Defect::CacheCapacityLost if opcode == 0x25 => self.medium.lose_last_cached(),
            Defect::CacheFuaDrops if opcode == 0x2a && task.bit(1, 3) && fits => self.medium.lose_cache(),
            Defect::PreventFormatRefused if opcode == 0x04 && prevented => {
                return Some(Err(Sense::PREVENTED.into()));
            }
            Defect::SaveProtectedLost if selects && protected && task.bit(1, 0) => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(1)? &= !1;
                let task = Task { cdb: &block, ..*task };
                return Some(if opcode == 0x15 {
                    self.mode_select_6(&task)
                } else {
                    self.mode_select_10(&task)
                });
            }
            Defect::SelectPreventedRefused if selects && prevented => {
                return Some(Err(Sense::PREVENTED.into()));
            }
            Defect::WritePreventedLost if opcode == 0x0a && prevented && fits => {
                return Some(self.forgotten(now));
            }
            Defect::VerifyReservedBlind if compares && fits && self.reserved_by.is_some() => {
                return Some(nothing());
            }
            Defect::VerifyTenthBlind if compares && fits => {
                self.memory.corners.of_kind += 1;
                if self.memory.corners.of_kind.is_multiple_of(10) {
                    return Some(nothing());
                }
            }
            Defect::VerifyWrittenBlind
                if compares
                    && fits
                    && self
                        .memory
                        .last
                        .is_some_and(|last| last.writes() && (last.lba, last.count) == (lba, count)) =>
            {
                return Some(nothing());
            }
            Defect::VerifyOfThree if compares && fits && count == 3 => {
                let mut out = task.out.to_vec();
                let middle = self.medium.read(lba + 1);
                out.get_mut(BLOCK_BYTES..2 * BLOCK_BYTES)?.copy_from_slice(&middle);
                return Some(self.verify(&Task { out: &out, ..*task }));
            }
            Defect::SyncOddNone if opcode == 0x35 && lba % 2 == 1 && fits => return Some(nothing()),
            Defect::PrefetchOf8 if opcode == 0x34 && count == 8 => return Some(Err(Sense::field(7).into())),
            Defect::Seek6At2047 if opcode == 0x0b && task.be24(1) & 0x1f_ffff == 2047 => {
                return Some(Err(Sense::RANGE.into()));
            }
            Defect::CapacityPmi1000 if opcode == 0x25 && task.bit(8, 0) && task.be32(2) == 1000 => {
                return Some(Err(Sense::RANGE.into()));
            }
            Defect::BufferOffset4 if opcode == 0x3b && task.byte(1) & 7 == 2 && task.byte(5) & 3 != 0 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(5)? &= !3;
                return Some(self.write_buffer(&Task { cdb: &block, ..*task }));
            }
            Defect::StopFourthHangs if opcode == 0x1b && task.byte(4) == 0 => {
                self.memory.corners.of_kind += 1;
                if self.memory.corners.of_kind == 4 {
                    return Self::hung();
                }
            }
            Defect::Write64thSlow if now.writes() => {
                self.memory.corners.of_kind += 1;
                if self.memory.corners.of_kind.is_multiple_of(64) {
                    self.clock += Duration::from_secs(40);
                }
            }
            Defect::SenseOf252 if opcode == command::REQUEST_SENSE && task.byte(4) >= 252 => {
                return Self::hung();
            }
            Defect::StartingSelect if selects && self.is_starting() => {
                return Some(Err(Sense::BECOMING_READY.into()));
            }
            Defect::StoppedModeHangs if opcode == 0x5a && self.spindle == Spindle::Stopped => {
                return Self::hung();
            }
            Defect::EmptyFormatGood if opcode == 0x04 && !self.medium.present => return Some(nothing()),
            _ => {}
        }
        None
    }

    fn is_starting(&self) -> bool {
        matches!(self.spindle, Spindle::Starting(until) if self.clock < until)
    }

    /// Whether readiness is not looked at.
    pub(in crate::target) fn misready_corner(&self, task: &Task<'_>) -> bool {
        match self.defect {
            Some(Defect::StoppedCapacity) => task.opcode() == 0x25 && self.spindle == Spindle::Stopped,
            Some(Defect::EmptySeekGood) => task.opcode() == 0x0b && !self.medium.present,
            Some(Defect::EmptyRezeroGood) => task.opcode() == 0x01 && !self.medium.present,
            _ => false,
        }
    }

    pub(super) fn spoiled_corner(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = now.opcode;
        if now.writes() || opcode == 0x41 {
            self.corner_wrote(task, now);
        }
        if now.reads() {
            self.corner_read(task, now, &mut data);
        }
        let other = task.initiator.other();
        let prevented = self.remembered.iter().any(|kept| kept.prevents_removal);
        let counted = match self.defect {
            Some(Defect::Inquiry500thBlank) => opcode == command::INQUIRY,
            Some(Defect::Capacity100th) => opcode == 0x25,
            _ => false,
        };
        self.memory.corners.of_kind += u32::from(counted);
        let times = self.memory.corners.of_kind;
        let one_less = match self.defect {
            Some(Defect::CapacityPrevented) => prevented,
            Some(Defect::Capacity100th) => times == 100,
            _ => false,
        };
        if let Some((last, _)) = data.bytes.split_first_chunk_mut::<4>()
            && opcode == 0x25
            && one_less
        {
            *last = (u32::from_be_bytes(*last) - 1).to_be_bytes();
        }
        match self.defect {
            Some(Defect::PreventEndsByOther) if opcode == 0x17 => self.kept(other).prevents_removal = false,
            Some(Defect::PreventStopOther) if opcode == 0x1b && task.byte(4) == 0 => {
                self.kept(other).prevents_removal = false;
            }
            Some(Defect::InquiryCached)
                if opcode == command::INQUIRY && !task.bit(1, 0) && self.pages.write_cache() =>
            {
                if let Some(byte) = data.bytes.get_mut(35) {
                    *byte = b'2';
                }
            }
            Some(Defect::Inquiry500thBlank) if opcode == command::INQUIRY && times == 500 => {
                data.bytes.iter_mut().take(32).skip(16).for_each(|byte| *byte = b' ');
            }
            Some(Defect::InquiryPadded96)
                if opcode == command::INQUIRY && !task.bit(1, 0) && task.byte(4) >= 96 =>
            {
                data.bytes.resize(96, 0);
            }
            Some(Defect::StartingInquiry)
                if opcode == command::INQUIRY && !task.bit(1, 0) && self.is_starting() =>
            {
                if let Some(byte) = data.bytes.first_mut() {
                    *byte |= 0x20;
                }
            }
            Some(Defect::BufferLength8) if opcode == 0x3c && task.byte(1) & 7 == 2 => {
                data.bytes.truncate(255);
            }
            Some(Defect::ModeOf12) if opcode == 0x1a && task.byte(4) == 12 => data.bytes.truncate(4),
            Some(Defect::Mode10Of20) if opcode == 0x5a && task.be16(7) == 20 => data.bytes.truncate(16),
            Some(Defect::DefectOf2) if opcode == 0x37 && matches!(task.be16(7), 2 | 3) => {
                data.bytes.resize(4, 0);
            }
            Some(Defect::ReassignOf3) if opcode == 0x07 && task.out.get(3) == Some(&12) => {
                let third =
                    task.out.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
                if let Some(third) = third.filter(|third| *third < self.medium.last()) {
                    self.put_back(third + 1, &[0; BLOCK_BYTES]);
                }
            }
            Some(Defect::AttentionModeTenth) if matches!(opcode, 0x15 | 0x55) => {
                self.memory.corners.of_kind += 1;
                if self.memory.corners.of_kind == 10 {
                    self.kept(other).attention = None;
                }
            }
            _ => {}
        }
        data
    }

    fn corner_wrote(&mut self, task: &Task<'_>, now: Done) {
        let Done { opcode, lba, count } = now;
        let before = std::mem::take(&mut self.memory.corners.blocks);
        let under = std::mem::take(&mut self.memory.corners.under);
        let of_other = under
            .iter()
            .any(|(at, _)| self.memory.corners.cached.get(at).is_some_and(|who| *who != task.initiator));
        for at in (lba..now.end()).filter(|at| self.medium.cached(*at).is_some()) {
            self.memory.corners.cached.insert(at, task.initiator);
        }
        let lost = match self.defect {
            Some(Defect::CacheOtherWriteLost) if of_other => 0..count,
            Some(Defect::Write6Of12) if opcode == 0x0a && count == 12 => 11..12,
            Some(Defect::WriteSameOf9) if opcode == 0x41 && count == 9 => 8..9,
            Some(Defect::WriteAt1535) if lba == 1535 && count == 1 => 0..1,
            Some(Defect::FuaOf4) if opcode == 0x2a && count == 4 && task.bit(1, 3) => 0..4,
            _ => 0..0,
        };
        for step in lost {
            if let Some(block) = usize::try_from(step).ok().and_then(|at| before.get(at)) {
                self.put_back(lba + step, block);
            }
        }
        match self.defect {
            Some(Defect::CacheAlias64) => {
                for at in lba..now.end() {
                    if self.medium.cached(at).is_some() {
                        for away in [at.wrapping_sub(64), at.wrapping_add(64)] {
                            self.medium.drop_cached(away);
                        }
                    }
                }
            }
            Some(Defect::CacheUnderVerified) if opcode == 0x2e => {
                for (at, block) in under {
                    self.medium.write(at, &block, Through::Cache);
                }
            }
            Some(Defect::WriteVerifyOf2) if opcode == 0x2e && count == 2 => {
                let (low, high) = (self.medium.before(lba), self.medium.before(lba + 1));
                self.put_back(lba, &high);
                self.put_back(lba + 1, &low);
            }
            _ => {}
        }
        let kept = match self.defect {
            Some(Defect::ReadKeptOther) => self.memory.corners.turn.0 != Some(task.initiator),
            Some(Defect::ReadKeptSame) => opcode == 0x41,
            Some(Defect::ReadKeptVerified) => opcode == 0x2e,
            _ => false,
        };
        if !kept {
            self.memory.corners.read = None;
        }
    }

    fn corner_read(&mut self, task: &Task<'_>, now: Done, data: &mut Data) {
        let Done { opcode, lba, count } = now;
        let keeps = matches!(
            self.defect,
            Some(
                Defect::ReadKeptOther
                    | Defect::ReadKeptSame
                    | Defect::ReadKeptVerified
                    | Defect::ReadKeptMedium
            )
        );
        let (who, times) = self.memory.corners.turn;
        let times = if who.is_some_and(|who| who != task.initiator) { times + 1 } else { 0 };
        self.memory.corners.turn = (Some(task.initiator), times);
        match self.defect {
            Some(Defect::ReadReservedCut) if self.reserved_by.is_some() && count > 8 => {
                data.bytes.copy_within(..BLOCK_BYTES, 8 * BLOCK_BYTES);
            }
            Some(Defect::Read6Of17) if opcode == 0x08 && count == 17 => {
                data.bytes.get_mut(16 * BLOCK_BYTES..).unwrap_or_default().fill(0);
            }
            Some(Defect::ReadAt511) if lba == 511 && count == 1 => {
                data.bytes = self.medium.before(510).to_vec();
            }
            Some(Defect::ReadCrossing2048) if lba < 2048 && now.end() > 2048 => {
                let at = usize::try_from(2048 - lba).unwrap_or(0) * BLOCK_BYTES;
                data.bytes.copy_within(at - BLOCK_BYTES..at, at);
            }
            Some(Defect::ReadAlternate) => {
                if times == 3 {
                    let length = data.bytes.len();
                    data.bytes.clone_from(&self.memory.corners.bytes);
                    data.bytes.resize(length, 0);
                }
                self.memory.corners.bytes.clone_from(&data.bytes);
            }
            _ if keeps && count == 1 => {
                match self.memory.corners.read {
                    Some((at, block)) if at == lba => data.bytes = block.to_vec(),
                    _ => {}
                }
                if let Ok(block) = data.bytes.as_slice().try_into() {
                    self.memory.corners.read = Some((lba, block));
                }
            }
            _ => {}
        }
    }

    /// What the sense of an error becomes.
    pub(super) fn missensed_corner(&mut self, sense: Sense) -> Sense {
        let sense = self.missensed_stray(sense);
        let sense = self.missensed_outsider(sense);
        let sense = self.missensed_newcomer(sense);
        match self.defect {
            Some(Defect::Sense100thEmpty) if self.memory.errors == 100 => Sense::NONE,
            Some(Defect::FormatImmediateCode)
                if sense.code == Sense::FORMATTING.code
                    && sense.qualifier == Sense::FORMATTING.qualifier
                    && self.memory.opcode == 0x28 =>
            {
                Sense::BECOMING_READY
            }
            _ => sense,
        }
    }

    /// What a reset or another medium leaves.
    pub(super) fn misreset_corner(&mut self, holder: Option<Initiator>) {
        if self.has(Defect::ResetFifthReserved) {
            self.memory.corners.of_kind += 1;
            if self.memory.corners.of_kind == 5 {
                self.reserved_by = holder;
            }
        }
    }

    /// What another medium leaves.
    pub(super) fn mischanged_corner(&mut self) {
        self.mischanged_stray();
        self.mischanged_newcomer();
        if !self.has(Defect::ReadKeptMedium) {
            self.memory.corners.read = None;
        }
    }
}
