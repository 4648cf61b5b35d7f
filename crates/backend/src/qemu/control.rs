//! Devices in and out of a running machine, from the process that started it or from another.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{MachineType, PassthroughDevice, VmName, VmSpec};

use super::render::{HotplugPlace, device_id, hotplug_properties, port_id};
use super::wiring::Sockets;
use crate::qmp::{Arguments, Qmp, QmpError};

/// How long QEMU may take to list what is on its buses.
const QUERY: Duration = Duration::from_secs(10);

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

    /// Plugs a host device in. QEMU answers when the device is there, which says nothing of the guest. On q35 it
    /// goes behind a free port, whatever slot it asks for.
    ///
    /// # Errors
    /// QEMU refuses or does not answer in time, or no port is free.
    pub fn attach(&mut self, device: &PassthroughDevice, within: Duration) -> Result<(), ControlError> {
        let (machine, host) = (self.name.clone(), device.host);
        let failed = |source| ControlError::Attach { machine: machine.clone(), device: host, source };
        let ports = self.machine.hotplug_ports();
        let place = if ports == 0 {
            HotplugPlace::RootBus(self.machine)
        } else {
            let full = || ControlError::NoFreePort { machine: machine.clone(), device: host, ports };
            HotplugPlace::Port(self.free_port().map_err(failed)?.ok_or_else(full)?)
        };
        let properties = hotplug_properties(place, device);
        self.qmp.device_add("vfio-pci", &device_id(host), properties, within).map_err(failed)
    }

    /// The first port without a device. What is behind a port shows once the firmware has numbered its bus.
    ///
    /// # Errors
    /// QEMU does not say.
    pub fn free_port(&mut self) -> Result<Option<u8>, QmpError> {
        let buses = self.qmp.execute("query-pci", &Arguments::new(), QUERY)?;
        let ids = occupied_bridges(&buses);
        Ok((0..self.machine.hotplug_ports()).find(|index| !ids.contains(&port_id(*index).as_str())))
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

/// The ids of bridges of the root buses that have something behind them (QEMU `qapi/pci.json`, `query-pci`).
fn occupied_bridges(buses: &Value) -> Vec<&str> {
    let devices = buses.as_array().into_iter().flatten().filter_map(|bus| bus.get("devices")?.as_array());
    let occupied = |device: &&Value| {
        let behind = device.get("pci_bridge").and_then(|bridge| bridge.get("devices")?.as_array());
        behind.is_some_and(|devices| !devices.is_empty())
    };
    devices.flatten().filter(occupied).filter_map(|device| device.get("qdev_id")?.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bridges_with_something_behind_them_are_found() {
        let bridge = |id: &str, behind: Value| json!({"qdev_id": id, "pci_bridge": {"devices": behind}});
        let devices = json!([
            {"qdev_id": "", "slot": 0},
            bridge("port0", json!([{"qdev_id": "host-0000-02-06-0"}])),
            bridge("port1", json!([])),
            {"qdev_id": "port2", "pci_bridge": {"bus": {}}},
        ]);
        assert_eq!(occupied_bridges(&json!([{"bus": 0, "devices": devices}])), ["port0"]);
    }

    #[test]
    fn an_answer_of_another_shape_occupies_nothing() {
        for answer in [json!(null), json!({"devices": 1}), json!([{"devices": [{"pci_bridge": 7}, 3]}])] {
            assert!(occupied_bridges(&answer).is_empty(), "{answer}");
        }
    }
}
