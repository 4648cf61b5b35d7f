//! Defects of codes in one state, of what refused commands do all the same, of absent units in a state, of data and waits.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, Refusal, Reply, Response, Target, data, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The sense of the command before, if it was an error, and whose.
    error: Option<(Initiator, Sense)>,
    /// Who has cached a block.
    cached_by_second: std::collections::BTreeSet<u32>,
    /// Changes of medium since power-on.
    changes: u32,
    /// Whether no TEST UNIT READY came since FORMAT UNIT.
    formatted: bool,
    /// Whether nothing was read since MODE SELECT.
    selected: bool,
    /// Whether the command before was a write that was refused.
    refused_write: bool,
}

impl Target {
    /// What an absent logical unit does besides, or answers instead.
    pub(in crate::target) fn absent_stray(&mut self, task: &Task<'_>) -> Option<Reply> {
        let foreign = self.reserved_by.is_some_and(|holder| holder != task.initiator);
        match (self.defect?, task.opcode()) {
            (Defect::LunSenseReserved, command::REQUEST_SENSE) if foreign => {
                return Some(Err(Refusal::ReservationConflict));
            }
            (Defect::LunInquiryFormatting, command::INQUIRY) if self.formatting().is_some() => {
                return Some(Err(Sense::FORMATTING.into()));
            }
            (Defect::LunReserveReleases, 0x16) => self.reserved_by = None,
            (Defect::LunStartAttention, 0x1b) => {
                self.kept(task.initiator.other()).attention = Some(Sense::RESET);
            }
            _ => {}
        }
        self.absent_outsider(task)
            .or_else(|| self.absent_newcomer(task))
            .or_else(|| self.absent_veteran(task))
    }

    /// What a command that is refused before it is looked at does all the same.
    pub(in crate::target) fn refused_stray(&mut self, task: &Task<'_>, known: bool) {
        let relative = task.byte(1) & 1 == 1;
        match (self.defect, task.opcode()) {
            (Some(Defect::UnknownReleases), _) if !known && self.reserved_by == Some(task.initiator) => {
                self.reserved_by = None;
            }
            (Some(Defect::UnknownDropsCache), _) if !known => self.medium.lose_cache(),
            (Some(Defect::WriteLinkExecuted), 0x2a) if task.byte(9) & 1 == 1 => drop(self.write_10(task)),
            (Some(Defect::StopReservedExecuted), 0x1b) if task.byte(4) & 1 == 0 => {
                drop(self.start_stop_unit(task));
            }
            (Some(Defect::PreventReservedExecuted), 0x1e) => drop(self.prevent_allow(task)),
            (Some(Defect::WriteRelativeExecuted), 0x2a) if relative => {
                let mut block = task.cdb.to_vec();
                if let Some(byte) = block.get_mut(1) {
                    *byte &= !1;
                }
                drop(self.write_10(&Task { cdb: &block, ..*task }));
            }
            _ => {}
        }
    }

    pub(super) fn instead_of_stray(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let selects = matches!(opcode, 0x15 | 0x55);
        match self.defect? {
            Defect::WriteRelativeExecuted if opcode == 0x2a && task.bit(1, 0) => {
                self.refused_stray(task, true);
            }
            Defect::EjectSecondLost
                if opcode == 0x1b && task.byte(4) == 2 && task.initiator == Initiator::B =>
            {
                return Some(nothing());
            }
            Defect::SelectPage1Short | Defect::SelectCachingLong if selects => {
                return self.takes_length(task);
            }
            Defect::SelectWriteRetriesStay if selects => {
                let at = page_at(task)?;
                if task.out.get(at) == Some(&1) {
                    let mut out = task.out.to_vec();
                    *out.get_mut(at + 8)? = *self.pages.values_of(1).get(6)?;
                    let task = Task { out: &out, ..*task };
                    return Some(if opcode == 0x15 {
                        self.mode_select_6(&task)
                    } else {
                        self.mode_select_10(&task)
                    });
                }
            }
            Defect::BufferHeaderClears if opcode == 0x3b && task.byte(1) & 7 == 0 && task.be24(6) == 4 => {
                self.buffer.fill(0);
            }
            Defect::BufferLastUnread if opcode == 0x3c && task.byte(1) & 7 == 2 && task.be24(3) == 4095 => {
                return Some(nothing());
            }
            Defect::SelfTestOfflineStops if opcode == 0x1d && task.byte(1) & 5 == 5 => {
                self.spindle = Spindle::Stopped;
            }
            Defect::FormatCompleteRefused if opcode == 0x04 && task.byte(1) & 0x18 == 0x18 => {
                return Some(Err(Sense::field(1).into()));
            }
            Defect::DefectBothHangs if opcode == 0x37 && task.byte(2) & 0x18 == 0x18 => return Self::hung(),
            Defect::WriteVerify21Bits if opcode == 0x2e => {
                let mut block = task.cdb.to_vec();
                *block.get_mut(2)? = 0;
                *block.get_mut(3)? &= 0x1f;
                return Some(self.write_and_verify(&Task { cdb: &block, ..*task }));
            }
            Defect::WriteSame16Bits if opcode == 0x41 => {
                let mut block = task.cdb.to_vec();
                block.get_mut(2..4)?.fill(0);
                return Some(self.write_same(&Task { cdb: &block, ..*task }));
            }
            Defect::ReassignLow16 if opcode == 0x07 => {
                let mut out = task.out.to_vec();
                for address in out.get_mut(4..)?.chunks_exact_mut(4) {
                    address.iter_mut().take(2).for_each(|byte| *byte = 0);
                }
                return Some(self.reassign_blocks(&Task { out: &out, ..*task }));
            }
            Defect::Read6ZeroAtEnd if opcode == 0x08 && task.byte(4) == 0 && lba < self.medium.blocks => {
                let end = now.end().min(self.medium.blocks);
                return Some(data((lba..end).flat_map(|lba| self.medium.read(lba)).collect()));
            }
            Defect::VerifyWraps if opcode == 0x2f && lba.checked_add(count).is_none() => {
                return Some(nothing());
            }
            Defect::WriteSameWraps if opcode == 0x41 && lba.checked_add(count).is_none() => {
                return Some(nothing());
            }
            Defect::ReadyFormatSlow
                if opcode == 0x00 && std::mem::take(&mut self.memory.strays.formatted) =>
            {
                self.clock += Duration::from_secs(40);
            }
            Defect::ReadSelectSlow if now.reads() && std::mem::take(&mut self.memory.strays.selected) => {
                self.clock += Duration::from_secs(31);
            }
            Defect::PreventSlow if opcode == 0x1e && task.bit(4, 0) => self.clock += Duration::from_secs(25),
            _ => {}
        }
        None
    }

    /// A page of another length, taken as far as it goes.
    fn takes_length(&mut self, task: &Task<'_>) -> Option<Reply> {
        let at = page_at(task)?;
        let (code, length) = (*task.out.get(at)?, *task.out.get(at + 1)?);
        let taken = match self.defect? {
            Defect::SelectPage1Short => code == 1 && length == 6,
            _ => code == 8 && length == 18,
        };
        let mut own = self.pages.values_of(code);
        for (place, byte) in own.iter_mut().zip(task.out.get(at + 2..at + 2 + usize::from(length))?) {
            *place = *byte;
        }
        taken.then(|| {
            self.pages.set(code, &own);
            nothing()
        })
    }

    pub(super) fn spoiled_stray(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let opcode = now.opcode;
        self.memory.strays.formatted |= opcode == 0x04;
        self.memory.strays.selected |= matches!(opcode, 0x15 | 0x55);
        if now.writes() {
            self.stray_wrote(task, now);
        }
        match self.defect {
            Some(Defect::PreventEndsByModeSense) if matches!(opcode, 0x1a | 0x5a) => {
                self.kept(task.initiator).prevents_removal = false;
            }
            Some(Defect::ReserveEndsByBuffer) if opcode == 0x3b => self.reserved_by = None,
            Some(Defect::ReserveEndsBySync) if opcode == 0x35 => self.reserved_by = None,
            _ => {}
        }
        if matches!(opcode, 0x1a | 0x5a) {
            self.stray_sensed(task, &mut data);
        }
        data
    }

    fn stray_wrote(&mut self, task: &Task<'_>, now: Done) {
        for at in now.lba..now.end() {
            if task.initiator == Initiator::B && self.medium.cached(at).is_some() {
                self.memory.strays.cached_by_second.insert(at);
            } else {
                self.memory.strays.cached_by_second.remove(&at);
            }
            let mut block = self.medium.before(at);
            let before = block;
            match self.defect {
                Some(Defect::PatternEof) if block[0] == 0x1a => block.fill(0),
                Some(Defect::PatternEscape) => {
                    for at in 0..BLOCK_BYTES - 1 {
                        if block.get(at..at + 2) == Some(&[0x7d, 0x5e]) {
                            block[at] = 0x7e;
                        }
                    }
                }
                Some(Defect::PatternXor)
                    if block.iter().fold(0, |sum, byte| sum ^ byte) == 0
                        && block.iter().any(|byte| *byte != 0) =>
                {
                    block[BLOCK_BYTES - 1] = 0;
                }
                _ => {}
            }
            if block != before {
                self.put_back(at, &block);
            }
        }
    }

    fn stray_sensed(&mut self, task: &Task<'_>, data: &mut Data) {
        let wrong = matches!(
            self.defect,
            Some(
                Defect::ModeAllDefault1
                    | Defect::ModeRatiosSecond
                    | Defect::ModeAllCacheOff
                    | Defect::ModeAllOrder10
            )
        );
        if !wrong {
            return;
        }
        let header = if task.opcode() == 0x1a { 4 } else { 8 };
        let (kind, all) = (task.byte(2) >> 6, task.byte(2) & 0x3f == 0x3f);
        let start = header + usize::from(data.bytes.get(header - 1).copied().unwrap_or_default());
        let mut pages = Vec::new();
        let mut at = start;
        while let Some([code, length, ..]) = data.bytes.get(at..) {
            let end = at + 2 + usize::from(*length);
            let mut page = data.bytes.get(at..end.min(data.bytes.len())).unwrap_or_default().to_vec();
            let code = code & 0x3f;
            match self.defect {
                Some(Defect::ModeAllDefault1) if all && kind == 2 && code == 1 => {
                    let own = self.pages.values_of(1);
                    page.iter_mut().skip(2).zip(own).for_each(|(place, byte)| *place = byte);
                }
                Some(Defect::ModeRatiosSecond)
                    if code == 2 && kind == 0 && task.initiator == Initiator::B && page.len() > 3 =>
                {
                    page.swap(2, 3);
                }
                Some(Defect::ModeAllCacheOff) if all && kind == 0 && code == 8 && page.len() > 2 => {
                    page[2] &= !4;
                }
                _ => {}
            }
            pages.push(page);
            at = end;
        }
        if self.has(Defect::ModeAllOrder10) && all && task.opcode() == 0x5a {
            pages.reverse();
        }
        for (place, byte) in data.bytes.iter_mut().skip(start).zip(pages.concat()) {
            *place = byte;
        }
    }

    /// What the sense of an error becomes.
    pub(super) fn missensed_stray(&mut self, sense: Sense) -> Sense {
        let opcode = self.memory.opcode;
        let who = self.traces.sender.unwrap_or(Initiator::A);
        let before = self.memory.strays.error.replace((who, sense));
        let protected = sense == Sense::PROTECTED;
        let becoming = Sense::BECOMING_READY;
        match self.defect {
            Some(Defect::SenseSecondStale) => match before {
                Some((other, stale)) if other != who => stale,
                _ => sense,
            },
            Some(Defect::ListLengthCodeSix) if opcode == 0x15 && sense == Sense::LIST_LENGTH => {
                Sense::PARAMETER
            }
            Some(Defect::ProtectSameCode) if opcode == 0x41 && protected => Sense::field(0),
            Some(Defect::ProtectFormatCode) if opcode == 0x04 && protected => Sense::field(0),
            Some(Defect::StoppedWriteCode) if opcode == 0x2a && sense == Sense::STOPPED => becoming,
            Some(Defect::EmptyVerifyCode) if opcode == 0x2f && sense == Sense::NO_MEDIUM => {
                Sense { qualifier: 0, ..Sense::STOPPED }
            }
            Some(Defect::StartingReadCode) if opcode == 0x28 && sense == becoming => Sense::STOPPED,
            _ => sense,
        }
    }

    /// What a reset does besides; `spindle`, `present` and the flags of the cache page are of before.
    pub(in crate::target) fn misreset_stray(&mut self, bus: bool, spindle: Spindle, cache: u8) {
        match self.defect {
            Some(Defect::ResetAmidStart) if matches!(spindle, Spindle::Starting(until) if self.clock < until) =>
            {
                self.spindle = Spindle::Starting(self.clock + Duration::from_secs(3600));
            }
            Some(Defect::ResetSecondCache) => {
                for at in std::mem::take(&mut self.memory.strays.cached_by_second) {
                    self.medium.drop_cached(at);
                }
            }
            Some(Defect::ResetKeepsRcd) if cache & 1 == 1 => self.set_cache(1),
            Some(Defect::DeviceResetLoads) if !bus => self.medium.present = true,
            _ => {}
        }
    }

    /// Sets bits of the caching page.
    pub(in crate::target) fn set_cache(&mut self, bits: u8) {
        let mut own = self.pages.values_of(8);
        if let Some(first) = own.first_mut() {
            *first |= bits;
        }
        self.pages.set(8, &own);
    }

    /// What another medium leaves.
    pub(super) fn mischanged_stray(&mut self) {
        self.memory.strays.changes += 1;
        if self.memory.strays.changes == 2 && self.has(Defect::ChangeAgainUntold) {
            self.remembered.iter_mut().for_each(|kept| kept.attention = None);
        }
    }

    /// The whole answer, once more.
    pub(in crate::target) fn misanswered_stray(
        &mut self,
        task: &Task<'_>,
        mut response: Response,
    ) -> Response {
        let opcode = task.opcode();
        if !matches!(response.status, Some(2)) && opcode != command::REQUEST_SENSE {
            self.memory.strays.error = None;
        }
        let refused = response.status == Some(2) && matches!(opcode, 0x0a | 0x2a | 0x2e);
        if opcode == 0x3c && self.has(Defect::ResidualBufferZero) {
            response.residual = 0;
        }
        if opcode == command::REQUEST_SENSE
            && self.has(Defect::SenseFilemarkWrite)
            && self.memory.strays.refused_write
            && let Some(byte) = response.data.get_mut(2).filter(|byte| **byte & 0x0f != 0)
        {
            *byte |= 0x80;
        }
        if opcode != command::REQUEST_SENSE {
            self.memory.strays.refused_write = refused;
        }
        response
    }
}

/// Where the first page of a list of MODE SELECT begins.
pub(super) fn page_at(task: &Task<'_>) -> Option<usize> {
    let header = if task.opcode() == 0x15 { 4 } else { 8 };
    Some(header + usize::from(*task.out.get(header - 1)?))
}
