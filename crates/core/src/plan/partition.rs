//! The whole partition of a host: who gets what, what the host keeps, group by group, and what each VM costs.
//!
//! It is told from the facts and the assignment; what stands against it the rules say. Memory and processors are those
//! that the spec names: how much the host has is told where the source tells it.

use std::collections::{BTreeMap, BTreeSet};

use super::search::SearchNote;
use crate::facts::{FunctionFacts, GroupId};
use crate::pci::{PciAddress, decode};
use crate::rules::Assignment;
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
    /// NUMA nodes that its functions hang on.
    pub nodes: BTreeSet<u32>,
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
            nodes: functions().filter_map(|function| function.numa_node.known().copied()).collect(),
        }
    });
    Partition {
        vms: shares.collect(),
        kept: staying().filter_map(keeps).collect(),
        stay: staying().count(),
        groups: touched.into_iter().map(group).collect(),
        search,
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
