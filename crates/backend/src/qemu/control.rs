//! Devices in and out of a running machine, from the process that started it or from another.

use std::path::Path;
use std::time::Duration;

use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{MachineType, PassthroughDevice, VmName, VmSpec};

use super::render::{device_id, hotplug_properties};
use super::wiring::Sockets;
use crate::qmp::{Qmp, QmpError};

/// Why a running machine's devices could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It does not answer.
    #[error("cannot reach machine {machine}")]
    Unreachable {
        /// The machine.
        machine: VmName,
        /// What happened.
        #[source]
        source: QmpError,
    },
    /// Nothing can be plugged into its root bus.
    #[error(
        "cannot attach {device} to machine {machine}: the root bus of a {kind} machine takes no device at run time"
    )]
    NoHotplug {
        /// The machine.
        machine: VmName,
        /// The host device.
        device: PciAddress,
        /// The machine type.
        kind: MachineType,
    },
    /// A device was not plugged in.
    #[error("cannot attach {device} to machine {machine}")]
    Attach {
        /// The machine.
        machine: VmName,
        /// The host device.
        device: PciAddress,
        /// Why.
        #[source]
        source: QmpError,
    },
    /// A device was not given back.
    #[error("cannot detach {device} from machine {machine}")]
    Detach {
        /// The machine.
        machine: VmName,
        /// The host device.
        device: PciAddress,
        /// Why.
        #[source]
        source: QmpError,
    },
}

impl ControlError {
    /// What to do next, where we know.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some("is it running? another client may hold its control connection"),
            Self::NoHotplug { .. } => Some("use machine type pc, or give it the device before it starts"),
            Self::Attach { source, .. } | Self::Detach { source, .. } => source.hint(),
        }
    }
}

/// A control connection to a running machine.
#[derive(Debug)]
pub struct Control {
    name: VmName,
    machine: MachineType,
    qmp: Qmp,
}

impl Control {
    /// Connects to a machine that another process started with its sockets under `machines`.
    ///
    /// # Errors
    /// It is not running, or another client is connected and it does not greet in time.
    pub fn connect(machines: &Path, spec: &VmSpec, within: Duration) -> Result<Self, ControlError> {
        let name = &spec.config().name;
        let qmp = Qmp::connect(&Sockets::of(machines, name).control(), within);
        let unreachable = |source| ControlError::Unreachable { machine: name.clone(), source };
        Ok(Self::over(spec, qmp.map_err(unreachable)?))
    }

    pub(super) fn over(spec: &VmSpec, qmp: Qmp) -> Self {
        let config = spec.config();
        Self { name: config.name.clone(), machine: config.machine, qmp }
    }

    /// The machine's name.
    #[must_use]
    pub const fn name(&self) -> &VmName {
        &self.name
    }

    /// The connection itself.
    pub const fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Plugs a host device in. QEMU answers when the device is there, which says nothing of the guest.
    ///
    /// # Errors
    /// QEMU refuses or does not answer in time, or the machine's root bus takes no device: PCI Express allows it
    /// behind ports only (PCIe Base 6.0 §6.7; QEMU `docs/pcie.txt`, section 2.1).
    pub fn attach(&mut self, device: &PassthroughDevice, within: Duration) -> Result<(), ControlError> {
        let (machine, host) = (self.name.clone(), device.host);
        if self.machine == MachineType::Q35 {
            return Err(ControlError::NoHotplug { machine, device: host, kind: self.machine });
        }
        let properties = hotplug_properties(self.machine, device);
        let attached = self.qmp.device_add("vfio-pci", &device_id(host), properties, within);
        attached.map_err(|source| ControlError::Attach { machine, device: host, source })
    }

    /// Takes a host device away and waits until QEMU has let go of it.
    ///
    /// # Errors
    /// The guest does not release it in time, or refuses.
    pub fn detach(&mut self, device: PciAddress, within: Duration) -> Result<(), ControlError> {
        let detached = self.qmp.device_del(&device_id(device), within);
        detached.map_err(|source| ControlError::Detach { machine: self.name.clone(), device, source })
    }
}
