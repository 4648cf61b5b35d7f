//! The control connection to a running machine, from the process that started it or from another.

use std::path::Path;
use std::time::Duration;

use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{MachineType, VmName};

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
    /// Each port has a device.
    #[error("cannot attach {device} to machine {machine}: all {ports} ports for it are taken")]
    NoFreePort {
        /// The machine.
        machine: VmName,
        /// The host device.
        device: PciAddress,
        /// How many there are.
        ports: u8,
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
    /// A device was not plugged in, and those before it did not come out again.
    #[error(
        "machine {machine} keeps {}, though not all of the group could be attached",
        left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NotRolledBack {
        /// The machine.
        machine: VmName,
        /// What it keeps.
        left: Vec<PciAddress>,
        /// Why not all.
        #[source]
        source: Box<ControlError>,
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
            Self::NoFreePort { .. } => {
                Some("detach another device first, or give it the device before it starts")
            }
            Self::NotRolledBack { .. } => Some("`slotwise detach` asks the guest for them again"),
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
    pub fn connect(
        machines: &Path,
        name: &VmName,
        machine: MachineType,
        within: Duration,
    ) -> Result<Self, ControlError> {
        let qmp = Qmp::connect(&Sockets::of(machines, name).control(), within);
        let unreachable = |source| ControlError::Unreachable { machine: name.clone(), source };
        Ok(Self::over(name.clone(), machine, qmp.map_err(unreachable)?))
    }

    pub(super) const fn over(name: VmName, machine: MachineType, qmp: Qmp) -> Self {
        Self { name, machine, qmp }
    }

    /// The machine's name.
    #[must_use]
    pub const fn name(&self) -> &VmName {
        &self.name
    }

    /// Its chipset.
    #[must_use]
    pub const fn machine(&self) -> MachineType {
        self.machine
    }

    /// The connection itself.
    pub const fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }
}
