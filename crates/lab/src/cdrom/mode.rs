//! Mode parameters: error recovery, CD-ROM parameters, audio control (8.2.8 to 8.2.11, 8.3.3, 14.3.3). None can be saved.

use super::disc::FRAMES_PER_SECOND;
use super::unit::cut;
use super::{CD_BLOCK_BYTES, CdDefect, CdRom, Tray};
use crate::target::command::Task;
use crate::target::mode::{ALL_PAGES, DESCRIPTOR, Form};
use crate::target::sense::Sense;
use crate::target::{Refusal, Reply, nothing};

/// SAVING PARAMETERS NOT SUPPORTED.
const NOT_SAVED: Sense = Sense::new(5, 0x39, 0);
/// Medium type: 120 mm, data and audio (14.3.3).
const COMBINED: u8 = 0x03;
const AUDIO: u8 = 0x0e;
const IMMED: u8 = 0x04;
const STOP_ON_TRACK_CROSSING: u8 = 0x02;

/// A page: what stands behind its length.
#[derive(Clone, Debug)]
struct Page {
    code: u8,
    current: Vec<u8>,
    changeable: Vec<u8>,
    default: Vec<u8>,
}

/// The pages of the firmware, in ascending order.
#[derive(Debug)]
pub(super) struct Pages(Vec<Page>);

impl Pages {
    pub(super) fn new(defect: Option<CdDefect>) -> Self {
        let page = |code, default: &[u8], changeable: &[u8]| {
            let mut mask = changeable.to_vec();
            mask.resize(default.len(), 0);
            Page { code, current: default.to_vec(), default: default.to_vec(), changeable: mask }
        };
        let wrong = defect == Some(CdDefect::PageFrames);
        let [high, low] =
            u16::try_from(FRAMES_PER_SECOND - u32::from(wrong)).unwrap_or_default().to_be_bytes();
        Self(vec![
            // TB and PER, and the read retry count (14.3.3.3).
            page(0x01, &[0, 3, 0, 0, 0, 0], &[0x24, 0xff]),
            // The inactivity timer; seconds of a minute, frames of a second (14.3.3.2).
            page(0x0d, &[0, 0x0d, 0, 60, high, low], &[0, 0x0f]),
            // Immed; blocks of a second; the left channel at port 0, the right at port 1, both at full volume (14.3.3.1).
            page(
                AUDIO,
                &[IMMED, 0, 0, 0x80, 0, 75, 0x01, 0xff, 0x02, 0xff, 0, 0, 0, 0],
                &[IMMED | STOP_ON_TRACK_CROSSING, 0, 0, 0, 0, 0, 0x0f, 0xff, 0x0f, 0xff],
            ),
        ])
    }

    fn find(&self, code: u8) -> Option<&Page> {
        self.0.iter().find(|page| page.code == code)
    }

    fn set(&mut self, code: u8, values: &[u8]) {
        if let Some(page) = self.0.iter_mut().find(|page| page.code == code) {
            page.current = values.to_vec();
        }
    }

    /// Sets a page back to its default.
    pub(super) fn restore(&mut self, code: u8) {
        if let Some(default) = self.find(code).map(|page| page.default.clone()) {
            self.set(code, &default);
        }
    }

    fn audio(&self) -> u8 {
        self.find(AUDIO).and_then(|page| page.current.first().copied()).unwrap_or_default()
    }

    /// Whether a play ends with GOOD as soon as it has begun.
    pub(super) fn plays_immediately(&self) -> bool {
        self.audio() & IMMED != 0
    }

    pub(super) fn stops_on_track_crossing(&self) -> bool {
        self.audio() & STOP_ON_TRACK_CROSSING != 0
    }
}

impl CdRom {
    pub(super) fn mode_sense_6(&mut self, task: &Task<'_>) -> Reply {
        self.mode_sense(task, Form::Six, task.byte(4).into())
    }

    pub(super) fn mode_sense_10(&mut self, task: &Task<'_>) -> Reply {
        self.mode_sense(task, Form::Ten, task.be16(7).into())
    }

    fn mode_sense(&mut self, task: &Task<'_>, form: Form, allocation: usize) -> Reply {
        let (control, code) = (task.byte(2) >> 6, task.byte(2) & 0x3f);
        let mut pages = Vec::new();
        let left_out = |page: &Page| page.code == 0x0d && self.has(CdDefect::ModeAllShort);
        let asked = |page: &&Page| page.code == code || code == ALL_PAGES && !left_out(page);
        for page in self.pages.0.iter().filter(asked) {
            let values = match control {
                0 => &page.current,
                1 => &page.changeable,
                2 => &page.default,
                _ => return Err(NOT_SAVED.into()),
            };
            pages.extend([page.code, u8::try_from(values.len()).unwrap_or(u8::MAX)]);
            pages.extend(values);
        }
        if pages.is_empty() {
            return Err(Sense::field(2).into());
        }
        // DBD.
        let without = task.bit(1, 3) && !self.has(CdDefect::ModeDbd);
        let descriptor = if without { Vec::new() } else { self.descriptor(control == 1) };
        let descriptors = u8::try_from(descriptor.len()).unwrap_or(u8::MAX);
        // The length does not count itself.
        let counted = form.header() + descriptor.len() + pages.len();
        let mut bytes = match form {
            Form::Six => {
                vec![u8::try_from(counted - 1).unwrap_or(u8::MAX), self.medium_type(), 0, descriptors]
            }
            Form::Ten => {
                let counted = if self.has(CdDefect::Mode10Length) { counted + 2 } else { counted };
                let [high, low] = u16::try_from(counted - 2).unwrap_or(u16::MAX).to_be_bytes();
                vec![high, low, self.medium_type(), 0, 0, 0, 0, descriptors]
            }
        };
        bytes.extend(descriptor);
        bytes.extend(pages);
        cut(bytes, allocation)
    }

    fn medium_type(&self) -> u8 {
        if self.tray == Tray::Out { 0 } else { COMBINED }
    }

    fn blocks(&self) -> u32 {
        if self.tray == Tray::Out { 0 } else { self.disc.lead_out() }
    }

    fn descriptor(&self, changeable: bool) -> Vec<u8> {
        if changeable {
            return vec![0; DESCRIPTOR];
        }
        let length = if self.has(CdDefect::DescriptorLength) { 2352 } else { CD_BLOCK_BYTES };
        let length = u32::try_from(length).unwrap_or_default();
        [self.blocks().to_be_bytes(), length.to_be_bytes()].concat()
    }

    pub(super) fn mode_select_6(&mut self, task: &Task<'_>) -> Reply {
        self.mode_select(task, Form::Six, task.byte(4).into())
    }

    pub(super) fn mode_select_10(&mut self, task: &Task<'_>) -> Reply {
        self.mode_select(task, Form::Ten, task.be16(7).into())
    }

    /// A list is checked whole before any of it takes effect (8.2.8).
    fn mode_select(&mut self, task: &Task<'_>, form: Form, length: usize) -> Reply {
        // SP: nothing can be saved.
        if task.bit(1, 0) {
            return Err(Sense::field(1).into());
        }
        if length == 0 {
            return nothing();
        }
        let list = task.data_out(length);
        let (header, rest) = list.split_at_checked(form.header()).ok_or(Sense::LIST_LENGTH)?;
        let (reserved, medium_type, descriptors) = match (form, header) {
            (Form::Six, [length, medium, _, descriptors]) => (*length, *medium, usize::from(*descriptors)),
            (Form::Ten, [high, low, medium, _, a, b, c, d]) => {
                (high | low | a | b, *medium, usize::from(u16::from_be_bytes([*c, *d])))
            }
            _ => return Err(Sense::LIST_LENGTH.into()),
        };
        let foreign = medium_type != 0 && medium_type != self.medium_type();
        if reserved != 0 || foreign || !matches!(descriptors, 0 | DESCRIPTOR) {
            return Err(Sense::PARAMETER.into());
        }
        let (descriptor, rest) = rest.split_at_checked(descriptors).ok_or(Sense::LIST_LENGTH)?;
        self.check_descriptor(descriptor)?;
        let mut pages = Vec::new();
        let checked = self.read_pages(rest, &mut pages);
        if checked.is_err() && !self.has(CdDefect::SelectNotAtomic) {
            checked?;
        }
        for (code, values) in &pages {
            let lost = *code == AUDIO && self.has(CdDefect::SelectLost)
                || form == Form::Ten && self.has(CdDefect::Select10Lost);
            if !lost {
                self.pages.set(*code, values);
            }
        }
        if !pages.is_empty() && self.has(CdDefect::SelectTold) {
            self.kept(task.initiator).attention = Some(Sense::MODE_CHANGED);
        }
        if !pages.is_empty() {
            let other = self.kept(task.initiator.other());
            other.attention = other.attention.or(Some(Sense::MODE_CHANGED));
        }
        checked?;
        nothing()
    }

    /// Blocks can be had in one length alone, and as many as there are.
    fn check_descriptor(&self, descriptor: &[u8]) -> Result<(), Refusal> {
        let [density, b2, b1, b0, reserved, l2, l1, l0] = descriptor else { return Ok(()) };
        let blocks = u32::from_be_bytes([0, *b2, *b1, *b0]);
        let length = u32::from_be_bytes([0, *l2, *l1, *l0]);
        let same = usize::try_from(length) == Ok(CD_BLOCK_BYTES) && (blocks == 0 || blocks == self.blocks());
        if same && density | reserved == 0 { Ok(()) } else { Err(Sense::PARAMETER.into()) }
    }

    fn read_pages<'a>(&self, mut rest: &'a [u8], pages: &mut Vec<(u8, &'a [u8])>) -> Result<(), Refusal> {
        while let [code, tail @ ..] = rest {
            let (length, tail) = tail.split_first().ok_or(Sense::LIST_LENGTH)?;
            let (values, after) = tail.split_at_checked(usize::from(*length)).ok_or(Sense::LIST_LENGTH)?;
            let page = self.pages.find(*code).ok_or(Sense::PARAMETER)?;
            let mut bytes = values.iter().zip(&page.current).zip(&page.changeable);
            let changed = bytes.any(|((new, old), mask)| (new ^ old) & !mask != 0);
            if values.len() != page.current.len() || changed {
                return Err(Sense::PARAMETER.into());
            }
            pages.push((*code, values));
            rest = after;
        }
        Ok(())
    }
}
