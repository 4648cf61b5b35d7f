//! `udevadm info --export-db` into [`Facts`].
//!
//! Records, separated by empty lines, of lines with a letter in front (`udevadm(8)`): `P:` the device's path in `/sys`,
//! `E:` a property. The kernel itself sets `DRIVER`, `MODALIAS`, `PCI_CLASS`, `PCI_ID`, `PCI_SUBSYS_ID`, `PCI_SLOT_NAME`
//! (`drivers/pci/pci-driver.c: pci_uevent`, `drivers/base/core.c: dev_uevent`), the rest comes from the rules.

use std::collections::BTreeMap;

use super::line::{malformed, numbered, unquoted};
use super::{
    BlockDevice, DevNumber, DriverName, Fact, Facts, FaultKind, FunctionFacts, IommuVendor, NetworkInterface,
    Origin, ReadFault, SourceKind, Switch,
};
use crate::pci::{ClassCode, PciAddress, PciId};

const DATABASE: &str = "udev database";

/// Reads a database; `name` is what the user calls it.
#[must_use]
pub fn from_udevadm(text: &str, name: &str) -> Facts {
    let origin = Origin::Saved { kind: SourceKind::Udevadm, name: name.to_owned() };
    let mut facts = Facts::untold(origin, DATABASE);
    let mut usage = (Vec::new(), Vec::new());
    let mut units = Vec::new();
    let mut record = Record::default();
    let mut last = 0;
    for (number, line) in numbered(text) {
        last = number;
        let line = unquoted(line).trim_start();
        if line.is_empty() {
            take(&mut facts, &mut usage, &mut units, &std::mem::take(&mut record), number);
            continue;
        }
        // A record that follows without an empty line.
        if line.starts_with("P: ") && !record.path.is_empty() {
            take(&mut facts, &mut usage, &mut units, &std::mem::take(&mut record), number);
        }
        record.line(line);
    }
    take(&mut facts, &mut usage, &mut units, &record, last);
    facts.usage.block = Fact::Known(usage.0);
    facts.usage.network = Fact::Known(usage.1);
    iommu(&mut facts, units);
    facts
}

fn untold<T>() -> Fact<T> {
    Fact::Unreadable(ReadFault::new(DATABASE, FaultKind::NotInSource))
}

#[derive(Debug, Default)]
struct Record<'t> {
    path: &'t str,
    properties: BTreeMap<&'t str, &'t str>,
}

impl<'t> Record<'t> {
    fn line(&mut self, line: &'t str) {
        if let Some(path) = line.strip_prefix("P: ") {
            self.path = path.trim();
        } else if let Some((key, value)) = line.strip_prefix("E: ").and_then(|line| line.split_once('=')) {
            self.properties.insert(key, value);
        }
    }

    fn property(&self, name: &str) -> Option<&'t str> {
        self.properties.get(name).copied()
    }

    /// The directories on the way, the device's own last.
    fn parts(&self) -> impl DoubleEndedIterator<Item = &'t str> {
        self.path.split('/').filter(|part| !part.is_empty())
    }

    fn function_below(&self) -> Option<PciAddress> {
        self.parts().rev().find_map(|part| part.parse().ok())
    }
}

type Usage = (Vec<BlockDevice>, Vec<NetworkInterface>);

fn take(facts: &mut Facts, usage: &mut Usage, units: &mut Vec<String>, record: &Record<'_>, number: usize) {
    match record.property("SUBSYSTEM") {
        Some("pci") => match function(record) {
            Some(function) => {
                if function.id.is_unreadable() || function.class.is_unreadable() {
                    malformed(facts, number, "expected PCI_ID and PCI_CLASS of a PCI function before here");
                }
                facts.functions.insert(function.address, function);
            }
            None => malformed(facts, number, "expected the address of a PCI function before here"),
        },
        Some("block") => usage.0.extend(block(record)),
        Some("net") => usage.1.extend(record.property("INTERFACE").map(|name| NetworkInterface {
            name: name.to_owned(),
            function: record.function_below(),
            upper: Vec::new(),
            up: untold(),
            default_route: false,
        })),
        Some("iommu") => units.extend(record.parts().next_back().map(str::to_owned)),
        _ => {}
    }
}

fn function(record: &Record<'_>) -> Option<FunctionFacts> {
    let mut parts = record.parts().rev();
    let name = parts.next()?;
    let address: PciAddress = record.property("PCI_SLOT_NAME").unwrap_or(name).parse().ok()?;
    let mut function = FunctionFacts::untold(address, DATABASE);
    function.parent = parts.next().and_then(|above| above.parse().ok()).into();
    let id = |name| record.property(name)?.parse::<PciId>().ok();
    function.id = id("PCI_ID").map_or_else(untold, Fact::Known);
    function.subsystem = id("PCI_SUBSYS_ID")
        .filter(|id| *id != PciId { vendor: 0, device: 0 })
        .map_or(Fact::Absent, Fact::Known);
    // Printed without leading zeros.
    let class = record.property("PCI_CLASS").and_then(|text| u32::from_str_radix(text, 16).ok());
    function.class = class.map_or_else(untold, |class| Fact::Known(ClassCode::from_bits(class)));
    function.driver = match record.property("DRIVER") {
        Some(name) => DriverName::new(name).map_or_else(|_| untold(), Fact::Known),
        None => Fact::Absent,
    };
    function.vendor_name = record.property("ID_VENDOR_FROM_DATABASE").map(str::to_owned);
    function.device_name = record.property("ID_MODEL_FROM_DATABASE").map(str::to_owned);
    Some(function)
}

fn block(record: &Record<'_>) -> Option<BlockDevice> {
    let mut parts = record.parts().rev();
    let name = parts.next()?.to_owned();
    let number = |key| record.property(key)?.parse().ok();
    let above = (parts.next()?, parts.next());
    // A partition's directory lies within that of its disk, which lies in `block/`.
    let lower = if above.1 == Some("block") { vec![above.0.to_owned()] } else { Vec::new() };
    Some(BlockDevice {
        name,
        number: DevNumber { major: number("MAJOR")?, minor: number("MINOR")? },
        function: record.function_below(),
        lower,
        volume: record.property("DM_NAME").map(str::to_owned),
        model: record.property("ID_MODEL").map(|model| model.replace('_', " ").trim().to_owned()),
        bytes: None,
    })
}

/// Units are devices of their own class since Linux 3.17 (`drivers/iommu/iommu-sysfs.c`); without one nobody knows: the
/// kernel may be older.
fn iommu(facts: &mut Facts, units: Vec<String>) {
    facts.iommu.vendor = match units.first().map(String::as_str) {
        Some(unit) if unit.starts_with("dmar") => IommuVendor::Intel,
        Some(unit) if unit.starts_with("ivhd") => IommuVendor::Amd,
        Some(unit) if unit.starts_with("smmu") || unit.starts_with("arm-smmu") => IommuVendor::Smmu,
        Some(unit) if unit.starts_with("iommu-phb") => IommuVendor::Power,
        _ => IommuVendor::Unknown,
    };
    if units.is_empty() {
        return;
    }
    facts.iommu.state = Switch::On;
    facts.iommu.evidence.push((DATABASE.to_owned(), format!("units {}", units.join(", "))));
    facts.iommu.units = Fact::Known(units);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "P: /devices/pci0000:00/0000:00:1e.0/0000:05:04.0\nE: DEVPATH=/devices/pci0000:00/0000:00:1e.0/0000:05:04.0\nE: DRIVER=aic7xxx\nE: PCI_CLASS=10000\nE: PCI_ID=9004:5078\nE: PCI_SLOT_NAME=0000:05:04.0\nE: PCI_SUBSYS_ID=9004:7850\nE: SUBSYSTEM=pci\n";

    #[test]
    fn function_has_its_ids_driver_and_parent() {
        let facts = from_udevadm(RECORD, "test");
        let function = facts.functions.values().next().expect("a function");
        assert_eq!(function.id.known().map(ToString::to_string).as_deref(), Some("9004:5078"));
        assert_eq!(function.class.known().map(ToString::to_string).as_deref(), Some("010000"));
        assert_eq!(function.driver.known().map(DriverName::as_str), Some("aic7xxx"));
        assert_eq!(function.parent.known().map(ToString::to_string).as_deref(), Some("0000:00:1e.0"));
        assert!(function.group.is_unreadable());
    }

    #[test]
    fn damaged_record_is_told() {
        let facts = from_udevadm("P: /devices/pci0000:00/x\nE: SUBSYSTEM=pci\n", "test");
        assert_eq!(facts.faults.len(), 1);
    }

    #[test]
    fn partition_lies_on_its_disk() {
        let text = "P: /devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1\nE: MAJOR=8\nE: MINOR=1\nE: SUBSYSTEM=block\n";
        let facts = from_udevadm(text, "test");
        let device = facts.usage.block.known().and_then(|devices| devices.first()).expect("a device");
        assert_eq!((device.name.as_str(), device.lower.as_slice()), ("sda1", &["sda".to_owned()][..]));
        assert_eq!(device.function.map(|address| address.to_string()).as_deref(), Some("0000:00:1f.2"));
    }
}
