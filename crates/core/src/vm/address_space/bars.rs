//! What a device asks of the guest's address space.

use crate::facts::{Fact, FunctionFacts};
use crate::pci::{BarKind, PciAddress, ROM_INDEX};
use crate::vm::GuestSlot;

/// Largest size that a BAR may ask for. No device is near it; sums over all BARs of a machine stay within 64 bits.
const MAX_SIZE: u64 = 1 << 48;

/// A BAR with its size: a power of two, as the register's read-only low bits make it (PCI 3.0 §6.2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarRequest {
    index: u8,
    kind: BarKind,
    prefetchable: bool,
    size: u64,
}

/// Why something is no BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarRequestError {
    /// An index above 6.
    #[error("BAR index {0} is above 6")]
    Index(u8),
    /// A size that no BAR can have.
    #[error("size {size:#x} of BAR {index} is not a power of two, or too large for its kind")]
    Size {
        /// Which BAR.
        index: u8,
        /// Its size in bytes.
        size: u64,
    },
}

impl BarRequest {
    /// A BAR.
    ///
    /// # Errors
    /// An index above 6; a size that is not a power of two, above 2 GiB for a 32-bit address, 64 KiB for I/O ports or
    /// 2^48 for the rest.
    pub fn new(index: u8, kind: BarKind, prefetchable: bool, size: u64) -> Result<Self, BarRequestError> {
        if index > ROM_INDEX {
            return Err(BarRequestError::Index(index));
        }
        let most = match kind {
            BarKind::Io => 1 << 16,
            BarKind::Memory64 => MAX_SIZE,
            _ => 1 << 31,
        };
        if !size.is_power_of_two() || size > most {
            return Err(BarRequestError::Size { index, size });
        }
        let prefetchable = prefetchable && !matches!(kind, BarKind::Io | BarKind::Rom);
        Ok(Self { index, kind, prefetchable, size })
    }

    /// 0 to 5, or [`ROM_INDEX`].
    #[must_use]
    pub const fn index(self) -> u8 {
        self.index
    }

    /// What it decodes.
    #[must_use]
    pub const fn kind(self) -> BarKind {
        self.kind
    }

    /// Whether reads have no side effects.
    #[must_use]
    pub const fn prefetchable(self) -> bool {
        self.prefetchable
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    pub(super) const fn is_io(self) -> bool {
        matches!(self.kind, BarKind::Io)
    }

    pub(super) const fn is_64(self) -> bool {
        matches!(self.kind, BarKind::Memory64)
    }
}

/// The BARs of a host function that goes to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceBars {
    /// The function.
    pub address: PciAddress,
    /// Where the guest shall find it; none for the first free place.
    pub slot: Option<GuestSlot>,
    /// Its BARs and option ROM.
    pub bars: Vec<BarRequest>,
    /// Whether it is a USB host controller (class 0c03).
    pub usb_controller: bool,
}

impl DeviceBars {
    /// What sysfs says of a function's BARs: the rows 0 to 6 of its `resource`. None where nobody could read them, or where
    /// a row is nothing that a BAR can be.
    #[must_use]
    pub fn of(function: &FunctionFacts) -> Option<Self> {
        let Fact::Known(resources) = &function.resources else { return None };
        let rows = resources.iter().filter(|row| row.index <= ROM_INDEX && row.size > 0);
        let bars = rows.map(|row| {
            let kind = match (row.flags.is_io(), row.index == ROM_INDEX, row.flags.is_64bit()) {
                (true, _, _) => BarKind::Io,
                (_, true, _) => BarKind::Rom,
                (_, _, true) => BarKind::Memory64,
                _ => BarKind::Memory32,
            };
            BarRequest::new(row.index, kind, row.flags.is_prefetchable(), row.size)
        });
        let usb = function.class.known().is_some_and(|class| class.base_and_sub() == 0x0c03);
        let bars: Vec<BarRequest> = bars.collect::<Result<_, _>>().ok()?;
        Some(Self { address: function.address, slot: None, bars, usb_controller: usb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::facts;

    fn read(bars: &str) -> Option<DeviceBars> {
        let facts = facts(&format!("device 0000:02:04.0 class=0c0330 {bars}"));
        facts.functions.values().next().and_then(DeviceBars::of)
    }

    #[test]
    fn rows_of_sysfs_become_bars() {
        let device =
            read("bars=0:e0000000:10000000:0014220c,5:c000:100:40101,6:c0000:20000:46200").expect("bars");
        let seen: Vec<_> =
            device.bars.iter().map(|b| (b.index(), b.kind(), b.prefetchable(), b.size())).collect();
        assert_eq!(
            seen,
            [
                (0, BarKind::Memory64, true, 1 << 28),
                (5, BarKind::Io, false, 256),
                (6, BarKind::Rom, false, 1 << 17)
            ]
        );
        assert!(device.usb_controller);
    }

    #[test]
    fn windows_and_virtual_functions_are_no_bars_of_it() {
        let device = read("bars=0:e0000000:1000:40200,7:e1000000:4000:140204").expect("bars");
        assert_eq!(device.bars.len(), 1);
    }

    #[test]
    fn sizes_that_no_bar_has_and_unread_rows_are_unknown() {
        assert_eq!(read("bars=0:e0000000:1001:40200"), None);
        assert_eq!(read("bars=0:e0000000:100000000:40200"), None);
        assert_eq!(read("unread=resources"), None);
    }
}
