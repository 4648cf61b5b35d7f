//! Mode parameters: MODE SENSE and MODE SELECT in both forms (8.2.8 to 8.2.11, 8.3.3, 9.3.3).

mod pages;
mod select;

pub(super) use pages::Pages;

use std::time::Duration;

use super::command::Task;
use super::defect::Defect;
use super::sense::Sense;
use super::{BLOCK_BYTES, Initiator, Protection, Refusal, Reply, Target, data};
use pages::Values;

/// All pages there are.
pub(crate) const ALL_PAGES: u8 = 0x3f;
/// DPO and FUA are understood (9.3.3, device-specific parameter).
const DPOFUA: u8 = 0x10;
const WRITE_PROTECTED: u8 = 0x80;
/// Bytes of a block descriptor.
pub(crate) const DESCRIPTOR: usize = 8;

/// Which form of a command: it decides header and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Six,
    Ten,
}

impl Form {
    pub(crate) const fn header(self) -> usize {
        match self {
            Self::Six => 4,
            Self::Ten => 8,
        }
    }
}

impl Target {
    pub(super) fn mode_sense_6(&mut self, task: &Task<'_>) -> Reply {
        self.mode_sense(task, Form::Six, task.byte(4).into())
    }

    pub(super) fn mode_sense_10(&mut self, task: &Task<'_>) -> Reply {
        let allocation = if self.has(Defect::Mode10HighByte) { task.byte(8).into() } else { task.be16(7) };
        self.mode_sense(task, Form::Ten, allocation.into())
    }

    fn mode_sense(&mut self, task: &Task<'_>, form: Form, allocation: usize) -> Reply {
        if self.hangs_or_waits(task, form, allocation) {
            return Err(Refusal::Silence);
        }
        self.traces.has_sensed = true;
        if self.has(Defect::AttentionByModeSense) {
            self.kept(task.initiator.other()).attention = Some(Sense::MODE_CHANGED);
        }
        let stuck = std::mem::replace(&mut self.traces.sensed_changeable, task.byte(2) >> 6 == 1)
            && task.byte(2) >> 6 == 0;
        let values = match task.byte(2) >> 6 {
            0 if stuck && self.has(Defect::ModeControlSticks) => Values::Changeable,
            0 if task.initiator == Initiator::B && self.has(Defect::ModeSecondDefault) => Values::Default,
            0 => Values::Current,
            1 => Values::Changeable,
            2 => Values::Default,
            _ if task.initiator == Initiator::B && self.has(Defect::ModeSavedSecond) => Values::Default,
            _ => Values::Saved,
        };
        if values == Values::Saved && self.has(Defect::ModeSavedRefused) {
            return Err(Sense::field(2).into());
        }
        if allocation < 192 && task.byte(2) & 0x3f == ALL_PAGES && self.has(Defect::ModeAllNeeds192) {
            return Err(Sense::field(4).into());
        }
        if form == Form::Ten && allocation < form.header() && self.has(Defect::Mode10ShortRefused) {
            return Err(Sense::field(7).into());
        }
        let allocation = match allocation {
            128.. if form == Form::Six && self.has(Defect::ModeSignedLength) => 0,
            allocation => allocation,
        };
        let mask = if self.has(Defect::ModeControlInCode) { 0xff } else { 0x3f };
        let pages = match task.byte(2) & mask {
            ALL_PAGES if form == Form::Six && self.has(Defect::Mode6AllCut) => {
                let mut all = self.pages.all(values);
                all.truncate(all.len().saturating_sub(8));
                all
            }
            ALL_PAGES if self.has(Defect::ModeAllCurrent) => self.pages.all(Values::Current),
            ALL_PAGES if values == Values::Default && self.has(Defect::ModeAllDefaultSaved) => {
                self.pages.all(Values::Saved)
            }
            ALL_PAGES => self.pages.all(values),
            code if self.has(Defect::ModeCodeFourBits) => {
                self.pages.one(code & 0x0f, values).ok_or(Sense::field(2))?
            }
            code => match self.pages.one(code, values) {
                Some(page) => page,
                None if self.has(Defect::ModeUnknownAnswered) => Vec::new(),
                None => return Err(Sense::field(2).into()),
            },
        };
        let dbd = task.bit(1, 3);
        if dbd && self.has(Defect::ModeDbdRefused) {
            return Err(Sense::field(1).into());
        }
        let ignored = form == Form::Ten && self.has(Defect::Mode10DbdIgnored)
            || task.byte(2) & 0x3f == ALL_PAGES && self.has(Defect::ModeAllDbdIgnored);
        let without = dbd && !ignored && !self.has(Defect::ModeDbdIgnored);
        let descriptor = if without { Vec::new() } else { self.descriptor(values, form) };
        let stale = descriptor.is_empty() && self.has(Defect::ModeDescriptorStale);
        let told = if stale { DESCRIPTOR } else { descriptor.len() };
        let mut bytes = self.mode_header(form, told, descriptor.len() + pages.len());
        if let Some(length) = bytes.first_mut()
            && form == Form::Six
            && self.has(Defect::ModeLengthCut)
        {
            *length = (*length).min(u8::try_from(allocation).unwrap_or(u8::MAX).saturating_sub(1));
        }
        if values != Values::Changeable || !self.has(Defect::ModeMaskDescriptorLost) {
            bytes.extend(descriptor);
        }
        bytes.extend(pages);
        if bytes.len() > allocation && self.has(Defect::ModeShortRefused) {
            return Err(Sense::field(4).into());
        }
        if self.has(Defect::ModePadded) {
            bytes.resize(allocation, 0);
        }
        bytes.truncate(allocation);
        data(bytes)
    }

    /// Whether it never answers, or late: a sound firmware does neither.
    fn hangs_or_waits(&mut self, task: &Task<'_>, form: Form, allocation: usize) -> bool {
        if form == Form::Ten && self.has(Defect::ModeSenseSlow) {
            self.clock += Duration::from_secs(15);
        }
        task.byte(2) == 0x48 && self.has(Defect::ModePage8Hangs)
            || allocation == 0 && self.has(Defect::ModeZeroHangs)
    }

    fn mode_header(&self, form: Form, descriptors: usize, behind: usize) -> Vec<u8> {
        let protected = self.medium.protection == Protection::On && !self.has(Defect::ModeProtectMissing);
        let protected = protected && (form == Form::Six || !self.has(Defect::ModeProtectSix));
        let stale = self.traces.was_protected && self.has(Defect::ModeProtectStale);
        let dpofua = if self.has(Defect::ModeDpoFuaMissing) { 0 } else { DPOFUA };
        let specific = dpofua | if protected || stale { WRITE_PROTECTED } else { 0 };
        let small = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        let form = if self.has(Defect::Mode10ShortHeader) { Form::Six } else { form };
        match form {
            Form::Six => {
                let short = usize::from(self.has(Defect::ModeLengthShort));
                vec![small(behind + 3 - short), 0, specific, small(descriptors)]
            }
            Form::Ten => {
                let high = usize::from(self.has(Defect::Mode10LengthHigh));
                let reserved = u8::from(self.has(Defect::Mode10ReservedSet));
                let length = u16::try_from(behind + 6 + high).unwrap_or(u16::MAX).to_be_bytes();
                let mut header = vec![length[0], length[1], 0, specific, reserved, 0, 0, small(descriptors)];
                if self.has(Defect::Mode10DescriptorHigh) {
                    header.swap(6, 7);
                }
                header
            }
        }
    }

    /// Density, number of blocks (0 where it needs more than 24 bits), block length.
    fn descriptor(&self, values: Values, form: Form) -> Vec<u8> {
        if values == Values::Changeable {
            return vec![0; DESCRIPTOR];
        }
        let count = if self.has(Defect::ModeBlocksWrong) { self.medium.last() } else { self.medium.blocks };
        let count = if form == Form::Ten && self.has(Defect::Mode10BlockCount) { 0 } else { count };
        let blocks = if count > 0x00ff_ffff { 0 } else { count };
        if self.memory.device_reset && self.has(Defect::ModeLengthAfterReset) {
            return vec![0; DESCRIPTOR];
        }
        let shift = if self.has(Defect::ModeBlockLengthWrong) { 8 } else { 0 };
        let length = u32::try_from(BLOCK_BYTES).unwrap_or(0) << shift;
        [blocks.to_be_bytes(), length.to_be_bytes()].concat()
    }
}
