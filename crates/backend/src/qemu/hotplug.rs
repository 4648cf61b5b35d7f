//! Devices in and out of a running machine: all of a group or none.
//!
//! QEMU's answer to `device_add` says that the device is on the bus, and nothing of the guest: its hot-plug driver
//! runs later, if it has one. QEMU tells of no acknowledgement for PCI devices (`ACPI_DEVICE_OST` is for memory and
//! processors; QEMU `hw/acpi/pcihp.c` has no `_OST`). What shows from outside is a BAR that the guest decodes: it has
//! given the device addresses, and a driver has enabled it (`pci_enable_device`, Linux `drivers/pci/pci.c`).
//!
//! Deadlines are for the whole group.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use slotwise_core::pci::PciAddress;
use slotwise_core::vm::PassthroughDevice;

use super::control::{Control, ControlError};
use super::render::{HotplugPlace, device_id, hotplug_properties, port_id};
use crate::qmp::{Arguments, ErrorClass, QmpError};

/// How long QEMU may take to list what is on its buses.
const QUERY: Duration = Duration::from_secs(10);
/// How often it is asked; a guest's hot-plug driver takes tenths of a second.
const POLL: Duration = Duration::from_millis(50);
/// How long a guest may take to let go of a device that it was given a moment ago, on the way back from a failure.
const ROLLBACK: Duration = Duration::from_secs(15);
/// Buses behind buses that are looked at: as many as there can be (PCI 3.0 §3.2.2.3.1, an 8-bit number).
const MAX_DEPTH: usize = 255;

impl Control {
    /// Plugs host devices in, all or none: when one is refused, those before it are taken out again. Pinning of guest
    /// memory is the long part, seconds for each GiB.
    ///
    /// # Errors
    /// [`ControlError::Attach`] when QEMU refuses or does not answer in time, [`ControlError::NoFreePort`]; within
    /// [`ControlError::NotRolledBack`] if one of the others did not come out again.
    pub fn attach(&mut self, devices: &[PassthroughDevice], within: Duration) -> Result<(), ControlError> {
        let deadline = Instant::now() + within;
        let mut done = Vec::new();
        // Function 0 last: with it the guest looks at the whole slot (QEMU docs/pcie.txt; hw/pci/pci.c,
        // do_pci_register_device).
        let (first, last): (Vec<_>, Vec<_>) =
            devices.iter().partition(|device| device.guest.is_some_and(|slot| slot.function() > 0));
        for device in first.into_iter().chain(last) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.attach_one(device, left) {
                Ok(()) => done.push(device.host),
                Err(error) => return Err(self.roll_back(error, &done)),
            }
        }
        Ok(())
    }

    fn attach_one(&mut self, device: &PassthroughDevice, within: Duration) -> Result<(), ControlError> {
        let (name, host) = (self.name().clone(), device.host);
        let failed = |source| ControlError::Attach { machine: name.clone(), device: host, source };
        let ports = self.machine().hotplug_ports();
        let place = if ports == 0 {
            HotplugPlace::RootBus(self.machine())
        } else {
            let full = || ControlError::NoFreePort { machine: name.clone(), device: host, ports };
            HotplugPlace::Port(self.free_port().map_err(failed)?.ok_or_else(full)?)
        };
        let properties = hotplug_properties(place, device);
        self.qmp().device_add("vfio-pci", &device_id(host), properties, within).map_err(failed)
    }

    /// Takes out what was plugged in before an error, latest first.
    fn roll_back(&mut self, error: ControlError, done: &[PciAddress]) -> ControlError {
        let mut left: Vec<PciAddress> = done.to_vec();
        // A guest that is still looking at the device answers when it is done with that.
        left.retain(|device| self.qmp().device_del(&device_id(*device), ROLLBACK).is_err());
        if left.is_empty() {
            return error;
        }
        let machine = self.name().clone();
        ControlError::NotRolledBack { machine, left, source: Box::new(error) }
    }

    /// The first port without a device. What is behind a port shows once the firmware has numbered its bus.
    ///
    /// # Errors
    /// QEMU does not say.
    pub fn free_port(&mut self) -> Result<Option<u8>, QmpError> {
        let ports = self.machine().hotplug_ports();
        let buses = self.qmp().execute("query-pci", &Arguments::new(), QUERY)?;
        let ids = occupied_bridges(&buses);
        Ok((0..ports).find(|index| !ids.contains(&port_id(*index).as_str())))
    }

    /// Waits until the guest has taken devices that were plugged in; gives those that it has not taken by then.
    /// A guest that has no driver for a device never shows that it has seen it.
    ///
    /// # Errors
    /// [`ControlError::Unreachable`] when QEMU does not answer: it may be gone.
    pub fn wait_taken(
        &mut self,
        devices: &[PciAddress],
        within: Duration,
    ) -> Result<Vec<PciAddress>, ControlError> {
        let deadline = Instant::now() + within;
        loop {
            let name = self.name().clone();
            let buses = self.qmp().execute("query-pci", &Arguments::new(), QUERY);
            let buses = buses.map_err(|source| ControlError::Unreachable { machine: name, source })?;
            let taken = decoding(&buses);
            let waiting = |device: &&PciAddress| !taken.contains(&device_id(**device).as_str());
            let left: Vec<PciAddress> = devices.iter().filter(waiting).copied().collect();
            if left.is_empty() || Instant::now() >= deadline {
                return Ok(left);
            }
            thread::sleep(POLL);
        }
    }

    /// Which of these host devices the machine has.
    ///
    /// # Errors
    /// QEMU does not say.
    pub fn has(&mut self, devices: &[PciAddress]) -> Result<Vec<PciAddress>, ControlError> {
        let name = self.name().clone();
        let buses = self.qmp().execute("query-pci", &Arguments::new(), QUERY);
        let buses = buses.map_err(|source| ControlError::Unreachable { machine: name, source })?;
        let mut ids = Vec::new();
        walk(&buses, &mut |device| ids.extend(device.get("qdev_id").and_then(Value::as_str)));
        Ok(devices.iter().filter(|device| ids.contains(&device_id(**device).as_str())).copied().collect())
    }

    /// Takes host devices away and waits until QEMU has let go of each. The guest is asked for all of them first: of
    /// functions in one slot, it gives up all when asked for one.
    ///
    /// # Errors
    /// [`ControlError::Detach`] for the first that the guest does not release in time, or refuses to.
    pub fn detach(&mut self, devices: &[PciAddress], within: Duration) -> Result<(), ControlError> {
        let deadline = Instant::now() + within;
        let name = self.name().clone();
        let failed = |device| {
            let machine = name.clone();
            move |source| ControlError::Detach { machine, device, source }
        };
        let mut awaited = Vec::new();
        for device in devices {
            match self.qmp().ask_release(&device_id(*device), within) {
                Ok(()) => awaited.push(*device),
                // It went with another function of its slot.
                Err(QmpError::Refused { class: ErrorClass::DeviceNotFound, .. }) if !awaited.is_empty() => {}
                Err(source) => return Err(failed(*device)(source)),
            }
        }
        for device in awaited {
            let left = deadline.saturating_duration_since(Instant::now());
            self.qmp().wait_device_deleted(&device_id(device), left).map_err(failed(device))?;
        }
        Ok(())
    }
}

/// Calls `seen` with each function that QEMU lists, behind bridges too (QEMU `qapi/pci.json`, `query-pci`).
fn walk<'v>(buses: &'v Value, seen: &mut dyn FnMut(&'v Value)) {
    let mut level: Vec<&Value> =
        buses.as_array().into_iter().flatten().filter_map(|bus| bus.get("devices")).collect();
    for _ in 0..MAX_DEPTH {
        let devices: Vec<&Value> = level.iter().filter_map(|list| list.as_array()).flatten().collect();
        if devices.is_empty() {
            return;
        }
        devices.iter().for_each(|device| seen(device));
        level = devices.iter().filter_map(|device| device.get("pci_bridge")?.get("devices")).collect();
    }
}

/// The ids of functions of which the guest decodes a BAR. One that is not decoded has the address -1
/// (QEMU `hw/pci/pci.c`, `PCI_BAR_UNMAPPED`; unsigned in the schema, so it may come as 2^64 - 1).
fn decoding(buses: &Value) -> Vec<&str> {
    let mut ids = Vec::new();
    walk(buses, &mut |device| {
        let regions = device.get("regions").and_then(Value::as_array);
        let mapped = |region: &Value| region.get("address").and_then(Value::as_i64).is_some_and(|a| a >= 0);
        if regions.is_some_and(|regions| regions.iter().any(mapped)) {
            ids.extend(device.get("qdev_id").and_then(Value::as_str));
        }
    });
    ids
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
mod tests;
