//! Siblings of what outsiders seed: another command, another initiator, one option, what one command leaves for the next.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outsiders::{pages_of, sensed_page};
use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Protection, Refusal, Reply, Response, Target, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(in crate::target) struct Newcomers {
    /// The absent logical unit a command was for.
    lun: Option<u8>,
    /// The blocks of a write as they were before it.
    blocks: Vec<[u8; BLOCK_BYTES]>,
    /// Whose cached blocks are, and how often they were written since they are.
    cached: BTreeMap<u32, (Initiator, u32)>,
    /// The command before, if it was carried out.
    last: u8,
    /// Pages that MODE SELECT(10) has saved.
    pub(in crate::target) saved_by_ten: Vec<u8>,
    /// Whether there was no medium when the command came.
    was_empty: bool,
    /// Whether the second initiator sent nothing since a reset.
    second_idle: bool,
}

impl Target {
    /// What power-off loses.
    pub(in crate::target) fn mispowered_newcomer(&mut self, saved_by_ten: Vec<u8>) {
        for code in saved_by_ten {
            if self.has(Defect::PowerLosesSavedTen) {
                self.pages.lose_saved(code);
            }
        }
    }

    /// What a reset does besides; whether there was sense that was not read, for each initiator.
    pub(in crate::target) fn misreset_newcomer(&mut self, unread: [bool; 2]) {
        self.memory.newcomers.second_idle = true;
        if self.has(Defect::AttentionResetSense) {
            for (kept, _) in self.remembered.iter_mut().zip(unread).filter(|(_, unread)| *unread) {
                kept.attention = None;
            }
        }
    }

    /// What another medium leaves.
    pub(super) fn mischanged_newcomer(&mut self) {
        if let Some(holder) = self.reserved_by.filter(|_| self.has(Defect::AttentionMediumReserved)) {
            self.kept(holder.other()).attention = None;
        }
    }

    /// What comes before a command is looked at.
    pub(super) fn preempted_newcomer(&mut self, task: &Task<'_>, absent: Option<u8>) -> Option<Reply> {
        self.memory.newcomers.lun = absent;
        let here = absent.is_none() && self.kept(task.initiator).attention.is_none();
        match (self.defect?, task.opcode()) {
            (Defect::CopyGood, 0x18) if here => Some(nothing()),
            _ => None,
        }
    }

    /// What an absent logical unit answers instead.
    pub(super) fn absent_newcomer(&mut self, task: &Task<'_>) -> Option<Reply> {
        let lun = self.memory.newcomers.lun;
        match (self.defect?, task.opcode()) {
            (Defect::LunSixConflict, opcode)
                if lun == Some(6) && !matches!(opcode, command::INQUIRY | command::REQUEST_SENSE) =>
            {
                Some(Err(Refusal::ReservationConflict))
            }
            (Defect::LunModeAnswered, 0x1a) => Some(self.mode_sense_6(task)),
            (Defect::LunSenseKey, command::REQUEST_SENSE) => {
                Some(self.sense_data(Sense::LUN.with_key(0), task))
            }
            _ => None,
        }
    }

    pub(super) fn instead_of_newcomer(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        self.memory.newcomers.was_empty = !self.medium.present;
        if now.writes() && fits && count <= 1024 {
            self.memory.newcomers.blocks = (lba..now.end()).map(|lba| self.medium.before(lba)).collect();
        }
        match opcode {
            0x0a | 0x2a | 0x2e | 0x2f | 0x35 | 0x41 if fits => self.instead_of_newcomer_blocks(task, now),
            _ => self.instead_of_newcomer_unit(task),
        }
    }

    fn instead_of_newcomer_blocks(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, count, .. } = now;
        let second = task.initiator == Initiator::B;
        match self.defect? {
            Defect::WriteVerifySecondLost if opcode == 0x2e && second => Some(self.forgotten(now)),
            Defect::WriteAfterCapacity if now.writes() && self.memory.newcomers.last == 0x25 => {
                self.memory.newcomers.last = 0;
                Some(self.forgotten(now))
            }
            Defect::VerifySlow if opcode == 0x2f && count > 16 => {
                self.clock += Duration::from_secs(45);
                None
            }
            Defect::VerifyCachedLast if opcode == 0x2f && task.bit(1, 1) && count > 0 => {
                let block = self.medium.cached(now.end() - 1)?;
                let at = usize::try_from(count - 1).ok()? * BLOCK_BYTES;
                let mut out = task.out.to_vec();
                out.get_mut(at..at + BLOCK_BYTES)?.copy_from_slice(&block);
                Some(self.verify(&Task { out: &out, ..*task }))
            }
            Defect::WriteSameCached
                if opcode == 0x41 && task.byte(1) & 7 == 0 && self.pages.write_cache() =>
            {
                Some(self.forgotten(now))
            }
            Defect::SyncOwnOnly if opcode == 0x35 => {
                let owned = &self.memory.newcomers.cached;
                let foreign = owned.iter().filter(|(_, (owner, _))| *owner != task.initiator);
                let foreign: Vec<_> =
                    foreign.filter_map(|(at, _)| Some((*at, self.medium.cached(*at)?))).collect();
                foreign.iter().for_each(|(at, _)| self.medium.drop_cached(*at));
                let reply = self.synchronize_cache(task);
                foreign.iter().for_each(|(at, block)| self.medium.write(*at, block, Through::Cache));
                Some(reply)
            }
            Defect::Write6LunBits if opcode == 0x0a && task.byte(1) >> 5 != 0 => {
                let bytes = task.data_out(usize::try_from(count).ok()? * BLOCK_BYTES);
                Some(self.write((task.be24(1), count), &bytes, Through::Medium))
            }
            _ => None,
        }
    }

    fn instead_of_newcomer_unit(&mut self, task: &Task<'_>) -> Option<Reply> {
        let opcode = task.opcode();
        let six = task.be24(1) & 0x1f_ffff;
        let mut block = task.cdb.to_vec();
        match self.defect? {
            Defect::Seek6FarHangs if opcode == 0x0b && six > 0xffff => return Self::hung(),
            Defect::InquiryOf4Hangs if opcode == command::INQUIRY && task.byte(4) == 4 => {
                return Self::hung();
            }
            Defect::SenseOf4Hangs if opcode == command::REQUEST_SENSE && task.byte(4) == 4 => {
                return Self::hung();
            }
            Defect::BufferOddLength if opcode == 0x3b && task.byte(1) & 7 == 2 && task.byte(8) % 2 == 1 => {
                *block.get_mut(8)? -= 1;
                return Some(self.write_buffer(&Task { cdb: &block, ..*task }));
            }
            Defect::BufferOffset2048
                if opcode == 0x3c && task.byte(1) & 7 == 2 && (2048..4096).contains(&task.be24(3)) =>
            {
                *block.get_mut(4)? -= 8;
                return Some(self.read_buffer(&Task { cdb: &block, ..*task }));
            }
            Defect::PreventReservedLost
                if opcode == 0x1e && task.bit(4, 0) && self.reserved_by == Some(task.initiator) =>
            {
                return Some(nothing());
            }
            Defect::StartRunningSlow
                if opcode == 0x1b && task.byte(4) == 1 && self.spindle == Spindle::Ready =>
            {
                self.clock += Duration::from_secs(30);
            }
            Defect::StopReservedHangs
                if opcode == 0x1b && task.byte(4) == 0 && self.reserved_by == Some(task.initiator) =>
            {
                return Self::hung();
            }
            _ => {}
        }
        None
    }

    pub(super) fn spoiled_newcomer(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let Done { opcode, count, .. } = now;
        let before = std::mem::replace(&mut self.memory.newcomers.last, opcode);
        let other = task.initiator.other();
        match opcode {
            0x0a | 0x2a | 0x2e => self.newcomer_wrote(task, now),
            0x15 | 0x55 => self.newcomer_selected(task),
            0x1a | 0x5a => self.newcomer_sensed(task, &mut data),
            _ => {}
        }
        match self.defect {
            Some(Defect::CapacityCached) if opcode == 0x25 && self.pages.write_cache() => {
                if let Some((last, _)) = data.bytes.split_first_chunk_mut::<4>() {
                    *last = u32::from_be_bytes(*last).saturating_sub(1).to_be_bytes();
                }
            }
            Some(Defect::AttentionLostByStop) if opcode == 0x1b && task.byte(4) == 0 => {
                self.kept(other).attention = None;
            }
            Some(Defect::ReadAfterSync) if now.reads() && before == 0x35 => data.bytes.fill(0),
            Some(Defect::ReadSecondReversed)
                if now.reads() && count > 1 && task.initiator == Initiator::B =>
            {
                let blocks: Vec<_> = data.bytes.chunks(BLOCK_BYTES).rev().collect();
                data.bytes = blocks.concat();
            }
            Some(Defect::LoadCodeReset)
                if opcode == 0x1b && task.byte(4) == 3 && self.memory.newcomers.was_empty =>
            {
                self.attend_all(Sense::RESET);
            }
            _ => {}
        }
        data
    }

    fn newcomer_wrote(&mut self, task: &Task<'_>, now: Done) {
        let Done { opcode, lba, count } = now;
        let before = std::mem::take(&mut self.memory.newcomers.blocks);
        let third = (lba..now.end()).zip(before.iter().copied()).filter(|(at, _)| {
            let times = self.memory.newcomers.cached.get(at).map_or(0, |(_, times)| *times);
            times == 2 && self.medium.cached(*at).is_some()
        });
        let third: Vec<_> = third.collect();
        for at in lba..now.end() {
            let cached = &mut self.memory.newcomers.cached;
            if self.medium.cached(at).is_some() {
                let times = cached.get(&at).map_or(0, |(_, times)| *times);
                cached.insert(at, (task.initiator, times + 1));
            } else {
                cached.remove(&at);
            }
        }
        match self.defect {
            Some(Defect::PreventEndsByWrite) => self.kept(task.initiator).prevents_removal = false,
            Some(Defect::FuaDropsNeighbour) if opcode == 0x2a && task.bit(1, 3) => {
                self.medium.drop_cached(now.end());
            }
            Some(Defect::CacheThird) => third.iter().for_each(|(at, block)| self.put_back(*at, block)),
            Some(Defect::WriteSecondLong) if count > 16 && task.initiator == Initiator::B => {
                if let Some(block) = before.last() {
                    self.put_back(now.end() - 1, block);
                }
            }
            _ => {}
        }
    }

    fn newcomer_selected(&mut self, task: &Task<'_>) {
        let begins = pages_of(task).map(|(begins, _)| begins).unwrap_or_default();
        let codes: Vec<_> = begins.iter().filter_map(|at| task.out.get(*at).copied()).collect();
        let saves = task.bit(1, 0);
        match self.defect {
            Some(Defect::SelectRcdSetsWce) if self.pages.read_cache_off() => self.set_cache(4),
            Some(Defect::PowerLosesSavedTen) if saves && task.opcode() == 0x55 => {
                self.memory.newcomers.saved_by_ten.extend(codes);
            }
            Some(Defect::SaveSwapsRatios) if saves && codes.contains(&2) => {
                let mut ratios = self.pages.values_of(2);
                ratios.get_mut(..2).unwrap_or_default().reverse();
                self.pages.set(2, &ratios);
                self.pages.save(&[2]);
            }
            _ => {}
        }
    }

    fn newcomer_sensed(&mut self, task: &Task<'_>, data: &mut Data) {
        let six = task.opcode() == 0x1a;
        let (length, specific) = if six { (0, 2) } else { (1, 3) };
        match self.defect {
            Some(Defect::ModeOf255) if six && task.byte(4) == 255 => data.bytes.clear(),
            Some(Defect::ModeProtectDpo) if self.medium.protection == Protection::On => {
                if let Some(flags) = data.bytes.get_mut(specific) {
                    *flags &= !0x10;
                }
            }
            Some(Defect::ModeCachingTwice) if task.byte(2) & 0x3f == 0x3f => {
                let allocation = if six { task.byte(4).into() } else { usize::from(task.be16(7)) };
                let at = sensed_page(task, &data.bytes, 0x08);
                if let Some(page) = at.and_then(|at| data.bytes.get(at..at + 12)).map(<[u8]>::to_vec) {
                    let at = at.unwrap_or_default();
                    data.bytes.splice(at..at, page);
                    data.bytes.truncate(allocation);
                }
                if let Some(told) = data.bytes.get_mut(length) {
                    *told = told.saturating_add(12);
                }
            }
            _ => {}
        }
    }

    /// What the sense of an error becomes.
    pub(super) fn missensed_newcomer(&mut self, sense: Sense) -> Sense {
        match self.defect {
            Some(Defect::OpcodeQualifier) if sense == Sense::OPCODE => Sense { qualifier: 1, ..sense },
            Some(Defect::ModeErrorRestores) if sense.key == Sense::OPCODE.key => {
                self.pages.restore_default();
                sense
            }
            _ => sense,
        }
    }

    /// The whole answer, once more.
    pub(in crate::target) fn misanswered_newcomer(
        &mut self,
        task: &Task<'_>,
        mut response: Response,
    ) -> Response {
        let late = task.initiator == Initiator::B && std::mem::take(&mut self.memory.newcomers.second_idle);
        if late && self.has(Defect::ResetSecondSlow) {
            response.elapsed += Duration::from_secs(40);
        }
        response
    }
}
