//! INQUIRY with vital product data (8.2.5, 8.3.4), TEST UNIT READY and REQUEST SENSE (8.2.14, 8.2.16).

use super::command::Task;
use super::defect::Defect;
use super::sense::{SENSE_BYTES, Sense};
use super::unit::Spindle;
use super::{Initiator, MediumKind, Refusal, Reply, Target, data, nothing};

/// Peripheral qualifier 011b and type 1Fh: no logical unit can be here (8.2.5.1, table 46).
const NO_UNIT: u8 = 0x7f;
const SERIAL: &[u8; 8] = b"L0000001";
/// Bytes of standard data behind the additional length.
const ADDITIONAL: u8 = 31;

fn small(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

impl Target {
    pub(super) fn test_unit_ready(&mut self, task: &Task<'_>) -> Reply {
        if self.has(Defect::ReadyEndsPrevent) {
            self.kept(task.initiator).prevents_removal = false;
        }
        nothing()
    }

    fn standard(&self, qualifier_and_type: u8) -> Vec<u8> {
        let removable = self.model.medium == MediumKind::Removable && !self.has(Defect::InquiryRemovableLost);
        let version = if self.has(Defect::InquiryVersion) { 1 } else { 2 };
        let additional = if self.has(Defect::InquiryLengthWrong) { ADDITIONAL + 5 } else { ADDITIONAL };
        let reserved = u8::from(self.has(Defect::InquiryReservedSet));
        let linked = u8::from(self.has(Defect::InquiryLinkedClaimed)) << 3;
        let relative = u8::from(self.has(Defect::InquiryRelativeClaimed)) << 7;
        let format = if self.has(Defect::InquiryFormatOne) { 1 } else { 2 };
        let mut bytes = vec![
            qualifier_and_type,
            u8::from(removable) << 7,
            version,
            format,
            additional,
            reserved,
            0,
            linked | relative,
        ];
        let fill = if self.has(Defect::InquiryNulText) { 0 } else { b' ' };
        let unstable = self.has(Defect::InquiryUnstable) && self.commands > 50;
        let revision = if unstable { b"0002" } else { b"0001" };
        for (text, width) in [(b"SLOTWISE".as_slice(), 8), (b"TARGET", 16), (revision, 4)] {
            let end = bytes.len() + width;
            if self.has(Defect::InquiryRightAligned) {
                bytes.resize(end - text.len(), fill);
            }
            bytes.extend(text);
            bytes.resize(end, fill);
            if let Some(last) = bytes.last_mut()
                && width == 16
                && self.has(Defect::InquiryControlChar)
            {
                *last = 0x01;
            }
        }
        bytes
    }

    pub(super) fn absent_inquiry(&self, task: &Task<'_>) -> Reply {
        let unit = if self.has(Defect::InquiryAbsentType) { NO_UNIT & 0xe0 } else { NO_UNIT };
        data(self.cut_inquiry(self.standard(unit), task))
    }

    fn cut_inquiry(&self, mut bytes: Vec<u8>, task: &Task<'_>) -> Vec<u8> {
        let wide = self.has(Defect::InquiryWideLength);
        let allocation = if wide { usize::from(task.be16(3)) } else { usize::from(task.byte(4)) };
        if self.has(Defect::InquiryPadded) || (wide && allocation > 255) {
            bytes.resize(allocation, 0);
        }
        let serial = task.bit(1, 0) && task.byte(2) == 0x80 && self.has(Defect::VpdSerialWhole);
        let allocation = match allocation {
            5 if self.has(Defect::InquiryOf5) => 4,
            128.. if self.has(Defect::InquirySignedLength) => 0,
            36.. if task.initiator == Initiator::B && self.has(Defect::InquirySecondShort) => 32,
            _ => allocation,
        };
        let more = usize::from(allocation > 0 && self.has(Defect::InquiryOverrun));
        if !serial {
            bytes.truncate(allocation + more);
        }
        bytes
    }

    pub(super) fn inquiry(&mut self, task: &Task<'_>) -> Reply {
        if std::mem::take(&mut self.traces.just_reset) && self.has(Defect::InquiryHangsAfterReset) {
            return Err(Refusal::Silence);
        }
        let own_page = task.bit(1, 0);
        let after_page = std::mem::replace(&mut self.traces.inquired_page, own_page) && !own_page;
        if own_page && (1..4).contains(&task.byte(4)) && self.has(Defect::VpdShortRefused)
            || task.byte(4) == 0 && self.has(Defect::InquiryZeroRefused)
        {
            return Err(Sense::field(4).into());
        }
        if task.byte(4) > 36 && self.has(Defect::InquiryOver36Hangs) {
            return Err(Refusal::Silence);
        }
        if std::mem::take(&mut self.traces.inquired_absent) && self.has(Defect::InquiryAfterAbsent) {
            return self.absent_inquiry(task);
        }
        if self.has(Defect::InquiryNeedsReady)
            || matches!(self.spindle, Spindle::Formatting(..)) && self.has(Defect::InquiryFormatting)
            || task.byte(2) == 0x80 && self.formatting().is_some() && self.has(Defect::VpdFormattingRefused)
        {
            self.ready(task)?;
        }
        if !task.bit(1, 0) {
            if task.byte(2) != 0 && !self.has(Defect::InquiryPageIgnored) {
                return Err(Sense::field(2).into());
            }
            let stopped = self.spindle == Spindle::Stopped && self.has(Defect::InquiryStoppedQualifier);
            let kind = if self.has(Defect::InquiryType) { 0x07 } else { 0x00 };
            let mut bytes = self.standard(if stopped { 0x20 } else { kind });
            if after_page && self.has(Defect::InquiryAfterVpd) {
                bytes.truncate(4 + SERIAL.len());
            }
            let allocation = task.byte(4);
            if let Some(length) = bytes.get_mut(4)
                && self.has(Defect::InquiryLengthCut)
            {
                *length = (*length).min(allocation.saturating_sub(5));
            }
            return data(self.cut_inquiry(bytes, task));
        }
        let body = match task.byte(2) {
            0x80 if self.spindle == Spindle::Stopped && self.has(Defect::VpdAfterStop) => {
                return Err(Sense::STOPPED.into());
            }
            0x00 if self.has(Defect::VpdUnordered) => vec![0x80, 0x00],
            0x00 if self.has(Defect::VpdListShort) => vec![0x80],
            0x00 => vec![0x00, 0x80],
            0x80 => {
                let mut serial = SERIAL.to_vec();
                if self.has(Defect::SerialUnstable) {
                    serial.pop();
                    serial.push(b'1'.wrapping_add(self.resets % 8));
                }
                serial
            }
            _ if self.has(Defect::VpdUnlistedAnswered) => Vec::new(),
            _ => return Err(Sense::field(2).into()),
        };
        let removable =
            self.model.medium == MediumKind::Removable && self.has(Defect::InquiryRemovableInPage);
        let code = if self.has(Defect::VpdCodeMissing) { 0 } else { task.byte(2) };
        let length = match self.defect {
            Some(Defect::VpdLengthWrong) => small(body.len() + 4),
            Some(Defect::VpdLengthCut) => small(body.len()).min(task.byte(4).saturating_sub(4)),
            _ => small(body.len()),
        };
        let swapped = task.byte(2) == 0x80 && self.has(Defect::VpdLengthHigh);
        let (high, length) = if swapped { (length, 0) } else { (0, length) };
        let kind = if self.has(Defect::VpdTypeWrong) { 0x05 } else { 0 };
        let mut page = vec![kind, code ^ u8::from(removable) << 7, high, length];
        page.extend(body);
        data(self.cut_inquiry(page, task))
    }

    /// Sense of the last error; without one a pending unit attention, which is not cleared by this (7.9 leaves both to
    /// the target: sense first or attention first); without that either, what the unit is busy with.
    pub(super) fn request_sense(&mut self, task: &Task<'_>) -> Reply {
        if self.has(Defect::SenseRefusedIfShort) && task.byte(4) < SENSE_BYTES && task.byte(4) != 0 {
            return Err(Sense::field(4).into());
        }
        if task.byte(4) > SENSE_BYTES && self.has(Defect::SenseOver18Hangs) {
            return Err(Refusal::Silence);
        }
        let kept = self.kept(task.initiator);
        let sense = kept.sense.take();
        let sense = match sense {
            Some(sense) => sense,
            None if self.has(Defect::SenseToldAgain) && self.traces.told.is_some() => {
                self.traces.told.take().unwrap_or(Sense::NONE)
            }
            None if self.hides_progress(task.initiator) => Sense::NONE,
            None => self.formatting().unwrap_or(Sense::NONE),
        };
        if self.has(Defect::SenseReadTwice)
            || task.initiator == Initiator::B && self.has(Defect::SenseReadTwiceSecond)
        {
            self.kept(task.initiator).sense = Some(sense);
        }
        if self.has(Defect::SenseCodeStays) {
            self.kept(task.initiator).sense = Some(sense.with_key(0));
        }
        if task.byte(4) < SENSE_BYTES && self.has(Defect::SenseKeptIfCut) {
            self.kept(task.initiator).sense = Some(sense);
        }
        self.sense_data(sense, task)
    }

    pub(super) fn sense_data(&self, sense: Sense, task: &Task<'_>) -> Reply {
        let mut bytes = sense.bytes(self.defect);
        let allocation = match task.byte(4) {
            0 if self.has(Defect::SenseZeroIsFour) => 4,
            1..4 if self.has(Defect::SenseAtLeastFour) => 4,
            16 | 17 if self.has(Defect::SenseOf16) => SENSE_BYTES,
            8 if self.has(Defect::SenseOfEight) => SENSE_BYTES,
            allocation => allocation,
        };
        if let Some(length) = bytes.get_mut(7)
            && self.has(Defect::SenseLengthCut)
        {
            *length = (*length).min(allocation.saturating_sub(8));
        }
        if self.has(Defect::SensePadded) {
            bytes.resize(allocation.into(), 0);
        }
        if !self.has(Defect::SenseWhole) {
            bytes.truncate(allocation.into());
        }
        if let ([.., qualifier], true) =
            (bytes.as_mut_slice(), allocation == 14 && self.has(Defect::SenseLength14))
        {
            *qualifier = 0;
        }
        data(bytes)
    }
}
