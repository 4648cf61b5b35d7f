//! The IOMMU as a whole.
//!
//! What decides and what misleads: groups under `/sys/kernel/iommu_groups` and units under `/sys/class/iommu` exist
//! only once a driver has taken over DMA (`drivers/iommu/iommu.c`, `iommu-sysfs.c`); firmware tables and the kernel
//! command line prove nothing of that. Interrupt remapping shows in the chip column of `/proc/interrupts`, whose `IR-`
//! prefix both `drivers/iommu/intel/irq_remapping.c` and `drivers/iommu/amd/iommu.c` set, and which remains after the
//! kernel log has rolled over.

use std::borrow::Cow;
use std::collections::BTreeMap;

use slotwise_core::facts::{
    Fact, Facts, GroupFacts, GroupId, InterruptController, InterruptLine, IommuFacts, IommuVendor, ReadFault,
    ReservedKind, ReservedRegion, SourceKind, Switch,
};
use slotwise_core::pci::PciAddress;

use super::attributes::{hex, note, trimmed};
use super::{ATTRIBUTE_BYTES, acpi, fact, fault, malformed, shared_out, text};
use crate::kernel::{Directory, ReadHost};

const GROUPS: &str = "/sys/kernel/iommu_groups";
const UNITS: &str = "/sys/class/iommu";

/// State, vendor, interrupt remapping, units, tables, groups and reserved ranges. `facts` has functions and
/// interrupts already.
pub(super) fn iommu(host: &dyn ReadHost, facts: &Facts, faults: &mut Vec<ReadFault>) -> IommuFacts {
    let mut iommu = IommuFacts { units: fact(host.list(UNITS)), ..IommuFacts::default() };
    let (tables, tables_listed) = acpi::tables(host);
    iommu.tables = tables;
    iommu.address_bits = address_bits(host, &iommu.units, faults);
    iommu.reserved = acpi::reserved(host, &iommu.tables, faults);
    // Opened once: there may be thousands of groups.
    let directory = fact(host.open_dir(GROUPS));
    let groups = match &directory {
        Fact::Known(directory) => fact(directory.list()),
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault.clone()),
    };
    if let Fact::Unreadable(fault) = &groups {
        faults.push(fault.clone());
    }
    if let (Fact::Known(directory), Fact::Known(listed)) = (&directory, &groups) {
        let ids: Vec<GroupId> = listed.iter().filter_map(|name| name.parse().ok().map(GroupId)).collect();
        let told = shared_out(&ids, |buffer, id| GroupFiles::told(&**directory, *id, buffer));
        let members = members(facts);
        for (id, told) in ids.iter().zip(told) {
            let of_group = members.get(id).map_or(&[][..], Vec::as_slice);
            for (start, end, kind) in told.regions {
                add_region(&mut iommu.reserved, start, end, kind, of_group);
            }
            iommu.groups.insert(*id, told.facts);
            faults.extend(told.faults);
        }
    }
    let saved_tree = facts.origin.kind() == SourceKind::Directory;
    state(&groups, facts, saved_tree, &mut iommu);
    interrupt_remapping(facts, &mut iommu);
    iommu.vendor = vendor(&iommu, tables_listed && !saved_tree);
    iommu
}

/// Width of the narrowest Intel unit, from its capability register (`intel_iommu_show_cap`: hexadecimal without 0x).
/// Other vendors do not print it in a form that needs no driver to read.
fn address_bits(host: &dyn ReadHost, units: &Fact<Vec<String>>, faults: &mut Vec<ReadFault>) -> Fact<u8> {
    let mut narrowest = None;
    for unit in units.known().into_iter().flatten().filter(|unit| unit.starts_with("dmar")) {
        let path = format!("{UNITS}/{unit}/intel-iommu/cap");
        match text(host, &path, ATTRIBUTE_BYTES) {
            Ok(text) => match hex(text.trim()) {
                Some(capabilities) => narrowest = width(capabilities).into_iter().chain(narrowest).min(),
                None => faults.push(malformed(&path, "expected a hexadecimal number")),
            },
            Err(error) if error.is_not_found() => {}
            Err(error) => faults.push(fault(&error)),
        }
    }
    narrowest.into()
}

/// The smaller of MGAW (bits 21:16, one less) and the widest page table of SAGAW (bits 12:8; bit 1: 39, bit 2: 48, bit 3:
/// 57 bits); Intel VT-d 4.1 §11.4.2.
fn width(capabilities: u64) -> Option<u8> {
    let mgaw = u8::try_from(capabilities >> 16 & 0x3f).ok()? + 1;
    let sagaw = capabilities >> 8 & 0x1f;
    let table = [(3, 57), (2, 48), (1, 39)].into_iter().find(|(bit, _)| sagaw >> bit & 1 == 1)?.1;
    Some(mgaw.min(table))
}

fn members(facts: &Facts) -> BTreeMap<GroupId, Vec<PciAddress>> {
    let mut members: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for function in facts.functions.values() {
        if let Fact::Known(group) = function.group {
            members.entry(group).or_default().push(function.address);
        }
    }
    members
}

/// What the files of one group tell.
struct Told {
    facts: GroupFacts,
    regions: Vec<(u64, u64, ReservedKind)>,
    faults: Vec<ReadFault>,
}

/// Reads the files of one group.
struct GroupFiles<'g> {
    /// That of all groups.
    directory: &'g dyn Directory,
    id: GroupId,
    buffer: &'g mut Vec<u8>,
    faults: Vec<ReadFault>,
}

impl<'g> GroupFiles<'g> {
    fn told(directory: &'g dyn Directory, id: GroupId, buffer: &'g mut Vec<u8>) -> Told {
        let mut files = Self { directory, id, buffer, faults: Vec::new() };
        let facts = files.group();
        let regions = files.reserved_regions();
        Told { facts, regions, faults: files.faults }
    }

    /// The text of a file; none if there is none, or a fault.
    fn text(&mut self, name: &str) -> Option<Cow<'_, str>> {
        let path = format!("{}/{name}", self.id);
        let read = fact(self.directory.read(&path, ATTRIBUTE_BYTES, self.buffer));
        note(read, &mut self.faults).map(|()| trimmed(self.buffer))
    }

    /// `type` (Linux 5.11 and later) and `name` of a group; the latter is set by VFIO's no-IOMMU mode and few others, whose
    /// groups have no domain of an IOMMU (`drivers/iommu/iommu.c: iommu_group_show_type`: "unknown").
    fn group(&mut self) -> GroupFacts {
        let default_domain = self.text("type").map(Cow::into_owned);
        let translated =
            default_domain.as_deref().is_some_and(|kind| matches!(kind, "DMA" | "DMA-FQ" | "identity"));
        let name = if translated { None } else { self.text("name").map(Cow::into_owned) };
        GroupFacts { default_domain, name }
    }

    /// Rows of first byte, last byte, type (`drivers/iommu/iommu.c: iommu_group_show_resv_regions`).
    fn reserved_regions(&mut self) -> Vec<(u64, u64, ReservedKind)> {
        let mut broken = false;
        let mut regions = Vec::new();
        if let Some(text) = self.text("reserved_regions") {
            for row in text.lines().filter(|row| !row.trim().is_empty()) {
                match region(row) {
                    Some(told) => regions.push(told),
                    None => broken = true,
                }
            }
        }
        if broken {
            let path = format!("{GROUPS}/{}/reserved_regions", self.id);
            self.faults.push(malformed(&path, "expected rows of first address, last address, type"));
        }
        regions
    }
}

fn state(groups: &Fact<Vec<String>>, facts: &Facts, saved_tree: bool, iommu: &mut IommuFacts) {
    let real = iommu.groups.values().filter(|group| !group.is_no_iommu()).count();
    let linked = facts.functions.values().filter(|function| function.group.known().is_some()).count();
    let units = iommu.units.known().map_or(0, Vec::len);
    let evidence = match groups {
        Fact::Known(_) if real > 0 => {
            iommu.state = Switch::On;
            format!("{real} groups")
        }
        // A saved tree may hold the links of the devices and not the directory they point into.
        _ if linked > 0 && iommu.groups.is_empty() => {
            iommu.state = Switch::On;
            format!("{linked} functions have an iommu_group link")
        }
        Fact::Known(_) if !iommu.groups.is_empty() => {
            iommu.state = Switch::Off;
            "only groups of VFIO's no-IOMMU mode".to_owned()
        }
        Fact::Known(_) if units > 0 => format!("no groups, although {UNITS} has {units} units"),
        Fact::Known(_) => {
            iommu.state = Switch::Off;
            "no groups".to_owned()
        }
        // The directory is there on every kernel built with IOMMU support (iommu.c: iommu_init).
        Fact::Absent if !saved_tree => {
            iommu.state = Switch::Off;
            "no such directory".to_owned()
        }
        Fact::Absent => "not in this tree".to_owned(),
        Fact::Unreadable(fault) => fault.to_string(),
    };
    iommu.evidence.push((GROUPS.to_owned(), evidence));
}

fn interrupt_remapping(facts: &Facts, iommu: &mut IommuFacts) {
    let Fact::Known(lines) = &facts.interrupts else { return };
    // Only chips of x86 have a remapped and a plain form.
    let plain = |chip: &str| chip == "IO-APIC" || chip.starts_with("PCI-MSI");
    let remapped = lines.iter().find(|line| line.remapped);
    let evidence = remapped.or_else(|| {
        let io_apic = |line: &&InterruptLine| matches!(line.controller, InterruptController::IoApic { .. });
        lines.iter().find(io_apic).or_else(|| lines.iter().find(|line| plain(&line.chip)))
    });
    if let Some(line) = evidence {
        iommu.interrupt_remapping = if remapped.is_some() { Switch::On } else { Switch::Off };
        let words = format!("interrupt {} is delivered by {}", line.irq, line.chip);
        iommu.evidence.push(("/proc/interrupts".to_owned(), words));
    }
}

/// From the names of the units, which their drivers choose (`iommu_device_sysfs_add` in each driver), else from the
/// firmware tables.
fn vendor(iommu: &IommuFacts, tables_are_complete: bool) -> IommuVendor {
    let by_unit = iommu.units.known().into_iter().flatten().find_map(|unit| {
        let starts = |prefix: &str| unit.starts_with(prefix);
        match unit.as_str() {
            _ if starts("dmar") => Some(IommuVendor::Intel),
            _ if starts("ivhd") => Some(IommuVendor::Amd),
            _ if starts("smmu") || starts("arm-smmu") => Some(IommuVendor::Smmu),
            _ if starts("iommu-phb") => Some(IommuVendor::Power),
            // drivers/iommu/virtio-iommu.c names its unit after the bus address of the virtio device.
            _ if unit.parse::<PciAddress>().is_ok() || unit.ends_with("virtio_mmio") => {
                Some(IommuVendor::Virtio)
            }
            _ => None,
        }
    });
    let by_table = || {
        iommu.tables.iter().find_map(|table| match table.as_str() {
            "DMAR" => Some(IommuVendor::Intel),
            "IVRS" => Some(IommuVendor::Amd),
            "IORT" => Some(IommuVendor::Smmu),
            "VIOT" => Some(IommuVendor::Virtio),
            _ => None,
        })
    };
    match by_unit.or_else(by_table) {
        Some(vendor) => vendor,
        None if iommu.state == Switch::Off && tables_are_complete => IommuVendor::None,
        None => IommuVendor::Unknown,
    }
}

fn region(row: &str) -> Option<(u64, u64, ReservedKind)> {
    let mut words = row.split_ascii_whitespace();
    let (start, end) = (hex(words.next()?)?, hex(words.next()?)?);
    let kind = match words.next()? {
        "direct" => ReservedKind::Direct,
        "direct-relaxable" => ReservedKind::DirectRelaxable,
        "msi" => ReservedKind::Msi,
        "reserved" => ReservedKind::Reserved,
        _ => return None,
    };
    (start <= end).then_some((start, end, kind))
}

/// The same range is told once for all functions: the MSI window of one machine is in every group.
fn add_region(
    regions: &mut Vec<ReservedRegion>,
    start: u64,
    end: u64,
    kind: ReservedKind,
    members: &[PciAddress],
) {
    match regions.iter_mut().find(|known| (known.start, known.end, known.kind) == (start, end, kind)) {
        Some(known) => known.devices.extend_from_slice(members),
        None => regions.push(ReservedRegion { kind, start, end, devices: members.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_the_smaller_of_address_and_page_table() {
        assert_eq!(width(0x00d2_078c_106f_0466), Some(48));
        assert_eq!(width(0x01c0_000c_4066_0462), Some(39));
        assert_eq!(width(0), None);
    }

    #[test]
    fn rows_of_reserved_regions_are_read() {
        let row = |text| region(text).map(|(start, end, kind)| (start, end, kind.name()));
        let window = "0x00000000fee00000 0x00000000feefffff msi";
        assert_eq!(row(window), Some((0xfee0_0000, 0xfeef_ffff, "msi")));
        assert_eq!(row("0x7a000000 0x7c7fffff direct-relaxable"), Some((0x7a00_0000, 0x7c7f_ffff, "direct")));
        for text in ["", "0x0", "0x2 0x1 msi", "0x1 0x2 other", "-1 0x2 msi"] {
            assert_eq!(row(text), None, "{text}");
        }
    }
}
