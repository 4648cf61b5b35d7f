//! `udevadm info --export-db` into [`Facts`]; and `udevadm info --attribute-walk`, which prints a device and those above it as
//! keys of rules (`ATTRS{vendor}=="0x8086"`).
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
        if (line.starts_with("P: ") || walked(line).is_some()) && !record.path.is_empty() {
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
        } else if let Some(path) = walked(line) {
            self.path = path;
        } else if let Some((key, value)) = line.split_once("==\"") {
            let key = key.split_once('{').and_then(|(_, name)| name.strip_suffix('}')).unwrap_or(key);
            let key = if matches!(key, "SUBSYSTEMS" | "DRIVERS") { key.trim_end_matches('S') } else { key };
            self.properties.insert(key, value.trim_end_matches('"'));
        }
    }

    /// An attribute, which sysfs writes in hexadecimal.
    fn hex(&self, name: &str) -> Option<u32> {
        u32::from_str_radix(self.property(name)?.strip_prefix("0x")?, 16).ok()
    }

    fn ids(&self, vendor: &str, device: &str) -> Option<PciId> {
        let id = |name| self.hex(name)?.try_into().ok();
        Some(PciId { vendor: id(vendor)?, device: id(device)? })
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

/// The path in `looking at parent device '/devices/pci0000:00/0000:00:1f.2':`.
pub(super) fn walked(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("looking at ")?;
    let rest = rest.strip_prefix("parent ").unwrap_or(rest).strip_prefix("device '")?;
    rest.starts_with("/devices/").then_some(())?;
    rest.split_once('\'').map(|(path, _)| path)
}

/// The functions that the path of another device leads through, where nothing else is told of them.
fn passed(facts: &mut Facts, record: &Record<'_>) {
    let mut above: Option<PciAddress> = None;
    for address in record.parts().filter_map(|part| part.parse::<PciAddress>().ok()) {
        facts.functions.entry(address).or_insert_with(|| {
            let mut function = FunctionFacts::untold(address, DATABASE);
            function.parent = above.into();
            function
        });
        above = Some(address);
    }
    // `udev-builtin-net_id` and `75-net-description.rules` name the function itself.
    let bus = record.property("ID_BUS") == Some("pci");
    if let (true, Some(address), Some(id)) = (bus, above, record.ids("ID_VENDOR_ID", "ID_MODEL_ID"))
        && let Some(function) = facts.functions.get_mut(&address)
        && function.id.is_unreadable()
    {
        function.id = Fact::Known(id);
    }
    // A paravirtual interface has a device of another bus between, and another driver.
    let mut upwards = record.parts().rev().skip(1);
    let directly = upwards.next() == Some("net")
        && upwards.next().is_some_and(|part| part.parse::<PciAddress>().is_ok());
    if let (true, Some(address), Some(name)) = (directly, above, record.property("ID_NET_DRIVER"))
        && let (Some(function), Ok(driver)) = (facts.functions.get_mut(&address), DriverName::new(name))
        && function.driver.is_unreadable()
    {
        function.driver = Fact::Known(driver);
    }
}

type Usage = (Vec<BlockDevice>, Vec<NetworkInterface>);

fn take(facts: &mut Facts, usage: &mut Usage, units: &mut Vec<String>, record: &Record<'_>, number: usize) {
    if record.property("SUBSYSTEM") != Some("pci") {
        passed(facts, record);
    }
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
    function.id = id("PCI_ID").or_else(|| record.ids("vendor", "device")).map_or_else(untold, Fact::Known);
    function.subsystem = id("PCI_SUBSYS_ID")
        .or_else(|| record.ids("subsystem_vendor", "subsystem_device"))
        .filter(|id| *id != PciId { vendor: 0, device: 0 })
        .map_or(Fact::Absent, Fact::Known);
    // Printed without leading zeros.
    let class = record.property("PCI_CLASS").and_then(|text| u32::from_str_radix(text, 16).ok());
    let class = class.or_else(|| record.hex("class"));
    function.numa_node = match record.property("numa_node").map(str::parse::<i64>) {
        Some(Ok(node)) => u32::try_from(node).ok().into(),
        _ => untold(),
    };
    function.irq = record.property("irq").and_then(|irq| irq.parse().ok()).map_or_else(untold, Fact::Known);
    function.class = class.map_or_else(untold, |class| Fact::Known(ClassCode::from_bits(class)));
    function.driver = match record.property("DRIVER").filter(|name| !name.is_empty()) {
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
    fn walk_up_the_tree_tells_each_function() {
        let text = "  looking at device '/devices/pci0000:80/0000:80:03.2/0000:82:00.0/net/eth0':\n    KERNEL==\"eth0\"\n    SUBSYSTEM==\"net\"\n\n\
            \x20 looking at parent device '/devices/pci0000:80/0000:80:03.2/0000:82:00.0':\n    KERNELS==\"0000:82:00.0\"\n    SUBSYSTEMS==\"pci\"\n\
            \x20   DRIVERS==\"bnxt_en\"\n    ATTRS{class}==\"0x020000\"\n    ATTRS{device}==\"0x16d7\"\n    ATTRS{numa_node}==\"1\"\n    ATTRS{vendor}==\"0x14e4\"\n\n\
            \x20 looking at parent device '/devices/pci0000:80/0000:80:03.2':\n    SUBSYSTEMS==\"pci\"\n    DRIVERS==\"\"\n    ATTRS{class}==\"0x060400\"\n    ATTRS{device}==\"0x1453\"\n    ATTRS{vendor}==\"0x1022\"\n";
        let facts = super::super::from_text(text.as_bytes(), "test").expect("a source");
        assert_eq!((facts.origin.kind(), facts.faults.as_slice()), (SourceKind::Udevadm, &[][..]));
        let [port, card] = &facts.functions.values().collect::<Vec<_>>()[..] else { panic!("{facts:?}") };
        assert_eq!(card.id.known().map(ToString::to_string).as_deref(), Some("14e4:16d7"));
        assert_eq!(card.driver.known().map(DriverName::as_str), Some("bnxt_en"));
        assert_eq!((card.numa_node.known(), card.parent.known()), (Some(&1), Some(&port.address)));
        assert_eq!(
            (&port.driver, port.class.known().map(ToString::to_string).as_deref()),
            (&Fact::Absent, Some("060400"))
        );
    }

    #[test]
    fn path_of_an_interface_tells_its_function() {
        let text = "P: /devices/pci0000:00/0000:00:11.0/0000:02:01.0/net/ens33\nE: SUBSYSTEM=net\nE: INTERFACE=ens33\nE: ID_BUS=pci\n\
            E: ID_VENDOR_ID=0x8086\nE: ID_MODEL_ID=0x100f\nE: ID_NET_DRIVER=e1000\n";
        let facts = from_udevadm(text, "test");
        let [bridge, card] = &facts.functions.values().collect::<Vec<_>>()[..] else { panic!("{facts:?}") };
        assert!(bridge.id.is_unreadable() && card.class.is_unreadable());
        assert_eq!(card.id.known().map(ToString::to_string).as_deref(), Some("8086:100f"));
        assert_eq!(card.driver.known().map(DriverName::as_str), Some("e1000"));
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
