//! The unit: who it is, its sense, tray and spindle, removal, reservation (7.5.3, 8.2, 9.2.4, 9.2.11, 9.2.12, 9.2.17).

use super::audio::Audio;
use super::{CdDefect, CdRom, Tray};
use crate::target::command::{Access, INQUIRY, REQUEST_SENSE, Task};
use crate::target::sense::Sense;
use crate::target::{Initiator, Refusal, Reply, data, nothing};

/// Peripheral device type (8.2.5.1, table 47).
const CD_ROM: u8 = 0x05;
/// Qualifier 011b and type 1Fh: no logical unit can be here.
const NO_UNIT: u8 = 0x7f;
const REMOVABLE: u8 = 0x80;
/// Bytes of INQUIRY data behind the additional length.
const ADDITIONAL: u8 = 31;

/// At most as much as the allocation length allows (7.2.6).
pub(super) fn cut(mut bytes: Vec<u8>, allocation: impl Into<usize>) -> Reply {
    bytes.truncate(allocation.into());
    data(bytes)
}

impl CdRom {
    /// An absent logical unit tells INQUIRY and REQUEST SENSE so, and refuses the rest (7.5.3).
    pub(super) fn absent(&self, task: &Task<'_>) -> Reply {
        let told_nothing = self.has(CdDefect::LunSense);
        match task.opcode() {
            INQUIRY => cut(Self::standard(NO_UNIT), task.byte(4)),
            REQUEST_SENSE if told_nothing => cut(Sense::NONE.bytes(None), task.byte(4)),
            REQUEST_SENSE => cut(Sense::LUN.bytes(None), task.byte(4)),
            _ => Err(Sense::LUN.into()),
        }
    }

    fn standard(qualifier_and_type: u8) -> Vec<u8> {
        let mut bytes = vec![qualifier_and_type, REMOVABLE, 2, 2, ADDITIONAL, 0, 0, 0];
        bytes.extend(b"SLOTWISECDROM           0001");
        bytes
    }

    /// Whether a command can go on: not against a reservation, and not without a disc that turns where it needs one.
    pub(super) fn admit(&mut self, access: Access, task: &Task<'_>) -> Result<(), Refusal> {
        let foreign = self.reserved_by.is_some_and(|holder| holder != task.initiator);
        let allows = task.opcode() == 0x1e && !task.bit(4, 0);
        let foreign = foreign && !self.has(CdDefect::ReserveIgnored);
        if foreign && !allows && (access != Access::Always || task.opcode() == 0x1e) {
            return Err(Refusal::ReservationConflict);
        }
        if access == Access::Medium { self.ready(task) } else { Ok(()) }
    }

    fn ready(&self, task: &Task<'_>) -> Result<(), Refusal> {
        match self.tray {
            Tray::Ready => Ok(()),
            Tray::Stopped if self.has(CdDefect::StoppedReadable) && task.opcode() != 0x00 => Ok(()),
            Tray::Stopped => Err(Sense::STOPPED.into()),
            Tray::Out if self.has(CdDefect::ReadyEmpty) && task.opcode() == 0x00 => Ok(()),
            Tray::Out if self.has(CdDefect::EmptyCapacity) && task.opcode() == 0x25 => Ok(()),
            Tray::Out if self.has(CdDefect::EmptyCode) => Err(Sense::STOPPED.into()),
            Tray::Out => Err(Sense::NO_MEDIUM.into()),
        }
    }

    pub(super) fn test_unit_ready(&mut self, _: &Task<'_>) -> Reply {
        if matches!(self.audio, Audio::Playing(_)) && self.has(CdDefect::ReadyPlaying) {
            return Err(Sense::BECOMING_READY.into());
        }
        nothing()
    }

    /// Standard data; vital product data there are none.
    pub(super) fn inquiry(&mut self, task: &Task<'_>) -> Reply {
        if task.bit(1, 0) {
            return Err(Sense::field(1).into());
        }
        if task.byte(2) != 0 {
            return Err(Sense::field(2).into());
        }
        if matches!(self.audio, Audio::Playing(_)) && self.has(CdDefect::InquiryPlaying) {
            return Err(Refusal::Busy);
        }
        if self.has(CdDefect::AttentionInquiry) {
            self.kept(task.initiator).attention = None;
        }
        let mut bytes = Self::standard(CD_ROM);
        if let (Some(medium), true) = (bytes.get_mut(1), self.has(CdDefect::InquiryFixed)) {
            *medium &= !REMOVABLE;
        }
        cut(bytes, task.byte(4))
    }

    /// Sense of the last error; without one, what the drive plays (8.2.14.3: codes 00h/11h to 00h/13h are this device type's).
    pub(super) fn request_sense(&mut self, task: &Task<'_>) -> Reply {
        let playing = match self.audio {
            Audio::Playing(_) if self.has(CdDefect::SensePlaying) => Sense::BECOMING_READY,
            Audio::Playing(_) => Sense::new(0, 0, 0x11),
            Audio::Paused(_) => Sense::new(0, 0, 0x12),
            Audio::None | Audio::Completed => Sense::NONE,
        };
        let sense = self.kept(task.initiator).sense.take();
        if self.has(CdDefect::SenseKept) {
            self.kept(task.initiator).sense = sense;
        }
        let sense = sense.unwrap_or(playing);
        cut(sense.bytes(None), task.byte(4))
    }

    /// The default self-test finds nothing; other tests there are none (8.2.15).
    pub(super) fn send_diagnostic(&mut self, task: &Task<'_>) -> Reply {
        if task.byte(1) & 0x13 != 0 {
            return Err(Sense::field(1).into());
        }
        if task.be16(3) != 0 {
            return Err(Sense::field(3).into());
        }
        nothing()
    }

    pub(super) fn start_stop_unit(&mut self, task: &Task<'_>) -> Reply {
        if self.has(CdDefect::SelectForgotten) {
            self.pages.restore(0x0d);
        }
        if !task.bit(4, 0) && !task.bit(4, 1) && self.has(CdDefect::PreventEndsByStop) {
            self.remembered.iter_mut().for_each(|kept| kept.prevents_removal = false);
        }
        match (task.bit(4, 1), task.bit(4, 0)) {
            (true, true) if self.tray == Tray::Out => {
                self.disc_came();
                if self.has(CdDefect::LoadStopped) {
                    self.tray = Tray::Stopped;
                }
                if self.has(CdDefect::LoadSilent) {
                    self.remembered.iter_mut().for_each(|kept| kept.attention = None);
                }
            }
            (_, true) if self.tray == Tray::Out => return Err(Sense::NO_MEDIUM.into()),
            (_, true) => self.tray = Tray::Ready,
            (true, false) => {
                let prevented = self.remembered.iter().any(|kept| kept.prevents_removal);
                if prevented && !self.has(CdDefect::EjectPrevented) {
                    return Err(Sense::PREVENTED.into());
                }
                self.tray = Tray::Out;
                if !self.has(CdDefect::EjectKeepsPlay) {
                    self.audio = Audio::None;
                }
            }
            (false, false) if self.tray == Tray::Out => return Err(Sense::NO_MEDIUM.into()),
            (false, false) if self.has(CdDefect::StopKeepsPlay) => self.tray = Tray::Stopped,
            (false, false) => (self.tray, self.audio) = (Tray::Stopped, Audio::None),
        }
        nothing()
    }

    pub(super) fn prevent_allow(&mut self, task: &Task<'_>) -> Reply {
        let stays = self.kept(task.initiator).prevents_removal && self.has(CdDefect::AllowIgnored);
        self.kept(task.initiator).prevents_removal = task.bit(4, 0) || stays;
        if !task.bit(4, 0) && self.has(CdDefect::PreventShared) {
            self.kept(task.initiator.other()).prevents_removal = false;
        }
        nothing()
    }

    /// The whole unit; extents and third parties are optional, and refused (9.2.12).
    pub(super) fn reserve(&mut self, task: &Task<'_>) -> Reply {
        if task.byte(1) & 0x11 != 0 {
            return Err(Sense::field(1).into());
        }
        self.reserved_by = Some(task.initiator);
        nothing()
    }

    /// What another holds stays, and that is no error (9.2.11).
    pub(super) fn release(&mut self, task: &Task<'_>) -> Reply {
        if task.byte(1) & 0x11 != 0 {
            return Err(Sense::field(1).into());
        }
        if self.has(CdDefect::ReleaseKeeps) {
            return nothing();
        }
        let own = |holder: Initiator| holder == task.initiator;
        if self.reserved_by.is_some_and(own) || self.has(CdDefect::ReleaseByOther) {
            self.reserved_by = None;
        }
        nothing()
    }
}
