//! What rules are asked about: which functions, and which USB devices, go to which VM.

use crate::pci::{PciAddress, PciId};
use crate::vm::{BackendKind, CpuCount, MachineType, MemorySize, UsbId, VmName};

/// Which functions go to which VM: a request whose devices were found on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// One entry a VM, in the order of the spec.
    pub vms: Vec<VmAssignment>,
    /// What the host keeps beside functions.
    pub reserve: Reserve,
}

/// Memory and processors that the host keeps by the spec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Memory.
    pub memory: Option<MemorySize>,
    /// Processors.
    pub cpus: Option<CpuCount>,
}

/// What one VM is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmAssignment {
    /// The VM.
    pub name: VmName,
    /// Who runs it.
    pub backend: BackendKind,
    /// The chipset that it shows.
    pub machine: MachineType,
    /// Its memory.
    pub memory: MemorySize,
    /// Its processors.
    pub cpus: CpuCount,
    /// The memory node of the host that it shall run on.
    pub node: Option<u32>,
    /// Its functions.
    pub devices: Vec<PciAddress>,
    /// USB devices of the host that it is given.
    pub usb: Vec<UsbId>,
    /// Devices that the request looks for in another place than the host has them: not among `devices`.
    pub moved: Vec<MovedDevice>,
}

/// A device that is not where the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedDevice {
    /// What is asked for.
    pub id: PciId,
    /// Where it is said to be.
    pub slot: PciAddress,
    /// What is there instead.
    pub instead: Option<PciId>,
    /// Where the host has it, one place at least; places that the request gives away otherwise are left out.
    pub places: Vec<PciAddress>,
}

impl VmAssignment {
    /// A VM with one processor and no USB devices, all of whose functions were found.
    #[must_use]
    pub const fn new(
        name: VmName,
        backend: BackendKind,
        machine: MachineType,
        memory: MemorySize,
        devices: Vec<PciAddress>,
    ) -> Self {
        Self {
            name,
            backend,
            machine,
            memory,
            cpus: CpuCount::ONE,
            node: None,
            devices,
            usb: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Whether its devices go through VFIO, as with every monitor here but Xen's.
    #[must_use]
    pub fn uses_vfio(&self) -> bool {
        self.backend != BackendKind::Xen
    }
}

impl Assignment {
    /// All functions that leave the host.
    pub fn devices(&self) -> impl Iterator<Item = PciAddress> {
        self.vms.iter().flat_map(|vm| vm.devices.iter().copied())
    }

    /// Functions with the VM that each goes to.
    pub(super) fn given(&self) -> impl Iterator<Item = (&VmAssignment, PciAddress)> {
        self.vms.iter().flat_map(|vm| vm.devices.iter().map(move |device| (vm, *device)))
    }

    /// Whether any VM is given a function by VFIO.
    pub(super) fn uses_vfio(&self) -> bool {
        self.vms.iter().any(|vm| vm.uses_vfio() && !vm.devices.is_empty())
    }

    /// Whether a function leaves the host.
    #[must_use]
    pub fn takes(&self, address: PciAddress) -> bool {
        self.devices().any(|device| device == address)
    }
}
