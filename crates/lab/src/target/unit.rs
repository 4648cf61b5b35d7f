//! State of the unit: ready or not, started, medium in or out, prevented, reserved (9.2.4, 9.2.11, 9.2.12, 9.2.17).

use std::time::Duration;

use super::command::{Access, REQUEST_SENSE, Task};
use super::defect::Defect;
use super::sense::Sense;
use super::{Initiator, MediumKind, Refusal, Reply, Target, nothing};

/// Time from START to ready: ten plain commands on the device's own clock.
const START_TIME: Duration = Duration::from_millis(1);
/// The same for a firmware that lets the initiator wait.
const SLOW_START: Duration = Duration::from_secs(6);

/// What the unit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spindle {
    Ready,
    Stopped,
    /// Ready at this time of the device's clock.
    Starting(Duration),
    /// Formatted at this time of the device's clock; the first is when it began.
    Formatting(Duration, Duration),
}

impl Target {
    /// Whether medium access can go on; if not, why (8.2.16).
    pub(super) fn ready(&mut self, task: &Task<'_>) -> Result<(), Refusal> {
        self.polled += 1;
        if let Some(answer) = self.misready(task) {
            return answer;
        }
        if !self.medium.present {
            let told = task.opcode() == 0x25 && self.has(Defect::EmptyCapacity);
            return if told { Ok(()) } else { Err(Sense::NO_MEDIUM.into()) };
        }
        match self.spindle {
            Spindle::Starting(until) if self.clock < until => {
                if self.has(Defect::StartRestarts) {
                    self.spindle = Spindle::Starting(self.clock + START_TIME);
                }
                Err(Sense::BECOMING_READY.into())
            }
            Spindle::Formatting(..) if task.opcode() == 0x2a && self.has(Defect::FormatWritesServed) => {
                Ok(())
            }
            Spindle::Stopped if task.opcode() == 0x2f && self.has(Defect::StoppedVerifyServed) => Ok(()),
            Spindle::Stopped if task.opcode() == 0x0b && self.has(Defect::StoppedSeekServed) => Ok(()),
            Spindle::Formatting(..) if task.opcode() == 0x28 && self.has(Defect::FormatReadsServed) => Ok(()),
            Spindle::Formatting(..) if self.passes_format(task) => Ok(()),
            Spindle::Formatting(..) if self.formatting().is_some() => {
                Err(self.formatting().unwrap_or(Sense::FORMATTING).into())
            }
            Spindle::Stopped if self.polled > 1 && self.has(Defect::StopEndsByItself) => {
                self.spindle = Spindle::Ready;
                Ok(())
            }
            Spindle::Stopped
                if self.has(Defect::StopForOne) && self.traces.stopped_by != Some(task.initiator) =>
            {
                Ok(())
            }
            Spindle::Stopped if task.opcode() == 0x00 && self.has(Defect::StoppedReadySlow) => {
                self.clock += Duration::from_secs(20);
                Err(Sense::STOPPED.into())
            }
            Spindle::Stopped if task.opcode() == 0x35 && self.has(Defect::SyncStoppedHangs) => {
                Err(Refusal::Silence)
            }
            Spindle::Stopped if !self.has(Defect::StoppedReads) => Err(Sense::STOPPED.into()),
            Spindle::Stopped => Ok(()),
            Spindle::Ready | Spindle::Starting(_) | Spindle::Formatting(..) => {
                self.spindle = Spindle::Ready;
                Ok(())
            }
        }
    }

    /// Progress of a format that goes on (9.2.1).
    pub(super) fn formatting(&self) -> Option<Sense> {
        let Spindle::Formatting(begin, end) = self.spindle else { return None };
        let left = end.checked_sub(self.clock).filter(|left| !left.is_zero())?;
        let whole = end.saturating_sub(begin).as_micros().max(1);
        let done = match self.defect {
            Some(Defect::FormatProgressBack) => left.as_micros(),
            Some(Defect::FormatProgressStuck) => 0,
            _ => whole.saturating_sub(left.as_micros()),
        };
        let progress = u16::try_from(done.saturating_mul(65_536) / whole).unwrap_or(u16::MAX);
        Some(Sense { progress: Some(progress), ..Sense::FORMATTING })
    }

    pub(super) fn start_stop_unit(&mut self, task: &Task<'_>) -> Reply {
        let (immediate, load_eject, start) = (task.bit(1, 0), task.bit(4, 1), task.bit(4, 0));
        if load_eject {
            return self.load_or_eject(start, task.initiator);
        }
        if !self.medium.present {
            let told = start && self.has(Defect::StartEmptyGood);
            return if told { nothing() } else { Err(Sense::NO_MEDIUM.into()) };
        }
        if !start
            && self.has(Defect::StopPreventedRefused)
            && self.remembered.iter().any(|kept| kept.prevents_removal)
        {
            return Err(Sense::PREVENTED.into());
        }
        if !start && task.initiator == Initiator::B && self.has(Defect::StopSecondIgnored) {
            return nothing();
        }
        if !start && self.spindle == Spindle::Stopped && self.has(Defect::StopAgainRefused) {
            return Err(Sense::STOPPED.into());
        }
        self.traces.was_restarted |= start && self.spindle == Spindle::Stopped;
        self.traces.starts = if start { self.traces.starts + 1 } else { 0 };
        if self.traces.starts == 1 && self.spindle == Spindle::Stopped && self.has(Defect::StartTwice) {
            return nothing();
        }
        if !start {
            if self.has(Defect::StopLosesCache) {
                self.medium.lose_cache();
            }
            self.medium.flush();
            if self.has(Defect::ReserveEndsByStop) {
                self.reserved_by = None;
            }
            if self.has(Defect::PreventEndsByStop) {
                self.kept(task.initiator).prevents_removal = false;
            }
            if immediate && self.has(Defect::StopImmediateLost) {
                return nothing();
            }
            if self.has(Defect::StopRestoresModes) {
                self.pages.restore_saved();
            }
            self.traces.stopped_by = Some(task.initiator);
            self.polled = 0;
            if !self.has(Defect::StopIgnored) {
                self.spindle = Spindle::Stopped;
            }
            return nothing();
        }
        if self.spindle == Spindle::Ready && self.has(Defect::StartSpinsAgain) {
            self.spindle = Spindle::Starting(self.clock + START_TIME);
        }
        if self.spindle == Spindle::Stopped {
            if immediate && self.has(Defect::StartImmediateLost) {
                return nothing();
            }
            if immediate && !self.has(Defect::StartImmediate) {
                self.spindle = Spindle::Starting(self.clock + START_TIME);
            } else {
                let wait = if self.has(Defect::StartImmediate) { SLOW_START } else { START_TIME };
                self.clock += wait;
                self.spindle = Spindle::Ready;
            }
        }
        nothing()
    }

    fn load_or_eject(&mut self, load: bool, by: Initiator) -> Reply {
        let fixed = self.model.medium == MediumKind::Fixed;
        if fixed && !self.has(Defect::EjectFixed) {
            return Err(Sense::field(4).into());
        }
        if load && self.has(Defect::LoadPrevented) && self.remembered.iter().any(|kept| kept.prevents_removal)
        {
            return Err(Sense::PREVENTED.into());
        }
        if self.spindle == Spindle::Stopped && !load && self.has(Defect::EjectStoppedRefused) {
            return Err(Sense::STOPPED.into());
        }
        if load {
            if !self.medium.present || self.has(Defect::LoadAttention) {
                self.medium.present = true;
                let spindle = self.spindle;
                self.medium_came();
                if self.has(Defect::LoadKeepsStopped) {
                    self.spindle = spindle;
                }
                if self.has(Defect::AttentionLoadMissing) {
                    self.remembered.iter_mut().for_each(|kept| kept.attention = None);
                }
            }
            return nothing();
        }
        let prevented = self.remembered.iter().any(|kept| kept.prevents_removal);
        let own = self.kept(by).prevents_removal;
        let prevented = if self.has(Defect::PreventOwnOnly) { own } else { prevented };
        if !prevented && self.has(Defect::EjectIgnored) {
            return nothing();
        }
        if prevented && !self.has(Defect::PreventIgnored) {
            return Err(Sense::PREVENTED.into());
        }
        if self.has(Defect::EjectLosesCache) {
            self.medium.lose_cache();
        }
        self.medium.flush();
        self.medium.present = false;
        if self.has(Defect::ReserveEndsByEject) {
            self.reserved_by = None;
        }
        nothing()
    }

    pub(super) fn prevent_allow(&mut self, task: &Task<'_>) -> Reply {
        let prevent = task.bit(4, 0);
        if prevent {
            self.exclusion(Access::Exclusive, task)?;
        }
        let times = &mut self.traces.prevented_times[usize::from(task.initiator == Initiator::B)];
        *times = if prevent { *times + 1 } else { times.saturating_sub(1) };
        let counted = *times > 0 && self.has(Defect::PreventCounted);
        self.kept(task.initiator).prevents_removal = prevent || counted;
        if self.has(Defect::PreventSecondLost) {
            self.kept(Initiator::B).prevents_removal = false;
        }
        if !prevent && self.has(Defect::PreventShared) {
            self.kept(task.initiator.other()).prevents_removal = false;
        }
        nothing()
    }

    /// What the other initiator has reserved is for it alone (9.2.12).
    pub(super) fn exclusion(&self, access: Access, task: &Task<'_>) -> Result<(), Refusal> {
        let holder = self
            .reserved_by
            .filter(|_| !self.has(Defect::ReserveHeldBySecond) || task.initiator == Initiator::B);
        let foreign = holder.is_some_and(|holder| holder != task.initiator);
        let blocked = match task.opcode() {
            0x12 => self.has(Defect::ReserveBlocksInquiry),
            0x1b if task.bit(4, 1) && self.has(Defect::ReserveEjectAllowed) => false,
            0x2f if self.has(Defect::ReserveVerifyAllowed) => false,
            0x35 if self.has(Defect::ReserveSyncAllowed) => false,
            REQUEST_SENSE => self.has(Defect::SenseBlockedByReservation),
            0x17 => self.has(Defect::ReleaseConflict),
            0x1e if !task.bit(4, 0) => self.has(Defect::AllowConflict),
            0x04 if self.has(Defect::ReserveFormatAllowed) => false,
            0x0a | 0x2a if self.has(Defect::ReserveWritesAllowed) => false,
            0x15 | 0x55 if self.has(Defect::ReserveSelectAllowed) => false,
            0x3c if self.has(Defect::ReserveBufferAllowed) => false,
            0x1d if self.has(Defect::ReserveSelfTestAllowed) => false,
            0x16 if self.has(Defect::ReserveStolen) => false,
            0x00 if self.has(Defect::ReserveReadyAllowed) => false,
            0x1a | 0x5a if self.has(Defect::ReserveSenseAllowed) => false,
            0x1b if self.has(Defect::ReserveStopAllowed) => false,
            0x28 if self.has(Defect::ReserveRead10Allowed) => false,
            0x25 if self.has(Defect::ReserveCapacityAllowed) => false,
            0x1e if self.has(Defect::ReservePreventAllowed) => false,
            other if self.passes_reservation(other) => false,
            _ => access != Access::Always && !self.has(Defect::ReserveIgnored),
        };
        let expired = self.has(Defect::ReserveExpires) && self.commands > self.traces.reserved_at + 100;
        if foreign && blocked && !expired { Err(Refusal::ReservationConflict) } else { Ok(()) }
    }

    pub(super) fn reserve(&mut self, task: &Task<'_>) -> Reply {
        // Extents and third parties are optional, and refused.
        let third = task.bit(1, 4) && !self.has(Defect::ReserveThirdIgnored);
        if third || task.bit(1, 0) && !self.has(Defect::ReserveExtent) {
            return Err(Sense::field(1).into());
        }
        let again = self.reserved_by == Some(task.initiator);
        self.traces.reserved_times = if again { self.traces.reserved_times + 1 } else { 1 };
        self.reserved_by = Some(task.initiator);
        self.traces.reserved_at = self.commands;
        self.traces.conflicts = 0;
        if self.has(Defect::AttentionLostByReserve) {
            self.kept(task.initiator.other()).attention = None;
        }
        nothing()
    }

    pub(super) fn release(&mut self, task: &Task<'_>) -> Reply {
        if task.byte(1) & 0x11 != 0 && !self.has(Defect::ReleaseExtent) {
            return Err(Sense::field(1).into());
        }
        let own = |holder: Initiator| holder == task.initiator;
        if self.reserved_by.is_some() && self.has(Defect::AttentionByRelease) {
            self.kept(task.initiator.other()).attention = Some(Sense::MODE_CHANGED);
        }
        if self.has(Defect::ReleaseNothingClears) {
            self.kept(task.initiator.other()).attention = None;
        }
        if self.reserved_by.is_none() && self.has(Defect::ReleaseNeedsOne) {
            return Err(Sense::field(0).into());
        }
        self.traces.reserved_times = self.traces.reserved_times.saturating_sub(1);
        if self.traces.reserved_times > 0 && self.has(Defect::ReserveCounted) {
            return nothing();
        }
        if task.initiator == Initiator::B && self.has(Defect::ReleaseSecondIgnored) {
            return nothing();
        }
        // What another holds stays, and that is no error (9.2.11).
        if self.reserved_by.is_some_and(own) || self.has(Defect::ReleaseByOther) {
            self.reserved_by = None;
        }
        nothing()
    }
}
