//! What a picture shows, before it is HTML or SVG: a walk over buses and functions, groups, lines.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Fact, FunctionFacts, GroupId, IommuFacts, IommuVendor};
use crate::pci::PciAddress;
use crate::report::Names;
use crate::report::names::vendor_and_device;
use crate::topology::{Dependent, DependentKind, Topology};

/// Deepest nesting shown; deeper buses stay at it, so that no source can nest markup without bound.
pub(super) const DEEPEST: usize = 16;

/// Functions up to which everything is shown open at once; beyond, buses below bridges begin closed.
pub(super) const OPEN_UP_TO: usize = 300;

/// The most devices, volumes or interfaces that are named for one function.
const MOST_USES: usize = 12;

/// A host, to be drawn.
#[derive(Debug)]
pub(super) struct Model<'t> {
    /// Where the facts come from.
    pub(super) source: String,
    /// IOMMU and interrupt remapping: label, state.
    pub(super) switches: [(&'static str, String); 2],
    /// Kernel release.
    pub(super) kernel: Option<&'t str>,
    /// The walk: buses open and close around their functions.
    pub(super) walk: Vec<Step<'t>>,
    /// Functions shown.
    pub(super) functions: usize,
    /// Groups that have members shown, by number.
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// Interrupt lines with more than one handler: number, handlers.
    pub(super) lines: Vec<(u32, Vec<String>)>,
    /// What could not be read.
    pub(super) faults: Vec<String>,
}

/// One step of the walk.
#[derive(Debug)]
pub(super) enum Step<'t> {
    /// A bus begins.
    Open(Bus),
    /// A function on it.
    Function(Box<Function<'t>>),
    /// The bus ends.
    Close,
}

/// A bus.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    /// `0000:05`.
    pub(super) name: String,
    /// Bridges between it and its root bus.
    pub(super) depth: usize,
    /// Functions shown on it.
    pub(super) functions: usize,
}

/// An IOMMU group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Hue of its colour, in degrees.
    pub(super) hue: u16,
    /// All its members, shown or not.
    pub(super) members: Vec<PciAddress>,
}

/// How much a reader should mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// For the record.
    Plain,
    /// Look here.
    Caution,
    /// The host lives on it.
    Vital,
}

/// A function.
#[derive(Debug)]
pub(super) struct Function<'t> {
    /// All that the source said.
    pub(super) facts: &'t FunctionFacts,
    /// `Ethernet controller`.
    pub(super) class: String,
    /// Vendor and device.
    pub(super) name: String,
    /// Driver, or why there is none to name.
    pub(super) driver: String,
    /// Short remarks: slot, hot-plug, VF of, boot display.
    pub(super) badges: Vec<String>,
    /// What of the host hangs on it.
    pub(super) uses: Vec<(Weight, String)>,
    /// Its interrupt wire, and whether others are on it.
    pub(super) interrupt: Option<(Weight, String)>,
    /// Its requester id, if another.
    pub(super) alias: Option<String>,
}

impl<'t> Model<'t> {
    pub(super) fn new(topology: &'t Topology, names: &dyn Names, shown: &dyn Fn(PciAddress) -> bool) -> Self {
        let facts = topology.facts();
        let visible: BTreeSet<PciAddress> =
            topology.functions().map(|function| function.address).filter(|address| shown(*address)).collect();
        Self {
            source: facts.origin.kind().name().to_owned(),
            switches: [
                ("IOMMU", iommu(&facts.iommu)),
                ("interrupt remapping", facts.iommu.interrupt_remapping.name().to_owned()),
            ],
            kernel: facts.kernel.release.known().map(String::as_str),
            walk: walk(topology, names, &visible),
            functions: visible.len(),
            groups: groups(topology, &visible),
            lines: lines(topology),
            faults: facts.faults.iter().map(ToString::to_string).collect(),
        }
    }

    /// `13 PCI functions in 9 IOMMU groups`.
    pub(super) fn title(&self) -> String {
        let functions = format!("{} PCI function{}", self.functions, plural(self.functions));
        match self.groups.len() {
            0 => functions,
            count => format!("{functions} in {count} IOMMU group{}", plural(count)),
        }
    }

    /// Whether there is too much to show all of it at once.
    pub(super) const fn is_large(&self) -> bool {
        self.functions > OPEN_UP_TO
    }

    /// Whether a bus is shown in short at first: of a large host all below bridges, and root buses that are large.
    pub(super) const fn is_closed(&self, bus: &Bus) -> bool {
        self.is_large() && (bus.depth > 0 || bus.functions > OPEN_UP_TO)
    }

    /// Hue of a function's group.
    pub(super) fn hue(&self, function: &FunctionFacts) -> Option<u16> {
        function.group.known().and_then(|group| self.groups.get(group)).map(|group| group.hue)
    }
}

fn iommu(facts: &IommuFacts) -> String {
    match facts.vendor {
        IommuVendor::None | IommuVendor::Unknown => facts.state.name().to_owned(),
        vendor => format!("{} ({})", facts.state.name(), vendor.name()),
    }
}

/// Groups with a member shown. Hues follow each other by the golden angle, which keeps any run of them apart.
fn groups(topology: &Topology, visible: &BTreeSet<PciAddress>) -> BTreeMap<GroupId, Group> {
    let seen = topology.groups().iter().filter(|(_, members)| members.iter().any(|m| visible.contains(m)));
    let hue = |number: usize| u16::try_from((number * 13_751 / 100 + 200) % 360).unwrap_or(0);
    seen.enumerate()
        .map(|(number, (id, members))| (*id, Group { hue: hue(number), members: members.clone() }))
        .collect()
}

fn lines(topology: &Topology) -> Vec<(u32, Vec<String>)> {
    let rows = topology.facts().interrupts.known().into_iter().flatten();
    rows.filter(|line| line.is_wire() && line.handlers.len() > 1)
        .map(|line| (line.irq, line.handlers.clone()))
        .collect()
}

/// What is left to do of the walk.
enum Task {
    Bus(Vec<PciAddress>, usize),
    Function(PciAddress, usize),
    Close,
}

/// Roots first; then what no root leads to, since its bridges claim each other.
fn walk<'t>(topology: &'t Topology, names: &dyn Names, visible: &BTreeSet<PciAddress>) -> Vec<Step<'t>> {
    let wanted = with_bridges(topology, visible);
    let mut steps = Vec::new();
    let mut seen = BTreeSet::new();
    let mut tasks = Vec::new();
    push_buses(&mut tasks, topology.roots(), 0, &wanted);
    let mut stranded = wanted.iter().copied();
    loop {
        let Some(task) = tasks.pop() else {
            match stranded.find(|address| !seen.contains(address)) {
                Some(address) => push_buses(&mut tasks, &[address], 0, &wanted),
                None => break,
            }
            continue;
        };
        match task {
            Task::Bus(functions, depth) => {
                let Some(first) = functions.first() else { continue };
                let name = format!("{:04x}:{:02x}", first.domain(), first.bus());
                let count = functions.iter().filter(|address| visible.contains(address)).count();
                steps.push(Step::Open(Bus { name, depth, functions: count }));
                tasks.push(Task::Close);
                tasks.extend(functions.into_iter().rev().map(|address| Task::Function(address, depth)));
            }
            Task::Function(address, depth) => {
                if !seen.insert(address) {
                    continue;
                }
                if let Some(facts) = topology.function(address) {
                    steps.push(Step::Function(Box::new(function(topology, facts, names))));
                }
                push_buses(&mut tasks, topology.children(address), depth + 1, &wanted);
            }
            Task::Close => steps.push(Step::Close),
        }
    }
    steps
}

/// What is shown and the bridges above it, without which it would hang in the air.
fn with_bridges(topology: &Topology, visible: &BTreeSet<PciAddress>) -> BTreeSet<PciAddress> {
    let mut wanted = BTreeSet::new();
    for address in visible {
        if wanted.insert(*address) && visible.len() < topology.facts().functions.len() {
            wanted.extend(topology.bridges_above(*address));
        }
    }
    wanted
}

/// Adds the buses that `functions`, in order, lie on; the last is done first.
fn push_buses(tasks: &mut Vec<Task>, functions: &[PciAddress], depth: usize, wanted: &BTreeSet<PciAddress>) {
    let mut buses: BTreeMap<(u32, u8), Vec<PciAddress>> = BTreeMap::new();
    for address in functions.iter().filter(|address| wanted.contains(address)) {
        buses.entry((address.domain(), address.bus())).or_default().push(*address);
    }
    tasks.extend(buses.into_values().rev().map(|functions| Task::Bus(functions, depth)));
}

fn function<'t>(topology: &Topology, facts: &'t FunctionFacts, names: &dyn Names) -> Function<'t> {
    let (vendor, device) = vendor_and_device(facts, names);
    let name: Vec<String> = [vendor, device].into_iter().flatten().collect();
    let class = facts.class.known().and_then(|class| names.class(*class));
    let driver = match &facts.driver {
        Fact::Known(driver) => driver.to_string(),
        Fact::Absent => "no driver".to_owned(),
        Fact::Unreadable(_) => "driver unknown".to_owned(),
    };
    Function {
        facts,
        class: class.unwrap_or_else(|| {
            facts.class.known().map_or_else(|| "unknown class".to_owned(), |class| format!("class {class}"))
        }),
        name: match (name.is_empty(), facts.id.known()) {
            (false, _) => name.join(" "),
            (true, Some(id)) => format!("device {id}"),
            (true, None) => "unnamed device".to_owned(),
        },
        driver,
        badges: badges(topology, facts),
        uses: topology.dependents(facts.address).iter().take(MOST_USES).map(used).collect(),
        interrupt: interrupt(topology, facts),
        alias: topology.dma_alias(facts.address).map(|alias| alias.seen_as.to_string()),
    }
}

fn used(dependent: &Dependent) -> (Weight, String) {
    let weight = match &dependent.kind {
        DependentKind::Network { default_route: true, .. } => Weight::Vital,
        kind if kind.is_vital() => Weight::Vital,
        DependentKind::Mount(_) => Weight::Caution,
        _ => Weight::Plain,
    };
    let text = match &dependent.kind {
        DependentKind::Network { default_route: true, .. } => format!("{dependent}, default route"),
        DependentKind::Mount(_) => format!("mounted: {dependent}"),
        _ => dependent.to_string(),
    };
    (weight, text)
}

fn badges(topology: &Topology, facts: &FunctionFacts) -> Vec<String> {
    let mut badges = Vec::new();
    if let Some(slot) = facts.physical_slot.known() {
        badges.push(format!("slot {slot}"));
    }
    if let Some(express) = facts.decoded().as_ref().and_then(|config| config.express()) {
        let slot = express.slot.filter(|_| express.slot_implemented && express.port_type.is_downstream());
        if let Some(slot) = slot {
            if facts.physical_slot.known().is_none() && slot.number > 0 {
                badges.push(format!("leads to slot {}", slot.number));
            }
            if slot.hot_plug {
                badges.push("hot-plug".to_owned());
            }
            // Presence detection of some ports does not see what is soldered in.
            if slot.present == Some(false) && topology.children(facts.address).is_empty() {
                badges.push("slot empty".to_owned());
            }
        }
    }
    if let Some(pf) = facts.sriov.physical_function.known() {
        badges.push(format!("VF of {pf}"));
    }
    if let Some(total) = facts.sriov.total_vfs.known().filter(|total| **total > 0) {
        let on = facts.sriov.num_vfs.known().copied().unwrap_or(0);
        badges.push(format!("{on} of {total} VFs"));
    }
    if facts.boot_vga.known() == Some(&true) {
        badges.push("boot display".to_owned());
    }
    badges
}

fn interrupt(topology: &Topology, facts: &FunctionFacts) -> Option<(Weight, String)> {
    if !facts.msi_irqs.is_empty() {
        let vectors = facts.msi_irqs.len();
        return Some((Weight::Plain, format!("{vectors} message interrupt{}", plural(vectors))));
    }
    let pin = topology.pin(facts.address)?;
    let line = topology.line(facts.address);
    let sharers = line.as_ref().map_or_else(Vec::new, |line| topology.sharers(line.irq, facts.address));
    // An idle pin of which nothing is known says nothing.
    if facts.driver.known().is_none() && sharers.is_empty() {
        return None;
    }
    let line = line.map_or_else(|| "line unknown".to_owned(), |line| line.to_string());
    if sharers.is_empty() {
        return Some((Weight::Plain, format!("INT{pin}, {line}")));
    }
    let sharers: Vec<String> = sharers.iter().map(ToString::to_string).collect();
    Some((Weight::Caution, format!("INT{pin}, {line}, shared with {}", sharers.join(", "))))
}

/// The ending of a counted noun.
pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
