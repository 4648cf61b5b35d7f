//! Whether a function can mask its own interrupt (DisINTx, Command bit 10, since PCI 2.3): asked by the rules about INTx.

use std::collections::BTreeMap;

use super::{Assignment, Evidence, VmAssignment};
use crate::facts::{FunctionFacts, ParameterValue};
use crate::pci::{PciAddress, PciId, decode};
use crate::topology::Topology;

/// Whether the function can mask its own interrupt, and how that is known.
pub(super) enum Masking {
    /// It can, or need not.
    Works,
    /// It cannot, or is kept from it.
    Missing(Evidence),
    /// Only trying tells.
    Unknown,
}

pub(super) fn masking(topology: &Topology, function: &FunctionFacts) -> Masking {
    if let Some(value) = topology.facts().kernel.parameter("vfio_pci", "nointxmask").filter(|v| v.is_on()) {
        return Masking::Missing(Evidence::new(value.place.clone(), format!("nointxmask={}", value.value)));
    }
    if let Some(id) = function.id.known()
        && let Some(known) = KNOWN_UNMASKABLE.iter().find(|known| known.matches(*id))
    {
        return Masking::Missing(Evidence::new(known.source, format!("{id}: {}", known.what)));
    }
    // PCI Express functions implement Interrupt Disable if they have INTx at all (PCIe Base 6.0 §7.5.1.1.3). Where the bit is
    // seen set, somebody could set it.
    let decoded = function.config.known().and_then(|config| decode(config).ok());
    let seen_set = decoded.is_some_and(|function| function.header.command.intx_disabled());
    if seen_set || topology.is_express(function.address) == Some(true) {
        Masking::Works
    } else {
        Masking::Unknown
    }
}

/// Whether VFIO shows the function without an interrupt pin, and so asks for no line: Intel's i40e and X550, whose DisINTx is
/// broken, unless masking is switched off altogether (`vfio_pci_core.c: vfio_pci_nointx, vfio_pci_core_enable`).
fn is_shown_without_intx(topology: &Topology, function: &FunctionFacts) -> bool {
    const I40E: [u16; 14] = [
        0x1572, 0x1574, 0x1580, 0x1581, 0x1583, 0x1584, 0x1585, 0x1586, 0x1587, 0x1588, 0x1589, 0x158a,
        0x158b, 0x1563,
    ];
    let exclusive =
        || topology.facts().kernel.parameter("vfio_pci", "nointxmask").is_some_and(ParameterValue::is_on);
    let listed = |id: &PciId| {
        id.vendor == 0x8086 && (I40E.contains(&id.device) || (0x37d0..=0x37d2).contains(&id.device))
    };
    function.id.known().is_some_and(listed) && !exclusive()
}

/// Functions that go through VFIO by the interrupt line that each wants: the monitor asks for the line of each when its VM
/// starts, even where the guest goes on to use messages (QEMU hw/vfio/pci.c: vfio_realize, vfio_intx_enable).
pub(super) fn given_by_line<'a>(
    topology: &Topology,
    assignment: &'a Assignment,
) -> BTreeMap<u32, Vec<(&'a VmAssignment, PciAddress)>> {
    let mut lines: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (vm, address) in assignment.given().filter(|(vm, _)| vm.uses_vfio()) {
        let hidden = topology.function(address).is_none_or(|f| is_shown_without_intx(topology, f));
        if topology.pin(address).is_some()
            && !hidden
            && let Some(line) = topology.line(address)
        {
            lines.entry(line.irq).or_default().push((vm, address));
        }
    }
    lines
}

/// Functions that are known not to mask.
struct Unmaskable {
    vendor: u16,
    /// `None`: every device of the vendor.
    device: Option<u16>,
    what: &'static str,
    source: &'static str,
}

impl Unmaskable {
    fn matches(&self, id: PciId) -> bool {
        self.vendor == id.vendor && self.device.is_none_or(|device| device == id.device)
    }
}

const fn unmaskable(vendor: u16, device: u16, what: &'static str, source: &'static str) -> Unmaskable {
    Unmaskable { vendor, device: Some(device), what, source }
}

const QUIRKS: &str = "drivers/pci/quirks.c: quirk_broken_intx_masking";
const MELLANOX: &str = "drivers/pci/quirks.c: mellanox_check_broken_intx_masking";

/// The kernel's list of devices whose DisINTx does not work, and chips older than the bit. Intel's i40e and X550, which
/// the kernel lists too, are shown to guests without INTx and need no line (`vfio_pci_core.c: vfio_pci_nointx`).
const KNOWN_UNMASKABLE: &[Unmaskable] = &[
    Unmaskable {
        vendor: 0x9004,
        device: None,
        what: "Adaptec AIC-78xx, a PCI 2.1 design, has no interrupt disable bit",
        source: "AIC-7850/7870 data sheets; the bit came with PCI 2.3",
    },
    unmaskable(0x1425, 0x0030, "Chelsio T310 does not mask INTx", QUIRKS),
    unmaskable(0x1814, 0x0601, "Ralink RT2800 does not mask INTx", QUIRKS),
    unmaskable(0x1b7c, 0x0004, "Ceton InfiniTV4 does not mask INTx", QUIRKS),
    unmaskable(0x10ec, 0x8169, "Realtek RTL8169 does not mask INTx", QUIRKS),
    unmaskable(0x1102, 0x000b, "Creative CA0132 (20K2) does not mask INTx", QUIRKS),
    unmaskable(0x15b3, 0x6340, "Mellanox ConnectX (Hermon SDR) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x634a, "Mellanox ConnectX (Hermon DDR) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6354, "Mellanox ConnectX (Hermon QDR) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6368, "Mellanox ConnectX EN (Hermon) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6372, "Mellanox ConnectX EN does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6732, "Mellanox ConnectX (Hermon DDR, PCIe 2.0) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x673c, "Mellanox ConnectX-2 (Hermon QDR, PCIe 2.0) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6746, "Mellanox ConnectX-2 EN 5 GT/s does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6750, "Mellanox ConnectX EN (Hermon, PCIe 2.0) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x675a, "Mellanox ConnectX EN 10GBASE-T does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x6764, "Mellanox ConnectX EN (PCIe 2.0) does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x676e, "Mellanox ConnectX-2 does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x1003, "Mellanox ConnectX-3 does not mask INTx", MELLANOX),
    unmaskable(0x15b3, 0x1007, "Mellanox ConnectX-3 Pro does not mask INTx", MELLANOX),
];
