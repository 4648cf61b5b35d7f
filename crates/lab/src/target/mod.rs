//! A SCSI-2 direct-access device whose firmware is this program: sound (X3.131-1994), or with one defect switched on.
//!
//! It is a target without a bus: a command goes in by [`Target::execute`], and status, data and the time it would have
//! taken come out. Two initiators can reach it. Time is modelled: a command that takes ten seconds takes none here, and
//! one that hangs says so. Sense stays in the device, for each initiator, until it is asked for or the next command
//! comes, as on a bus without automatic sense.
//!
//! What it does not do: tags, linked commands (it claims neither), messages and phases, extent and third-party
//! reservations (refused), log pages, deferred errors (its cache never fails).
//!
//! Every behaviour that a [`Defect`] changes is one place, found by the defect's name.

mod block;
pub(crate) mod command;
mod defect;
mod dispatch;
mod faults;
mod inquiry;
mod kept;
mod maintenance;
mod medium;
pub(crate) mod mode;
pub(crate) mod sense;
#[cfg(test)]
mod tests;
mod traces;
mod unit;
mod write;

use std::time::Duration;

pub use defect::{DEFECTS, Defect, DefectRow};

use command::Task;
use medium::Medium;
use mode::Pages;
use sense::Sense;
use traces::Traces;
use unit::Spindle;

/// Bytes in a block. The only block length this firmware has.
pub const BLOCK_BYTES: usize = 512;

/// Time of a command that moves nothing and waits for nothing.
pub(crate) const COMMAND_TIME: Duration = Duration::from_micros(100);

/// What kind of disk the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Blocks on the medium, at least 1.
    pub blocks: u32,
    /// Whether the medium can be taken out.
    pub medium: MediumKind,
}

/// Whether a medium can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediumKind {
    /// It cannot.
    Fixed,
    /// It can.
    Removable,
}

/// One of the two initiators on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// One.
    A,
    /// The other.
    B,
}

impl Initiator {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// What is kept for this one, of what is kept for both.
    pub(crate) const fn of<T>(self, [a, b]: &mut [T; 2]) -> &mut T {
        match self {
            Self::A => a,
            Self::B => b,
        }
    }
}

/// Who sends, and to which logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nexus {
    /// Who sends.
    pub initiator: Initiator,
    /// The LUN of the IDENTIFY message, 0 to 7; `None` where the initiator sent none, and the command's LUN counts
    /// (7.2.2).
    pub identify: Option<u8>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status byte (7.3, table 27), or `None` where the target never gets to it.
    pub status: Option<u8>,
    /// What it sent, no more than was expected.
    pub data: Vec<u8>,
    /// Bytes expected, or offered, that were not moved; negative where it would have sent more.
    pub residual: i64,
    /// How long it would have taken.
    pub elapsed: Duration,
}

impl Response {
    /// What an initiator sees that offers `out` or expects this many bytes: a refused command has taken nothing of what was
    /// offered; one carried out has taken it all or ignored the rest.
    pub(crate) fn seen(
        status: Option<u8>,
        mut sent: Vec<u8>,
        out: &[u8],
        expected_in: usize,
        elapsed: Duration,
    ) -> Self {
        let length = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        let residual = match (out.is_empty(), status) {
            (true, _) => length(expected_in) - length(sent.len()),
            (false, Some(0)) => 0,
            (false, _) => length(out.len()),
        };
        sent.truncate(expected_in);
        Self { status, data: sent, residual, elapsed }
    }
}

/// What resets a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// RESET condition on the bus (6.2.2).
    Bus,
    /// BUS DEVICE RESET message (6.6.3).
    Device,
}

/// What a target keeps for each initiator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) sense: Option<Sense>,
    pub(crate) attention: Option<Sense>,
    pub(crate) prevents_removal: bool,
}

/// A reply: data to send, or the reason of a refusal.
pub(crate) type Reply = Result<Data, Refusal>;

/// What a command that was carried out sends back.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) bytes: Vec<u8>,
    condition_met: bool,
}

/// How a command ends that was not carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Sense(Sense),
    ReservationConflict,
    Busy,
    /// Nothing more is heard.
    Silence,
}

impl From<Sense> for Refusal {
    fn from(sense: Sense) -> Self {
        Self::Sense(sense)
    }
}

pub(crate) fn nothing() -> Reply {
    Ok(Data::default())
}

pub(crate) fn data(bytes: Vec<u8>) -> Reply {
    Ok(Data { bytes, condition_met: false })
}

/// The target.
#[derive(Debug)]
pub struct Target {
    model: Model,
    defect: Option<Defect>,
    medium: Medium,
    pages: Pages,
    remembered: [Remembered; 2],
    reserved_by: Option<Initiator>,
    spindle: Spindle,
    buffer: Vec<u8>,
    /// Time of the device's own clock.
    clock: Duration,
    /// Commands since power-on.
    commands: u64,
    resets: u8,
    refused_opcode: bool,
    errors_in_row: u32,
    /// Whether the attention of a reset was told once already.
    told_once: bool,
    /// Whether anything was read since power-on.
    has_read: bool,
    /// TEST UNIT READY since STOP.
    polled: u32,
    written_last: Option<u32>,
    traces: Traces,
    memory: faults::Memory,
}

impl Target {
    /// A target that was just switched on, sound or with one defect.
    pub fn new(model: Model, defect: Option<Defect>) -> Self {
        let mut target = Self {
            model,
            defect,
            medium: Medium::new(model, defect),
            pages: Pages::new(model, defect),
            remembered: [Remembered::default(); 2],
            reserved_by: None,
            spindle: Spindle::Ready,
            buffer: vec![0; maintenance::BUFFER_BYTES],
            clock: Duration::ZERO,
            commands: 0,
            resets: 0,
            refused_opcode: false,
            errors_in_row: 0,
            told_once: false,
            has_read: false,
            polled: 0,
            written_last: None,
            traces: Traces::default(),
            memory: faults::Memory::default(),
        };
        target.power_cycle();
        target
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Off and on again: the medium and what was saved remain.
    pub fn power_cycle(&mut self) {
        self.medium.lose_cache();
        let saved_by_ten = std::mem::take(&mut self.memory.newcomers.saved_by_ten);
        if self.has(Defect::PowerTears) {
            self.medium.tear();
        }
        let stays_stopped = self.spindle == Spindle::Stopped && self.has(Defect::PowerKeepsStopped);
        let cached = self.pages.write_cache();
        if !self.has(Defect::PowerKeepsModes) {
            self.pages.restore_saved();
        }
        if cached && self.has(Defect::PowerKeepsWce) {
            self.set_cache(4);
        }
        let before = std::mem::take(&mut self.remembered);
        for (kept, before) in self.remembered.iter_mut().zip(before) {
            if self.defect == Some(Defect::PowerKeepsPrevent) {
                kept.prevents_removal = before.prevents_removal;
            }
            if self.defect == Some(Defect::PowerKeepsSense) {
                kept.sense = before.sense;
            }
        }
        if !self.has(Defect::PowerKeepsReservation) {
            self.reserved_by = None;
        }
        if let Some(last) = self.written_last.take()
            && self.has(Defect::PowerLosesLast)
        {
            self.medium.lose(last);
        }
        self.traces.told_capacity = false;
        // The first is that of a new target.
        self.traces.power_cycles += 1;
        self.memory = faults::Memory::default();
        if !stays_stopped {
            self.spindle = Spindle::Ready;
        }
        self.buffer.fill(0);
        (self.commands, self.refused_opcode, self.has_read) = (0, false, false);
        if !self.has(Defect::AttentionMissing) {
            self.attend_all(Sense::RESET);
        }
        if self.traces.power_cycles == 2 && self.has(Defect::AttentionPowerAgain) {
            self.kept(Initiator::A).attention = None;
        }
        if self.has(Defect::AttentionPowerSecond) {
            self.kept(Initiator::B).attention = None;
        }
        if self.traces.power_cycles == 3 && self.has(Defect::PowerTwiceLosesSaved) {
            self.pages.lose_all_saved();
            self.pages.restore_saved();
        }
        if self.has(Defect::PowerRestoresDefault) {
            self.pages.restore_default();
        }
        if self.has(Defect::PowerLosesPage2) {
            self.pages.lose_saved(0x02);
        }
        if self.has(Defect::PowerLosesPageA) {
            self.pages.lose_saved(0x0a);
        }
        if self.has(Defect::ProtectEndsByPower) {
            self.medium.protection = Protection::Off;
        }
        self.mispowered(cached);
        self.mispowered_newcomer(saved_by_ten);
    }

    /// A hard reset (6.2.2.1).
    pub fn reset(&mut self, reset: Reset) {
        self.resets = self.resets.wrapping_add(1);
        let kept = reset == Reset::Device && self.has(Defect::DeviceResetKeepsModes) || self.outlives_reset();
        let ratios = match self.defect {
            Some(Defect::ResetKeepsPage2) => Some(self.pages.values_of(0x02)),
            Some(Defect::DeviceResetKeepsA) => Some(self.pages.values_of(0x0a)),
            _ => None,
        };
        let cache = self.pages.values_of(0x08).first().copied().unwrap_or_default();
        self.memory.still_caches = self.pages.write_cache();
        if !kept && !self.has(Defect::SelectOutlivesReset) {
            self.pages.restore_saved();
        }
        if self.has(Defect::ResetToDefault)
            || reset == Reset::Device && self.has(Defect::DeviceResetToDefault)
        {
            self.pages.restore_default();
        }
        if let Some(last) = self.written_last.take()
            && self.has(Defect::ResetLosesWrite)
        {
            self.medium.lose(last);
        }
        if reset == Reset::Bus && self.has(Defect::ResetLosesSaved) {
            self.pages.lose_saved(0x01);
        }
        if self.has(Defect::ResetLosesPageA) {
            self.pages.lose_saved(0x0a);
        }
        self.told_once = false;
        (self.memory.second_unwritten, self.memory.device_reset) = (true, reset == Reset::Device);
        self.memory.slow_once = self.memory.device_reset;
        if self.memory.device_reset && self.has(Defect::ProtectEndsByReset) {
            self.medium.protection = Protection::Off;
        }
        let holder = self.reserved_by;
        let (before, spindle) = (self.remembered, self.spindle);
        self.traces.unread_since_reset = true;
        self.traces.just_reset = reset == Reset::Bus;
        let second_prevents = self.kept(Initiator::B).prevents_removal;
        let again = std::mem::replace(&mut self.traces.idle_since_reset, true);
        if reset == Reset::Device && self.has(Defect::DeviceResetLosesCache)
            || reset == Reset::Bus && self.has(Defect::BusResetLosesCache)
        {
            self.medium.lose_cache();
        }
        for kept in &mut self.remembered {
            kept.attention = None;
            let kept_over = reset == Reset::Device && self.defect == Some(Defect::SenseOutlivesDeviceReset);
            if !kept_over && self.defect != Some(Defect::SenseOutlivesReset) {
                kept.sense = None;
            }
            if self.defect != Some(Defect::PreventOutlivesReset) {
                kept.prevents_removal = false;
            }
        }
        let (reservation, attention) = match reset {
            Reset::Bus => (Defect::ReserveOutlivesReset, Defect::AttentionAfterResetMissing),
            Reset::Device => (Defect::ReserveOutlivesDeviceReset, Defect::AttentionAfterDeviceResetMissing),
        };
        let of_second = reset == Reset::Device
            && self.reserved_by == Some(Initiator::B)
            && self.has(Defect::ReserveSecondKept);
        if !of_second && !self.has(reservation) {
            self.reserved_by = None;
        }
        if !self.has(attention) {
            self.attend_all(Sense::RESET);
        }
        if reset == Reset::Device && self.has(Defect::AttentionDeviceResetFirst) {
            self.kept(Initiator::B).attention = None;
        }
        if again && self.has(Defect::ResetTwiceSilent) {
            self.remembered.iter_mut().for_each(|kept| kept.attention = None);
        }
        if self.has(Defect::ResetKeepsPreventSecond) {
            self.kept(Initiator::B).prevents_removal = second_prevents;
        }
        if let Some(holder) = holder.filter(|_| self.has(Defect::AttentionResetReserved)) {
            self.kept(holder).attention = None;
        }
        if self.has(Defect::AttentionResetUnder) {
            for (kept, before) in self.remembered.iter_mut().zip(before) {
                let under = before.attention.filter(|attention| *attention == Sense::MODE_CHANGED);
                kept.attention = under.or(kept.attention);
            }
        }
        let stays = reset == Reset::Device && self.has(Defect::DeviceResetKeepsStopped);
        if !stays && !self.has(Defect::StartStateKept) {
            self.spindle = Spindle::Ready;
        }
        self.refused_opcode = false;
        self.misreset_outsider(spindle, holder);
        self.misreset_newcomer(before.map(|kept| kept.sense.is_some()));
        self.misreset(reset, spindle, before.map(|kept| kept.prevents_removal));
        self.misfollowed(Some(reset == Reset::Bus), ratios);
        let before = before.map(|kept| (kept.attention, kept.prevents_removal));
        self.misreset_area(reset == Reset::Bus, before, holder);
        self.misreset_stray(reset == Reset::Bus, spindle, cache);
    }

    /// An initiator has left for good: what was kept or held for it goes; what it may have missed is told to whoever comes
    /// in its place.
    pub fn forget(&mut self, initiator: Initiator) {
        let kept = self.kept(initiator);
        (kept.sense, kept.prevents_removal) = (None, false);
        if self.reserved_by == Some(initiator) {
            self.reserved_by = None;
        }
    }

    /// Another medium, empty, put in by hand. Nothing happens to a fixed disk.
    pub fn change_medium(&mut self) {
        if self.model.medium == MediumKind::Removable {
            self.medium.replace();
            let before = self.spindle;
            let pending = self.kept(Initiator::B).attention;
            self.medium_came();
            self.mischanged(pending);
            if self.has(Defect::ChangeStaysStopped) {
                self.spindle = before;
            }
            if self.has(Defect::ChangeEndsReservation) {
                self.reserved_by = None;
            }
            if self.has(Defect::ChangeRestoresModes) {
                self.pages.restore_default();
            }
        }
    }

    /// Switches the medium's write protection.
    pub fn protect(&mut self, protection: Protection) {
        self.misprotected(protection);
        self.medium.protection = protection;
        self.traces.was_protected |= protection == Protection::On;
    }

    fn medium_came(&mut self) {
        self.spindle = Spindle::Ready;
        if !self.has(Defect::AttentionMediumMissing) {
            self.attend_all(Sense::MEDIUM_CHANGED);
        }
        if self.has(Defect::AttentionMediumFirst) {
            self.kept(Initiator::B).attention = None;
        }
    }

    fn attend_all(&mut self, attention: Sense) {
        for kept in &mut self.remembered {
            kept.attention = Some(attention);
        }
    }

    fn kept(&mut self, initiator: Initiator) -> &mut Remembered {
        initiator.of(&mut self.remembered)
    }

    /// Carries out one command: `out` is what the initiator has to send, `expected_in` how many bytes it can take.
    pub fn execute(&mut self, nexus: Nexus, cdb: &[u8], out: &[u8], expected_in: usize) -> Response {
        self.commands += 1;
        self.traces.idle_since_reset = false;
        let before = self.clock;
        self.clock += COMMAND_TIME;
        if self.has(Defect::SlowAtTimes) && self.commands.is_multiple_of(500) {
            self.clock += Duration::from_secs(40);
        }
        let task = Task { initiator: nexus.initiator, cdb, out };
        let hangs = self.commands == 1000 && self.has(Defect::HangsAt1000)
            || nexus.identify.unwrap_or(task.byte(1) >> 5) == 3 && self.has(Defect::LunThreeHangs);
        self.traces.sender = Some(nexus.initiator);
        self.traces.writes_six = task.opcode() == 0x0a;
        self.medium.by_second = nexus.initiator == Initiator::B;
        self.memory.opcode = task.opcode();
        let sense_before = self.kept(nexus.initiator).sense;
        let selected = self.select(nexus, &task);
        let absent = selected.is_err() && !self.has(Defect::SenseOfAbsentKept);
        if !absent {
            self.age_sense(&task);
        }
        let lun = nexus.identify.unwrap_or(task.byte(1) >> 5);
        let is_absent = selected.is_err();
        let preempted = self.preempted(&task, Some(lun).filter(|_| selected.is_err()));
        let reply = match selected {
            _ if hangs => Err(Refusal::Silence),
            Ok(()) if preempted.is_some() => preempted.unwrap_or_else(nothing),
            Ok(()) => self.run(&task),
            Err(reply) => {
                if task.opcode() == 0x2a && self.has(Defect::LunWriteExecuted) {
                    drop(self.write_10(&task));
                }
                self.traces.inquired_absent = task.opcode() == command::INQUIRY;
                self.pass_absent(nexus.initiator);
                self.executed_all_the_same(&task, true);
                self.absent_stray(&task).unwrap_or(*reply)
            }
        };
        let (status, mut sent) = match reply {
            Ok(data) => (Some(if data.condition_met { 0x04 } else { 0x00 }), data.bytes),
            Err(Refusal::Sense(_))
                if self.errors_in_row >= 7 && self.has(Defect::HangAfterErrors)
                    || self.memory.errors == 200 && self.has(Defect::Error200thHangs) =>
            {
                (None, Vec::new())
            }
            Err(Refusal::Sense(sense)) => {
                let lost = task.opcode() == 0x2a && self.has(Defect::SenseEmptyAfterWrite);
                if !absent {
                    self.remember_error(nexus.initiator, if lost { Sense::NONE } else { sense });
                }
                (Some(0x02), Vec::new())
            }
            Err(Refusal::Busy) => (Some(0x08), Vec::new()),
            Err(Refusal::ReservationConflict) => {
                if self.has(Defect::SenseOverConflict) {
                    self.kept(nexus.initiator).sense = sense_before;
                }
                if self.has(Defect::ReserveConflictSense) {
                    self.keep_sense(nexus.initiator, Sense::OPCODE);
                }
                (Some(0x18), Vec::new())
            }
            Err(Refusal::Silence) => (None, Vec::new()),
        };
        if task.opcode() != command::REQUEST_SENSE {
            self.traces.after_error = status == Some(0x02);
        }
        self.errors_in_row = match status {
            Some(0x02) => self.errors_in_row.saturating_add(1),
            // Sense is fetched after each error.
            _ if task.opcode() == command::REQUEST_SENSE => self.errors_in_row,
            _ => 0,
        };
        if sent.len() % 2 == 1 && self.has(Defect::OddByteLost) {
            sent.pop();
        }
        if sent.len() % 2 == 1 && self.has(Defect::OddByteAdded) {
            sent.push(0);
        }
        // A refused command has taken nothing of what was offered; one carried out has taken it all or ignored the rest.
        let taken = if status == Some(0) && !self.has(Defect::ResidualOfWrites) { out.len() } else { 0 };
        let length = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        let residual =
            if out.is_empty() { length(expected_in) - length(sent.len()) } else { length(out.len() - taken) };
        let short = task.opcode() == 0x5a && residual > 0 && self.has(Defect::ModeResidualZero);
        let residual = if short { 0 } else { residual };
        sent.truncate(expected_in);
        let response = Response { status, data: sent, residual, elapsed: self.clock.saturating_sub(before) };
        let response = self.misanswered(&task, response);
        let response = self.misanswered_likely(&task, response);
        let response = self.misanswered_cousin(&task, is_absent, response);
        let response = self.misanswered_area(&task, response);
        let response = self.misanswered_stray(&task, response);
        let response = self.misanswered_refused(&task, is_absent, response);
        let response = self.misanswered_outsider(&task, is_absent, response);
        let response = self.misanswered_newcomer(&task, response);
        self.misanswered_veteran(&task, is_absent, response)
    }

    /// A command to an absent logical unit leaves LUN 0 as it was.
    fn pass_absent(&mut self, initiator: Initiator) {
        if self.has(Defect::SenseLostToAbsent) {
            self.kept(initiator).sense = None;
        }
        if self.has(Defect::LunEndsPrevent) {
            self.kept(initiator).prevents_removal = false;
        }
        if self.has(Defect::AttentionLostToAbsent) {
            self.kept(initiator).attention = None;
        }
    }
}

/// Whether a medium can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It can.
    Off,
    /// It cannot.
    On,
}
