//! What a command goes through before it is carried out: the logical unit it is for, unit attention, and its opcode (7.2,
//! 7.5.3, 7.9).

use super::command::{self, Access, Task};
use super::defect::Defect;
use super::sense::Sense;
use super::{Initiator, Nexus, Refusal, Reply, Target, nothing};

impl Target {
    /// Which logical unit is meant, and what an absent one answers (7.5.3).
    pub(super) fn select(&self, nexus: Nexus, task: &Task<'_>) -> Result<(), Box<Reply>> {
        let identify = nexus.identify.filter(|_| !self.has(Defect::LunOfIdentifyIgnored));
        let mask = if self.has(Defect::LunMaskedTwo) { 0x03 } else { 0xff };
        let bits = if self.has(Defect::LunBitsUnread) { 0 } else { task.byte(1) >> 5 };
        let asks = task.opcode() == command::INQUIRY && bits != 0 && self.has(Defect::LunBitsInquiry);
        let lun = if asks { bits } else { identify.unwrap_or(bits) };
        if lun & mask == 0 || lun == 7 && self.has(Defect::LunSeven) || lun == 2 && self.has(Defect::LunTwo) {
            let bits = identify.is_some() && task.byte(1) >> 5 != 0;
            return if bits && self.has(Defect::LunBitsRefused) {
                Err(Box::new(Err(Sense::field(1).into())))
            } else {
                Ok(())
            };
        }
        match task.opcode() {
            _ if self.has(Defect::LunOneBusy) && lun == 1 => Err(Box::new(Err(Refusal::Busy))),
            command::INQUIRY if task.bit(1, 0) && self.has(Defect::VpdOfAbsent) => Ok(()),
            0x16 if self.has(Defect::ReserveByAbsent) => Ok(()),
            command::INQUIRY if self.has(Defect::LunInquirySame) => Ok(()),
            command::INQUIRY if !self.has(Defect::LunInquiryRefused) => {
                Err(Box::new(self.absent_inquiry(task)))
            }
            0x17 if self.has(Defect::ReleaseByAbsent) => Ok(()),
            command::REQUEST_SENSE if self.has(Defect::LunSenseEmpty) => Ok(()),
            command::REQUEST_SENSE if lun == 1 && self.has(Defect::LunOneSense) => Ok(()),
            command::REQUEST_SENSE => Err(Box::new(self.sense_data(Sense::LUN.seen_by(self.defect), task))),
            other if command::find(other).is_none() && self.has(Defect::OpcodeAtAbsent) => {
                Err(Box::new(nothing()))
            }
            0x00 if self.has(Defect::LunReadyGood) => Err(Box::new(nothing())),
            _ if self.has(Defect::LunOthersExecuted) => Ok(()),
            _ => Err(Box::new(Err(Sense::LUN.into()))),
        }
    }

    /// What every command goes through before it is carried out, in this order: unit attention, opcode, reserved bits,
    /// reservation, a format that goes on, readiness.
    pub(super) fn run(&mut self, task: &Task<'_>) -> Reply {
        let row = command::find(task.opcode());
        if row.is_none() && self.has(Defect::AttentionAfterOpcode) {
            return self.unknown(task);
        }
        self.attention(task)?;
        if self.has(Defect::BusyForever) && self.refused_opcode {
            return Err(Refusal::Busy);
        }
        if self.has(Defect::BusyAfterWrites)
            && self.traces.writes_in_row > 100
            && !matches!(task.opcode(), 0x08 | 0x28)
        {
            return Err(Refusal::Busy);
        }
        let row = match task.opcode() {
            0xa8 if self.has(Defect::TwelveAsTen) => command::find(0x28),
            _ => row,
        };
        let Some(row) = row.filter(|row| task.cdb.len() >= row.length()) else {
            return self.unknown(task);
        };
        if task.opcode() == 0x16 && self.has(Defect::ReserveRefused) {
            return Err(Sense::OPCODE.into());
        }
        if let Err(refusal) = row.check(task, self.defect) {
            self.refused_stray(task, true);
            return Err(refusal);
        }
        if let Err(conflict) = self.exclusion(row.access, task) {
            self.executed_all_the_same(task, false);
            self.traces.conflicts += 1;
            if self.traces.conflicts >= 5 && self.has(Defect::ReserveWornOut) {
                self.reserved_by = None;
            }
            return Err(if self.has(Defect::ReserveConflictBusy) { Refusal::Busy } else { conflict });
        }
        if let Some(formats) = self.formatting()
            && !matches!(task.opcode(), command::INQUIRY | command::REQUEST_SENSE)
            && !self.passes_format(task)
        {
            return Err(formats.into());
        }
        if row.access == Access::Medium && !self.misready_corner(task) {
            self.ready(task)?;
        }
        if let Some(reply) = self.instead(task) {
            return reply;
        }
        let reply = (row.run)(self, task);
        self.spoiled(task, reply)
    }

    /// A pending unit attention refuses all but INQUIRY and REQUEST SENSE, once (7.9).
    fn attention(&mut self, task: &Task<'_>) -> Result<(), Refusal> {
        if self.has(Defect::AttentionIdle) && self.commands.is_multiple_of(150) {
            self.kept(task.initiator).attention = Some(Sense::RESET);
        }
        if self.has(Defect::AttentionIdle700) && self.commands.is_multiple_of(700) {
            self.kept(task.initiator).attention = Some(Sense::RESET);
        }
        if self.commands == self.traces.told_at + 20 && self.has(Defect::AttentionReturns) {
            self.kept(task.initiator).attention = self.traces.told;
        }
        let Some(attention) = self.kept(task.initiator).attention else { return Ok(()) };
        match task.opcode() {
            command::INQUIRY if self.has(Defect::AttentionBlocksInquiry) => {}
            command::INQUIRY => {
                let page = task.bit(1, 0) && self.has(Defect::AttentionClearedByVpd);
                if page || self.has(Defect::AttentionClearedByInquiry) {
                    self.kept(task.initiator).attention = None;
                }
                return Ok(());
            }
            opcode if self.passes_attention(opcode) => return Ok(()),
            0x08 if self.has(Defect::AttentionPassesRead6) => return Ok(()),
            0x16 if self.has(Defect::AttentionPassesReserve) => return Ok(()),
            0x1b if self.has(Defect::AttentionPassesStart) => return Ok(()),
            0x1a if self.has(Defect::AttentionPassesModeSense) => return Ok(()),
            command::REQUEST_SENSE if self.has(Defect::AttentionBlocksSense) => {}
            command::REQUEST_SENSE => {
                let second = task.initiator == Initiator::B && self.has(Defect::AttentionLostBySenseSecond);
                if second || self.has(Defect::AttentionLostBySense) {
                    self.kept(task.initiator).attention = None;
                }
                return Ok(());
            }
            _ => {}
        }
        let again = self.has(Defect::AttentionTwice) && self.resets > 0 && !self.told_once;
        self.told_once |= again;
        let stopped =
            self.spindle == super::unit::Spindle::Stopped && self.has(Defect::AttentionStaysStopped);
        let stays = stopped || self.has(Defect::AttentionStays) || self.keeps_attention(task.opcode());
        if !stays && !again {
            self.kept(task.initiator).attention = None;
        }
        if self.has(Defect::AttentionForOneOnly) {
            self.kept(task.initiator.other()).attention = None;
        }
        if self.has(Defect::AttentionExecutes)
            && let Some(row) = command::find(task.opcode())
        {
            // What it would have said is lost; only its effect remains.
            drop((row.run)(self, task));
        }
        self.traces.told_at = self.commands;
        self.traces.told = Some(attention);
        Err(attention.into())
    }

    fn unknown(&mut self, task: &Task<'_>) -> Reply {
        self.refused_opcode = true;
        self.executed_all_the_same(task, false);
        self.refused_stray(task, false);
        match self.defect {
            Some(Defect::UnknownGood) => nothing(),
            Some(Defect::UnknownHangs) => Err(Refusal::Silence),
            Some(Defect::ReadLongHangs) if task.opcode() == 0x3e => Err(Refusal::Silence),
            Some(Defect::WriteLongGood) if task.opcode() == 0x3f => nothing(),
            Some(Defect::CompareHangs) if task.opcode() == 0x39 => Err(Refusal::Silence),
            Some(Defect::CopyHangs) if task.opcode() == 0x18 => Err(Refusal::Silence),
            Some(Defect::ChangeDefinitionGood) if task.opcode() == 0x40 => nothing(),
            Some(Defect::LogSenseGood) if task.opcode() == 0x4d => nothing(),
            Some(Defect::ReservedOpcodeGood) if task.opcode() >> 5 == 3 => nothing(),
            Some(Defect::ReservedGroupHangs) if matches!(task.opcode() >> 5, 3 | 4) => Err(Refusal::Silence),
            Some(Defect::BlockNotTaken) if task.cdb.len() > 6 => {
                let rest = task.cdb.get(6..).unwrap_or_default();
                if let Some(row) = command::find(rest.first().copied().unwrap_or_default()) {
                    drop((row.run)(self, &Task { cdb: rest, ..*task }));
                }
                Err(Sense::OPCODE.into())
            }
            _ => Err(Sense::OPCODE.into()),
        }
    }
}
