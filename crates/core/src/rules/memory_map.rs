//! Where a guest's memory lies, and which reserved ranges concern a function: asked by the rules about DMA addresses.

use super::VmAssignment;
use crate::facts::{ReservedKind, ReservedRegion};
use crate::pci::PciAddress;
use crate::topology::Topology;
use crate::vm::MachineType;

const GIB: u64 = 1 << 30;

/// The guest's memory as ranges of guest-physical addresses, last byte included, in bytes.
///
/// pc: low memory up to 3.5 GiB in one piece, more is split at 3 GiB (QEMU hw/i386/pc_piix.c: pc_init1). q35: below
/// 2816 MiB in one piece, more is split at 2 GiB (hw/i386/pc_q35.c: pc_q35_init). The rest starts at 4 GiB. The legacy
/// range 0xa0000–0xbffff is no memory.
pub(super) fn guest_memory(vm: &VmAssignment) -> Vec<(u64, u64)> {
    let bytes = vm.memory.bytes();
    let (most_below, split) = match vm.machine {
        MachineType::Pc => (7 * GIB / 2, 3 * GIB),
        MachineType::Q35 => (0xb000_0000, 2 * GIB),
    };
    let low = if bytes < most_below { bytes } else { split };
    let mut ranges = vec![(0, 0x9_ffff)];
    if low > 0xc_0000 {
        ranges.push((0xc_0000, low - 1));
    }
    if bytes > low {
        ranges.push((4 * GIB, 4 * GIB + (bytes - low) - 1));
    }
    ranges
}

/// Reserved ranges that concern a function: its own and those of its group, since a group has one address space; of
/// those that firmware names, also the ranges of bridges above it (Intel VT-d 4.1 §8.4). What the kernel says of the group
/// counts before what firmware's table says.
pub(super) fn reserved_for(topology: &Topology, address: PciAddress) -> Vec<&ReservedRegion> {
    let mut own: Vec<PciAddress> = topology.group_members(address).to_vec();
    own.push(address);
    let above = topology.bridges_above(address);
    let concerns =
        |region: &ReservedRegion, whom: &[PciAddress]| region.devices.iter().any(|d| whom.contains(d));
    let regions = &topology.facts().iommu.reserved;
    let by_kernel: Vec<&ReservedRegion> =
        regions.iter().filter(|r| !is_of_firmware(r.kind) && concerns(r, &own)).collect();
    if !by_kernel.is_empty() {
        return by_kernel;
    }
    let of_firmware = regions.iter().filter(|region| is_of_firmware(region.kind));
    of_firmware.filter(|region| concerns(region, &own) || concerns(region, &above)).collect()
}

const fn is_of_firmware(kind: ReservedKind) -> bool {
    matches!(kind, ReservedKind::Rmrr | ReservedKind::Ivmd)
}

/// Where a range was read, for evidence.
pub(super) fn place(topology: &Topology, address: PciAddress, kind: ReservedKind) -> String {
    match kind {
        ReservedKind::Rmrr => "/sys/firmware/acpi/tables/DMAR".to_owned(),
        ReservedKind::Ivmd => "/sys/firmware/acpi/tables/IVRS".to_owned(),
        _ => match topology.function(address).and_then(|f| f.group.known()) {
            Some(group) => format!("/sys/kernel/iommu_groups/{group}/reserved_regions"),
            None => "reserved_regions".to_owned(),
        },
    }
}

/// A range in the kernel's form.
pub(super) fn shown(region: &ReservedRegion) -> String {
    format!("{:#018x} {:#018x} {}", region.start, region.end, region.kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::BackendKind;

    fn ranges(machine: MachineType, memory: &str) -> Vec<(u64, u64)> {
        let (name, memory) = ("vm".parse().expect("name"), memory.parse().expect("memory"));
        guest_memory(&VmAssignment::new(name, BackendKind::Qemu, machine, memory, Vec::new()))
    }

    #[test]
    fn memory_is_split_where_qemu_splits_it() {
        let end = |machine, memory| ranges(machine, memory).last().map(|range| range.1 + 1);
        assert_eq!(end(MachineType::Pc, "3500M"), Some(0xdac0_0000));
        assert_eq!(end(MachineType::Pc, "4096M"), Some(0x1_4000_0000));
        assert_eq!(end(MachineType::Q35, "2G"), Some(0x8000_0000));
        assert_eq!(end(MachineType::Q35, "4096M"), Some(0x1_8000_0000));
        assert_eq!(ranges(MachineType::Pc, "1M"), [(0, 0x9_ffff), (0xc_0000, 0xf_ffff)]);
    }
}
