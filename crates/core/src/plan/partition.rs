//! The whole partition of a host: who gets what, what the host keeps, group by group, and what each VM costs.
//!
//! It is told from the facts and the assignment; what stands against it the rules say (`host-memory`, `host-cpus`,
//! `numa-mismatch`, `intx-shared`, `device-in-use`, `group-not-viable`).

use std::collections::{BTreeMap, BTreeSet};

use super::search::SearchNote;
use crate::facts::{FunctionFacts, GroupId};
use crate::pci::{PciAddress, decode};
use crate::rules::{Assignment, Reserve};
use crate::topology::{Dependent, Topology};
use crate::vm::{Request, VmName};

/// Who has a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The host keeps it.
    Host,
    /// A VM is given it.
    Vm(VmName),
}

/// What one VM takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmShare {
    /// The VM.
    pub name: VmName,
    /// Memory in MiB: all of it is pinned while a device is handed over.
    pub memory_mib: u64,
    /// Processors.
    pub cpus: u16,
    /// Its functions.
    pub devices: Vec<PciAddress>,
    /// Interrupt vectors that its functions can ask for at most; none where one of them could not be read.
    pub vectors: Option<u32>,
    /// Interrupt wires that its functions have.
    pub wires: u32,
    /// Interrupt lines that its wires are on, as far as they are known.
    pub lines: BTreeSet<u32>,
    /// NUMA nodes that its functions hang on.
    pub nodes: BTreeSet<u32>,
    /// The node that it shall run on.
    pub node: Option<u32>,
}

/// An interrupt line of a function that is given away, and who else is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineShare {
    /// Its number.
    pub irq: u32,
    /// The given functions on it, and who has each.
    pub given: Vec<(PciAddress, VmName)>,
    /// Users of the host that stay.
    pub staying: Vec<String>,
}

/// What the host has to share out, and keeps of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Memory in bytes, if that is told.
    pub memory_bytes: Option<u64>,
    /// What of it lies in pools of huge pages, in bytes.
    pub pooled_bytes: u64,
    /// Processors, if that is told.
    pub cpus: Option<u32>,
    /// Interrupt vectors that its processors have together, on x86 (`arch/x86/include/asm/irq_vectors.h`:
    /// `FIRST_EXTERNAL_VECTOR` 0x20 to `FIRST_SYSTEM_VECTOR` 0xec).
    pub vectors: Option<u32>,
    /// What the spec keeps for the host.
    pub reserve: Reserve,
}

/// A function that the host lives on, or was told to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The function.
    pub address: PciAddress,
    /// Whether the spec names it.
    pub named: bool,
    /// What hangs on it.
    pub dependents: Vec<Dependent>,
    /// Whether it shows a picture.
    pub display: bool,
}

/// An IOMMU group of which something is given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupShare {
    /// The group.
    pub group: GroupId,
    /// Its members and who has each.
    pub members: Vec<(PciAddress, Owner)>,
}

/// The partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The VMs.
    pub vms: Vec<VmShare>,
    /// What the host keeps of what it needs: disks, networks, displays, and what the spec names.
    pub kept: Vec<Kept>,
    /// Functions that stay with the host, those included.
    pub stay: usize,
    /// Groups that are touched.
    pub groups: Vec<GroupShare>,
    /// Lines of given functions that anybody else is on.
    pub lines: Vec<LineShare>,
    /// Memory, processors and vectors of the host.
    pub stock: Stock,
    /// How devices were chosen where the spec left a choice.
    pub search: Option<SearchNote>,
}

/// Tells the partition. `kept` are the functions that the spec keeps for the host.
pub(super) fn partition(
    request: &Request,
    topology: &Topology,
    assignment: &Assignment,
    kept: &BTreeSet<PciAddress>,
    search: Option<SearchNote>,
) -> Partition {
    let owners: BTreeMap<PciAddress, Owner> = assignment
        .vms
        .iter()
        .flat_map(|vm| vm.devices.iter().map(|device| (*device, Owner::Vm(vm.name.clone()))))
        .collect();
    let staying = || topology.functions().filter(|function| !owners.contains_key(&function.address));
    let keeps = |function: &FunctionFacts| {
        let display = function.class.known().is_some_and(|class| class.base() == 0x03);
        let named = kept.contains(&function.address);
        let dependents = topology.dependents(function.address);
        let needed = named || display || !dependents.is_empty();
        needed.then_some(Kept { address: function.address, named, dependents, display })
    };
    let touched: BTreeSet<GroupId> =
        owners.keys().filter_map(|address| topology.function(*address)?.group.known().copied()).collect();
    let group = |group: GroupId| GroupShare {
        group,
        members: topology
            .groups()
            .get(&group)
            .into_iter()
            .flatten()
            .map(|member| (*member, owners.get(member).cloned().unwrap_or(Owner::Host)))
            .collect(),
    };
    let shares = request.vms.iter().zip(&assignment.vms).map(|(request, vm)| {
        let functions = || vm.devices.iter().filter_map(|device| topology.function(*device));
        let wires = functions().filter(|function| topology.pin(function.address).is_some()).count();
        VmShare {
            name: vm.name.clone(),
            memory_mib: u64::from(request.memory.mib()),
            cpus: request.cpus.get(),
            devices: vm.devices.clone(),
            vectors: functions().map(vectors).sum(),
            wires: u32::try_from(wires).unwrap_or(u32::MAX),
            lines: functions()
                .filter(|function| topology.pin(function.address).is_some())
                .filter_map(|function| Some(topology.line(function.address)?.irq))
                .collect(),
            nodes: functions().filter_map(|function| function.numa_node.known().copied()).collect(),
            node: vm.node,
        }
    });
    Partition {
        vms: shares.collect(),
        kept: staying().filter_map(keeps).collect(),
        stay: staying().count(),
        groups: touched.into_iter().map(group).collect(),
        lines: lines(topology, assignment),
        stock: stock(topology, assignment),
        search,
    }
}

/// Interrupt lines of given functions that have another user.
fn lines(topology: &Topology, assignment: &Assignment) -> Vec<LineShare> {
    let mut by_line: BTreeMap<u32, Vec<(PciAddress, VmName)>> = BTreeMap::new();
    for vm in &assignment.vms {
        for device in vm.devices.iter().filter(|device| topology.pin(**device).is_some()) {
            let Some(line) = topology.line(*device) else { continue };
            by_line.entry(line.irq).or_default().push((*device, vm.name.clone()));
        }
    }
    let shares = by_line.into_iter().map(|(irq, given)| {
        let first = given.first().map(|(device, _)| *device);
        let mut sharers = first.map_or_else(Vec::new, |first| topology.sharers(irq, first));
        sharers.retain(|sharer| !sharer.function.is_some_and(|function| assignment.takes(function)));
        LineShare { irq, given, staying: sharers.iter().map(ToString::to_string).collect() }
    });
    shares.filter(|share| share.given.len() > 1 || !share.staying.is_empty()).collect()
}

/// Vectors of a processor that devices can have.
const VECTORS_OF_CPU: u32 = 0xec - 0x20;

fn stock(topology: &Topology, assignment: &Assignment) -> Stock {
    let platform = &topology.facts().platform;
    let pools = platform.memory.huge_pages.known().into_iter().flatten().filter(|pool| pool.node.is_none());
    let pooled = pools.filter_map(|pool| Some(pool.total.known()?.saturating_mul(pool.page_bytes)));
    let cpus = platform.cpu.online.known().copied();
    let x86 = platform.virtualization.known().is_some();
    Stock {
        memory_bytes: platform.memory.total_bytes.known().copied(),
        pooled_bytes: pooled.fold(0, u64::saturating_add),
        cpus,
        vectors: cpus.filter(|_| x86).map(|cpus| cpus.saturating_mul(VECTORS_OF_CPU)),
        reserve: assignment.reserve,
    }
}

/// The vectors that a function can ask for: those of MSI-X, else of MSI, else its wire.
fn vectors(function: &FunctionFacts) -> Option<u32> {
    let features = decode(function.config.known()?).ok()?.features();
    let (msi, msix) = (features.msi_vectors?, features.msix_vectors?);
    let wire = u16::from(function.interrupt_pin.known().is_some_and(|pin| *pin != 0));
    Some(u32::from(if msix > 0 { msix } else { msi.max(wire) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::spec::parse;

    /// The partition of story 002, in small: two VMs and what the host keeps.
    const SPEC: &str = "
        [host]
        keep = [\"00:10.0\"]
        [[vm]]
        name = \"quail\"
        memory = \"3500M\"
        cpus = 2
        [[vm.device]]
        select = { slot = \"02:04.0\" }
        [[vm]]
        name = \"furn\"
        memory = \"1G\"
        [[vm.device]]
        select = { slot = \"00:13.0\" }";

    fn told(spec: &str, host: &str) -> Result<Partition, Vec<String>> {
        match plan(&parse(spec).expect("spec"), &topology(host)) {
            Ok(plan) => Ok(plan.partition),
            Err(crate::plan::PlanError::Request(faults)) => {
                Err(faults.into_iter().map(|f| f.message).collect())
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn every_vm_and_the_host_have_their_share() {
        let partition = told(SPEC, BENCH).expect("a partition");
        let names: Vec<_> =
            partition.vms.iter().map(|vm| (vm.name.as_str(), vm.memory_mib, vm.cpus)).collect();
        assert_eq!(names, [("quail", 3500, 2), ("furn", 1024, 1)]);
        assert_eq!(partition.stay, 4);
        let kept: Vec<String> = partition.kept.iter().map(|kept| kept.address.to_string()).collect();
        assert_eq!(kept, ["0000:00:10.0"]);
        assert!(partition.kept[0].named);
        let owners: Vec<&Owner> = partition.groups[1].members.iter().map(|(_, owner)| owner).collect();
        assert_eq!(owners, [&Owner::Host, &Owner::Vm("quail".parse().expect("name")), &Owner::Host]);
    }

    #[test]
    fn memory_lines_and_processors_are_told_as_a_whole() {
        let spec = SPEC
            .replace("[host]", "[host]\nmemory = \"2G\"\ncpus = 1")
            .replace("cpus = 2", "cpus = 2\nnode = 0");
        let host = format!(
            "{BENCH}\nmemory 8192 7000\nhugepages 2097152 256 256\nplatform cpus=4 virtualization=on"
        );
        let partition = told(&spec, &host).expect("a partition");
        let stock = partition.stock;
        assert_eq!((stock.memory_bytes, stock.pooled_bytes), (Some(8 << 30), 512 << 20));
        assert_eq!((stock.cpus, stock.vectors), (Some(4), Some(816)));
        assert_eq!(stock.reserve.memory.map(|memory| memory.to_string()).as_deref(), Some("2G"));
        assert_eq!(partition.vms[0].node, Some(0));
        // The bench's SCSI card and the network card of the board are on one line, for different VMs.
        let [line] = partition.lines.as_slice() else { panic!("{:?}", partition.lines) };
        assert_eq!((line.irq, line.given.len(), line.staying.len()), (23, 2, 0));
        assert_eq!(partition.vms[1].lines.iter().copied().collect::<Vec<_>>(), [23]);
    }

    #[test]
    fn what_the_host_keeps_is_not_given_away() {
        let both = SPEC.replace("00:10.0", "00:13.0");
        assert_eq!(
            told(&both, BENCH),
            Err(vec!["device 0000:00:13.0 is given to VM furn, and the host keeps it".to_owned()])
        );
        let nowhere = SPEC.replace("00:10.0", "09:00.0");
        assert_eq!(
            told(&nowhere, BENCH),
            Err(vec!["the host has no device 0000:09:00.0 to keep".to_owned()])
        );
    }

    #[test]
    fn of_several_that_fit_the_one_is_chosen_that_breaks_nothing() {
        let host = "iommu on intremap=on
            device 0000:01:00.0 class=020000 id=8086:10d3 group=1 driver=e1000e
            device 0000:02:00.0 class=020000 id=8086:10d3 group=2 driver=e1000e
            device 0000:03:00.0 class=020000 id=8086:10d3 group=3 driver=e1000e
            device 0000:03:00.1 class=010601 id=8086:1c02 group=3 driver=ahci
            net eth0 function=0000:01:00.0 default";
        let spec = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { id = \"8086:10d3\", any = true }\n";
        let partition = told(spec, host).expect("a partition");
        assert_eq!(
            partition.vms[0].devices[0].to_string(),
            "0000:02:00.0",
            "not the host's way out, not a shared group"
        );
        let search = partition.search.expect("a choice");
        assert_eq!((search.choices, search.complete), (1, true));
        let kept = format!("[host]\nkeep = [\"02:00.0\"]\n{spec}");
        let partition = told(&kept, host).expect("a partition");
        assert_eq!(
            partition.vms[0].devices[0].to_string(),
            "0000:03:00.0",
            "what the host keeps is no choice"
        );
        let four = spec.replace("memory", "cpus = 1\nmemory")
            + &"[[vm.device]]\nselect = { id = \"8086:10d3\", any = true }\n".repeat(3);
        let faults = told(&four, host).expect_err("three for four");
        assert!(faults[0].contains("too few"), "{faults:?}");
    }
}
