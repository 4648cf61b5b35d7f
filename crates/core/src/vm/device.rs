//! Host devices that a guest is given.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::GuestSlot;
use crate::pci::PciAddress;

/// A PCI function of the host, handed to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassthroughDevice {
    /// Where it is on the host.
    pub host: PciAddress,
    /// Where the guest shall find it; none to leave the choice to the monitor.
    pub guest: Option<GuestSlot>,
    /// Which option ROM the guest sees.
    pub rom: OptionRom,
    /// Whether it answers at the legacy VGA addresses.
    pub legacy_vga: LegacyVga,
    /// How its INTx interrupts reach the guest.
    pub intx: IntxDelivery,
    /// How the guest's accesses to its memory BARs are carried out.
    pub bars: BarAccess,
}

impl PassthroughDevice {
    /// The device as it is: any guest slot, its own ROM, no legacy VGA, the fast paths.
    #[must_use]
    pub const fn new(host: PciAddress) -> Self {
        Self {
            host,
            guest: None,
            rom: OptionRom::Device,
            legacy_vga: LegacyVga::No,
            intx: IntxDelivery::InKernel,
            bars: BarAccess::Mapped,
        }
    }

    /// The same device at a chosen place of the guest.
    #[must_use]
    pub fn at(self, slot: GuestSlot) -> Self {
        Self { guest: Some(slot), ..self }
    }
}

/// Which option ROM the guest sees in the device's expansion ROM BAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionRom {
    /// The device's own, as the host can read it.
    Device,
    /// None: the BAR is hidden, so firmware does not run the device's code.
    Hidden,
    /// This file instead.
    File(PathBuf),
}

/// Whether a graphics device answers at the legacy VGA ranges (0xa0000–0xbffff, ports 0x3b0–0x3df).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegacyVga {
    /// It does; at most one device of a machine can.
    Yes,
    /// It does not.
    No,
}

/// The way of a level-triggered interrupt from the device into the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntxDelivery {
    /// From kernel to kernel, past the monitor, where the host can do that.
    InKernel,
    /// Through the monitor: slower, and the cure where an interrupt left pending by firmware is lost on the
    /// short way.
    ThroughMonitor,
}

/// How the guest reaches memory BARs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BarAccess {
    /// Directly, by page tables.
    Mapped,
    /// Each access by the monitor: very slow, but it can be traced.
    Trapped,
}

/// A USB device of the host, handed to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsbHostDevice {
    /// Whatever carries this id, at any port.
    Id(UsbId),
}

/// A USB vendor and product id (USB 2.0 §9.6.1), text `vvvv:pppp` in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsbId {
    /// Who made it.
    pub vendor: u16,
    /// Which of that vendor's products.
    pub product: u16,
}

/// A text that is not `vvvv:pppp`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a USB id (expected vvvv:pppp, four hexadecimal digits each)")]
pub struct UsbIdError(String);

impl fmt::Display for UsbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)
    }
}

impl FromStr for UsbId {
    type Err = UsbIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let plain = part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
            if plain { u16::from_str_radix(part, 16).ok() } else { None }
        };
        let parts = text.split_once(':').and_then(|(v, p)| Some((number(v)?, number(p)?)));
        let (vendor, product) = parts.ok_or_else(|| UsbIdError(text.chars().take(40).collect()))?;
        Ok(Self { vendor, product })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usb_ids_round_trip_and_other_texts_are_refused() {
        assert_eq!("046d:c330".parse::<UsbId>().map(|id| id.to_string()).as_deref(), Ok("046d:c330"));
        for text in ["", "46d:c330", "046d", "046d:c3300", "046d:+330"] {
            assert_eq!(text.parse::<UsbId>(), Err(UsbIdError(text.into())));
        }
    }
}
