//! PCI functions: `/sys/bus/pci/devices`.
//!
//! Formats are those of `drivers/pci/pci-sysfs.c`.

use std::collections::BTreeMap;

use slotwise_core::facts::{
    DriverName, Fact, FunctionFacts, GroupId, ReadFault, ResetMethod, Resource, ResourceFlags, SriovFacts,
};
use slotwise_core::pci::{ClassCode, PciAddress, PciId};

use super::attributes::{Attributes, hex, note};
use super::{config, fault, malformed, names};
use crate::kernel::{ReadError, ReadErrorKind, ReadHost};

const DEVICES: &str = "/sys/bus/pci/devices";
const SLOTS: &str = "/sys/bus/pci/slots";

/// Rows of a `resource` file: 6 BARs, ROM, 6 VF BARs, 4 windows (`include/linux/pci.h`: `PCI_NUM_RESOURCES`), and
/// some to spare.
const RESOURCE_ROWS: usize = 32;

/// All PCI functions that `host` lists. One that goes away while it is read is left out, with a fault that says so.
pub(super) fn functions(
    host: &dyn ReadHost,
    faults: &mut Vec<ReadFault>,
) -> BTreeMap<PciAddress, FunctionFacts> {
    let slots = physical_slots(host, faults);
    let mut functions = BTreeMap::new();
    for name in names(host, DEVICES, faults) {
        let path = format!("{DEVICES}/{name}");
        let Ok(address) = name.parse::<PciAddress>() else {
            faults.push(malformed(&path, "expected a name of the form DDDD:BB:DD.F"));
            continue;
        };
        match function(host, address, &path, faults) {
            Ok(mut facts) => {
                if let Some(slot) = slots.get(&address.function_zero()) {
                    facts.physical_slot = Fact::Known(slot.clone());
                }
                functions.insert(address, facts);
            }
            Err(error) => faults.push(fault(&error)),
        }
    }
    functions
}

/// Names of physical slots by the address of function 0 of what is in them (`drivers/pci/slot.c`:
/// `address_read_file` prints domain, bus and device).
fn physical_slots(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> BTreeMap<PciAddress, String> {
    let mut slots = BTreeMap::new();
    for slot in names(host, SLOTS, faults) {
        let path = format!("{SLOTS}/{slot}/address");
        match super::text(host, &path, super::ATTRIBUTE_BYTES) {
            // A slot without a device number has only domain and bus.
            Ok(text) if text.trim().matches(':').count() == 2 => match format!("{}.0", text.trim()).parse() {
                Ok(address) => {
                    slots.insert(address, slot);
                }
                Err(_) => faults.push(malformed(&path, "expected DDDD:BB:DD")),
            },
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => faults.push(fault(&error)),
        }
    }
    slots
}

fn function(
    host: &dyn ReadHost,
    address: PciAddress,
    path: &str,
    faults: &mut Vec<ReadFault>,
) -> Result<FunctionFacts, ReadError> {
    let directory = host.open_dir(path)?;
    let mut attributes = Attributes::new(&*directory, path)?;
    let mut facts = FunctionFacts::at(address);
    identity(&mut attributes, &mut facts);
    binding(&mut attributes, &mut facts);
    config::configuration(&attributes, &mut facts);
    facts.numa_node = attributes
        .value("numa_node", "expected a number, or -1 for none", |text| text.parse::<i32>().ok())
        .and_then(|node| u32::try_from(node).ok());
    facts.parent = parent(host, path);
    facts.irq = attributes.decimal("irq");
    facts.enabled = attributes.flag("enable");
    facts.resources = attributes.value("resource", "expected rows of start, end, flags", resources);
    facts.reset_methods = reset_methods(&mut attributes, faults);
    facts.power_state = attributes.value("power_state", "expected a name", |text| Some(text.to_owned()));
    facts.d3cold_allowed = attributes.flag("d3cold_allowed");
    facts.boot_vga = attributes.flag("boot_vga");
    facts.sriov = SriovFacts {
        total_vfs: attributes.decimal("sriov_totalvfs"),
        num_vfs: attributes.decimal("sriov_numvfs"),
        physical_function: attributes.link("physfn", "expected a PCI address", |name| name.parse().ok()),
    };
    facts.msi_irqs = message_irqs(host, &attributes, faults);
    // Read last: what is still there now was there all the time, so no attribute above was missing because the
    // device went away.
    if attributes.is_gone("vendor") {
        return Err(ReadError::new(path, ReadErrorKind::Vanished));
    }
    Ok(facts)
}

fn identity(attributes: &mut Attributes<'_>, facts: &mut FunctionFacts) {
    let vendor = attributes.hex::<u16>("vendor");
    facts.id = pair(vendor, attributes.hex("device"));
    let vendor = attributes.hex::<u16>("subsystem_vendor");
    // A function without a subsystem id reads zero (PCI 3.0 §6.2.4).
    facts.subsystem = pair(vendor, attributes.hex("subsystem_device"))
        .and_then(|id| (id != PciId { vendor: 0, device: 0 }).then_some(id));
    facts.class = attributes.hex::<u32>("class").map(ClassCode::from_bits);
    facts.revision = attributes.hex("revision");
}

/// Both halves of an id, or what is wrong with one of them.
fn pair(vendor: Fact<u16>, device: Fact<u16>) -> Fact<PciId> {
    match (vendor, device) {
        (Fact::Known(vendor), Fact::Known(device)) => Fact::Known(PciId { vendor, device }),
        (Fact::Unreadable(fault), _) | (_, Fact::Unreadable(fault)) => Fact::Unreadable(fault),
        _ => Fact::Absent,
    }
}

fn binding(attributes: &mut Attributes<'_>, facts: &mut FunctionFacts) {
    facts.driver = attributes.link("driver", "expected a driver name", |name| DriverName::new(name).ok());
    // An override that was never set prints as the C library prints a null pointer.
    facts.driver_override = match attributes.value("driver_override", "expected a driver name", |text| {
        if matches!(text, "" | "(null)") { Some(None) } else { DriverName::new(text).ok().map(Some) }
    }) {
        Fact::Known(name) => name.into(),
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    };
    facts.group =
        attributes.link("iommu_group", "expected a group number", |name| name.parse().ok().map(GroupId));
}

/// The bridge above, from the place of the device in `/sys/devices`: the directory above it, which is another
/// function, or a root bus (`pci0000:00`).
fn parent(host: &dyn ReadHost, path: &str) -> Fact<PciAddress> {
    match host.link(path) {
        Ok(target) => {
            let above = target.trim_end_matches('/').rsplit('/').nth(1).unwrap_or_default();
            above.parse().ok().into()
        }
        Err(error) if error.is_not_found() => Fact::Unreadable(malformed(
            path,
            "expected a link into /sys/devices, which shows the bridge above",
        )),
        Err(error) => Fact::Unreadable(fault(&error)),
    }
}

/// Rows of start, end, flags in hexadecimal (`resource_show`); rows of zeros are resources that a function has not.
fn resources(text: &str) -> Option<Vec<Resource>> {
    let mut found = Vec::new();
    for (index, row) in text.lines().take(RESOURCE_ROWS).enumerate() {
        let mut columns = row.split_ascii_whitespace().map(hex);
        let (start, end, flags) = (columns.next()??, columns.next()??, columns.next()??);
        let flags = ResourceFlags(flags);
        if !(flags.is_io() || flags.is_memory()) {
            continue;
        }
        let size = end.checked_sub(start)?.checked_add(1)?;
        found.push(Resource { index: u8::try_from(index).ok()?, start, size, flags });
    }
    Some(found)
}

/// Names in the kernel's order (`drivers/pci/pci.c: reset_method_show`); an empty file says that there is none.
fn reset_methods(attributes: &mut Attributes<'_>, faults: &mut Vec<ReadFault>) -> Fact<Vec<ResetMethod>> {
    let mut unknown = Vec::new();
    let methods = attributes.value("reset_method", "expected names of reset methods", |text| {
        let parse = |word: &str| word.parse().map_err(|_| unknown.push(word.to_owned())).ok();
        Some(text.split_ascii_whitespace().filter_map(parse).collect())
    });
    let place = attributes.place("reset_method");
    faults.extend(
        unknown.iter().map(|word| malformed(&place, &format!("{word:?} is not a known reset method"))),
    );
    methods
}

/// Linux interrupt numbers in `msi_irqs/` (`drivers/pci/msi/`): one file for each vector in use.
fn message_irqs(host: &dyn ReadHost, attributes: &Attributes<'_>, faults: &mut Vec<ReadFault>) -> Vec<u32> {
    if !attributes.has("msi_irqs") {
        return Vec::new();
    }
    let listed = host.list(&attributes.place("msi_irqs"));
    let irqs = match listed {
        Ok(names) => Fact::Known(names),
        Err(error) => Fact::Unreadable(fault(&error)),
    };
    let mut irqs: Vec<u32> =
        note(irqs, faults).unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect();
    irqs.sort_unstable();
    irqs
}
