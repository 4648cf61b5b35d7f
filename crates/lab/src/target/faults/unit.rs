//! Defects of the unit's state and of what it tells of itself: reserved, stopped, formatted, prevented.

use std::time::Duration;

use super::Defect;
use crate::target::command::{self, Task};
use crate::target::sense::Sense;
use crate::target::unit::Spindle;
use crate::target::{Data, Initiator, Reply, Target, nothing};

impl Target {
    pub(super) fn instead_of_unit(&mut self, task: &Task<'_>) -> Option<Reply> {
        let stopped = self.spindle == Spindle::Stopped;
        let opcode = task.opcode();
        let selects = matches!(opcode, 0x15 | 0x55);
        let stops = opcode == 0x1b && task.byte(4) == 0;
        let foreign = self.reserved_by.is_some_and(|holder| holder != task.initiator);
        match self.defect? {
            Defect::ReserveEndsByInquiry if opcode == command::INQUIRY && foreign => {
                self.reserved_by = None;
                None
            }
            Defect::EjectEmptyHangs if opcode == 0x1b && task.byte(4) == 2 && !self.medium.present => {
                Self::hung()
            }
            Defect::StopFlushesFirst if stops => {
                self.medium.flush_first(1);
                self.medium.lose_cache();
                None
            }
            Defect::StopAmidStart
                if stops && matches!(self.spindle, Spindle::Starting(until) if self.clock < until) =>
            {
                Some(nothing())
            }
            Defect::ReserveStoppedRefused if opcode == 0x16 && stopped => Some(Err(Sense::STOPPED.into())),
            Defect::SelectStoppedLost if selects && stopped => Some(nothing()),
            Defect::FormatAgainHangs if opcode == 0x04 && self.memory.formats > 0 => Self::hung(),
            Defect::VpdSlow if opcode == command::INQUIRY && task.byte(2) == 0x80 => {
                self.clock += Duration::from_secs(20);
                None
            }
            Defect::ModeSenseAfterError
                if matches!(opcode, 0x1a | 0x5a) && self.traces.after_error && task.byte(2) >> 6 == 0 =>
            {
                let mut block = task.cdb.to_vec();
                block.get_mut(2).map(|page| *page |= 0x80)?;
                let task = Task { cdb: &block, ..*task };
                Some(if opcode == 0x1a { self.mode_sense_6(&task) } else { self.mode_sense_10(&task) })
            }
            _ => None,
        }
    }

    pub(super) fn spoiled_unit(&mut self, task: &Task<'_>, mut data: Data) -> Reply {
        let opcode = task.opcode();
        let standard = opcode == command::INQUIRY && !task.bit(1, 0);
        let starts = opcode == 0x1b && task.byte(4) == 1 && self.memory.was_stopped;
        let foreign = self.reserved_by.is_some_and(|holder| holder != task.initiator);
        if starts {
            (self.memory.unwritten_since_start, self.memory.unread_since_start) = (true, true);
        }
        if opcode == 0x16 {
            self.memory.unwritten_since_reserve = true;
        }
        self.memory.formats += u32::from(opcode == 0x04);
        match self.defect {
            Some(Defect::AttentionByStart) if starts => self.attend_all(Sense::MEDIUM_CHANGED),
            Some(Defect::InquiryOtherReserved) if standard && foreign => {
                if let Some(kind) = data.bytes.first_mut() {
                    *kind |= 0x20;
                }
            }
            Some(Defect::InquiryAencSet) if standard => {
                if let Some(format) = data.bytes.get_mut(3) {
                    *format |= 0x80;
                }
            }
            Some(Defect::PreventEndsBySelect) if matches!(opcode, 0x15 | 0x55) => {
                self.kept(task.initiator).prevents_removal = false;
            }
            Some(Defect::PreventStoppedIgnored) if opcode == 0x1e && self.memory.was_stopped => {
                self.kept(task.initiator).prevents_removal = false;
            }
            Some(Defect::FormatLosesSaved) if opcode == 0x04 => self.pages.lose_all_saved(),
            Some(Defect::CapacityAfterDeviceReset) if opcode == 0x25 && self.memory.device_reset => {
                one_less(&mut data);
            }
            Some(Defect::CapacitySecondShort) if opcode == 0x25 && task.initiator == Initiator::B => {
                one_less(&mut data);
            }
            _ => {}
        }
        Ok(data)
    }
}

/// Tells one block less.
fn one_less(data: &mut Data) {
    if let Some((last, _)) = data.bytes.split_first_chunk_mut::<4>() {
        *last = u32::from_be_bytes(*last).saturating_sub(1).to_be_bytes();
    }
}
