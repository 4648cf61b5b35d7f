//! The TOML form of a machine.
//!
//! Values that may be wrong in more than type carry their span, so that the check can point at them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_spanned::Spanned;
use toml::Value;

use super::error::MachineError;

/// A machine's description as a tree, the form in which settings are changed.
pub type Table = toml::Table;

/// The whole text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Name, kebab case.
    pub name: Spanned<String>,
    /// One line on what it is.
    pub summary: String,
    /// Processor and memory.
    pub host: Host,
    /// The IOMMU.
    pub iommu: Iommu,
    /// What its Linux is told.
    #[serde(default)]
    pub kernel: Kernel,
    /// Devices in slots.
    #[serde(default)]
    pub device: Vec<Device>,
    /// SCSI disks.
    #[serde(default)]
    pub disk: Vec<Disk>,
    /// Faults it can be given, by name.
    #[serde(default)]
    pub fault: BTreeMap<String, Fault>,
}

/// Processor and memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// QEMU's CPU model. It must be an AMD one: TCG emulates SVM, not VMX, and the machine is to offer `/dev/kvm`.
    pub cpu: Spanned<String>,
    /// Number of processors.
    pub processors: Spanned<u8>,
    /// RAM, with a unit: `4G`.
    pub memory: Spanned<String>,
    /// Number of memory nodes, each with its share of processors and RAM; default 1.
    pub nodes: Option<Spanned<u8>>,
}

/// The IOMMU.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iommu {
    /// `intel`, `amd` or `none`.
    pub kind: Spanned<String>,
    /// Interrupts are remapped; default true.
    pub interrupt_remapping: Option<bool>,
    /// Intel: caching mode; default true.
    pub caching_mode: Option<bool>,
    /// Intel: address width, 39 or 48; default 48.
    pub address_bits: Option<Spanned<u8>>,
}

/// What the machine's Linux is told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Kernel parameters.
    #[serde(default)]
    pub parameters: Vec<Spanned<String>>,
    /// Modules to load, in order.
    #[serde(default)]
    pub modules: Vec<Spanned<String>>,
    /// Lines for modprobe.d.
    #[serde(default)]
    pub modprobe: Vec<Spanned<String>>,
    /// Paths to wait for.
    #[serde(default)]
    pub wait_for: Vec<Spanned<String>>,
}

/// A device in a slot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Name, kebab case.
    pub name: Spanned<String>,
    /// QEMU's model name.
    pub model: Spanned<String>,
    /// `pcie.0`, or the name of a bridge or port.
    pub bus: Spanned<String>,
    /// Device number on the bus.
    pub slot: Spanned<u8>,
    /// Bring the interface up.
    pub up: Option<Spanned<bool>>,
    /// Memory of the device.
    pub size: Option<Spanned<String>>,
}

/// A SCSI disk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Name, kebab case.
    pub name: Spanned<String>,
    /// Name of its controller.
    pub controller: Spanned<String>,
    /// SCSI ID.
    pub target: Spanned<u8>,
    /// INQUIRY vendor.
    pub vendor: Spanned<String>,
    /// INQUIRY product.
    pub product: Spanned<String>,
    /// INQUIRY revision.
    pub revision: Spanned<String>,
    /// ANSI version, default 5 (SPC-3).
    pub scsi_version: Option<Spanned<u8>>,
    /// Unit serial number.
    pub serial: Spanned<String>,
    /// Capacity, with a unit: `64M`.
    pub size: Spanned<String>,
}

/// A fault and what it does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// One line on what it means.
    pub summary: String,
    /// Whether it is given; default false.
    #[serde(default)]
    pub on: bool,
    /// Kernel parameters; each replaces one of the same name.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// Modules loaded after the machine's own.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Lines for modprobe.d.
    #[serde(default)]
    pub modprobe: Vec<String>,
    /// Settings, as [`super::Machine::set`] takes them.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
}

/// Reads the text as a tree.
pub(super) fn table(text: &str) -> Result<Table, MachineError> {
    toml::from_str(text).map_err(|error| MachineError::syntax(Some(text), error.span(), error.message()))
}

/// Changes one value of the tree; `value` is a TOML value, or else a string.
pub(super) fn set(table: &mut Table, key: &str, value: &str) -> Result<(), MachineError> {
    let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    let parsed = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    set_value(table, key, parsed)
}

/// Changes one value of the tree.
pub(super) fn set_value(table: &mut Table, key: &str, value: Value) -> Result<(), MachineError> {
    let no_setting = |hint: String| MachineError::NoSetting { key: key.to_owned(), hint };
    let Some((owner, field)) = key.split_once('.') else {
        return Err(no_setting("settings are written OWNER.FIELD=VALUE, as in scsi.slot=6".to_owned()));
    };
    if owner == "fault" {
        let faults = table.get_mut("fault").and_then(Value::as_table_mut);
        let names =
            faults.as_ref().map(|faults| faults.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        let fault = faults.and_then(|faults| faults.get_mut(field)).and_then(Value::as_table_mut);
        let fault = fault.ok_or_else(|| no_setting(format!("its faults are: {}", names.join(", "))))?;
        fault.insert("on".to_owned(), switch(value));
        return Ok(());
    }
    if matches!(owner, "host" | "iommu" | "kernel") {
        let section = table.entry(owner).or_insert_with(|| Value::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            section.insert(field.to_owned(), value);
            return Ok(());
        }
    }
    let names = owners(table);
    for list in ["device", "disk"] {
        let entries = table.get_mut(list).and_then(Value::as_array_mut);
        let mut named = entries.into_iter().flatten().filter_map(Value::as_table_mut);
        if let Some(entry) = named.find(|entry| entry.get("name").and_then(Value::as_str) == Some(owner)) {
            entry.insert(field.to_owned(), value);
            return Ok(());
        }
    }
    Err(no_setting(format!("settings begin with one of: {}", names.join(", "))))
}

/// `on` and `off` are how people say true and false of a fault.
fn switch(value: Value) -> Value {
    match value.as_str() {
        Some("on") => Value::Boolean(true),
        Some("off") => Value::Boolean(false),
        _ => value,
    }
}

fn owners(table: &Table) -> Vec<String> {
    let mut names: Vec<String> = ["host", "iommu", "kernel", "fault"].map(str::to_owned).to_vec();
    for list in ["device", "disk"] {
        let entries = table.get(list).and_then(Value::as_array).into_iter().flatten();
        names.extend(entries.filter_map(|entry| Some(entry.get("name")?.as_str()?.to_owned())));
    }
    names
}
