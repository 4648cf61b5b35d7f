//! Sense that is kept for an initiator: from an error to REQUEST SENSE or the next command (7.6).

use super::command::{self, Task};
use super::defect::Defect;
use super::sense::Sense;
use super::{Initiator, Target};

impl Target {
    /// Keeps the sense of a command that was refused.
    pub(super) fn remember_error(&mut self, initiator: Initiator, sense: Sense) {
        if self.has(Defect::PreventEndsByError) {
            self.kept(initiator).prevents_removal = false;
        }
        if self.reserved_by == Some(initiator) && self.has(Defect::ReserveEndsByError) {
            self.reserved_by = None;
        }
        let told = match self.traces.error_before {
            Some(before) if self.traces.after_error && self.has(Defect::SenseOfErrorBefore) => before,
            _ => sense,
        };
        self.traces.error_before = Some(told);
        self.traces.was_out_of_range |= told == Sense::RANGE;
        let told = self.mistold(initiator, told);
        let told = self.retold(initiator, self.memory.opcode, told);
        let told = self.mispointed(told);
        let told = self.missensed(initiator, told);
        let told = self.missensed_area(told);
        let is_range = told == Sense::RANGE && initiator == Initiator::B;
        let told = if is_range && self.has(Defect::SenseSecondEmpty) { Sense::NONE } else { told };
        self.keep_sense(initiator, told.seen_by(self.defect));
    }

    /// What is kept in the place of an error's sense: the same, where the firmware is sound.
    fn mistold(&mut self, initiator: Initiator, sense: Sense) -> Sense {
        self.memory.errors += 1;
        let foreign = self.reserved_by.is_some_and(|holder| holder != initiator);
        let before = self.memory.pointer;
        self.memory.pointer = sense.field.or(before);
        match self.defect {
            Some(Defect::SenseThirtieth) if self.memory.errors.is_multiple_of(30) => Sense::NONE,
            Some(Defect::SenseReservedEmpty) if foreign => Sense::NONE,
            Some(Defect::SenseStalePointer) => Sense { field: sense.field.or(before), ..sense },
            _ => sense,
        }
    }

    /// Sense lasts until it is read or the next command of the same initiator (7.6).
    pub(super) fn age_sense(&mut self, task: &Task<'_>) {
        let survives = self.has(Defect::SenseOutlivesCommand) || self.sense_survives(task.opcode());
        if task.opcode() != command::REQUEST_SENSE && !survives {
            self.kept(task.initiator).sense = None;
        }
        if self.has(Defect::SenseLostToOther) {
            self.kept(task.initiator.other()).sense = None;
        }
    }

    pub(super) fn keep_sense(&mut self, initiator: Initiator, sense: Sense) {
        self.kept(initiator).sense = Some(sense);
        if self.has(Defect::SenseShared) {
            self.kept(initiator.other()).sense = Some(sense);
        }
    }
}
