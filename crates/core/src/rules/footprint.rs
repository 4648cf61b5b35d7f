//! What VFIO costs the host while a VM runs: memory that is locked and DMA mappings that are made. Asked by the rules about
//! limits, and told with each plan.
//!
//! type1 locks all memory that it maps, and charges it to whoever opened the container, unless that has CAP_IPC_LOCK
//! (`drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote, vfio_lock_acct`). The charge is per container, not per device:
//! QEMU puts all groups of a machine without IOMMU of its own into one, so a second device costs nothing more. With a guest
//! IOMMU each device has an address space and a container of its own and all is charged once for each, which libvirt allows
//! for by multiplying (`src/qemu/qemu_domain.c: qemuDomainGetMemLockLimitBytes`); machines made from a spec have none. iommufd
//! charges by user instead of by process (`drivers/iommu/iommufd/pages.c: do_update_pinned`). BARs are mapped, not locked.

use super::VmAssignment;
use crate::facts::KernelVersion;
use crate::pci::PciAddress;
use crate::topology::Topology;

/// What QEMU maps beside the guest's memory: firmware, option ROMs, the memory of an emulated display. 64 MiB cover OVMF
/// (4 MiB), ROMs and the 16 MiB of the standard VGA (QEMU hw/display/vga-pci.c: vgamem_mb) with room.
const BESIDE_BYTES: u64 = 64 << 20;

/// Pieces of guest memory beside BARs: low and high RAM, the legacy region below 1 MiB in its 12 switchable segments
/// (QEMU hw/pci-host/pam.c: 12 expansion segments and the BIOS), firmware, ROMs.
const MEMORY_PIECES: u64 = 32;

/// Mappings of one function at the most, where its BARs are unknown: six BARs, one of them split by an MSI-X table.
const MOST_OF_FUNCTION: u64 = 7;

/// The least that is mapped into a guest, in bytes.
const PAGE: u64 = 4096;

/// The kernel's own limit (`drivers/vfio/vfio_iommu_type1.c: dma_entry_limit = U16_MAX`).
const ENTRY_LIMIT: u64 = 65535;

/// Before this release there is no limit (commit 492855939bdb).
const LIMITED: KernelVersion = KernelVersion { major: 5, minor: 1 };

/// Bytes that VFIO locks while the VM runs; none where nothing goes through VFIO.
pub(crate) fn locked_bytes(vm: &VmAssignment) -> Option<u64> {
    (vm.uses_vfio() && !vm.devices.is_empty()).then(|| vm.memory.bytes().saturating_add(BESIDE_BYTES))
}

/// Mappings that the VM makes at the most; none where nothing goes through VFIO.
pub(crate) fn dma_entries(topology: &Topology, vm: &VmAssignment) -> Option<u64> {
    locked_bytes(vm)?;
    let of_devices =
        vm.devices.iter().map(|device| dma_entries_of(topology, *device).unwrap_or(MOST_OF_FUNCTION));
    Some(of_devices.fold(MEMORY_PIECES, u64::saturating_add))
}

/// Mappings that one function makes: its memory BARs of a page and more, the one with the MSI-X table in two pieces (QEMU
/// hw/vfio/pci.c: vfio_msix_early_setup, hw/vfio/region.c). None where its BARs could not be read.
pub(crate) fn dma_entries_of(topology: &Topology, device: PciAddress) -> Option<u64> {
    let function = topology.function(device)?;
    let bars = function.resources.known()?.iter();
    let mapped = bars.filter(|bar| bar.index <= 5 && bar.flags.is_memory() && bar.size >= PAGE).count();
    let split = u64::from(mapped > 0 && function.features().msix_vectors.is_none_or(|vectors| vectors > 0));
    Some(u64::try_from(mapped).unwrap_or(u64::MAX).saturating_add(split))
}

/// How many mappings a container may hold; none where the kernel knows no limit.
pub(crate) fn entry_limit(topology: &Topology) -> Option<u64> {
    let kernel = &topology.facts().kernel;
    let set =
        kernel.parameter("vfio_iommu_type1", "dma_entry_limit").and_then(|p| p.value.trim().parse().ok());
    let old = kernel.version().is_some_and(|version| version < LIMITED);
    set.or((!old).then_some(ENTRY_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{address, topology};
    use crate::vm::{BackendKind, MachineType};

    fn vm(backend: BackendKind, devices: &str) -> VmAssignment {
        let (name, memory) = ("vm".parse().expect("name"), "1G".parse().expect("memory"));
        let devices = devices.split_whitespace().map(address).collect();
        VmAssignment::new(name, backend, MachineType::Q35, memory, devices)
    }

    const HOST: &str = "kernel 6.1.0
        device 0000:01:00.0 class=030000 bars=0:c0000000:10000000:14220c,2:d0000000:1000:40200,4:e000:100:40101 config=256
        device 0000:02:00.0 class=0c0320 bars=0:d0001000:400:40200 config=256
        device 0000:03:00.0 class=010802 bars=0:d0004000:4000:140204 config=256,04:00100000,34:40,40:003f0011
        device 0000:04:00.0 class=020000 unread=resources";

    #[test]
    fn memory_is_locked_once_for_all_devices_and_not_by_xen() {
        let bytes = |backend, devices| locked_bytes(&vm(backend, devices));
        assert_eq!(bytes(BackendKind::Qemu, "0000:01:00.0"), Some((1 << 30) + (64 << 20)));
        assert_eq!(bytes(BackendKind::Qemu, "0000:01:00.0 0000:03:00.0"), Some((1 << 30) + (64 << 20)));
        assert_eq!(bytes(BackendKind::Qemu, ""), None);
        assert_eq!(bytes(BackendKind::Xen, "0000:01:00.0"), None);
    }

    #[test]
    fn bars_of_a_page_and_more_are_mapped_each() {
        let host = topology(HOST);
        let of = |device| dma_entries_of(&host, address(device));
        assert_eq!([of("0000:01:00.0"), of("0000:02:00.0"), of("0000:03:00.0")], [Some(2), Some(0), Some(2)]);
        assert_eq!(of("0000:04:00.0"), None);
        let all = vm(BackendKind::Qemu, "0000:01:00.0 0000:02:00.0 0000:03:00.0 0000:04:00.0");
        assert_eq!(dma_entries(&host, &all), Some(32 + 2 + 2 + 7));
    }

    #[test]
    fn the_limit_is_the_kernels_unless_it_is_set_or_older_than_the_limit() {
        assert_eq!(entry_limit(&topology(HOST)), Some(65535));
        assert_eq!(entry_limit(&topology(&HOST.replace("6.1.0", "4.19.0"))), None);
        let set = format!("{HOST}\nparam vfio_iommu_type1.dma_entry_limit=16");
        assert_eq!(entry_limit(&topology(&set)), Some(16));
    }
}
