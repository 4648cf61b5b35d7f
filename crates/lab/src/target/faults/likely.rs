//! Defects that an engineer would seed first: what is done instead of a command, or let through where it should not be.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Initiator, MediumKind, Protection, Refusal, Reply, Target, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Likely {
    /// The blocks of a write as they were before it.
    pub(super) before: Vec<[u8; BLOCK_BYTES]>,
    /// How often in a row the same address was written.
    pub(super) same: u32,
    /// Miscompares since power-on.
    pub(super) miscompares: u32,
    /// Resets since power-on.
    pub(super) resets: u32,
    /// Whether the second initiator has not written since a reset.
    pub(super) second_fresh: bool,
    /// What READ CAPACITY tells too much.
    pub(super) more: i8,
    /// The values of all pages before the last MODE SELECT.
    pub(super) modes: Option<Vec<u8>>,
    /// Who asked for a reservation and was refused.
    pub(super) wants: Option<Initiator>,
    /// RESERVATION CONFLICTs since power-on.
    pub(super) conflicts: u32,
    /// Who formats.
    pub(super) formatter: Option<Initiator>,
    /// Whether the second initiator selected last.
    pub(super) second_selected: bool,
}

impl Target {
    pub(super) fn instead_of_likely(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        let second = task.initiator == Initiator::B;
        if fits && count <= 1024 && (now.writes() || opcode == 0x41) {
            self.memory.likely.before = (lba..now.end()).map(|lba| self.medium.before(lba)).collect();
        }
        let again = self.memory.last.is_some_and(|last| last.writes() && last.lba == lba);
        if now.writes() {
            self.memory.likely.same = if again { self.memory.likely.same + 1 } else { 0 };
        }
        let blind = match self.defect? {
            Defect::VerifySecondBlind => second,
            Defect::VerifyProtectedBlind => self.medium.protection == Protection::On,
            Defect::VerifyThirdBlind => self.memory.likely.miscompares >= 3,
            _ => false,
        };
        if blind && opcode == 0x2f && fits && task.byte(1) & 1 == 0 {
            return Some(nothing());
        }
        if let Some(reply) = self.instead_of_likely_state(task, now) {
            return Some(reply);
        }
        let one_below = |lba: u32| {
            let mut block = task.cdb.to_vec();
            let [_, high, middle, low] = (lba - 1).to_be_bytes();
            block.get_mut(1..4).map(|bytes| bytes.copy_from_slice(&[high, middle, low]))?;
            Some(block)
        };
        match self.defect? {
            Defect::Write6Above65535 if opcode == 0x0a && lba > 0xffff && fits => {
                let block = one_below(lba)?;
                Some(self.write_6(&Task { cdb: &block, ..*task }))
            }
            Defect::WriteEndRefused
                if now.writes() && (2..=8).contains(&count) && now.end() == self.medium.blocks =>
            {
                Some(Err(Sense::RANGE.into()))
            }
            Defect::CacheOwnOnly if now.reads() && fits && second => {
                let blocks = (lba..now.end()).flat_map(|lba| self.medium.read_uncached(lba));
                Some(crate::target::data(blocks.collect()))
            }
            Defect::ReadDpoFuaRefused if opcode == 0x28 && task.byte(1) & 0x18 == 0x18 => {
                Some(Err(Sense::field(1).into()))
            }
            Defect::VerifyDpoRefused if opcode == 0x2f && task.bit(1, 4) => Some(Err(Sense::field(1).into())),
            Defect::WriteVerifyDpoRefused if opcode == 0x2e && task.bit(1, 4) => {
                Some(Err(Sense::field(1).into()))
            }
            Defect::VerifyLongHangs if opcode == 0x2f && count > 256 => Self::hung(),
            Defect::VerifyFirstByte | Defect::VerifyHalf if opcode == 0x2f && task.bit(1, 1) && fits => {
                let mut out = task.data_out(usize::try_from(count).ok()? * BLOCK_BYTES);
                for (lba, block) in (lba..now.end()).zip(out.chunks_mut(BLOCK_BYTES)) {
                    let stored = self.medium.read(lba);
                    let ignored = if self.has(Defect::VerifyHalf) { 256..BLOCK_BYTES } else { 0..1 };
                    block.get_mut(ignored.clone())?.copy_from_slice(stored.get(ignored)?);
                }
                Some(self.verify(&Task { out: &out, ..*task }))
            }
            Defect::SyncOneNone if opcode == 0x35 && count == 1 && fits => Some(nothing()),
            Defect::SyncSecondNone if opcode == 0x35 && second && fits => Some(nothing()),
            _ => None,
        }
    }

    fn instead_of_likely_state(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let opcode = now.opcode;
        let second = task.initiator == Initiator::B;
        let stopped = self.spindle == Spindle::Stopped;
        let stops = opcode == 0x1b && task.byte(4) == 0;
        match self.defect? {
            Defect::RezeroSlow if opcode == 0x01 => self.clock += Duration::from_secs(60),
            Defect::ReadSlowEnd if now.reads() && now.end() == self.medium.blocks => {
                self.clock += Duration::from_secs(40);
            }
            Defect::VpdSecondRefused if opcode == command::INQUIRY && second && task.bit(1, 0) => {
                return Some(Err(Sense::field(1).into()));
            }
            Defect::SelectOver64
                if opcode == 0x15 && task.byte(4) > 64 || opcode == 0x55 && task.be16(7) > 64 =>
            {
                return Some(Err(Sense::LIST_LENGTH.into()));
            }
            Defect::StopToggles if stops && stopped => {
                self.spindle = Spindle::Ready;
                return Some(nothing());
            }
            Defect::StopImmediateDrops if stops && task.bit(1, 0) => self.medium.lose_cache(),
            Defect::EjectFlushesFirst
                if opcode == 0x1b
                    && task.byte(4) == 2
                    && self.model.medium == MediumKind::Removable
                    && !self.remembered.iter().any(|kept| kept.prevents_removal) =>
            {
                self.medium.flush_first(1);
                self.medium.lose_cache();
            }
            Defect::PreventEndsByStart if opcode == 0x1b && task.byte(4) == 1 => {
                self.kept(task.initiator).prevents_removal = false;
            }
            Defect::PreventEndsByRelease if opcode == 0x17 => {
                self.kept(task.initiator).prevents_removal = false;
            }
            Defect::ReserveHolderBuffer if opcode == 0x3b && self.reserved_by == Some(task.initiator) => {
                return Some(Err(Refusal::ReservationConflict));
            }
            Defect::ReleaseStopped if opcode == 0x17 && stopped => return Some(nothing()),
            Defect::ReservePassesOn if opcode == 0x17 && self.reserved_by == Some(task.initiator) => {
                self.reserved_by = self.memory.likely.wants.take();
                return Some(nothing());
            }
            Defect::BufferAlias1024 if opcode == 0x3b && task.byte(1) & 7 == 2 => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(3)? = 0;
                *block.get_mut(4)? &= 3;
                return Some(self.write_buffer(&Task { cdb: &block, ..*task }));
            }
            Defect::BufferSecondOwn if opcode == 0x3b && second => {
                let before = self.buffer.clone();
                let reply = self.write_buffer(task);
                self.buffer = before;
                return Some(reply);
            }
            Defect::BufferOver1024 if opcode == 0x3b && task.be24(6) > 1024 => {
                let before = self.buffer.clone();
                let reply = self.write_buffer(task);
                let from = usize::try_from(task.be24(3)).ok()? + 1024;
                if let (Some(place), Some(old)) = (self.buffer.get_mut(from..), before.get(from..)) {
                    place.copy_from_slice(old);
                }
                return Some(reply);
            }
            Defect::ModeStaleOnce if matches!(opcode, 0x15 | 0x55) => {
                self.memory.likely.modes = Some(self.all_modes());
            }
            _ => {}
        }
        None
    }

    fn all_modes(&mut self) -> Vec<u8> {
        let task = Task { initiator: Initiator::A, cdb: &[0x1a, 8, 0x3f, 0, 255, 0], out: &[] };
        self.mode_sense_6(&task).map(|data| data.bytes).unwrap_or_default()
    }

    /// A command that is carried out under attention, which stays.
    pub(in crate::target) fn passes_attention(&self, opcode: u8) -> bool {
        match self.defect {
            Some(Defect::AttentionPassesPrevent) => opcode == 0x1e,
            Some(Defect::AttentionPassesRelease) => opcode == 0x17,
            Some(Defect::AttentionPassesBuffer) => opcode == 0x3b,
            _ => false,
        }
    }

    /// Whether attention stays once this command was refused for it.
    pub(in crate::target) fn keeps_attention(&self, opcode: u8) -> bool {
        match self.defect {
            Some(Defect::AttentionStaysRead10) => opcode == 0x28,
            Some(Defect::AttentionReadyOnly) => opcode != 0x00,
            _ => false,
        }
    }

    /// What follows from an event; a reset where there is one, otherwise power-off or another medium.
    pub(in crate::target) fn misfollowed(&mut self, bus_reset: Option<bool>, ratios: Option<Vec<u8>>) {
        self.memory.likely.second_fresh = true;
        if bus_reset.is_some() {
            self.memory.siblings.resets += 1;
            self.memory.siblings.fresh = true;
            self.memory.likely.resets += 1;
        }
        match (self.defect, bus_reset) {
            (Some(Defect::AttentionThirdReset), Some(_)) if self.memory.likely.resets == 3 => {
                self.remembered.iter_mut().for_each(|kept| kept.attention = None);
            }
            (Some(Defect::ProtectEndsByBusReset), Some(true)) => self.medium.protection = Protection::Off,
            (Some(Defect::DeviceResetKeepsA), Some(false)) => {
                if let Some(control) = ratios {
                    self.pages.set(0x0a, &control);
                }
            }
            (Some(Defect::ResetKeepsPage2), Some(_)) => {
                if let Some(ratios) = ratios {
                    self.pages.set(0x02, &ratios);
                }
            }
            _ => {}
        }
    }

    /// Whether a reset leaves mode parameters as they were set.
    pub(in crate::target) fn outlives_reset(&self) -> bool {
        self.memory.likely.second_selected && self.has(Defect::SelectSecondOutlives)
    }

    /// Writes a block the way its range was written.
    pub(super) fn put_back(&mut self, lba: u32, block: &[u8]) {
        let cached = self.medium.cached(lba).is_some();
        let through = if cached { Through::Cache } else { Through::Medium };
        self.medium.write(lba, block, through);
    }
}
