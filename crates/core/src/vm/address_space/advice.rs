//! The least change that makes everything fit: candidates are tried one by one, in the order of the trouble they are.

use std::fmt;

use super::arith::{GIB, MIB};
use super::{
    Bytes, DeviceBars, Edk2Release, Furniture, GuestMachine, PhysBits, Placer, SeaBiosVersion, Unplaced, fit,
};
use crate::pci::PciAddress;
use crate::vm::{MachineType, MemorySize};

/// Most changes that are offered.
const MOST: usize = 6;

/// A change of the machine, or of what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another memory size.
    Memory(MemorySize),
    /// Another chipset.
    Machine(MachineType),
    /// At most so much memory below 4 GiB, in bytes, the rest above: a larger hole.
    RamBelow4G(u64),
    /// So large a hole below 4 GiB, in bytes (Xen).
    MmioHole(u64),
    /// Another firmware or release.
    Placer(Placer),
    /// So large an aperture above 4 GiB, in bytes (OVMF).
    Aperture64(u64),
    /// So many physical address bits.
    PhysBits(u8),
    /// Without these functions.
    Without(Vec<PciAddress>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Memory(size) => write!(f, "give the VM {size} of memory"),
            Change::Machine(machine) => write!(f, "use the machine type {machine}"),
            Change::RamBelow4G(size) => {
                write!(f, "keep no more than {} of memory below 4 GiB, which widens the hole", Bytes(*size))
            }
            Change::MmioHole(size) => write!(f, "set mmio_hole to {} (MiB)", size / MIB),
            Change::Placer(Placer::Ovmf(_)) => f.write_str("boot with UEFI firmware"),
            Change::Placer(Placer::SeaBios(_)) => f.write_str("boot with the PC BIOS"),
            Change::Placer(placer) => write!(f, "boot with {placer}"),
            Change::Aperture64(size) => {
                write!(
                    f,
                    "set the firmware's 64-bit PCI aperture to {} MiB (opt/ovmf/X-PciMmio64Mb)",
                    size / MIB
                )
            }
            Change::PhysBits(bits) => write!(f, "give the guest {bits} physical address bits"),
            Change::Without(devices) => {
                let list: Vec<String> = devices.iter().map(ToString::to_string).collect();
                write!(f, "leave out {}", list.join(", "))
            }
        }
    }
}

/// Changes that help, each alone. Empty where none of those tried does.
pub(super) fn advise(
    machine: &GuestMachine,
    devices: &[DeviceBars],
    furniture: Furniture,
    unplaced: &[Unplaced],
) -> Vec<Change> {
    let fits = |machine: &GuestMachine| fit(machine, devices, furniture).unplaced.is_empty();
    let mut advice: Vec<Change> = Vec::new();
    for (change, changed) in candidates(machine) {
        let same_kind = |other: &Change| std::mem::discriminant(other) == std::mem::discriminant(&change);
        if advice.len() < MOST && !advice.iter().any(same_kind) && fits(&changed) {
            advice.push(change);
        }
    }
    advice.extend(without(machine, devices, furniture, unplaced));
    advice
}

/// Each single change with the machine it makes; of a kind the smallest change first.
fn candidates(machine: &GuestMachine) -> Vec<(Change, GuestMachine)> {
    let mut list = Vec::new();
    let mut push = |change: Change, changed: GuestMachine| {
        if changed != *machine {
            list.push((change, changed));
        }
    };
    let mut sizes: Vec<MemorySize> = [2048, 2700, 2816, 3072, 3500, 3584, 4096]
        .into_iter()
        .filter_map(|mib| MemorySize::from_mib(mib).ok())
        .collect();
    sizes.sort_by_key(|size| size.bytes().abs_diff(machine.memory.bytes()));
    for memory in sizes {
        push(Change::Memory(memory), GuestMachine { memory, ..*machine });
    }
    let tuned = |edit: fn(&mut super::Tuning, u64), size: u64| {
        let mut changed = *machine;
        edit(&mut changed.tuning, size);
        changed
    };
    if let Placer::Hvmloader(_) = machine.placer {
        for hole in [512 * MIB, GIB, 2 * GIB, 3 * GIB] {
            push(Change::MmioHole(hole), tuned(|t, hole| t.mmio_hole = Some(hole), hole));
        }
        return list;
    }
    for other in [MachineType::Q35, MachineType::Pc] {
        push(Change::Machine(other), GuestMachine { machine: other, ..*machine });
    }
    for limit in [3 * GIB, 2 * GIB, GIB] {
        push(Change::RamBelow4G(limit), tuned(|t, limit| t.ram_below_4g = Some(limit), limit));
    }
    let other = match machine.placer {
        Placer::SeaBios(_) => Placer::Ovmf(Edk2Release(202_302)),
        _ => Placer::SeaBios(SeaBiosVersion(1, 16, 2)),
    };
    push(Change::Placer(other), GuestMachine { placer: other, ..*machine });
    if let Placer::Ovmf(_) = machine.placer {
        for shift in 35..=44 {
            let size = 1 << shift;
            push(Change::Aperture64(size), tuned(|t, size| t.aperture64 = Some(size), size));
        }
    }
    for bits in
        [39, 42, 46, 48].into_iter().filter(|bits| machine.phys_bits.is_some_and(|p| p.bits() < *bits))
    {
        let phys_bits = machine.phys_bits.and_then(|phys| PhysBits::new(phys.vendor(), bits));
        push(Change::PhysBits(bits), GuestMachine { phys_bits, ..*machine });
    }
    list
}

/// The functions that have to go: the one with the largest memory BARs first, until the rest fits.
fn without(
    machine: &GuestMachine,
    devices: &[DeviceBars],
    furniture: Furniture,
    unplaced: &[Unplaced],
) -> Option<Change> {
    let weight =
        |device: &DeviceBars| device.bars.iter().filter(|bar| !bar.is_io()).map(|bar| bar.size()).max();
    let below = |device: &DeviceBars| unplaced.iter().any(|bar| bar.device == device.address);
    let mut rest: Vec<DeviceBars> = devices.to_vec();
    rest.sort_by_key(|device| (below(device), weight(device), device.address));
    let mut gone = Vec::new();
    while let Some(device) = rest.pop() {
        gone.push(device.address);
        let left: Vec<DeviceBars> = devices.iter().filter(|d| !gone.contains(&d.address)).cloned().collect();
        if left.is_empty() {
            return None;
        }
        if fit(machine, &left, furniture).unplaced.is_empty() {
            return Some(Change::Without(gone));
        }
    }
    None
}
