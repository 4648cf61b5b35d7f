//! A SCSI-2 CD-ROM drive whose firmware is this program: sound (X3.131-1994, clause 14), or with one defect switched on.
//!
//! Like the disk in [`target`](crate::target) it has no bus: a command goes in, status, data and the time it would have taken
//! come out; two initiators can reach it. Its disc has a data track and audio tracks. What is played is heard by nobody, but
//! takes its time on the drive's own clock, which commands move.
//!
//! What it does not do: other block lengths than 2048 bytes, saved mode parameters, linked commands, commands of twelve
//! bytes, extent and third-party reservations.

mod audio;
mod command;
mod defect;
mod disc;
mod mode;
mod read;
#[cfg(test)]
mod tests;
mod unit;

use std::time::Duration;

pub use defect::{CD_DEFECTS, CdDefect, CdDefectRow};
pub use disc::{CD_BLOCK_BYTES, Disc};

use crate::target::command::{INQUIRY, REQUEST_SENSE, Task};
use crate::target::sense::Sense;
use crate::target::{COMMAND_TIME, Initiator, Nexus, Refusal, Remembered, Reply, Response};
use audio::Audio;
use mode::Pages;

/// What is in the tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tray {
    /// The disc, turning.
    Ready,
    /// The disc, at rest.
    Stopped,
    /// Nothing that can be reached: the tray is out.
    Out,
}

/// Which commands a drive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CdCommands {
    /// All that this firmware knows.
    All,
    /// Those that the standard demands (14.2, table 232).
    Mandatory,
}

/// What kind of drive, and what is in it: none of it is a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CdModel {
    /// What it carries out.
    pub commands: CdCommands,
    /// The disc in it, if any.
    pub disc: Option<Disc>,
}

impl CdModel {
    /// The one that has most to test.
    pub const FULL: Self = Self { commands: CdCommands::All, disc: Some(Disc::Combined) };
}

/// The drive.
#[derive(Debug)]
pub struct CdRom {
    commands: CdCommands,
    defect: Option<CdDefect>,
    disc: Disc,
    /// The disc before the last change: for a defect.
    disc_before: Option<Disc>,
    tray: Tray,
    audio: Audio,
    /// The block read or played last.
    head: u32,
    pages: Pages,
    remembered: [Remembered; 2],
    reserved_by: Option<Initiator>,
    /// Time of the drive's own clock.
    clock: Duration,
}

impl CdRom {
    /// A drive that was just switched on, sound or with one defect.
    #[must_use]
    pub fn new(model: CdModel, defect: Option<CdDefect>) -> Self {
        let mut drive = Self {
            commands: model.commands,
            defect,
            disc: model.disc.unwrap_or(Disc::Data),
            disc_before: None,
            tray: if model.disc.is_some() { Tray::Ready } else { Tray::Out },
            audio: Audio::None,
            head: 0,
            pages: Pages::new(defect),
            remembered: [Remembered::default(); 2],
            reserved_by: None,
            clock: Duration::ZERO,
        };
        drive.reset();
        drive
    }

    fn has(&self, defect: CdDefect) -> bool {
        self.defect == Some(defect)
    }

    /// Power off and on, or a hard reset (6.2.2.1): the same to a drive that keeps nothing. A tray that is out stays so.
    pub fn reset(&mut self) {
        if !self.has(CdDefect::ResetKeepsModes) {
            self.pages = Pages::new(self.defect);
        }
        self.remembered = [Remembered::default(); 2];
        if !self.has(CdDefect::ReserveOutlivesReset) {
            self.reserved_by = None;
        }
        if !self.has(CdDefect::ResetKeepsPlay) {
            (self.audio, self.head) = (Audio::None, 0);
        }
        if self.tray == Tray::Stopped {
            self.tray = Tray::Ready;
        }
        self.attend_all(Sense::RESET);
    }

    /// The other disc is put in by hand.
    pub fn change_medium(&mut self) {
        self.disc_before = Some(self.disc);
        self.disc = self.disc.other();
        self.audio = Audio::None;
        self.disc_came();
        if self.has(CdDefect::ChangeToOne) {
            self.kept(Initiator::B).attention = None;
        }
    }

    fn disc_came(&mut self) {
        (self.tray, self.head) = (Tray::Ready, 0);
        if !self.has(CdDefect::ChangeSilent) {
            self.attend_all(Sense::MEDIUM_CHANGED);
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

    /// Carries out one command: `out` is what the initiator has to send, `expected` how many bytes it can take.
    pub fn execute(&mut self, nexus: Nexus, cdb: &[u8], out: &[u8], expected: usize) -> Response {
        let before = self.clock;
        self.clock += COMMAND_TIME;
        self.follow_play();
        let task = Task { initiator: nexus.initiator, cdb, out };
        // Sense lasts until the next command of the same initiator (7.6).
        if task.opcode() != REQUEST_SENSE {
            self.kept(nexus.initiator).sense = None;
        }
        let (status, sent) = match self.run(nexus, &task) {
            Ok(data) => (Some(0x00), data.bytes),
            Err(Refusal::Sense(sense)) => {
                self.kept(nexus.initiator).sense = Some(sense);
                (Some(0x02), Vec::new())
            }
            Err(Refusal::Busy) => (Some(0x08), Vec::new()),
            Err(Refusal::ReservationConflict) => (Some(0x18), Vec::new()),
            Err(Refusal::Silence) => (None, Vec::new()),
        };
        Response::seen(status, sent, out, expected, self.clock.saturating_sub(before))
    }

    /// What every command goes through before it is carried out, in this order: the logical unit it is for, unit attention,
    /// opcode, reserved bits, reservation, readiness.
    fn run(&mut self, nexus: Nexus, task: &Task<'_>) -> Reply {
        // Without IDENTIFY the LUN of the command counts (7.2.2).
        let lun = nexus.identify.unwrap_or(task.byte(1) >> 5);
        if lun != 0 && !(lun == 2 && self.has(CdDefect::LunTwo)) {
            return self.absent(task);
        }
        let passes = matches!(task.opcode(), INQUIRY | REQUEST_SENSE);
        if !passes && let Some(attention) = self.kept(task.initiator).attention.take() {
            return Err(attention.into());
        }
        let Some(row) = command::find(task.opcode(), self.commands) else { return self.unknown(task) };
        let clause_14 = matches!(task.opcode(), 0x42..=0x4b) && self.has(CdDefect::ReservedIgnored);
        row.check_bits(task, |_| clause_14, if clause_14 { 0x3c } else { 0x00 })?;
        self.admit(row.access, task)?;
        (row.run)(self, task)
    }

    /// An opcode that is not this device type's, or that is optional and left out (7.5.3).
    fn unknown(&mut self, task: &Task<'_>) -> Reply {
        match task.opcode() {
            0x2a if self.has(CdDefect::WriteTaken) => crate::target::nothing(),
            _ => Err(Sense::OPCODE.into()),
        }
    }
}
