//! MSI-X (PCI 3.0 §6.8.2; PCIe Base 6.0 §7.7.2).

use super::super::bits::{bit, field8, field16};
use super::{Block, Body};

/// A place in one of the function's BARs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLocation {
    /// Which BAR, 0 to 5; 6 and 7 are reserved values.
    pub bar: u8,
    /// Bytes from the start of the BAR, a multiple of 8.
    pub offset: u32,
}

/// What the MSI-X registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiX {
    /// MSI-X is in use.
    pub enabled: bool,
    /// All vectors are masked.
    pub masked: bool,
    /// Entries of the vector table, 1 to 2048.
    pub vectors: u16,
    /// The vector table, 16 bytes an entry. None if the register could not be read.
    pub table: Option<TableLocation>,
    /// The pending bits, one bit an entry. None if the register could not be read.
    pub pending: Option<TableLocation>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let control = block.u16(2)?;
    let location = |value| TableLocation { bar: field8(value, 0, 3), offset: value & !7 };
    Some(Body::MsiX(MsiX {
        enabled: bit(control, 15),
        masked: bit(control, 14),
        vectors: field16(control, 0, 11) + 1,
        table: block.u32(4).map(location),
        pending: block.u32(8).map(location),
    }))
}
