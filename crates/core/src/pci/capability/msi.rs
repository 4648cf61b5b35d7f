//! Message-signalled interrupts (PCI 3.0 §6.8.1; PCIe Base 6.0 §7.7.1).

use super::super::bits::{bit, field};
use super::{Block, Body};

/// What the MSI registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    /// MSI is in use.
    pub enabled: bool,
    /// Vectors that the function asks for, a power of two; 64 and 128 are reserved values.
    pub vectors: u16,
    /// Vectors that the system gave it.
    pub allocated: u16,
    /// Messages can go to addresses above 4 GiB.
    pub address64: bool,
    /// Vectors can be masked one by one.
    pub maskable: bool,
    /// Address of the message. None if it could not be read.
    pub address: Option<u64>,
    /// Data of the message. None if it could not be read.
    pub data: Option<u16>,
    /// One bit per masked vector. None if not maskable or not readable.
    pub mask: Option<u32>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let control = block.u16(2)?;
    let address64 = bit(control, 7);
    let maskable = bit(control, 8);
    let low = block.u32(4).map(u64::from);
    let address =
        if address64 { low.zip(block.u32(8)).map(|(low, high)| u64::from(high) << 32 | low) } else { low };
    let data = block.u16(if address64 { 12 } else { 8 });
    let mask = if maskable { block.u32(if address64 { 16 } else { 12 }) } else { None };
    Some(Body::Msi(Msi {
        enabled: bit(control, 0),
        vectors: 1 << field(control, 1, 3),
        allocated: 1 << field(control, 4, 3),
        address64,
        maskable,
        address,
        data,
        mask,
    }))
}
