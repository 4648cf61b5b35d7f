//! Groups of a host whose IOMMU or slots are assumed to be otherwise.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Fact, Facts, FaultKind, GroupId, ReadFault, Switch};
use crate::pci::PciAddress;
use crate::topology::{Grouping, Topology};

fn unknown() -> Fact<GroupId> {
    let why = "what isolates the ports above could not be read".to_owned();
    Fact::Unreadable(ReadFault::new("assumed", FaultKind::Failed(why)))
}

/// Groups appear with the IOMMU, and go with it.
pub(super) fn switched(facts: &mut Facts, state: Switch) {
    let has_groups = facts.functions.values().any(|function| function.group.known().is_some());
    match state {
        Switch::Off => {
            facts.functions.values_mut().for_each(|function| function.group = Fact::Absent);
            facts.iommu.groups.clear();
        }
        Switch::On if !has_groups => {
            let all: Vec<PciAddress> = facts.functions.keys().copied().collect();
            regroup(facts, &all);
        }
        Switch::On | Switch::Unknown => {}
    }
}

/// Gives functions the group that the kernel would, among those whose group stands.
pub(super) fn regroup(facts: &mut Facts, functions: &[PciAddress]) {
    if functions.is_empty() {
        return;
    }
    for address in functions {
        if let Some(function) = facts.functions.get_mut(address) {
            function.group = Fact::Absent;
        }
    }
    let topology = Topology::new(facts.clone());
    let mut known: BTreeMap<PciAddress, GroupId> = BTreeMap::new();
    let leader = |address| match topology.grouping(address) {
        Grouping::With(leader) => Some(leader),
        Grouping::Unknown => None,
    };
    // Who is in a group with the leader is of its device, or below it.
    let leaders: BTreeSet<PciAddress> = functions.iter().filter_map(|address| leader(*address)).collect();
    for first in leaders {
        let near = topology.device_functions(first).map(|f| f.address);
        let near = near.chain(topology.children(first).iter().copied());
        let standing = near.filter(|address| leader(*address) == Some(first));
        let mut groups = standing.filter_map(|address| topology.function(address)?.group.known().copied());
        if let Some(group) = groups.next() {
            known.insert(first, group);
        }
    }
    let mut next = topology.groups().keys().next_back().map_or(0, |last| last.0.saturating_add(1));
    let mut told: BTreeMap<PciAddress, Fact<GroupId>> = BTreeMap::new();
    for address in functions {
        let group = match (shared_bus(&topology, *address, &told), leader(*address)) {
            (Some(group), _) => Fact::Known(group),
            (None, Some(leader)) => Fact::Known(*known.entry(leader).or_insert_with(|| {
                next = next.saturating_add(1);
                GroupId(next - 1)
            })),
            (None, None) => unknown(),
        };
        told.insert(*address, group);
    }
    for (address, group) in told {
        if let Some(function) = facts.functions.get_mut(&address) {
            function.group = group;
        }
    }
}

/// The group of the bridge above, where another card below it is in that group too: then all on that bus are.
fn shared_bus(
    topology: &Topology,
    address: PciAddress,
    told: &BTreeMap<PciAddress, Fact<GroupId>>,
) -> Option<GroupId> {
    let bridge = *topology.bridges_above(address).first()?;
    let group = |address: PciAddress| {
        let function = topology.function(address)?;
        told.get(&address).unwrap_or(&function.group).known().copied()
    };
    let of_bridge = group(bridge)?;
    let others = topology.children(bridge).iter().filter(|child| **child != address);
    let conventional = topology.is_express(address) == Some(false);
    let mut shares = others.map(|child| group(*child) == Some(of_bridge));
    (conventional || shares.any(|shares| shares)).then_some(of_bridge)
}
