//! Interrupt wires: where a function's INTx pin ends on the root bus.
//!
//! Behind a bridge the pins rotate with the device number: `pin' = (pin - 1 + device) mod 4 + 1`
//! (PCI-to-PCI Bridge Architecture 1.2 §9.1; `drivers/pci/pci.c: pci_swizzle_interrupt_pin`). Firmware may route a
//! bridge's secondary bus by a `_PRT` of its own (`drivers/acpi/pci_irq.c: acpi_pci_irq_lookup`); where it does, what is
//! said here of two functions sharing a wire still holds for add-in cards' bridges, which have none.

use std::fmt;

use super::{MAX_DEPTH, Topology};
use crate::pci::PciAddress;

/// An INTx pin, A to D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntxPin(u8);

impl IntxPin {
    /// INTA.
    pub(super) const FIRST: Self = Self(0);

    /// From the Interrupt Pin register: 1 to 4 are A to D, anything else is no pin.
    #[must_use]
    pub const fn from_register(value: u8) -> Option<Self> {
        if 1 <= value && value <= 4 { Some(Self(value - 1)) } else { None }
    }

    /// 0 for A to 3 for D.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The pin that this one reaches on the other side of a bridge, from a function with that device number.
    #[must_use]
    pub const fn swizzled(self, device: u8) -> Self {
        Self((self.0 + device % 4) % 4)
    }
}

impl fmt::Display for IntxPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "A",
            1 => "B",
            2 => "C",
            _ => "D",
        })
    }
}

/// A wire as it leaves the tree of bridges: a device on the root bus, and its pin. Functions with the same wire share
/// an interrupt line, whatever line that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wire {
    /// The device on the root bus, as its function 0.
    pub root: PciAddress,
    /// The pin there.
    pub pin: IntxPin,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INT{} of {}", self.pin, self.root)
    }
}

impl Topology {
    /// A function's own pin.
    #[must_use]
    pub fn pin(&self, address: PciAddress) -> Option<IntxPin> {
        self.function(address)?.interrupt_pin.known().and_then(|pin| IntxPin::from_register(*pin))
    }

    /// The wire that a function's pin reaches; nothing for a function without a pin.
    #[must_use]
    pub fn wire(&self, address: PciAddress) -> Option<Wire> {
        self.wire_as_if_at(address, address)
    }

    /// The wire that a function's pin would reach if it sat at `place`, an address below the same bridge.
    #[must_use]
    pub fn wire_as_if_at(&self, address: PciAddress, place: PciAddress) -> Option<Wire> {
        let mut pin = self.pin(address)?;
        let mut at = place;
        for bridge in self.bridges_above(address).into_iter().take(MAX_DEPTH) {
            pin = pin.swizzled(at.device());
            at = bridge;
        }
        Some(Wire { root: at.function_zero(), pin })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::topology;
    use super::*;

    #[test]
    fn pins_rotate_with_the_device_number_at_each_bridge() {
        let topology = topology(
            "device 0000:00:03.0 class=060400 pin=1
             device 0000:01:00.0 class=060400 pin=1 parent=0000:00:03.0
             device 0000:02:04.0 class=010000 pin=1 parent=0000:01:00.0
             device 0000:02:05.0 class=010000 pin=1 parent=0000:01:00.0
             device 0000:02:06.0 class=010000 pin=2 parent=0000:01:00.0",
        );
        let wire = |text: &str| topology.wire(text.parse().expect("address")).map(|w| w.to_string());
        assert_eq!(wire("0000:02:04.0").as_deref(), Some("INTA of 0000:00:03.0"));
        assert_eq!(wire("0000:02:05.0").as_deref(), Some("INTB of 0000:00:03.0"));
        assert_eq!(wire("0000:02:06.0").as_deref(), Some("INTD of 0000:00:03.0"));
    }

    #[test]
    fn moving_a_card_rotates_its_wire_by_the_slots_moved() {
        let topology = topology(
            "device 0000:00:03.0 class=060400 pin=1
             device 0000:01:04.0 class=010000 pin=1 parent=0000:00:03.0",
        );
        let card: PciAddress = "0000:01:04.0".parse().expect("address");
        for device in 0..32 {
            let place = card.with_device(device).expect("device number");
            let wire = topology.wire_as_if_at(card, place).expect("wire");
            assert_eq!(wire.pin.index(), device % 4);
        }
    }

    #[test]
    fn a_function_without_a_pin_has_no_wire() {
        let topology = topology("device 0000:00:03.0 class=010802 pin=0");
        assert_eq!(topology.wire("0000:00:03.0".parse().expect("address")), None);
    }
}
