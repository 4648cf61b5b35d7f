//! PCI functions: `/sys/bus/pci/devices`.
//!
//! Formats are those of `drivers/pci/pci-sysfs.c`.

use std::collections::BTreeMap;

use slotwise_core::facts::{
    DriverName, Fact, FunctionFacts, GroupId, ReadFault, ResetMethod, Resource, ResourceFlags,
};
use slotwise_core::pci::{ClassCode, PciAddress, PciId, Space};

use super::attributes::{Attributes, hex, note};
use super::modalias::Modalias;
use super::{config, fact, fault, malformed, names, shared_out};
use crate::kernel::{Directory, ReadError, ReadErrorKind, ReadHost};

const DEVICES: &str = "/sys/bus/pci/devices";
const SLOTS: &str = "/sys/bus/pci/slots";

/// Rows of a `resource` file: 6 BARs, ROM, 6 VF BARs, 4 windows (`include/linux/pci.h`: `PCI_NUM_RESOURCES`), and
/// some to spare.
const RESOURCE_ROWS: usize = 32;

/// The row of a resource that a function has not (`resource_show`).
const NO_RESOURCE: &str = "0x0000000000000000 0x0000000000000000 0x0000000000000000";

/// Ids of capabilities in the standard list (PCI Code and ID Assignment 1.15 §2).
const MSI: u16 = 0x05;
const MSI_X: u16 = 0x11;
/// Id of a capability in the extended list (same, §3).
const SR_IOV: u16 = 0x10;

/// All PCI functions that `host` lists. One that goes away while it is read is left out, with a fault that says so.
pub(super) fn functions(
    host: &dyn ReadHost,
    faults: &mut Vec<ReadFault>,
) -> BTreeMap<PciAddress, FunctionFacts> {
    let slots = physical_slots(host, faults);
    let devices = match host.open_dir(DEVICES) {
        Ok(devices) => devices,
        Err(error) => {
            if !error.is_not_found() {
                faults.push(fault(&error));
            }
            return BTreeMap::new();
        }
    };
    let names = note(fact(devices.list()), faults).unwrap_or_default();
    let read = |buffer: &mut Vec<u8>, name: &String| one(host, &*devices, name, buffer);
    let told: Vec<Told> = shared_out(&names, read);
    // Collected and not inserted one by one: nodes of the map are full then.
    let functions = told.into_iter().filter_map(|told| {
        faults.extend(told.faults);
        let mut facts = told.facts?;
        if let Some(slot) = slots.get(&facts.address.function_zero()) {
            facts.physical_slot = Fact::Known(slot.clone());
        }
        Some((facts.address, facts))
    });
    let functions = functions.collect();
    faults.extend(config::withheld(&functions));
    functions
}

/// What one entry of the list of devices told.
struct Told {
    facts: Option<FunctionFacts>,
    faults: Vec<ReadFault>,
}

/// Reads the function called `name`.
fn one(host: &dyn ReadHost, devices: &dyn Directory, name: &str, buffer: &mut Vec<u8>) -> Told {
    let mut faults = Vec::new();
    let path = format!("{DEVICES}/{name}");
    let facts = match name.parse::<PciAddress>() {
        Ok(address) => {
            let place = Place { host, address, path: &path, link: devices.link(name) };
            function(place, buffer, &mut faults).map_err(|error| faults.push(fault(&error))).ok()
        }
        Err(_) => {
            faults.push(malformed(&path, "expected a name of the form DDDD:BB:DD.F"));
            None
        }
    };
    Told { facts, faults }
}

/// Where a function is read.
struct Place<'h> {
    host: &'h dyn ReadHost,
    address: PciAddress,
    path: &'h str,
    /// What stands at `path`: a link into `/sys/devices`.
    link: Result<String, ReadError>,
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
    place: Place<'_>,
    buffer: &mut Vec<u8>,
    faults: &mut Vec<ReadFault>,
) -> Result<FunctionFacts, ReadError> {
    let directory = match &place.link {
        Ok(target) => place.host.open_linked_dir(place.path, target)?,
        Err(_) => place.host.open_dir(place.path)?,
    };
    let mut attributes = Attributes::new(&*directory, place.path, buffer);
    let mut facts = FunctionFacts::at(place.address);
    let witness = identity(&mut attributes, &mut facts);
    binding(&mut attributes, &mut facts);
    let config = config::configuration(&mut attributes, &mut facts);
    let lists = |space, ids| config::lists(config.as_ref()?, space, ids);
    facts.numa_node = attributes
        .value("numa_node", "expected a number, or -1 for none", |text| text.parse::<i32>().ok())
        .and_then(|node| u32::try_from(node).ok());
    facts.parent = parent(place.path, place.link);
    facts.enabled = attributes.flag("enable");
    facts.resources = attributes.value("resource", "expected rows of start, end, flags", resources);
    facts.reset_methods = reset_methods(&mut attributes, faults);
    facts.power_state = attributes.value("power_state", "expected a name", |text| Some(text.to_owned()));
    facts.d3cold_allowed = attributes.flag("d3cold_allowed");
    // Only there for what was once called VGA (pci-sysfs.c: pci_dev_attrs_are_visible).
    if facts.class.known().is_none_or(|class| matches!(class.base(), 0x00 | 0x03)) {
        facts.boot_vga = attributes.flag("boot_vga");
    }
    // Only there with the capability (`drivers/pci/iov.c: sriov_vf_attrs_are_visible`).
    if lists(Space::Extended, &[SR_IOV]) != Some(false) {
        facts.sriov.total_vfs = attributes.decimal("sriov_totalvfs");
    }
    if !matches!(facts.sriov.total_vfs, Fact::Absent) {
        facts.sriov.num_vfs = attributes.decimal("sriov_numvfs");
    }
    // Virtual functions are endpoints (SR-IOV 1.1 §3.4.1.9), and none of them has virtual functions.
    if lists(Space::Extended, &[SR_IOV]) != Some(true)
        && !facts.class.known().is_some_and(|class| class.is_pci_bridge())
    {
        facts.sriov.physical_function =
            attributes.link("physfn", "expected a PCI address", |name| name.parse().ok());
    }
    // Only there while messages are in use.
    if lists(Space::Standard, &[MSI, MSI_X]) != Some(false) {
        facts.msi_irqs = message_irqs(&attributes, faults);
    }
    // Asked last: what is still there now was there all the time, so no attribute above was missing because the
    // device went away.
    facts.irq = attributes.decimal("irq");
    if facts.irq.known().is_none() && attributes.is_gone(witness) {
        return Err(ReadError::new(place.path, ReadErrorKind::Vanished));
    }
    Ok(facts)
}

/// Ids and class; the file that they come from.
///
/// `modalias` prints the same fields of the kernel's as the five attributes do (`pci-sysfs.c: modalias_show`), in one
/// file instead of five.
fn identity(attributes: &mut Attributes<'_>, facts: &mut FunctionFacts) -> Option<&'static str> {
    let subsystem = |id: PciId| (id != PciId { vendor: 0, device: 0 }).then_some(id);
    if let Fact::Known(alias) = attributes.value("modalias", "expected pci:v…", Modalias::parse) {
        facts.id = Fact::Known(alias.id);
        // A function without a subsystem id reads zero (PCI 3.0 §6.2.4).
        facts.subsystem = subsystem(alias.subsystem).into();
        facts.class = Fact::Known(alias.class);
        return Some("modalias");
    }
    let vendor = attributes.hex::<u16>("vendor");
    facts.id = pair(vendor, attributes.hex("device"));
    let vendor = attributes.hex::<u16>("subsystem_vendor");
    facts.subsystem = pair(vendor, attributes.hex("subsystem_device")).and_then(subsystem);
    facts.class = attributes.hex::<u32>("class").map(ClassCode::from_bits);
    facts.id.known().map(|_| "vendor")
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
fn parent(path: &str, link: Result<String, ReadError>) -> Fact<PciAddress> {
    match link {
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
        // Most rows are; to compare is quicker than to parse.
        if row == NO_RESOURCE {
            continue;
        }
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
    for word in unknown {
        let place = attributes.place("reset_method");
        faults.push(malformed(&place, &format!("{word:?} is not a known reset method")));
    }
    methods
}

/// Linux interrupt numbers in `msi_irqs/` (`drivers/pci/msi/`): one file for each vector in use.
fn message_irqs(attributes: &Attributes<'_>, faults: &mut Vec<ReadFault>) -> Vec<u32> {
    let names = note(attributes.names("msi_irqs"), faults).unwrap_or_default();
    let mut irqs: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    irqs.sort_unstable();
    irqs
}
