//! Where the guest will find the BARs of what it is given.

use crate::pci::PciAddress;
use crate::rules::VmAssignment;
use crate::topology::Topology;
use crate::vm::address_space::{DeviceBars, Survey, SurveyRow};

/// A VM's devices in its address space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressMap {
    /// BARs and option ROMs, in the order of the devices.
    pub rows: Vec<SurveyRow>,
    /// Functions whose BARs nobody could read.
    pub unknown: Vec<PciAddress>,
}

/// Plans the address space of a VM. Where the BARs of one function are unknown, the addresses of all are: they depend on
/// each other.
pub(super) fn address_map(topology: &Topology, vm: &VmAssignment) -> AddressMap {
    let mut devices = Vec::new();
    let mut unknown = Vec::new();
    for address in &vm.devices {
        match topology.function(*address).and_then(DeviceBars::of) {
            Some(bars) => devices.push(bars),
            None => unknown.push(*address),
        }
    }
    let mut rows = Survey::expected(vm.backend, vm.machine, vm.memory, &devices).rows;
    if !unknown.is_empty() {
        for row in &mut rows {
            (row.start, row.window) = (None, None);
        }
    }
    AddressMap { rows, unknown }
}
