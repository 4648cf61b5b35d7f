//! The guest's PCI functions: what the chipset brings, what is passed through, bridges and what is behind them.

use super::{BarRequest, DeviceBars, GuestMachine, Owner, Placer};
use crate::pci::BarKind;
use crate::vm::{GuestSlot, MachineType};

/// Most buses that are looked at: bus numbers have 8 bits.
const MAX_BUSES: usize = 256;

/// q35's SMBus controller, which SeaBIOS moves after it has placed it.
pub(super) const SMBUS: Owner = Owner::Guest("SMBus");

/// The register space that an entry of a bus needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// I/O ports.
    Io,
    /// Memory, not prefetchable; option ROMs too.
    Memory,
    /// Prefetchable memory.
    Prefetchable,
}

/// A function of the guest.
#[derive(Clone, Debug)]
pub struct Function {
    /// Whose BARs they are.
    pub owner: Owner,
    /// Its place on its bus.
    pub slot: GuestSlot,
    /// BARs 0 to 5 and the option ROM, in this order.
    pub bars: Vec<BarRequest>,
    /// What SeaBIOS makes of it.
    pub class: Class,
    /// What it leads to, for a bridge.
    pub bridge: Option<Bridge>,
}

/// What SeaBIOS tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// USB host controllers (0c03): their BARs stay below 4 GiB, so that the BIOS itself can use them.
    Usb,
    /// Everything else.
    Other,
}

/// A bridge and what is behind it. All of them take hot-plug.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Which bridge.
    pub kind: BridgeKind,
    /// What it asks firmware to keep for hot-plug.
    pub reserve: Reserve,
    /// The functions right behind it.
    pub behind: Vec<Function>,
}

/// Which bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeKind {
    /// A PCI Express root port with a slot.
    RootPort,
    /// A bridge to conventional PCI with a standard hot-plug controller.
    Conventional,
}

/// The windows that a bridge asks firmware to keep for hot-plug, in bytes (QEMU `docs/pcie_pci_bridge.txt`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Reserve {
    /// I/O ports; 0 for a bridge that has no I/O window.
    pub io: Option<u64>,
    /// Memory that is not prefetchable.
    pub memory: Option<u64>,
    /// Prefetchable memory below 4 GiB.
    pub prefetchable32: Option<u64>,
    /// Prefetchable memory anywhere.
    pub prefetchable64: Option<u64>,
}

/// One bus: which bridge it is behind, and its functions.
#[derive(Debug)]
pub(super) struct Bus<'f> {
    /// Number of the bus above, and the bridge's own function there. None for the root bus.
    pub(super) above: Option<(usize, &'f Function, &'f Bridge)>,
    /// In the order of their slots.
    pub(super) functions: Vec<&'f Function>,
}

/// Numbers buses as firmware does: depth first, in the order of slots.
pub(super) fn buses(root: &[Function]) -> Vec<Bus<'_>> {
    let mut all = Vec::new();
    collect(&mut all, root, None);
    all
}

fn collect<'f>(
    all: &mut Vec<Bus<'f>>,
    functions: &'f [Function],
    above: Option<(usize, &'f Function, &'f Bridge)>,
) {
    if all.len() >= MAX_BUSES {
        return;
    }
    let number = all.len();
    let mut sorted: Vec<&Function> = functions.iter().collect();
    sorted.sort_by_key(|function| function.slot);
    all.push(Bus { above, functions: sorted.clone() });
    for function in sorted {
        if let Some(bridge) = &function.bridge {
            collect(all, &bridge.behind, Some((number, function, bridge)));
        }
    }
}

/// The functions of the root bus: the chipset's own and `devices` at their slots, the first free one where none is wished.
/// Second: devices for which there is no slot.
pub(super) fn populate<'d>(
    machine: &GuestMachine,
    devices: &'d [DeviceBars],
) -> (Vec<Function>, Vec<&'d DeviceBars>) {
    let mut functions = chipset(machine);
    let mut homeless = Vec::new();
    for wished in [true, false] {
        for device in devices.iter().filter(|device| device.slot.is_some() == wished) {
            let free = |slot: &GuestSlot| {
                let taken = functions.iter().any(|f| f.slot.device() == slot.device() && f.slot != *slot);
                let same = functions.iter().any(|f| f.slot == *slot);
                let reserved = machine.machine.occupant(*slot).is_some();
                !same && !reserved && (!taken || device.slot.is_some())
            };
            let all = (0..32).filter_map(|number| GuestSlot::new(number, 0).ok());
            let slot = device.slot.into_iter().chain(all).find(free);
            match slot {
                Some(slot) => functions.push(passed(device, slot)),
                None => homeless.push(device),
            }
        }
    }
    (functions, homeless)
}

fn passed(device: &DeviceBars, slot: GuestSlot) -> Function {
    Function {
        owner: Owner::Host(device.address),
        slot,
        bars: device.bars.clone(),
        class: if device.usb_controller { Class::Usb } else { Class::Other },
        bridge: None,
    }
}

/// The chipset's functions with BARs (QEMU `hw/ide/piix.c`, `hw/ide/ich.c`, `hw/i2c/smbus_ich9.c`,
/// `hw/pci-bridge/gen_pcie_root_port.c`; Xen: `hw/i386/xen/xen_platform.c` and the emulated VGA).
pub(super) fn chipset(machine: &GuestMachine) -> Vec<Function> {
    use BarKind::{Io, Memory32, Rom};
    let ide = || ("IDE", (1, 1), vec![(4, Io, false, 16)]);
    let rows: Vec<ChipsetRow> = match (machine.placer, machine.machine) {
        (Placer::Hvmloader(_), _) => vec![
            ide(),
            ("Xen platform device", (2, 0), vec![(0, Io, false, 256), (1, Memory32, true, 16 << 20)]),
            (
                "VGA",
                (3, 0),
                vec![(0, Memory32, true, 16 << 20), (2, Memory32, false, 4096), (6, Rom, false, 65536)],
            ),
        ],
        (_, MachineType::Pc) => vec![ide()],
        (_, MachineType::Q35) => vec![
            ("AHCI", (0x1f, 2), vec![(4, Io, false, 32), (5, Memory32, false, 4096)]),
            ("SMBus", (0x1f, 3), vec![(4, Io, false, 64)]),
        ],
    };
    rows.into_iter().filter_map(|(name, slot, bars)| fixed(name, slot, &bars)).collect()
}

type ChipsetRow = (&'static str, (u8, u8), Vec<(u8, BarKind, bool, u64)>);

/// An empty port for each place at which a device may come at run time, see [`MachineType::hotplug_ports`].
pub(super) fn hotplug_ports(machine: &GuestMachine) -> Vec<Function> {
    if matches!(machine.placer, Placer::Hvmloader(_)) {
        return Vec::new();
    }
    (0..machine.machine.hotplug_ports())
        .filter_map(|index| port((0x1c, index), Reserve::default(), Vec::new()))
        .collect()
}

/// A root port: one BAR of 4 KiB for its MSI-X table.
pub(super) fn port(slot: (u8, u8), reserve: Reserve, behind: Vec<Function>) -> Option<Function> {
    let mut port = fixed("root port", slot, &[(0, BarKind::Memory32, false, 4096)])?;
    port.bridge = Some(Bridge { kind: BridgeKind::RootPort, reserve, behind });
    Some(port)
}

/// A function of the machine itself.
pub(super) fn fixed(
    name: &'static str,
    slot: (u8, u8),
    bars: &[(u8, BarKind, bool, u64)],
) -> Option<Function> {
    let bars =
        bars.iter().filter_map(|(index, kind, pref, size)| BarRequest::new(*index, *kind, *pref, *size).ok());
    Some(Function {
        owner: Owner::Guest(name),
        slot: GuestSlot::new(slot.0, slot.1).ok()?,
        bars: bars.collect(),
        class: Class::Other,
        bridge: None,
    })
}
