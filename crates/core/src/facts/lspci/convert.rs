//! A text of lspci as facts of a host.
//!
//! What lspci leaves out on purpose is known: revision 0, and with `-k` or `-v` a driver, where other functions of the
//! same text show theirs. Everything else that is not printed is unknown.

use super::features::{complete, features};
use super::machine::as_shown;
use super::{LspciFaultKind, LspciFunction, LspciRegion, RegionAddress, class_names, read, tree};
use crate::facts::parents::{self, Extent, RootBuses};
use crate::facts::{
    BusRange, Fact, Facts, FaultKind, FunctionFacts, IommuVendor, Origin, PrintedCapability, PrintedConfig,
    ReadFault, Resource, ResourceFlags, SourceKind, Switch,
};
use crate::pci::{self, BarKind, ClassCode, InterruptPin, PciId};

const TEXT: &str = "lspci text";

/// What lspci prints for "no number": the line register of a pin that is not wired (PCI 3.0 §6.2.4).
const NO_LINE: u32 = 255;

/// AMD's IOMMU is a function of its own: class 0806 of vendor 1022 (AMD I/O Virtualization 3.05 §3.1).
const AMD_IOMMU: (u16, u16) = (0x1022, 0x0806);

/// Reads a text; `name` is what the user calls it.
#[must_use]
pub fn from_lspci(text: &[u8], name: &str) -> Facts {
    let origin = Origin::Saved { kind: SourceKind::Lspci, name: name.to_owned() };
    let mut facts = Facts::untold(origin, TEXT);
    let read = read(&as_shown(text));
    let functions = read.merged();
    let shown = Shown::of(&functions);
    for function in &functions {
        facts.functions.insert(function.address, of_function(function, shown));
    }
    let picture = tree::read(text);
    for leaf in &picture.leaves {
        drawn(
            facts.functions.entry(leaf.address).or_insert_with(|| FunctionFacts::untold(leaf.address, TEXT)),
            leaf,
        );
    }
    // The first function that is listed on any host; who shows one card leaves it out.
    let whole = facts.functions.keys().any(|a| (a.bus(), a.device(), a.function()) == (0, 0, 0));
    let extent = if whole { Extent::Whole } else { Extent::Part };
    parents::derive(&mut facts.functions, &RootBuses { told: &picture.roots, extent, source: TEXT });
    iommu(&mut facts);
    let mut denied = false;
    for fault in &read.faults {
        let kind = match &fault.kind {
            LspciFaultKind::AccessDenied if std::mem::replace(&mut denied, true) => continue,
            LspciFaultKind::AccessDenied => FaultKind::Denied,
            other => FaultKind::Malformed(other.to_string()),
        };
        facts.faults.push(ReadFault::new(format!("line {}", fault.line), kind));
    }
    if read.more_faults > 0 {
        let kind = FaultKind::Malformed(format!("{} more lines could not be read", read.more_faults));
        facts.faults.push(ReadFault::new(TEXT.to_owned(), kind));
    }
    facts
}

/// What a picture tells of a function, where nothing else in the text tells more.
fn drawn(facts: &mut FunctionFacts, leaf: &tree::Leaf) {
    if facts.buses.is_unreadable() && facts.config.is_unreadable() {
        facts.buses = leaf.buses.into();
    }
    if let (Some(id), true) = (leaf.id, facts.id.is_unreadable()) {
        facts.id = Fact::Known(id);
    }
    if facts.printed_name.is_none() {
        facts.printed_name.clone_from(&leaf.name);
    }
}

/// What a text shows of some function, so that its absence elsewhere is an answer.
#[derive(Clone, Copy)]
struct Shown {
    drivers: bool,
    groups: bool,
    nodes: bool,
    slots: bool,
}

impl Shown {
    fn of(functions: &[LspciFunction]) -> Self {
        Self {
            drivers: functions.iter().any(|f| f.driver.is_some()),
            groups: functions.iter().any(|f| f.group.is_some()),
            nodes: functions.iter().any(|f| f.numa_node.is_some()),
            slots: functions.iter().any(|f| f.slot.is_some()),
        }
    }
}

/// The value, or that there is none where the text would have shown it.
fn or_absent<T: Clone>(value: Option<&T>, shown: bool) -> Fact<T> {
    match value {
        Some(value) => Fact::Known(value.clone()),
        None if shown => Fact::Absent,
        None => unknown(),
    }
}

fn unknown<T>() -> Fact<T> {
    Fact::Unreadable(ReadFault::new(TEXT, FaultKind::NotInSource))
}

fn of_function(text: &LspciFunction, shown: Shown) -> FunctionFacts {
    let mut facts = FunctionFacts::untold(text.address, TEXT);
    let decoded = pci::decode(&text.config).ok();
    if !text.config.is_empty() {
        facts.config = Fact::Known(text.config.clone());
    }
    identity(&mut facts, text, decoded.as_ref());
    facts.printed_name.clone_from(&text.name);
    facts.driver = or_absent(text.driver.as_ref(), shown.drivers);
    facts.modules.clone_from(&text.modules);
    facts.group = or_absent(text.group.as_ref(), shown.groups && text.described);
    facts.numa_node = or_absent(text.numa_node.as_ref(), shown.nodes && text.described);
    facts.physical_slot = or_absent(text.slot.as_ref(), shown.slots && text.described);
    interrupt(&mut facts, text, decoded.as_ref());
    facts.buses = buses(text, decoded.as_ref());
    let regions = regions(text);
    facts.resources = resources(text, &regions, decoded.as_ref());
    let (standard_complete, _) = complete(text);
    let row = |c: &super::LspciCapability| PrintedCapability { offset: c.offset, space: c.space, id: c.id };
    facts.printed = Some(Box::new(PrintedConfig {
        capabilities: text.capabilities.iter().map(row).collect(),
        standard_complete,
        features: features(text),
        regions,
        bridge: text.bridge.clone(),
    }));
    facts
}

/// Ids, class, revision. A virtual function's own registers read ffff (SR-IOV 1.1 §3.4.1.1): the title knows better.
fn identity(facts: &mut FunctionFacts, text: &LspciFunction, decoded: Option<&pci::Function>) {
    let answers = |id: &PciId| id.vendor != 0xffff && id.vendor != 0;
    let header = decoded.map(|d| &d.header);
    let registers = header.map(|h| h.id);
    let id = registers.filter(answers).or(text.id).or(registers);
    facts.id = id.map_or_else(unknown, Fact::Known);
    let class = |number: u16| {
        let [base, sub] = number.to_be_bytes();
        ClassCode::new(base, sub, text.interface.unwrap_or(0))
    };
    let header = header.filter(|h| answers(&h.id) || text.class.is_none());
    let by_name = || class_names::by_name(text.class_name.as_deref()?);
    let printed = text.class.or_else(by_name).map(class);
    facts.class = header.map(|h| h.class).or(printed).map_or_else(unknown, Fact::Known);
    // Left out where it is 0 (`lspci.c: show_terse`).
    let titled = (text.id.is_some() || text.name.is_some()).then_some(0);
    let revision = header.map(|h| h.revision).or(text.revision).or(titled);
    facts.revision = revision.map_or_else(unknown, Fact::Known);
    let subsystem = decoded.and_then(pci::Function::subsystem).or(text.subsystem);
    facts.subsystem =
        or_absent(subsystem.as_ref(), decoded.is_some_and(|d| d.complete(pci::Space::Standard)));
}

fn interrupt(facts: &mut FunctionFacts, text: &LspciFunction, decoded: Option<&pci::Function>) {
    let number = |pin| match pin {
        InterruptPin::A => Some(1),
        InterruptPin::B => Some(2),
        InterruptPin::C => Some(3),
        InterruptPin::D => Some(4),
        InterruptPin::None | InterruptPin::Reserved(_) => None,
    };
    let header = decoded.map(|d| &d.header);
    // With two `-v` a function without a pin has no such line (`lspci.c: show_verbose`).
    let unprinted = text.capability_list.map(|_| InterruptPin::None);
    let pin = header.and_then(|h| h.interrupt_pin).or(text.pin).or(unprinted);
    facts.interrupt_pin = pin.map_or_else(unknown, |pin| number(pin).into());
    facts.interrupt_line = header.and_then(|h| h.interrupt_line).map_or_else(unknown, Fact::Known);
    facts.irq = text.irq.filter(|irq| *irq != NO_LINE).map_or_else(unknown, Fact::Known);
}

fn buses(text: &LspciFunction, decoded: Option<&pci::Function>) -> Fact<BusRange> {
    let bridge = decoded.and_then(|d| d.bridge.as_ref()).map(|b| (b.secondary, b.subordinate));
    let cardbus = decoded.and_then(|d| d.cardbus.as_ref()).map(|b| (b.secondary, b.subordinate));
    let printed = text.bridge.as_ref().map(|b| (b.secondary, b.subordinate));
    match bridge.or(cardbus).or(printed) {
        Some((secondary, subordinate)) => Fact::Known(BusRange { secondary, subordinate }),
        None if decoded.is_some_and(|d| d.header.kind == pci::HeaderKind::Endpoint) => Fact::Absent,
        None => unknown(),
    }
}

/// The regions without the upper halves of 64-bit ones, which lspci shows as regions of their own where it reads a dump.
fn regions(text: &LspciFunction) -> Vec<LspciRegion> {
    let mut kept: Vec<LspciRegion> = Vec::new();
    for region in &text.regions {
        let half = kept.last().is_some_and(|lower| {
            let next = match (lower.index, region.index) {
                (Some(lower), Some(upper)) => lower.checked_add(1) == Some(upper),
                (None, None) => region.address == RegionAddress::Unassigned && region.size.is_none(),
                _ => false,
            };
            lower.kind == BarKind::Memory64 && next
        });
        if !half {
            kept.push(*region);
        }
    }
    kept
}

/// Rows as sysfs has them, if the text gives index and size of every region.
fn resources(
    text: &LspciFunction,
    regions: &[LspciRegion],
    decoded: Option<&pci::Function>,
) -> Fact<Vec<Resource>> {
    let registers = decoded.map_or(&[][..], |d| d.bars.as_slice());
    let row = |region: &LspciRegion| {
        let at = |address| registers.iter().find(|bar| bar.address == Some(address)).map(|bar| bar.index);
        let start = match region.address {
            RegionAddress::At(address) => Some(address),
            RegionAddress::Unassigned | RegionAddress::Ignored | RegionAddress::Broken => None,
        };
        Some(Resource {
            index: region.index.or_else(|| at(start?))?,
            start: start.unwrap_or(0),
            size: region.size?,
            flags: flags(region, start.is_some()),
        })
    };
    let rows: Option<Vec<Resource>> = regions.iter().map(row).collect();
    match rows {
        Some(rows) if text.described && (!rows.is_empty() || registers.is_empty()) => Fact::Known(rows),
        _ => unknown(),
    }
}

/// `include/linux/ioport.h`: IORESOURCE_IO, _MEM, _PREFETCH, _MEM_64, _UNSET.
const fn flags(region: &LspciRegion, assigned: bool) -> ResourceFlags {
    let kind = match region.kind {
        BarKind::Io => 0x100,
        BarKind::Memory64 => 0x0010_0200,
        BarKind::Memory32 | BarKind::MemoryBelow1M | BarKind::MemoryReserved | BarKind::Rom => 0x200,
    };
    let prefetchable = if region.prefetchable { 0x2000 } else { 0 };
    let unset = if assigned { 0 } else { 0x2000_0000 };
    ResourceFlags(kind | prefetchable | unset)
}

/// A group is made by an IOMMU driver (or by VFIO without one, which names no group to lspci).
fn iommu(facts: &mut Facts) {
    let grouped = facts.functions.values().filter(|f| f.group.known().is_some()).count();
    if grouped == 0 {
        return;
    }
    facts.iommu.state = Switch::On;
    facts.iommu.evidence.push((TEXT.to_owned(), format!("{grouped} functions have a group")));
    let amd = facts.functions.values().any(|f| {
        f.id.known().is_some_and(|id| id.vendor == AMD_IOMMU.0)
            && f.class.known().is_some_and(|class| class.base_and_sub() == AMD_IOMMU.1)
    });
    if amd {
        facts.iommu.vendor = IommuVendor::Amd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
00:00.0 Host bridge [0600]: Intel Corporation 440FX [8086:1237] (rev 02)
\tFlags: fast devsel
\tKernel modules: intel_agp

00:1e.0 PCI bridge [0604]: Intel Corporation 82801 PCI Bridge [8086:244e] (prog-if 01 [Subtractive decode])
\tFlags: bus master, fast devsel, latency 0
\tBus: primary=00, secondary=05, subordinate=05, sec-latency=32
\tI/O behind bridge: 0000d000-0000dfff

05:04.0 SCSI storage controller [0100]: Adaptec AIC-7850 [9004:5078] (rev 03)
\tFlags: bus master, medium devsel, latency 32, IRQ 20, NUMA node 0, IOMMU group 9
\tI/O ports at d000 [disabled] [size=256]
\tMemory at fe706000 (32-bit, non-prefetchable) [size=4K]
\tExpansion ROM at <unassigned> [disabled] [size=64K]
\tKernel driver in use: aic7xxx
";

    #[test]
    fn verbose_text_without_bytes_tells_what_it_prints_and_nothing_more() {
        let facts = from_lspci(TEXT.as_bytes(), "test");
        assert_eq!(facts.iommu.state, Switch::On);
        let functions: Vec<_> = facts.functions.values().collect();
        let [host, bridge, card] = functions.as_slice() else { panic!("three functions") };
        assert_eq!((&host.driver, &host.group), (&Fact::Absent, &Fact::Absent));
        assert_eq!(bridge.revision, Fact::Known(0));
        assert_eq!(bridge.class, Fact::Known(ClassCode::new(6, 4, 1)));
        assert_eq!(card.parent, Fact::Known(bridge.address));
        assert_eq!((card.irq.known(), card.interrupt_pin.is_unreadable()), (Some(&20), true));
        assert!(card.resources.is_unreadable() && card.config.is_unreadable());
        assert_eq!(card.printed.as_ref().map(|p| p.regions.len()), Some(3));
        assert_eq!(card.features().msi_vectors, Some(0));
    }

    #[test]
    fn bytes_give_the_index_that_one_v_leaves_out() {
        let dump = format!(
            "{TEXT}00: 04 90 78 50 06 00 90 02 03 00 00 01 08 20 00 00\n10: 01 d0 00 00 00 60 70 fe 00 00 00 00 00 00 00 00\n20: 00 00 00 00 00 00 00 00 00 00 00 00 04 90 50 78\n30: 00 00 00 00 dc 00 00 00 00 00 00 00 0b 01 04 04\n"
        );
        let facts = from_lspci(dump.as_bytes(), "test");
        let card = facts.functions.values().next_back().expect("a card");
        let rows: Vec<_> = card.resources.known().into_iter().flatten().map(|r| (r.index, r.size)).collect();
        assert_eq!(rows, [(0, 256), (1, 4096), (6, 65536)]);
        assert_eq!(card.interrupt_pin, Fact::Known(1));
        assert_eq!(card.subsystem, Fact::Known(PciId { vendor: 0x9004, device: 0x7850 }));
    }

    #[test]
    fn names_without_numbers_give_the_class_and_no_ids() {
        let facts = from_lspci(
            b"00:1f.2 SATA controller: Intel Corporation 8 Series (prog-if 01 [AHCI 1.0])\n",
            "test",
        );
        let function = facts.functions.values().next().expect("a function");
        assert_eq!(function.class, Fact::Known(ClassCode::new(1, 6, 1)));
        assert!(function.id.is_unreadable());
    }

    #[test]
    fn upper_halves_of_regions_are_no_regions() {
        let text = b"00:08.0 System peripheral: x\n\tStatus: Cap+\n\
            \tRegion 0: Memory at 622d19a000 (64-bit, non-prefetchable) [disabled]\n\
            \tRegion 1: Memory at <unassigned> (low-1M, non-prefetchable) [disabled]\n";
        let facts = from_lspci(text, "test");
        let printed = facts.functions.values().next().and_then(|f| f.printed.as_ref());
        assert_eq!(printed.map(|printed| printed.regions.len()), Some(1));
    }

    #[test]
    fn titles_alone_leave_driver_parent_and_capabilities_open() {
        let facts = from_lspci(b"03:00.0 0200: 8086:1521 (rev 01)\n", "test");
        let function = facts.functions.values().next().expect("a function");
        assert!(function.driver.is_unreadable() && function.interrupt_pin.is_unreadable());
        assert_eq!((function.capabilities(), function.features()), (None, pci::Features::unknown()));
        assert_eq!(facts.iommu.state, Switch::Unknown);
    }
}
