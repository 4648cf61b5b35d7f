//! Machines of the lab, as data.
//!
//! A machine is a TOML text: what is in which slot, which IOMMU, what its Linux is told and loads, and the faults it
//! can be given. [`Machine::parse`] checks the whole text and points at what is wrong; [`Machine::set`] changes one
//! value as a user would on a command line, and checks again. What comes out is consistent: every bus exists, no slot
//! is taken twice, every disk has a controller.
//!
//! Slots are PCI device numbers (0–31), sizes bytes. Model names are QEMU's.

mod check;
mod error;
mod faults;
mod model;
mod qemu;
pub mod wire;

use std::collections::BTreeMap;

pub use error::{Location, MachineError};
pub use model::{DeviceModel, Role};
pub use qemu::{BootFiles, LAB_SLOTS, qemu_arguments};

/// Machines built in, by name.
const BUILTIN: &[(&str, &str)] = &[
    ("scsi-bench", include_str!("../../data/machines/scsi-bench.toml")),
    ("pcie-bench", include_str!("../../data/machines/pcie-bench.toml")),
    ("function-bench", include_str!("../../data/machines/function-bench.toml")),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// The emulated IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iommu {
    /// The platform has none.
    None,
    /// Intel VT-d.
    Intel {
        /// Interrupts are remapped.
        interrupt_remapping: bool,
        /// Caching mode (VT-d 3.0 §10.4.2, CAP.CM), without which QEMU cannot serve VFIO inside the machine.
        caching_mode: bool,
        /// Address width: 39 or 48.
        address_bits: u8,
    },
    /// AMD-Vi.
    Amd {
        /// Interrupts are remapped.
        interrupt_remapping: bool,
    },
}

/// Where a device sits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bus {
    /// The root complex, QEMU's `pcie.0`.
    Root,
    /// Behind the bridge or port of this name.
    Behind(String),
}

/// A device in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name in the machine.
    pub name: String,
    /// What it is.
    pub model: DeviceModel,
    /// The bus it is on.
    pub bus: Bus,
    /// Its device number there, 0–31.
    pub slot: u8,
    /// For a network card: the host brings its interface up at boot.
    pub up: bool,
    /// Memory behind a shared-memory device's BAR.
    pub size: Option<Bytes>,
}

/// A SCSI disk on a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its name in the machine.
    pub name: String,
    /// Name of the controller device.
    pub controller: String,
    /// SCSI ID, 0–15 without the controller's 7.
    pub target: u8,
    /// INQUIRY vendor, at most 8 characters (SPC-2 §7.3.2).
    pub vendor: String,
    /// INQUIRY product, at most 16 characters.
    pub product: String,
    /// INQUIRY revision, at most 4 characters.
    pub revision: String,
    /// ANSI version the disk claims.
    pub scsi_version: u8,
    /// Unit serial number.
    pub serial: String,
    /// Capacity.
    pub size: Bytes,
}

/// What can be made wrong with a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it means, in one line.
    pub summary: String,
    /// Whether it is given.
    pub on: bool,
    /// Modules it loads.
    pub modules: Vec<String>,
}

/// The machine's Linux.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Kernel parameters, without those the lab itself needs.
    pub parameters: Vec<String>,
    /// Modules loaded at boot, in order.
    pub modules: Vec<String>,
    /// Lines of modprobe.d.
    pub modprobe: Vec<String>,
    /// Paths that exist when the machine is up.
    pub wait_for: Vec<String>,
}

/// A machine, checked, with its faults as they are set.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    source: wire::Table,
    name: String,
    summary: String,
    cpu: String,
    processors: u8,
    memory: Bytes,
    nodes: u8,
    iommu: Iommu,
    kernel: Kernel,
    devices: Vec<Device>,
    disks: Vec<Disk>,
    faults: BTreeMap<String, Fault>,
}

impl Machine {
    /// Names and one-line summaries of the machines built in.
    pub fn list() -> Vec<(&'static str, String)> {
        BUILTIN
            .iter()
            .map(|(name, text)| (*name, Self::parse(text).map(|machine| machine.summary).unwrap_or_default()))
            .collect()
    }

    /// A machine built in.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn builtin(name: &str) -> Result<Self, MachineError> {
        let known = || BUILTIN.iter().map(|(name, _)| (*name).to_owned()).collect();
        let text = BUILTIN.iter().find(|(candidate, _)| *candidate == name).map(|(_, text)| *text);
        text.map_or_else(|| Err(MachineError::Unknown { name: name.to_owned(), known: known() }), Self::parse)
    }

    /// Reads a machine's description.
    ///
    /// # Errors
    /// See [`MachineError`]; errors carry line and column.
    pub fn parse(text: &str) -> Result<Self, MachineError> {
        let checked = check::parse(text)?;
        let source = wire::table(text)?;
        faults::resolve(checked, source)
    }

    /// Changes one value: `scsi.slot=6` is `set("scsi.slot", "6")`; `iommu.kind`, `host.memory`; and
    /// `fault.nointxmask` with `on` or `off`.
    ///
    /// # Errors
    /// Nothing has that name, or the machine would no longer be consistent; it is then as it was.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), MachineError> {
        let mut source = self.source.clone();
        wire::set(&mut source, key, value)?;
        let checked = check::table(&source).map_err(|error| error.in_setting(key, value))?;
        *self = faults::resolve(checked, source).map_err(|error| error.in_setting(key, value))?;
        Ok(())
    }

    /// Gives the machine a fault, or takes it back.
    ///
    /// # Errors
    /// The machine declares no such fault.
    pub fn set_fault(&mut self, name: &str, state: FaultState) -> Result<(), MachineError> {
        let value = match state {
            FaultState::On => "on",
            FaultState::Off => "off",
        };
        self.set(&format!("fault.{name}"), value)
    }

    /// The machine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in one line.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Its RAM.
    #[must_use]
    pub fn memory(&self) -> Bytes {
        self.memory
    }

    /// Its IOMMU.
    #[must_use]
    pub fn iommu(&self) -> Iommu {
        self.iommu
    }

    /// Its devices, each after the bus it is on.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Its SCSI disks.
    #[must_use]
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// What its Linux is told.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The faults it declares, by name.
    #[must_use]
    pub fn faults(&self) -> &BTreeMap<String, Fault> {
        &self.faults
    }

    /// Modules that faults would load, on or not.
    pub(crate) fn fault_modules(&self) -> impl Iterator<Item = &str> {
        self.faults.values().flat_map(|fault| fault.modules.iter().map(String::as_str))
    }

    /// MAC address of a network card: locally administered, QEMU's prefix, numbered by place in the description.
    #[must_use]
    pub fn mac(&self, device: &str) -> Option<String> {
        let mut cards = self.devices.iter().filter(|device| device.model.role() == Role::Network);
        let index = u8::try_from(cards.position(|card| card.name == device)?).ok()?;
        Some(format!("52:54:00:51:07:{index:02x}"))
    }
}

/// Whether a fault is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultState {
    /// It is.
    On,
    /// It is not.
    Off,
}

#[cfg(test)]
mod tests;
