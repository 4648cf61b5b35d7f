//! Defects of what comes before or beside a command: events, reservations, absent units, what sense becomes, the unit's state.

use std::time::Duration;

use super::Defect;
use crate::target::command::Task;
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{Initiator, Refusal, Reset, Response, Target};

impl Target {
    /// What a reset leaves behind; `spindle` and `prevented` are of before.
    pub(in crate::target) fn misreset(&mut self, reset: Reset, spindle: Spindle, prevented: [bool; 2]) {
        self.misreset_veteran(reset);
        match self.defect {
            Some(Defect::FormatResetStuck) if matches!(spindle, Spindle::Formatting(..)) => {
                self.spindle = Spindle::Formatting(self.clock, self.clock + Duration::from_secs(1_000_000));
            }
            Some(Defect::AttentionStoppedLost) if spindle == Spindle::Stopped => {
                self.remembered.iter_mut().for_each(|kept| kept.attention = None);
            }
            Some(Defect::ResetStoppedSlow) => self.memory.slow_start = spindle == Spindle::Stopped,
            Some(Defect::DeviceResetKeepsPrevent) if reset == Reset::Device => {
                for (kept, before) in self.remembered.iter_mut().zip(prevented) {
                    kept.prevents_removal = before;
                }
            }
            _ => {}
        }
    }

    /// What a change of medium leaves behind.
    pub(in crate::target) fn mischanged(&mut self, pending: Option<Sense>) {
        self.memory.likely.more = -1;
        self.mischanged_corner();
        match self.defect {
            Some(Defect::PreventEndsByChange) => {
                self.remembered.iter_mut().for_each(|kept| kept.prevents_removal = false);
            }
            Some(Defect::AttentionMediumUnder) if pending == Some(Sense::RESET) => {
                self.kept(Initiator::B).attention = None;
            }
            _ => {}
        }
    }

    /// Whether a command of another passes a reservation.
    pub(in crate::target) fn passes_reservation(&self, opcode: u8) -> bool {
        let allowed = match self.defect {
            Some(Defect::ReserveWriteVerifyAllowed) => 0x2e,
            Some(Defect::ReserveSeekAllowed) => 0x2b,
            Some(Defect::ReserveRead6Allowed) => 0x08,
            Some(Defect::ReserveReassignAllowed) => 0x07,
            Some(Defect::ReserveDefectAllowed) => 0x37,
            Some(Defect::ReserveSelect10Allowed) => 0x55,
            Some(Defect::ReserveReceiveAllowed) => 0x1c,
            Some(Defect::ReserveWriteSameAllowed) => 0x41,
            Some(Defect::ReserveRezeroAllowed) => 0x01,
            Some(Defect::ReservePrefetchAllowed) => 0x34,
            _ => return false,
        };
        opcode == allowed
    }

    /// A command that is refused and has its effect all the same.
    pub(in crate::target) fn executed_all_the_same(&mut self, task: &Task<'_>, absent: bool) {
        let reply = match (self.defect, task.opcode()) {
            (Some(Defect::LunSelectExecuted), 0x15) if absent => self.mode_select_6(task),
            (Some(Defect::LunStopExecuted), 0x1b) if absent => self.start_stop_unit(task),
            (Some(Defect::LunPreventExecuted), 0x1e) if absent => self.prevent_allow(task),
            (Some(Defect::LunFormatExecuted), 0x04) if absent => self.format_unit(task),
            (Some(Defect::ReserveConflictWrites6), 0x0a) if !absent => self.write_6(task),
            (Some(Defect::TwelveWriteAsTen), 0xaa) if !absent => {
                let mut block = task.cdb.get(..10).unwrap_or_default().to_vec();
                // The length of the twelve-byte form has four bytes.
                if let (Some(low), Some(length)) = (task.cdb.get(8..10), block.get_mut(7..9)) {
                    length.copy_from_slice(low);
                }
                self.write_10(&Task { cdb: &block, ..*task })
            }
            _ => return,
        };
        // Only its effect counts.
        drop(reply);
    }

    /// What the state of the unit does to a command that needs the medium.
    pub(in crate::target) fn misready(&mut self, task: &Task<'_>) -> Option<Result<(), Refusal>> {
        let stopped = self.spindle == Spindle::Stopped;
        match self.defect? {
            Defect::EmptyVerifyHangs if !self.medium.present && matches!(task.opcode(), 0x2f | 0x35) => {
                Some(Err(Refusal::Silence))
            }
            Defect::SeekStarting if matches!(self.spindle, Spindle::Starting(_)) && task.opcode() == 0x2b => {
                Some(Ok(()))
            }
            Defect::StoppedSeek10Served if stopped && task.opcode() == 0x2b => Some(Ok(())),
            _ => self.misready_outsider(task),
        }
    }

    /// What an error's sense becomes.
    pub(in crate::target) fn mispointed(&mut self, sense: Sense) -> Sense {
        match self.defect {
            Some(Defect::SenseParameterBlock) if sense == Sense::PARAMETER => sense.at(0),
            Some(Defect::SensePointerZero) if sense.field == Some(1) => Sense { field: Some(0), ..sense },
            Some(Defect::SenseAfterConflict) if std::mem::take(&mut self.memory.conflicted) => Sense::NONE,
            _ => sense,
        }
    }

    /// The whole answer, once more.
    pub(in crate::target) fn misanswered(&mut self, task: &Task<'_>, mut response: Response) -> Response {
        let hangs = self.has(Defect::HangsAt5000) && self.commands == 5000;
        if hangs {
            response.status = None;
        }
        if task.opcode() == 0x12 && response.residual > 0 && self.has(Defect::ResidualInquiryZero) {
            response.residual = 0;
        }
        self.memory.conflicted |= response.status == Some(0x18);
        if std::mem::take(&mut self.memory.slow_start) {
            response.elapsed += Duration::from_secs(40);
        }
        response
    }
}
