//! PCI-X (PCI-X Protocol Addendum 2.0a §7.2 for devices, §8.6.2 for bridges).

use super::super::bits::{bit, field8};
use super::super::header::HeaderKind;
use super::{Block, Body};

/// What the PCI-X registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciX {
    /// It is the capability of a bridge, which has other registers than that of a device.
    pub bridge: bool,
    /// The device, or the bridge's primary side, has a 64-bit bus.
    pub bus64: bool,
    /// The device, or the bridge's primary side, can run at 133 MHz.
    pub mhz133: bool,
    /// Mode 2 at 266 MHz (devices).
    pub mhz266: bool,
    /// Mode 2 at 533 MHz (devices).
    pub mhz533: bool,
    /// Bus number as the function learnt it from the configuration writes to it.
    pub bus: u8,
    /// Device number, as above.
    pub device: u8,
    /// Function number.
    pub function: u8,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let status = block.u32(4)?;
    let bridge = block.header == HeaderKind::Bridge;
    Some(Body::PciX(PciX {
        bridge,
        bus64: bit(status, 16),
        mhz133: bit(status, 17),
        mhz266: !bridge && bit(status, 30),
        mhz533: !bridge && bit(status, 31),
        bus: field8(status, 8, 8),
        device: field8(status, 3, 5),
        function: field8(status, 0, 3),
    }))
}
