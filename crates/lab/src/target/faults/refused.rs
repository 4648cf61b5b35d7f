//! Defects of commands that are refused in a state and carried out all the same, and of what comes and goes.

use super::{Defect, Done};
use crate::target::command::{self, Task};
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{BLOCK_BYTES, Data, Initiator, MediumKind, Protection, Reply, Response, Target, nothing};

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Whether the unit was started, and not asked since.
    started: bool,
    /// Whether the medium's protection has changed, and nothing was written since.
    turned: bool,
    /// The blocks of a write as they were before it.
    before: Option<[u8; BLOCK_BYTES]>,
}

impl Target {
    /// What a change of the medium's protection does besides.
    pub(in crate::target) fn misprotected(&mut self, protection: Protection) {
        self.memory.refused.turned = protection != self.medium.protection;
        if protection == Protection::On && self.has(Defect::ProtectDropsCache) {
            self.medium.lose_cache();
        }
    }

    pub(super) fn instead_of_refused(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let starts = opcode == 0x1b && task.byte(4) == 1;
        let fits = self.range((lba, count)).is_ok();
        if now.writes() && fits {
            self.memory.refused.before = Some(self.medium.before(lba));
        }
        let header = if opcode == 0x15 { 4 } else { 8 };
        let turned = now.writes() && std::mem::take(&mut self.memory.refused.turned);
        let protected = self.medium.protection == Protection::On;
        match self.defect? {
            Defect::SixZeroIs255 if opcode == 0x08 && task.byte(4) == 0 && fits => {
                let mut bytes: Vec<_> = (lba..now.end()).flat_map(|lba| self.medium.read(lba)).collect();
                bytes.get_mut(255 * BLOCK_BYTES..)?.fill(0);
                return Some(crate::target::data(bytes));
            }
            Defect::SelectBlocksZero
                if matches!(opcode, 0x15 | 0x55)
                    && task.out.get(header - 1) == Some(&8)
                    && task.out.get(header + 1..header + 4) == Some(&[0; 3]) =>
            {
                return Some(Err(Sense::PARAMETER.into()));
            }
            Defect::PreventSecondAsFirst if opcode == 0x1e && task.initiator == Initiator::B => {
                return Some(self.prevent_allow(&Task { initiator: Initiator::A, ..*task }));
            }
            Defect::ReleaseOtherStopped if opcode == 0x17 && self.spindle == Spindle::Stopped => {
                self.reserved_by = None;
            }
            Defect::StartOtherIgnored
                if starts
                    && self.spindle == Spindle::Stopped
                    && self.traces.stopped_by != Some(task.initiator) =>
            {
                return Some(nothing());
            }
            Defect::StartNotYet if starts && self.spindle == Spindle::Stopped => {
                self.memory.refused.started = true;
            }
            Defect::StartNotYet if opcode == 0x00 && std::mem::take(&mut self.memory.refused.started) => {
                return Some(Err(Sense::BECOMING_READY.into()));
            }
            Defect::ProtectLate if turned && protected && fits => {
                self.medium.protection = Protection::Off;
                let bytes = task.data_out(usize::try_from(count).ok()? * BLOCK_BYTES);
                let reply = self.write((lba, count), &bytes, Through::Medium);
                self.medium.protection = Protection::On;
                return Some(reply);
            }
            Defect::UnprotectLate if turned && !protected => return Some(Err(Sense::PROTECTED.into())),
            _ => {}
        }
        None
    }

    pub(super) fn spoiled_refused(&mut self, task: &Task<'_>, now: Done, mut data: Data) -> Data {
        let Done { opcode, lba, count } = now;
        let before = self.memory.refused.before.take();
        let lost = match self.defect {
            Some(Defect::Block100003) => now.writes() && lba == 100_003 && count == 1,
            Some(Defect::FarOddLost) => now.writes() && lba >= 1 << 21 && lba % 2 == 1 && count == 1,
            _ => false,
        };
        if let Some(block) = before.filter(|_| lost) {
            self.put_back(lba, &block);
        }
        match self.defect {
            Some(Defect::ReadFarLong) if now.reads() && count > 32 && lba >= 1 << 22 => {
                data.bytes.copy_within(..BLOCK_BYTES, 32 * BLOCK_BYTES);
            }
            Some(Defect::SenseLostByRelease) if opcode == 0x17 => {
                self.kept(task.initiator.other()).sense = None;
            }
            Some(Defect::ModeRotationStopped)
                if matches!(opcode, 0x1a | 0x5a) && self.spindle == Spindle::Stopped =>
            {
                let header = if opcode == 0x1a { 4 } else { 8 };
                let mut at = header + usize::from(data.bytes.get(header - 1).copied().unwrap_or_default());
                while let Some([code, length, ..]) = data.bytes.get(at..) {
                    let (code, end) = (code & 0x3f, at + 2 + usize::from(*length));
                    if code == 4 {
                        data.bytes.iter_mut().take(at + 22).skip(at + 20).for_each(|byte| *byte = 0);
                    }
                    at = end;
                }
            }
            _ => {}
        }
        data
    }

    /// Carries out what was refused.
    pub(in crate::target) fn misanswered_refused(
        &mut self,
        task: &Task<'_>,
        absent: bool,
        response: Response,
    ) -> Response {
        let told = self.kept(task.initiator).sense.unwrap_or(Sense::NONE);
        let opcode = task.opcode();
        let selects = matches!(opcode, 0x15 | 0x55);
        let refused = response.status == Some(2) && !absent;
        let attention = refused && told.key == 6;
        let conflict = response.status == Some(0x18);
        let stopped = refused && told == Sense::STOPPED;
        let starting = refused && told == Sense::BECOMING_READY;
        let formats = refused && told.code == 4 && told.qualifier == 4;
        let protected = refused && told == Sense::PROTECTED;
        let beyond = refused && told.code == Sense::RANGE.code;
        let stops = opcode == 0x1b && task.byte(4) == 0;
        let executed = match self.defect {
            Some(Defect::AttentionReserveExecuted) => attention && opcode == 0x16,
            Some(Defect::AttentionStopExecuted) => attention && stops,
            Some(Defect::AttentionSelectExecuted) => attention && selects,
            Some(Defect::AttentionPreventExecuted) => attention && opcode == 0x1e,
            Some(Defect::ConflictStopExecuted) => conflict && stops,
            Some(Defect::ConflictWrite10Executed) => conflict && opcode == 0x2a,
            Some(Defect::ConflictFormatExecuted) => conflict && opcode == 0x04,
            Some(Defect::ConflictBufferExecuted) => conflict && opcode == 0x3b,
            Some(Defect::ConflictSameExecuted) => conflict && opcode == 0x41,
            Some(Defect::StoppedWriteExecuted) => stopped && opcode == 0x0a,
            Some(Defect::StoppedSameExecuted) => stopped && opcode == 0x41,
            Some(Defect::StartingWriteExecuted) => starting && opcode == 0x2a,
            Some(Defect::FormatSelectExecuted) => formats && selects,
            Some(Defect::FormatReserveExecuted) => formats && opcode == 0x16,
            _ => false,
        };
        if executed && let Some(row) = command::find(opcode) {
            drop((row.run)(self, task));
        }
        let extent = (task.be32(2), u32::from(task.be16(7)));
        match self.defect {
            Some(Defect::ProtectedWriteCached) if protected && opcode == 0x2a => {
                self.write_all_the_same(extent, task, Through::Cache);
            }
            Some(Defect::ProtectedSameExecuted) if protected && opcode == 0x41 => {
                self.write_all_the_same((extent.0, 1), task, Through::Medium);
            }
            Some(Defect::WriteSameStraddles) if beyond && opcode == 0x41 => {
                self.write_all_the_same((extent.0, 1), task, Through::Medium);
            }
            Some(Defect::WriteVerifyStraddles) if beyond && opcode == 0x2e => {
                self.write_all_the_same(extent, task, Through::Medium);
            }
            Some(Defect::EjectPreventedStops) if refused && told == Sense::PREVENTED => {
                self.spindle = Spindle::Stopped;
            }
            Some(Defect::EjectFixedStops)
                if refused
                    && opcode == 0x1b
                    && task.byte(4) & 2 == 2
                    && self.model.medium == MediumKind::Fixed =>
            {
                self.spindle = Spindle::Stopped;
            }
            Some(Defect::ReassignPartly) if beyond && opcode == 0x07 => {
                let first =
                    task.out.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
                if let Some(first) = first.filter(|first| *first < self.medium.last()) {
                    self.put_back(first + 1, &[0; BLOCK_BYTES]);
                }
            }
            _ => {}
        }
        response
    }

    fn write_all_the_same(&mut self, (lba, count): (u32, u32), task: &Task<'_>, through: Through) {
        let last = self.medium.last();
        for (at, block) in (lba..lba.saturating_add(count)).zip(task.out.chunks(BLOCK_BYTES)) {
            if at <= last {
                self.medium.write(at, block, through);
            }
        }
    }
}
