//! Mode pages with their four kinds of values.

use crate::target::defect::Defect;
use crate::target::{BLOCK_BYTES, MediumKind, Model};

/// Parameters savable (8.3.3, table 92).
const PS: u8 = 0x80;
const CACHING: u8 = 0x08;
const WCE: u8 = 0x04;
const RCD: u8 = 0x01;
const HEADS: u32 = 16;
const SECTORS_PER_TRACK: u16 = 63;
const ROTATIONS_PER_MINUTE: u16 = 5400;

/// Which values of a page (8.2.10.1, table 55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Current,
    Changeable,
    Default,
    Saved,
}

/// A page: what stands behind its length, four times.
#[derive(Clone, Debug)]
struct Page {
    code: u8,
    current: Vec<u8>,
    changeable: Vec<u8>,
    default: Vec<u8>,
    saved: Vec<u8>,
}

/// The pages of the firmware, in ascending order.
#[derive(Debug)]
pub(in crate::target) struct Pages {
    defect: Option<Defect>,
    pages: Vec<Page>,
}

/// Why a page cannot be taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageFault {
    Unknown,
    Length,
    Fixed,
}

/// Body of a page of `length` bytes with some of them set, counted from the page's first byte as in the standard.
fn body(length: usize, set: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (at, value) in set {
        if let Some(byte) = at.checked_sub(2).and_then(|at| bytes.get_mut(at)) {
            *byte = *value;
        }
    }
    bytes
}

impl Pages {
    pub(in crate::target) fn new(model: Model, defect: Option<Defect>) -> Self {
        let has = |wanted| defect == Some(wanted);
        let page = |code, default: Vec<u8>, changeable: &[(usize, u8)]| {
            let changeable = body(default.len(), changeable);
            Page { code, current: default.clone(), saved: default.clone(), default, changeable }
        };
        let [block_high, block_low] = u16::try_from(BLOCK_BYTES).unwrap_or(u16::MAX).to_be_bytes();
        let sectors = if has(Defect::ModeZonesZero) { 0 } else { SECTORS_PER_TRACK };
        let [sectors_high, sectors_low] = sectors.to_be_bytes();
        let removable = if model.medium == MediumKind::Removable { 0x20 } else { 0x00 };
        let cylinder = HEADS * u32::from(SECTORS_PER_TRACK);
        let cylinders = model.blocks.div_ceil(cylinder) / if has(Defect::ModeGeometrySmall) { 2 } else { 1 };
        let [_, high, middle, low] = cylinders.to_be_bytes();
        let rotation = if has(Defect::ModeRotationZero) { 0 } else { ROTATIONS_PER_MINUTE };
        let [rpm_high, rpm_low] = rotation.to_be_bytes();
        let heads = if has(Defect::ModeHeadsZero) { 0 } else { 16 };
        let pages = vec![
            // AWRE, ARRE; read and write retries (9.3.3.6).
            page(
                0x01,
                body(if has(Defect::ModePage1Short) { 6 } else { 10 }, &[(2, 0xc0), (3, 27), (8, 27)]),
                &[(2, 0xc4), (3, 0xff), (8, 0xff)],
            ),
            // Buffer full and empty ratios (8.3.3.2).
            page(0x02, body(if has(Defect::ModePage2Short) { 10 } else { 14 }, &[]), &[(2, 0xff), (3, 0xff)]),
            // Tracks in a zone, sectors in a track, bytes in a sector, interleave, HSEC (9.3.3.3).
            page(
                0x03,
                body(
                    22,
                    &[
                        (3, 16),
                        (10, sectors_high),
                        (11, sectors_low),
                        (12, if has(Defect::ModePage3Bytes) { block_high / 2 } else { block_high }),
                        (13, block_low),
                        (15, 1),
                        (20, 0x40 | removable),
                    ],
                ),
                &[],
            ),
            // Cylinders, heads, rotation (9.3.3.7).
            page(
                0x04,
                body(22, &[(2, high), (3, middle), (4, low), (5, heads), (20, rpm_high), (21, rpm_low)]),
                &[],
            ),
            // WCE and RCD, both off (9.3.3.1).
            page(CACHING, body(if has(Defect::ModeCachingLong) { 18 } else { 10 }, &[]), &[(2, 0x05)]),
            // Queueing is not offered: DQue set, and fixed (8.3.3.1).
            page(0x0a, body(if has(Defect::ModePageALong) { 10 } else { 6 }, &[(3, 0x01)]), &[(2, 0x01)]),
        ];
        let mut own = Self { defect, pages };
        if has(Defect::ModeMaskAllOnes)
            && let Some(page) = own.find(CACHING)
        {
            page.changeable.fill(0xff);
        }
        if has(Defect::ModeDefaultZero)
            && let Some(page) = own.find(0x04)
        {
            page.default.fill(0);
        }
        if has(Defect::ModeForeignPage) {
            own.pages.push(page(0x10, body(22, &[]), &[]));
        }
        own
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn find(&mut self, code: u8) -> Option<&mut Page> {
        self.pages.iter_mut().find(|page| page.code == code)
    }

    /// Whether writes may stay in the cache.
    pub(in crate::target) fn write_cache(&self) -> bool {
        let page = self.pages.iter().find(|page| page.code == CACHING);
        page.and_then(|page| page.current.first()).is_some_and(|byte| byte & WCE != 0)
    }

    /// Whether reads may not come from the cache.
    pub(in crate::target) fn read_cache_off(&self) -> bool {
        let page = self.pages.iter().find(|page| page.code == CACHING);
        page.and_then(|page| page.current.first()).is_some_and(|byte| byte & RCD != 0)
    }

    /// What stands in a page.
    pub(in crate::target) fn values_of(&self, code: u8) -> Vec<u8> {
        let page = self.pages.iter().find(|page| page.code == code);
        page.map(|page| page.current.clone()).unwrap_or_default()
    }

    /// Switches the write cache off.
    pub(in crate::target) fn clear_write_cache(&mut self) {
        if let Some(flags) = self.find(CACHING).and_then(|page| page.current.first_mut()) {
            *flags &= !WCE;
        }
    }

    pub(in crate::target) fn restore_saved(&mut self) {
        for page in &mut self.pages {
            if page.code != CACHING || self.defect != Some(Defect::ResetKeepsCachePage) {
                page.current.clone_from(&page.saved);
            }
        }
    }

    /// Loses what was saved of a page.
    pub(in crate::target) fn lose_saved(&mut self, code: u8) {
        if let Some(page) = self.find(code) {
            page.saved.clone_from(&page.default);
            page.current.clone_from(&page.default);
        }
    }

    /// Loses what was saved of every page, and leaves the current values.
    pub(in crate::target) fn lose_all_saved(&mut self) {
        for page in &mut self.pages {
            page.saved.clone_from(&page.default);
        }
    }

    pub(in crate::target) fn restore_default(&mut self) {
        for page in &mut self.pages {
            page.current.clone_from(&page.default);
        }
    }

    fn bytes(&self, page: &Page, values: Values) -> Vec<u8> {
        let body = match values {
            Values::Changeable if !self.has(Defect::ModeMaskIsCurrent) => &page.changeable,
            Values::Current | Values::Changeable => &page.current,
            Values::Default => &page.default,
            Values::Saved if page.code == CACHING && self.has(Defect::ModeSavedCacheDefault) => &page.default,
            Values::Saved if page.code == 0x02 && self.has(Defect::ModeSavedPage2) => &page.default,
            Values::Saved if self.has(Defect::ModeSavedIsCurrent) => &page.current,
            Values::Saved => &page.saved,
        };
        let wrong = if page.code == 0x03 && self.has(Defect::ModePageLengthWrong) { 2 } else { 0 };
        let own = page.code == 0x0a && self.has(Defect::ModePsMissingA);
        let savable = if own || self.has(Defect::ModePsMissing) { 0 } else { PS };
        let mut bytes = vec![savable | page.code, u8::try_from(body.len() + wrong).unwrap_or(u8::MAX)];
        bytes.extend(body);
        if let Some(flags) = bytes.get_mut(20)
            && page.code == 0x03
        {
            *flags ^= u8::from(self.has(Defect::ModeFormatReserved));
            *flags ^= u8::from(self.has(Defect::ModeFormatRemovable)) << 5;
        }
        if page.code == 0x02 && values == Values::Changeable && self.has(Defect::ModeMaskPage2) {
            bytes.get_mut(2..).unwrap_or_default().fill(0);
        }
        bytes
    }

    pub(super) fn all(&self, values: Values) -> Vec<u8> {
        let missing = |page: &&Page| page.code != 0x0a || !self.has(Defect::ModePageMissing);
        let mut pages: Vec<_> = self.pages.iter().filter(missing).collect();
        if self.has(Defect::ModePagesUnordered) {
            pages.reverse();
        }
        pages.into_iter().flat_map(|page| self.bytes(page, values)).collect()
    }

    pub(super) fn one(&self, code: u8, values: Values) -> Option<Vec<u8>> {
        self.pages.iter().find(|page| page.code == code).map(|page| self.bytes(page, values))
    }

    /// What the current values would be with this page set, or why that cannot be.
    pub(super) fn check(&self, code: u8, length: u8, new: &[u8]) -> Result<(), PageFault> {
        let Some(page) = self.pages.iter().find(|page| page.code == code) else {
            return Err(PageFault::Unknown);
        };
        let longer = usize::from(length) > page.current.len() && self.has(Defect::SelectLongerTaken);
        if usize::from(length) != page.current.len() && !longer && !self.has(Defect::SelectLengthUnchecked) {
            return Err(PageFault::Length);
        }
        let lenient = self.has(Defect::SelectFixedAccepted) || self.has(Defect::SelectFixedChanged);
        let fixed = page.current.iter().zip(&page.changeable).zip(new);
        let differs = fixed.into_iter().any(|((old, mask), new)| (old ^ new) & !mask != 0);
        if differs && !lenient { Err(PageFault::Fixed) } else { Ok(()) }
    }

    /// Takes new current values.
    pub(in crate::target) fn set(&mut self, code: u8, new: &[u8]) {
        let (all, defaults) = (self.has(Defect::SelectFixedChanged), self.has(Defect::SelectChangesDefault));
        let saves = self.has(Defect::SelectSavesAlways);
        let swapped = self.has(Defect::SelectRetriesSwapped);
        let signed = self.has(Defect::SelectRetrySigned);
        let clamped = self.has(Defect::SelectRetriesClamped);
        let rcd_lost = self.has(Defect::SelectRcdLost);
        let per_lost = self.has(Defect::SelectPerLost);
        let awre_stays = self.has(Defect::SelectAwreStays);
        let (ratio_high, no_zero) = (self.has(Defect::SelectRatioHigh), self.has(Defect::SelectRetriesZero));
        let crossed = self.has(Defect::SelectRatiosSwapped);
        let excludes = self.has(Defect::SelectRcdExcludes);
        let zero_kept = self.has(Defect::SelectZeroKept);
        if code == 0x02
            && self.has(Defect::SelectClobbers)
            && let Some(retries) = self.find(0x01).and_then(|page| page.current.get_mut(6))
        {
            *retries = 0;
        }
        if code == 0x0a && self.has(Defect::SelectControlLost) {
            return;
        }
        let Some(page) = self.find(code) else { return };
        for ((current, mask), new) in page.current.iter_mut().zip(&page.changeable).zip(new) {
            let mask = match mask {
                _ if all => 0xff,
                0x05 if rcd_lost => WCE,
                0xc4 if per_lost => 0xc0,
                0xc4 if awre_stays => 0x44,
                mask => *mask,
            };
            if *new != 0 || !zero_kept {
                *current = *current & !mask | new & mask;
            }
        }
        if code == 0x01
            && signed
            && let Some(retries) = page.current.get_mut(6).filter(|retries| **retries > 127)
        {
            *retries = 0;
        }
        if let Some(ratio) = page.current.first_mut()
            && code == 0x02
            && ratio_high
        {
            *ratio = (*ratio).min(254);
        }
        if let Some(retries) = page.current.get_mut(1)
            && code == 0x01
            && no_zero
        {
            *retries = (*retries).max(1);
        }
        if code == 0x02 && crossed {
            page.current.swap(0, 1);
        }
        if code == 0x01 && swapped && page.current.len() > 6 {
            page.current.swap(1, 6);
        }
        if code == 0x01
            && clamped
            && let Some(retries) = page.current.get_mut(1)
        {
            *retries = (*retries).min(63);
        }
        if code == CACHING
            && excludes
            && let Some(flags) = page.current.first_mut()
            && *flags & WCE != 0
        {
            *flags &= WCE;
        }
        if defaults {
            page.default.clone_from(&page.current);
        }
        if saves {
            page.saved.clone_from(&page.current);
        }
    }

    /// Saves the current values of these pages.
    pub(in crate::target) fn save(&mut self, codes: &[u8]) {
        let drops = self.has(Defect::SelectSaveDropsOthers);
        for page in &mut self.pages {
            if codes.contains(&page.code) {
                if self.defect == Some(Defect::ModeMaskSaved) {
                    page.changeable.fill(0);
                }
                page.saved.clone_from(&page.current);
                let of_control = page.code == 0x0a && self.defect == Some(Defect::ModeDefaultA);
                if of_control || self.defect == Some(Defect::ModeDefaultSaved) {
                    page.default.clone_from(&page.current);
                }
            } else if drops {
                page.saved.clone_from(&page.default);
            }
        }
    }
}
