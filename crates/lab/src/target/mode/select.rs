//! MODE SELECT: a list is checked whole before any of it takes effect (8.2.8).

use super::pages::PageFault;
use super::{DESCRIPTOR, Form};
use crate::target::command::Task;
use crate::target::defect::Defect;
use crate::target::sense::Sense;
use crate::target::{BLOCK_BYTES, Initiator, Protection, Refusal, Reply, Target, nothing};

/// A page of a list: its code, and what stands behind its length.
type NewPage = (u8, Vec<u8>);

impl Target {
    pub(in crate::target) fn mode_select_6(&mut self, task: &Task<'_>) -> Reply {
        self.mode_select(task, Form::Six, task.byte(4).into())
    }

    pub(in crate::target) fn mode_select_10(&mut self, task: &Task<'_>) -> Reply {
        let form = if self.has(Defect::Select10ShortHeader) { Form::Six } else { Form::Ten };
        let length = if self.has(Defect::Select10LowLength) { task.byte(8).into() } else { task.be16(7) };
        self.mode_select(task, form, length.into())
    }

    fn mode_select(&mut self, task: &Task<'_>, form: Form, length: usize) -> Reply {
        if self.has(Defect::SelectRefused) {
            return Err(Sense::OPCODE.into());
        }
        if self.medium.protection == Protection::On && self.has(Defect::ProtectSelectRefused) {
            return Err(Sense::PROTECTED.into());
        }
        if length == 0 {
            if self.has(Defect::SelectZeroRefused) {
                return Err(Sense::LIST_LENGTH.into());
            }
            return nothing();
        }
        let list = task.data_out(length);
        let mut pages = Vec::new();
        let checked = self.read_list(&list, form, &mut pages);
        if checked.is_err() && self.has(Defect::AttentionModeFailed) {
            self.tell_mode_changed(task);
        }
        if checked.is_err()
            && let [(code, new), _] = pages.as_slice()
            && self.has(Defect::SelectThirdAtomic)
        {
            self.pages.set(*code, new);
        }
        if checked.is_err() && !self.has(Defect::SelectNotAtomic) {
            checked?;
        }
        let had_cache = self.pages.write_cache();
        self.traces.selects += 1;
        let ignored = self.traces.selects.is_multiple_of(16) && self.has(Defect::SelectSixteenth)
            || task.initiator == Initiator::B && self.has(Defect::SelectSecondInitiator)
            || self.reserved_by.is_some() && self.has(Defect::SelectReservedLost)
            || self.traces.after_error && self.has(Defect::SelectAfterError);
        if !ignored && !self.has(Defect::SelectIgnored) {
            let taken = if self.has(Defect::SelectFirstOnly) { 1 } else { pages.len() };
            let passed = if self.has(Defect::SelectLastOnly) { pages.len().saturating_sub(1) } else { 0 };
            for (at, (code, new)) in pages.iter().enumerate().take(taken).skip(passed) {
                let again = pages.iter().take(at).any(|(before, _)| before == code);
                let saves = task.bit(1, 0) && self.has(Defect::SelectSavesUnset);
                if !(saves || again && self.has(Defect::SelectSecondOfPage)) {
                    self.pages.set(*code, new);
                }
            }
        }
        checked?;
        if had_cache && !self.pages.write_cache() && self.has(Defect::CacheOffDrops) {
            self.medium.lose_cache();
        }
        self.traces.described |= list.get(if form == Form::Six { 3 } else { 7 }) == Some(&8);
        let unsaved = form == Form::Ten && self.has(Defect::Select10SavesNothing)
            || task.initiator == Initiator::B && self.has(Defect::SelectSecondUnsaved)
            || self.memory.has_formatted && self.has(Defect::FormatUnsavable)
            || list.get(if form == Form::Six { 3 } else { 7 }) == Some(&8)
                && self.has(Defect::SelectDescriptorUnsaved);
        if task.bit(1, 0) && !unsaved && !self.has(Defect::SelectSavesNothing) {
            let most = match self.defect {
                Some(Defect::SelectSavesFirst) => 1,
                Some(Defect::SelectThirdUnsaved) => 2,
                _ => pages.len(),
            };
            let codes: Vec<_> = pages.iter().take(most).map(|(code, _)| *code).collect();
            self.pages.save(&codes);
        }
        if !pages.is_empty() {
            self.tell_mode_changed(task);
        }
        nothing()
    }

    /// The other initiator learns that parameters changed (7.9).
    fn tell_mode_changed(&mut self, task: &Task<'_>) {
        let untold = task.opcode() == 0x55 && self.has(Defect::AttentionMode10Missing)
            || task.bit(1, 0) && self.has(Defect::AttentionModeSavedMissing);
        if untold {
            return;
        }
        if self.has(Defect::AttentionModeToSelf) {
            self.kept(task.initiator).attention = Some(Sense::MODE_CHANGED);
        } else if task.initiator == Initiator::B && self.has(Defect::AttentionModeToFirst) {
            // Only what the first changes is told.
        } else if !self.has(Defect::AttentionModeMissing) {
            let over = self.has(Defect::AttentionModeOver);
            let other = self.kept(task.initiator.other());
            other.attention = Some(other.attention.filter(|_| !over).unwrap_or(Sense::MODE_CHANGED));
        }
    }

    fn read_list(&self, list: &[u8], form: Form, pages: &mut Vec<NewPage>) -> Result<(), Refusal> {
        let Some((header, rest)) = list.split_at_checked(form.header()) else {
            return if self.has(Defect::SelectShortHeader) { Ok(()) } else { Err(Sense::LIST_LENGTH.into()) };
        };
        let byte = |at: usize| header.get(at).copied().unwrap_or_default();
        let reserved = !self.has(Defect::Select10ReservedIgnored);
        // Mode data length and reserved bytes; the device-specific parameter is ignored (9.3.3).
        let (length, medium_type, descriptors) = match form {
            Form::Six => (byte(0), byte(1), usize::from(byte(3))),
            Form::Ten => (
                byte(0) | byte(1) | if reserved { byte(4) | byte(5) } else { 0 },
                byte(2),
                usize::from(byte(6)) << 8 | usize::from(byte(7)),
            ),
        };
        let length_set = length != 0 && !self.has(Defect::SelectDataLengthIgnored);
        let type_set = medium_type != 0 && !self.has(Defect::SelectMediumTypeIgnored);
        let descriptors =
            if self.has(Defect::Select10DescriptorLow) { descriptors & 0xff } else { descriptors };
        let two = descriptors == 2 * DESCRIPTOR && self.has(Defect::SelectTwoDescriptors);
        if length_set || type_set || !two && !matches!(descriptors, 0 | DESCRIPTOR) {
            return Err(Sense::PARAMETER.into());
        }
        if form == Form::Ten && descriptors != 0 && self.has(Defect::Select10Descriptor) {
            return Err(Sense::PARAMETER.into());
        }
        let (descriptor, rest) = rest.split_at_checked(descriptors).ok_or(Sense::LIST_LENGTH)?;
        self.check_descriptor(descriptor)?;
        let rest = if self.has(Defect::SelectDescriptorKept) && !rest.is_empty() {
            // The list is read from behind the header on, descriptor or not.
            list.get(form.header()..).unwrap_or_default()
        } else {
            rest
        };
        self.read_pages(rest, pages)
    }

    fn check_descriptor(&self, descriptor: &[u8]) -> Result<(), Refusal> {
        let [density, b2, b1, b0, reserved, l2, l1, l0] = descriptor else { return Ok(()) };
        let blocks = u32::from_be_bytes([0, *b2, *b1, *b0]);
        let length = u32::from_be_bytes([0, *l2, *l1, *l0]);
        let same_length =
            usize::try_from(length) == Ok(BLOCK_BYTES) || self.has(Defect::SelectBlockLengthIgnored);
        if blocks != 0 && self.has(Defect::SelectBlocksRefused) {
            return Err(Sense::PARAMETER.into());
        }
        let same_blocks = blocks == 0
            || blocks == self.medium.blocks
            || self.has(Defect::SelectBlockLengthIgnored)
            || self.has(Defect::SelectBlocksIgnored);
        let dense = *density != 0 && !self.has(Defect::SelectDensityIgnored);
        if !dense && *reserved == 0 && same_length && same_blocks {
            Ok(())
        } else {
            Err(Sense::PARAMETER.into())
        }
    }

    fn read_pages(&self, mut rest: &[u8], pages: &mut Vec<NewPage>) -> Result<(), Refusal> {
        while let [code, tail @ ..] = rest {
            let Some((length, tail)) = tail.split_first() else { return Err(Sense::LIST_LENGTH.into()) };
            let cut = usize::from(*length) > tail.len();
            if cut && !self.has(Defect::SelectCutApplied) {
                return Err(Sense::LIST_LENGTH.into());
            }
            let (new, after) = tail.split_at(usize::from(*length).min(tail.len()));
            let code = if self.has(Defect::SelectPsIgnored) { *code & 0x7f } else { *code };
            let behind = pages.last().is_some_and(|(before, _)| *before > code);
            if behind && self.has(Defect::SelectDescending) {
                return Err(Sense::PARAMETER.into());
            }
            match self.pages.check(code, *length, new) {
                Ok(()) => pages.push((code, new.to_vec())),
                Err(PageFault::Unknown) if self.has(Defect::SelectUnknownIgnored) => {}
                Err(PageFault::Unknown) if self.has(Defect::SelectUnknownCode) => {
                    return Err(Sense::field(4).into());
                }
                // PS is reserved here (8.3.3), and such a code is not found.
                Err(PageFault::Unknown | PageFault::Length | PageFault::Fixed) => {
                    return Err(Sense::PARAMETER.into());
                }
            }
            rest = after;
        }
        Ok(())
    }
}
