//! What a plan costs the host: what it loses with each function, and what VFIO takes while the VM runs.

use crate::pci::PciAddress;
use crate::rules::{VmAssignment, footprint, missing, missing_storage};
use crate::topology::{Dependent, Topology};

/// What VFIO takes of the host while a VM runs; all none for a VM that is given nothing by VFIO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmCost {
    /// Memory that is locked, in bytes: the guest's, once for all devices, and about 64 MiB beside it. It counts against
    /// `RLIMIT_MEMLOCK` of a process without `CAP_IPC_LOCK`.
    pub locked_bytes: Option<u64>,
    /// DMA mappings at the most.
    pub dma_entries: Option<u64>,
    /// How many there may be; none where the kernel knows no limit.
    pub dma_entry_limit: Option<u64>,
}

impl VmCost {
    pub(super) fn of(topology: &Topology, vm: &VmAssignment) -> Self {
        let dma_entries = footprint::dma_entries(topology, vm);
        let dma_entry_limit = dma_entries.and_then(|_| footprint::entry_limit(topology));
        Self { locked_bytes: footprint::locked_bytes(vm), dma_entries, dma_entry_limit }
    }
}

/// A function that leaves the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDevice {
    /// Where it is on the host.
    pub address: PciAddress,
    /// What the host loses with it.
    pub dependents: Vec<Dependent>,
    /// Places that would tell what else it loses, and could not be read.
    pub unread: Vec<String>,
    /// DMA mappings that it makes; none where its BARs could not be read, or nothing goes through VFIO.
    pub dma_entries: Option<u64>,
}

impl PlannedDevice {
    pub(super) fn of(topology: &Topology, vm: &VmAssignment, address: PciAddress) -> Self {
        let dma_entries = vm.uses_vfio().then(|| footprint::dma_entries_of(topology, address)).flatten();
        Self { address, dependents: topology.dependents(address), unread: unread(topology), dma_entries }
    }
}

fn unread(topology: &Topology) -> Vec<String> {
    let usage = &topology.facts().usage;
    let network = missing(&usage.network, "/sys/class/net");
    let faults = missing_storage(topology).into_iter().chain(network);
    let mut places: Vec<String> = faults.map(|fault| fault.place.clone()).collect();
    places.dedup();
    places
}
