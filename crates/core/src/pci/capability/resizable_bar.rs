//! Resizable BARs, of a function (PCIe Base 6.0 §7.8.6) and of its virtual functions (§7.8.7): one layout.

use super::super::bits::field8;
use super::super::fault::Fault;
use super::{Block, Body};

/// One BAR whose size can be chosen. Sizes are in powers of two times 1 MiB: 0 is 1 MiB, 43 is 8 EiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizableBar {
    /// Which BAR, 0 to 5; 6 and 7 are reserved values.
    pub index: u8,
    /// Exponent of the current size. Values above 43 are reserved.
    pub current: u8,
    /// Bit n is set where 2 to the n times 1 MiB is supported, n from 0 to 43.
    pub supported: u64,
}

impl ResizableBar {
    /// Bytes of the current size; none for a reserved value.
    #[must_use]
    pub fn current_bytes(self) -> Option<u64> {
        size_bytes(u32::from(self.current))
    }

    /// Bytes of each supported size, smallest first.
    pub fn supported_bytes(self) -> impl Iterator<Item = u64> {
        (0..44).filter(move |&n| self.supported >> n & 1 == 1).filter_map(size_bytes)
    }
}

fn size_bytes(exponent: u32) -> Option<u64> {
    if exponent < 44 { 1u64.checked_shl(exponent + 20) } else { None }
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    // Only the first control register says how many there are.
    let count = field8(block.u32(8)?, 5, 3);
    if !(1..=6).contains(&count) {
        block.faults.push(Fault::ResizableBarCount { offset: block.offset, count });
        return Some(Body::ResizableBars(Vec::new()));
    }
    let mut bars = Vec::new();
    for entry in 0..u16::from(count) {
        let capability = block.u32(4 + entry * 8)?;
        let control = block.u32(8 + entry * 8)?;
        let low = u64::from(capability >> 4);
        let high = u64::from(control >> 16);
        bars.push(ResizableBar {
            index: field8(control, 0, 3),
            current: field8(control, 8, 6),
            supported: low | high << 28,
        });
    }
    Some(Body::ResizableBars(bars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_from_one_mebibyte() {
        let bar = ResizableBar { index: 1, current: 13, supported: 0b11 << 12 };
        assert_eq!(bar.current_bytes(), Some(8 << 30));
        assert_eq!(bar.supported_bytes().collect::<Vec<_>>(), [4 << 30, 8 << 30]);
        assert_eq!(ResizableBar { current: 44, ..bar }.current_bytes(), None);
    }
}
