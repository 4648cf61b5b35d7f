//! Configuration space: bytes that were read, and which were not.
//!
//! Offsets are bytes from the start of the function's space, values little-endian (PCI 3.0 §6.1). A byte that was not
//! read has no value: neither zero nor 0xff stands for it. This module knows no register.

use std::fmt;

/// Size of the space of a function that has extended configuration space, in bytes (PCIe Base 6.0 §7.2.2).
pub const EXTENDED_SIZE: usize = 4096;

/// Size of conventional configuration space, in bytes (PCI 3.0 §6.1).
pub const CONVENTIONAL_SIZE: usize = 256;

/// What was read of one function's configuration space, byte by byte.
///
/// ```
/// use slotwise_core::pci::ConfigSpace;
/// let space = ConfigSpace::from_bytes(&[0x04, 0x90, 0x78, 0x50]);
/// assert_eq!(space.u16(0), Some(0x9004));
/// assert_eq!(space.u16(4), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigSpace {
    /// Bytes that were not read are zero here, so that equal spaces are equal.
    bytes: Vec<u8>,
    /// A bit for each byte: whether it was read. The first byte is the lowest bit of the first word.
    read: Vec<u64>,
}

/// Bytes that one word of [`ConfigSpace::read`] tells of.
const WORD: usize = u64::BITS as usize;

impl ConfigSpace {
    /// A space of which nothing was read.
    #[must_use]
    pub const fn empty() -> Self {
        Self { bytes: Vec::new(), read: Vec::new() }
    }

    /// A space whose first bytes are `bytes`; what goes past 4096 is not configuration space and is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let bytes: Vec<u8> = bytes.iter().take(EXTENDED_SIZE).copied().collect();
        let mut read = vec![u64::MAX; bytes.len() / WORD];
        if !bytes.len().is_multiple_of(WORD) {
            read.push((1 << (bytes.len() % WORD)) - 1);
        }
        Self { bytes, read }
    }

    /// Records one byte. False, and nothing recorded, if `offset` is past the space.
    pub fn set(&mut self, offset: u16, value: u8) -> bool {
        let index = usize::from(offset);
        if index >= EXTENDED_SIZE {
            return false;
        }
        if index >= self.bytes.len() {
            self.bytes.resize(index + 1, 0);
            self.read.resize(index / WORD + 1, 0);
        }
        if let (Some(byte), Some(read)) = (self.bytes.get_mut(index), self.read.get_mut(index / WORD)) {
            *byte = value;
            *read |= 1 << (index % WORD);
        }
        true
    }

    /// Gives back memory that was taken in advance.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.read.shrink_to_fit();
    }

    /// One past the last byte that was read, in bytes: 64, 256 or 4096 for a space that was read from its start.
    #[must_use]
    pub const fn extent(&self) -> usize {
        // Only reading makes it longer.
        self.bytes.len()
    }

    /// Whether nothing was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.extent() == 0
    }

    /// Every byte up to the extent, unread ones as `None`.
    pub fn iter(&self) -> impl Iterator<Item = Option<u8>> + '_ {
        self.bytes.iter().enumerate().map(|(index, byte)| self.was_read(index).then_some(*byte))
    }

    /// The byte at `offset`, if it was read.
    #[must_use]
    pub fn u8(&self, offset: u16) -> Option<u8> {
        let index = usize::from(offset);
        if self.was_read(index) { self.bytes.get(index).copied() } else { None }
    }

    fn was_read(&self, index: usize) -> bool {
        self.read.get(index / WORD).is_some_and(|word| word >> (index % WORD) & 1 == 1)
    }

    /// The 16 bits at `offset`, if both bytes were read.
    #[must_use]
    pub fn u16(&self, offset: u16) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// The 32 bits at `offset`, if all four bytes were read.
    #[must_use]
    pub fn u32(&self, offset: u16) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&self, offset: u16) -> Option<[u8; N]> {
        let from = usize::from(offset);
        let bytes = self.bytes.get(from..from + N)?.try_into().ok()?;
        (from..from + N).all(|index| self.was_read(index)).then_some(bytes)
    }
}

impl fmt::Debug for ConfigSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read: u32 = self.read.iter().map(|word| word.count_ones()).sum();
        write!(f, "ConfigSpace({read} bytes read, extent {})", self.extent())
    }
}

/// A way to read configuration space, a double word at a time.
///
/// Any `FnMut(u16) -> Option<u32>` is one: it gets an offset that is a multiple of four below 4096 and returns `None`
/// where reading fails. A live reader is asked only for what decoding needs: reading past the capabilities has hung
/// devices (`man lspci`, on `-xxx`).
pub trait ConfigReader {
    /// The four bytes at `offset`, a multiple of four.
    fn read(&mut self, offset: u16) -> [Option<u8>; 4];
}

impl<F: FnMut(u16) -> Option<u32>> ConfigReader for F {
    fn read(&mut self, offset: u16) -> [Option<u8>; 4] {
        self(offset).map_or([None; 4], |value| value.to_le_bytes().map(Some))
    }
}

impl ConfigReader for &ConfigSpace {
    fn read(&mut self, offset: u16) -> [Option<u8>; 4] {
        let at = |n| offset.checked_add(n).and_then(|offset| self.u8(offset));
        [at(0), at(1), at(2), at(3)]
    }
}

/// Registers of a space that was read, or of one that is read now.
pub(super) struct Registers<'a>(Source<'a>);

enum Source<'a> {
    Read(&'a ConfigSpace),
    Asked(Asked<'a>),
}

/// Reads through a [`ConfigReader`], each double word once.
struct Asked<'a> {
    reader: &'a mut dyn ConfigReader,
    space: ConfigSpace,
    /// A bit for each double word: whether it was asked for. The first is the lowest bit of the first word.
    asked: [u64; EXTENDED_SIZE / 4 / WORD],
}

impl<'a> Registers<'a> {
    /// Registers that are read as needed.
    pub(super) fn asking(reader: &'a mut dyn ConfigReader) -> Self {
        let asked = [0; EXTENDED_SIZE / 4 / WORD];
        Self(Source::Asked(Asked { reader, space: ConfigSpace::empty(), asked }))
    }

    /// Registers as far as they were read.
    pub(super) const fn of(space: &'a ConfigSpace) -> Self {
        Self(Source::Read(space))
    }

    /// What was read so far of a space that is read now.
    pub(super) fn into_space(self) -> ConfigSpace {
        match self.0 {
            Source::Read(space) => space.clone(),
            Source::Asked(asked) => asked.space,
        }
    }

    /// The space, with the `count` bytes at `offset` asked for.
    fn space(&mut self, offset: u16, count: u16) -> &ConfigSpace {
        match &mut self.0 {
            Source::Read(space) => space,
            Source::Asked(asked) => {
                asked.fetch(offset);
                if let Some(last) = offset.checked_add(count - 1) {
                    asked.fetch(last);
                }
                &asked.space
            }
        }
    }

    pub(super) fn u8(&mut self, offset: u16) -> Option<u8> {
        self.space(offset, 1).u8(offset)
    }

    pub(super) fn u16(&mut self, offset: u16) -> Option<u16> {
        self.space(offset, 2).u16(offset)
    }

    pub(super) fn u32(&mut self, offset: u16) -> Option<u32> {
        self.space(offset, 4).u32(offset)
    }
}

impl Asked<'_> {
    fn fetch(&mut self, offset: u16) {
        let aligned = offset & !3;
        let index = usize::from(aligned / 4);
        let Some(asked) = self.asked.get_mut(index / WORD) else { return };
        let bit = 1 << (index % WORD);
        if *asked & bit != 0 {
            return;
        }
        *asked |= bit;
        for (n, byte) in (0u16..).zip(self.reader.read(aligned)) {
            if let Some(value) = byte {
                self.space.set(aligned.saturating_add(n), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_bytes_are_neither_zero_nor_ones() {
        let mut space = ConfigSpace::from_bytes(&[1, 2]);
        assert!(space.set(4, 0));
        assert_eq!((space.u8(1), space.u8(2), space.u8(4)), (Some(2), None, Some(0)));
        assert_eq!((space.u16(1), space.u32(0), space.extent()), (None, None, 5));
    }

    #[test]
    fn bytes_past_the_space_are_refused() {
        let mut space = ConfigSpace::from_bytes(&[0; 5000]);
        assert_eq!(space.extent(), EXTENDED_SIZE);
        assert!(!space.set(4096, 1));
        assert_eq!((space.u32(4093), space.u32(u16::MAX)), (None, None));
    }

    #[test]
    fn each_double_word_is_read_once() {
        let mut reads = Vec::new();
        let mut source = |offset| {
            reads.push(offset);
            Some(0x0403_0201)
        };
        let mut registers = Registers::asking(&mut source);
        assert_eq!(registers.u16(1), Some(0x0302));
        assert_eq!(registers.u32(2), Some(0x0201_0403));
        assert_eq!(registers.u8(7), Some(4));
        assert_eq!(registers.u8(u16::MAX), None);
        assert_eq!(reads, [0, 4]);
    }
}
