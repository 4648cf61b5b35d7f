//! Defects as somebody would seed them who has an afternoon and has seen neither the cases nor the defects before.

use std::time::Duration;

use super::strays::page_at;
use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{
    BLOCK_BYTES, Data, Initiator, MediumKind, Refusal, Reply, Response, Target, data, nothing,
};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Outsiders {
    /// The block of a write of one as it was before.
    before: Option<[u8; BLOCK_BYTES]>,
    /// What the last write began with.
    head: [u8; 4],
    /// Current values of the pages before MODE SELECT.
    pages: Vec<(u8, Vec<u8>)>,
    /// Whether sense of the command before is there and was not read, for each initiator.
    unread: [bool; 2],
    /// Who has released the unit.
    released: Option<Initiator>,
    /// The absent logical unit a command was for.
    lun: Option<u8>,
    /// Whether CHANGE DEFINITION came since power-on.
    changed_definition: bool,
    /// Whether writes were cached when power went off.
    caches: bool,
    /// Whether changed mode parameters were told once.
    told_modes: bool,
}

impl Target {
    /// What power-off leaves.
    pub(in crate::target) fn mispowered(&mut self, cached: bool) {
        self.memory.outsiders.caches = cached;
        self.mispowered_veteran();
        if self.traces.power_cycles > 1 && self.has(Defect::PowerLosesPage1) {
            self.pages.lose_saved(0x01);
        }
    }

    /// What a reset does besides.
    pub(in crate::target) fn misreset_outsider(&mut self, spindle: Spindle, holder: Option<Initiator>) {
        self.memory.outsiders.released = None;
        if spindle == Spindle::Stopped && self.has(Defect::ResetStoppedReserved) {
            self.reserved_by = holder;
        }
    }

    /// What comes before a command is looked at.
    pub(super) fn preempted_outsider(&mut self, task: &Task<'_>, absent: Option<u8>) -> Option<Reply> {
        self.memory.outsiders.lun = absent;
        let here = absent.is_none() && self.kept(task.initiator).attention.is_none();
        let linked = command::find(task.opcode()).is_some_and(|row| task.bit(row.length() - 1, 0));
        match (self.defect?, task.opcode()) {
            (Defect::ChangeDefinitionExecuted, 0x40) if here => {
                self.memory.outsiders.changed_definition = true;
            }
            (Defect::ReadTwelveHangs, 0xa8) if here => return Self::hung(),
            (Defect::LinkHangs, _) if here && linked => return Self::hung(),
            _ => {}
        }
        None
    }

    /// What an absent logical unit answers instead.
    pub(super) fn absent_outsider(&mut self, task: &Task<'_>) -> Option<Reply> {
        let five = self.has(Defect::LunFiveDisk) && self.memory.outsiders.lun == Some(5);
        (five && task.opcode() == command::INQUIRY).then(|| self.inquiry(task))
    }

    /// What the state of the unit does to a command that needs the medium.
    pub(super) fn misready_outsider(&self, task: &Task<'_>) -> Option<Result<(), Refusal>> {
        let starting = matches!(self.spindle, Spindle::Starting(until) if self.clock < until);
        let passes = match self.defect? {
            Defect::StartingReadyGood => starting && task.opcode() == 0x00,
            Defect::StoppedRead6Served => self.spindle == Spindle::Stopped && task.opcode() == 0x08,
            _ => false,
        };
        passes.then_some(Ok(()))
    }

    pub(super) fn instead_of_outsider(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok();
        if now.writes() && fits && count == 1 {
            self.memory.outsiders.before = Some(self.medium.before(lba));
        }
        match opcode {
            0x08 | 0x0a | 0x28 | 0x2a | 0x2f | 0x35 if fits => self.instead_of_outsider_blocks(task, now),
            0x15 | 0x55 => self.instead_of_outsider_select(task),
            0x04.. => self.instead_of_outsider_unit(task, now),
            _ => None,
        }
    }

    fn instead_of_outsider_blocks(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let bytes = || task.data_out(usize::try_from(count).unwrap_or(0) * BLOCK_BYTES);
        let (relative, fua) = (opcode >= 0x20 && task.bit(1, 0), opcode >= 0x20 && task.bit(1, 3));
        let locked = self.memory.outsiders.released == Some(task.initiator.other());
        match self.defect? {
            Defect::ReleaseHalf if now.writes() && locked => {
                return Some(Err(Refusal::ReservationConflict));
            }
            Defect::FuaLongCached if opcode == 0x2a && fua && !relative && count > 8 => {
                return Some(self.write((lba, count), &bytes(), Through::Cache));
            }
            Defect::PowerStillCaches
                if matches!(opcode, 0x0a | 0x2a) && !relative && !fua && self.memory.outsiders.caches =>
            {
                return Some(self.write((lba, count), &bytes(), Through::Cache));
            }
            Defect::SyncLeavesLast if opcode == 0x35 && count > 0 && !relative => {
                let last = now.end() - 1;
                let block = self.medium.cached(last)?;
                self.medium.drop_cached(last);
                let reply = self.synchronize_cache(task);
                self.medium.write(last, &block, Through::Cache);
                return Some(reply);
            }
            Defect::DpoReadStale if opcode == 0x28 && task.bit(1, 4) && !relative => {
                let blocks = (lba..now.end()).map(|at| self.medium.read_uncached(at));
                return Some(data(blocks.collect::<Vec<_>>().concat()));
            }
            Defect::VerifyPlainCompares if opcode == 0x2f && !task.bit(1, 1) && !relative => {
                let differs = |at: &u32| self.medium.before(*at).iter().any(|byte| *byte != 0);
                let at = (lba..now.end()).find(differs)?;
                return Some(Err(Sense::MISCOMPARE.at(at).into()));
            }
            Defect::ReadZeroRefused if opcode == 0x28 && count == 0 => {
                return Some(Err(Sense::field(7).into()));
            }
            Defect::Write6ZeroRefused if opcode == 0x0a && task.byte(4) == 0 => {
                return Some(Err(Sense::field(4).into()));
            }
            _ => {}
        }
        None
    }

    fn instead_of_outsider_select(&mut self, task: &Task<'_>) -> Option<Reply> {
        let mut out = task.out.to_vec();
        let mut block = task.cdb.to_vec();
        match self.defect? {
            Defect::SelectSaveOnly if task.bit(1, 0) => {
                let pages = [0x01, 0x02, 0x08, 0x0a].map(|code| (code, self.pages.values_of(code)));
                self.memory.outsiders.pages = pages.to_vec();
                return None;
            }
            Defect::SelectDqueCleared => {
                let (begins, _) = pages_of(task)?;
                for at in begins.into_iter().filter(|at| task.out.get(*at) == Some(&0x0a)) {
                    *out.get_mut(at + 3)? |= 0x01;
                }
            }
            Defect::SelectTailIgnored => {
                let (_, 1) = pages_of(task)? else { return None };
                out.pop();
                let length = if task.opcode() == 0x15 { 4 } else { 8 };
                let low = block.get_mut(length)?;
                *low = low.checked_sub(1)?;
            }
            _ => return None,
        }
        let task = Task { cdb: &block, out: &out, ..*task };
        Some(if task.opcode() == 0x15 { self.mode_select_6(&task) } else { self.mode_select_10(&task) })
    }

    fn instead_of_outsider_unit(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let whole = task.byte(1) & 0x11 == 0;
        match self.defect? {
            Defect::RangeSigned if opcode == 0x28 && lba >> 31 == 1 && !task.bit(1, 0) => {
                return Some(data(vec![0; usize::try_from(count).ok()? * BLOCK_BYTES]));
            }
            Defect::ReserveAgainConflict
                if opcode == 0x16 && whole && self.reserved_by == Some(task.initiator) =>
            {
                return Some(Err(Refusal::ReservationConflict));
            }
            Defect::ReserveThirdHangs if opcode == 0x16 && task.bit(1, 4) => return Self::hung(),
            Defect::ReleaseHalf if opcode == 0x16 && whole => self.memory.outsiders.released = None,
            Defect::ReleaseHalf if opcode == 0x17 && whole && self.reserved_by == Some(task.initiator) => {
                self.memory.outsiders.released = self.reserved_by;
            }
            Defect::ModePageZeroHangs if matches!(opcode, 0x1a | 0x5a) && task.byte(2) & 0x3f == 0 => {
                return Self::hung();
            }
            Defect::DefectZeroHangs if opcode == 0x37 && task.be16(7) == 0 => return Self::hung(),
            Defect::ReassignHeaderUnchecked if opcode == 0x07 => {
                let mut out = task.out.to_vec();
                out.get_mut(..2)?.fill(0);
                return Some(self.reassign_blocks(&Task { out: &out, ..*task }));
            }
            Defect::LoadIgnored
                if opcode == 0x1b && task.byte(4) == 3 && self.model.medium == MediumKind::Removable =>
            {
                return Some(nothing());
            }
            Defect::AllowIgnored if opcode == 0x1e && !task.bit(4, 0) => return Some(nothing()),
            Defect::CapacitySlow if opcode == 0x25 => self.clock += Duration::from_secs(20),
            _ => {}
        }
        None
    }

    pub(super) fn spoiled_outsider(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let Done { opcode, lba, count } = now;
        match opcode {
            0x1a | 0x5a => self.outsider_sensed(task, &mut data),
            command::INQUIRY => self.outsider_inquired(task, &mut data),
            0x25 => self.outsider_measured(&mut data),
            0x0a | 0x2a | 0x2e => self.outsider_wrote(now),
            _ => {}
        }
        match self.defect {
            Some(Defect::SelectSaveOnly) if matches!(opcode, 0x15 | 0x55) && task.bit(1, 0) => {
                for (code, values) in std::mem::take(&mut self.memory.outsiders.pages) {
                    self.pages.set(code, &values);
                }
            }
            Some(Defect::ReadTailLost) if now.reads() && count > 1 => {
                data.bytes.iter_mut().rev().take(4).for_each(|byte| *byte = 0);
            }
            Some(Defect::WriteSameZeros) if opcode == 0x41 && count > 1 => {
                for at in lba + 1..now.end() {
                    self.put_back(at, &[0; BLOCK_BYTES]);
                }
            }
            Some(Defect::DefectHeaderLong) if opcode == 0x37 => {
                let length = usize::from(task.be16(7)).min(8).max(data.bytes.len());
                data.bytes.resize(length, 0);
            }
            Some(Defect::StopEjects)
                if opcode == 0x1b && task.byte(4) == 0 && self.model.medium == MediumKind::Removable =>
            {
                self.medium.present = false;
            }
            Some(Defect::BufferModeTwoHeader) if opcode == 0x3c && task.byte(1) & 7 == 2 => {
                let bytes = [[0, 0, 16, 0].as_slice(), &data.bytes].concat();
                data.bytes = bytes;
                data.bytes.truncate(usize::try_from(task.be24(6)).unwrap_or(usize::MAX));
            }
            Some(Defect::BufferSevenBits) if opcode == 0x3b => {
                self.buffer.iter_mut().for_each(|byte| *byte &= 0x7f);
            }
            Some(Defect::SelfTestDropsCache) if opcode == 0x1d && task.bit(1, 2) => self.medium.lose_cache(),
            _ => {}
        }
        data
    }

    fn outsider_wrote(&mut self, now: Done) {
        let Done { lba, count, .. } = now;
        let before = self.memory.outsiders.before.take();
        if count == 0 {
            return;
        }
        let mut block = self.medium.before(lba);
        let head = std::mem::take(&mut self.memory.outsiders.head);
        self.memory.outsiders.head.iter_mut().zip(block).for_each(|(place, byte)| *place = byte);
        match self.defect {
            Some(Defect::WriteMultiple97) if count == 1 && lba > 0 && lba.is_multiple_of(97) => {
                if let Some(before) = before {
                    self.put_back(lba, &before);
                }
            }
            Some(Defect::WriteHeadStale) if count > 1 => {
                block.iter_mut().zip(head).for_each(|(place, byte)| *place = byte);
                self.put_back(lba, &block);
            }
            _ => {}
        }
    }

    fn outsider_sensed(&mut self, task: &Task<'_>, data: &mut Data) {
        let six = task.opcode() == 0x1a;
        let header = if six { 4 } else { 8 };
        let kind = task.byte(2) >> 6;
        let described = data.bytes.get(header - 1) == Some(&8);
        match self.defect {
            Some(Defect::ModeAllLength) if task.byte(2) & 0x3f == 0x3f => {
                if let Some(length) = data.bytes.get_mut(usize::from(!six)) {
                    *length = length.saturating_sub(8);
                }
            }
            Some(Defect::ModeDescriptorSaved) if kind == 3 && described => {
                data.bytes.iter_mut().skip(header).take(8).for_each(|byte| *byte = 0);
            }
            Some(Defect::ModeCylindersLittle) => {
                let at = sensed_page(task, &data.bytes, 0x04).unwrap_or(usize::MAX - 8);
                if let Some([high, _, low]) = data.bytes.get_mut(at + 2..at + 5) {
                    std::mem::swap(high, low);
                }
            }
            _ => {}
        }
    }

    fn outsider_inquired(&mut self, task: &Task<'_>, data: &mut Data) {
        let (page, allocation) = (task.bit(1, 0).then(|| task.byte(2)), usize::from(task.byte(4)));
        let put = |data: &mut Data, at: usize, value: u8| {
            if let Some(byte) = data.bytes.get_mut(at) {
                *byte = value;
            }
        };
        match (self.defect, page) {
            (Some(Defect::SerialControl), Some(0x80)) => put(data, 4, 0x03),
            (Some(Defect::VpdUnlistedSerial), Some(0)) => {
                put(data, 3, 1);
                data.bytes.truncate(5);
            }
            (Some(Defect::VpdListedRefused), Some(0)) => {
                data.bytes = vec![0, 0, 0, 3, 0, 0x80, 0x83];
                data.bytes.truncate(allocation);
            }
            (Some(Defect::InquiryRemovableClaimed), None) if self.model.medium == MediumKind::Fixed => {
                put(data, 1, 0x80);
            }
            (Some(Defect::ChangeDefinitionExecuted), None) if self.memory.outsiders.changed_definition => {
                put(data, 2, 1);
            }
            _ => {}
        }
    }

    fn outsider_measured(&self, data: &mut Data) {
        let Some((last, _)) = data.bytes.split_first_chunk_mut::<4>() else { return };
        let told = u32::from_be_bytes(*last);
        let told = match self.defect {
            Some(Defect::CapacityLittle) => told.swap_bytes(),
            Some(Defect::CapacityWholeCylinders) => ((told + 1) / 1008 * 1008).saturating_sub(1),
            Some(Defect::CapacityAfterPower) if self.traces.power_cycles > 1 => told.saturating_sub(1),
            _ => told,
        };
        *last = told.to_be_bytes();
    }

    /// What the sense of an error becomes.
    pub(super) fn missensed_outsider(&mut self, sense: Sense) -> Sense {
        let second = usize::from(self.traces.sender == Some(Initiator::B));
        let unread = self
            .memory
            .outsiders
            .unread
            .get_mut(second)
            .is_some_and(|unread| std::mem::replace(unread, true));
        match self.defect {
            Some(Defect::AttentionMediumCode) if sense == Sense::MEDIUM_CHANGED => Sense::RESET,
            Some(Defect::AttentionModeCode) if sense == Sense::MODE_CHANGED => Sense::RESET,
            Some(Defect::PreventedKeyWrong) if sense == Sense::PREVENTED => sense.with_key(2),
            Some(Defect::SenseUnreadLost) if unread => Sense::NONE,
            Some(Defect::ModeUnknownCode)
                if matches!(self.memory.opcode, 0x1a | 0x5a) && sense.field == Some(2) =>
            {
                Sense::PARAMETER
            }
            _ => sense,
        }
    }

    /// The whole answer, once more.
    pub(in crate::target) fn misanswered_outsider(
        &mut self,
        task: &Task<'_>,
        absent: bool,
        mut response: Response,
    ) -> Response {
        if absent {
            return response;
        }
        let opcode = task.opcode();
        let refused = response.status == Some(2);
        let told = self.kept(task.initiator).sense.filter(|_| refused);
        let second = usize::from(task.initiator == Initiator::B);
        if !refused && let Some(unread) = self.memory.outsiders.unread.get_mut(second) {
            *unread = false;
        }
        if opcode == command::REQUEST_SENSE {
            self.outsider_told(task, &mut response);
        }
        match self.defect {
            Some(Defect::AttentionWriteExecuted)
                if told.is_some_and(|sense| sense.key == 6) && opcode == 0x2a =>
            {
                drop(self.write_10(task));
            }
            Some(Defect::AttentionModeTwice) if told == Some(Sense::MODE_CHANGED) => {
                let again = &mut self.memory.outsiders.told_modes;
                *again = !*again;
                if *again {
                    self.kept(task.initiator).attention = Some(Sense::MODE_CHANGED);
                }
            }
            Some(Defect::ResidualReadBlock) if opcode == 0x28 && !response.data.is_empty() => {
                response.residual += 512;
            }
            _ => {}
        }
        response
    }

    fn outsider_told(&mut self, task: &Task<'_>, response: &mut Response) {
        let bytes = &mut response.data;
        let formats = matches!(bytes.get(12..14), Some([4, 4]));
        match (self.defect, bytes.as_mut_slice()) {
            (Some(Defect::SenseErrorCode), [code, ..]) => *code |= 0x0e,
            (Some(Defect::SenseLengthShort), [_, _, _, _, _, _, _, length, ..]) => *length = 6,
            (Some(Defect::FormatProgressLittle), bytes) if formats => {
                if let Some([high, low]) = bytes.get_mut(16..18) {
                    std::mem::swap(high, low);
                }
            }
            (Some(Defect::ReserveEndsBySense), _)
                if self.reserved_by.is_some_and(|holder| holder != task.initiator) =>
            {
                self.reserved_by = None;
            }
            _ => {}
        }
    }
}

/// Where the pages of a list of MODE SELECT begin, and how many bytes are left behind the last.
pub(super) fn pages_of(task: &Task<'_>) -> Option<(Vec<usize>, usize)> {
    let mut at = page_at(task)?;
    let mut begins = Vec::new();
    while let Some([_, length, ..]) = task.out.get(at..) {
        begins.push(at);
        at += 2 + usize::from(*length);
    }
    Some((begins, task.out.len().checked_sub(at)?))
}

/// Where a page begins in what MODE SENSE sends.
pub(super) fn sensed_page(task: &Task<'_>, bytes: &[u8], wanted: u8) -> Option<usize> {
    let header = if task.opcode() == 0x1a { 4 } else { 8 };
    let mut at = header + usize::from(*bytes.get(header - 1)?);
    while let Some([code, length, ..]) = bytes.get(at..) {
        if code & 0x3f == wanted {
            return Some(at);
        }
        at += 2 + usize::from(*length);
    }
    None
}
