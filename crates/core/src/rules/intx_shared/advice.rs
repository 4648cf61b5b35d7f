//! Which other slot of the same bridge has a line for itself.
//!
//! Which device numbers are real slots only the board tells; device numbers are given with the line each would have, so
//! that whoever holds the card can match them with what is there.

use std::fmt;

use super::{Remedy, RemedyKind};
use crate::pci::PciAddress;
use crate::topology::{LineKnowledge, LineReading, Topology};

/// A device number on the same bus, and what its line would be.
struct Slot {
    place: PciAddress,
    line: LineReading,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} ({}): IRQ {}", self.place.device(), self.place, self.line.irq)
    }
}

/// The advice, if another slot is known to be free of `irq`'s users or of any.
pub(super) fn slots(topology: &Topology, address: PciAddress, irq: u32) -> Option<Remedy> {
    // On a root bus the device number is wired to the board; only behind a bridge is the next slot the next number.
    topology.bridges_above(address).first()?;
    let occupied: Vec<u8> = topology.on_bus_of(address).map(|f| f.address.device()).collect();
    let others = (1..32u8).filter(|device| !occupied.contains(device));
    let candidates: Vec<(PciAddress, Option<LineReading>)> = nearest_first(address, others)
        .into_iter()
        .filter_map(|device| address.with_device(device).ok())
        .filter_map(|place| {
            let wire = topology.wire_as_if_at(address, place)?;
            (Some(wire) != topology.wire(address)).then(|| (place, topology.line_of_wire(wire)))
        })
        .collect();
    let free: Vec<Slot> = candidates
        .iter()
        .filter_map(|(place, line)| line.clone().map(|line| Slot { place: *place, line }))
        .filter(|slot| slot.line.irq != irq && topology.sharers(slot.line.irq, address).is_empty())
        .collect();
    if let Some(best) = free.first() {
        let text = format!(
            "move the card to slot {} of the same bridge ({}): IRQ {}, which nobody uses ({})",
            best.place.device(),
            best.place,
            best.line.irq,
            known_by(&best.line.knowledge)
        );
        let steps = free.iter().take(SHOWN).map(ToString::to_string).collect();
        return Some(Remedy::new(RemedyKind::Hardware, text).with_steps(steps));
    }
    let (place, _) = candidates.iter().find(|(_, line)| line.is_none())?;
    let text = format!(
        "move the card to another slot of the same bridge, for example {} ({place}): it has another wire than IRQ {irq}, \
         whose line is not known yet",
        place.device()
    );
    Some(Remedy::new(RemedyKind::Hardware, text))
}

/// More slots than this no bridge card has.
const SHOWN: usize = 4;

/// How sure the line is.
fn known_by(knowledge: &LineKnowledge) -> String {
    match knowledge {
        LineKnowledge::Own => "seen".to_owned(),
        LineKnowledge::SameWire(other) => format!("seen: {other} is on the same wire"),
        LineKnowledge::Pattern { base, observations } => {
            format!("likely: all {observations} lines seen here follow {base} + (device + pin) mod 4")
        }
    }
}

/// Device numbers above the card's by distance, then those below: bridge boards number their slots upwards.
fn nearest_first(address: PciAddress, devices: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut devices: Vec<u8> = devices.collect();
    devices.sort_by_key(|device| (*device < address.device(), device.abs_diff(address.device())));
    devices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{BENCH, address, topology};

    #[test]
    fn the_nearest_slot_with_a_free_line_is_advised() {
        let advice = slots(&topology(BENCH), address("0000:02:04.0"), 23).expect("advice");
        assert!(
            advice.text.starts_with("move the card to slot 6 of the same bridge (0000:02:06.0): IRQ 21"),
            "{}",
            advice.text
        );
    }

    #[test]
    fn slots_whose_line_has_users_are_not_advised() {
        let advice = slots(&topology(BENCH), address("0000:02:04.0"), 23).expect("advice");
        for step in advice.steps {
            assert!(!step.contains("IRQ 20") && !step.contains("IRQ 23"), "{step}");
        }
    }

    #[test]
    fn without_a_pattern_another_wire_is_advised_with_its_doubt() {
        let host = "device 0000:00:03.0 class=060400
            device 0000:02:04.0 class=010000 pin=1 irq=19 parent=0000:00:03.0 driver=aic7xxx enabled
            irq 19 IO-APIC pin=19 aic7xxx ehci_hcd:usb1";
        let advice = slots(&topology(host), address("0000:02:04.0"), 19).expect("advice");
        assert!(advice.text.contains("whose line is not known yet"), "{}", advice.text);
    }

    #[test]
    fn on_a_root_bus_there_is_no_slot_to_advise() {
        let host = "device 0000:00:04.0 class=010000 pin=1 irq=19 enabled\nirq 19 IO-APIC pin=19 a b";
        assert!(slots(&topology(host), address("0000:00:04.0"), 19).is_none());
    }
}
