//! The graph of a host's PCI functions, built once from its facts and never changed.
//!
//! It joins what the facts say of single functions: who hangs under which bridge, who is in which IOMMU group, which
//! interrupt wire a function's pin reaches and who else is on it, what of the host's disks and networks hangs on it.
//! It reads nothing itself, and it decides nothing: rules do.

mod alias;
mod attached;
mod check;
mod dependents;
mod grouping;
mod holders;
mod index;
mod interrupts;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

pub use alias::DmaAlias;
pub use check::Inconsistency;
pub use dependents::{Dependent, DependentKind};
pub use grouping::Grouping;
pub use interrupts::{LineKnowledge, LineReading, Sharer};
pub use wire::{IntxPin, Wire};

use crate::facts::{Facts, FunctionFacts, GroupId};
use crate::pci::{self, PciAddress};

/// Deepest chain of bridges that is followed. A bus number has 8 bits, so no real chain is deeper.
const MAX_DEPTH: usize = 256;

/// The graph over one host's facts.
#[derive(Clone, Debug)]
pub struct Topology {
    facts: Facts,
    children: BTreeMap<PciAddress, Vec<PciAddress>>,
    roots: Vec<PciAddress>,
    groups: BTreeMap<GroupId, Vec<PciAddress>>,
    /// Where in the facts the row of an interrupt is.
    rows: HashMap<u32, usize>,
    observed: OnceLock<interrupts::Observed>,
    index: OnceLock<index::Index>,
}

impl Topology {
    /// Builds the graph. Facts that contradict each other are kept and told by [`Topology::check`].
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        let mut children: BTreeMap<PciAddress, Vec<PciAddress>> = BTreeMap::new();
        let mut roots = Vec::new();
        let mut groups: BTreeMap<GroupId, Vec<PciAddress>> = BTreeMap::new();
        for (address, function) in &facts.functions {
            match function.parent.known() {
                Some(parent) if facts.functions.contains_key(parent) && parent != address => {
                    children.entry(*parent).or_default().push(*address);
                }
                _ => roots.push(*address),
            }
            if let Some(group) = function.group.known() {
                groups.entry(*group).or_default().push(*address);
            }
        }
        let rows = interrupts::rows(&facts);
        Self { facts, children, roots, groups, rows, observed: OnceLock::new(), index: OnceLock::new() }
    }

    /// Made when first asked for: many graphs never are.
    fn index(&self) -> &index::Index {
        self.index.get_or_init(|| index::Index::of(&self.facts))
    }

    /// What the graph was built from.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// One function's facts.
    #[must_use]
    pub fn function(&self, address: PciAddress) -> Option<&FunctionFacts> {
        self.facts.functions.get(&address)
    }

    /// All functions by address.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionFacts> {
        self.facts.functions.values()
    }

    /// Functions on root buses, and those whose bridge is not among the facts.
    #[must_use]
    pub fn roots(&self) -> &[PciAddress] {
        &self.roots
    }

    /// Functions right below a bridge, by address.
    #[must_use]
    pub fn children(&self, bridge: PciAddress) -> &[PciAddress] {
        self.children.get(&bridge).map_or(&[], Vec::as_slice)
    }

    /// The bridges above a function, nearest first; ends early on a loop.
    #[must_use]
    pub fn bridges_above(&self, address: PciAddress) -> Vec<PciAddress> {
        let mut above = Vec::new();
        let mut seen = BTreeSet::from([address]);
        let mut at = address;
        while let Some(parent) = self.function(at).and_then(|f| f.parent.known().copied()) {
            if above.len() >= MAX_DEPTH || !seen.insert(parent) {
                break;
            }
            above.push(parent);
            at = parent;
        }
        above
    }

    /// IOMMU groups with their members by address.
    #[must_use]
    pub const fn groups(&self) -> &BTreeMap<GroupId, Vec<PciAddress>> {
        &self.groups
    }

    /// Members of a function's group, itself included; empty where it has none.
    #[must_use]
    pub fn group_members(&self, address: PciAddress) -> &[PciAddress] {
        let group = self.function(address).and_then(|f| f.group.known());
        group.and_then(|group| self.groups.get(group)).map_or(&[], Vec::as_slice)
    }

    /// Whether a function speaks PCI Express; none if its capabilities could not be read. Conventional PCI functions do
    /// not.
    #[must_use]
    pub fn is_express(&self, address: PciAddress) -> Option<bool> {
        let function = self.function(address)?;
        let decoded = || {
            let config = pci::decode(function.config.known()?).ok()?;
            // A function that does not answer says nothing of itself.
            if matches!(config.header.kind, pci::HeaderKind::Unknown(_)) {
                return None;
            }
            let express = config.express().is_some();
            (express || config.complete(pci::Space::Standard)).then_some(express)
        };
        function.express.known().copied().or_else(decoded)
    }

    /// Functions of the same device (same domain, bus and device number), itself included.
    pub fn device_functions(&self, address: PciAddress) -> impl Iterator<Item = &FunctionFacts> {
        let first = address.function_zero();
        let from = self.facts.functions.range(first..).map(|(_, function)| function);
        from.take_while(move |f| f.address.function_zero() == first)
    }

    /// The other functions that a reset of the bus (or slot) above would hit: everything below the same bridge. None on
    /// a root bus, which cannot be reset (`drivers/vfio/pci/vfio_pci_core.c: vfio_pci_for_each_slot_or_bus`).
    #[must_use]
    pub fn reset_companions(&self, address: PciAddress) -> Option<Vec<PciAddress>> {
        let bridge = *self.bridges_above(address).first()?;
        let mut found = Vec::new();
        let mut queue = vec![bridge];
        while let Some(at) = queue.pop() {
            for child in self.children(at) {
                if !found.contains(child) && *child != bridge {
                    found.push(*child);
                    queue.push(*child);
                }
            }
        }
        found.retain(|function| *function != address);
        found.sort_unstable();
        Some(found)
    }

    /// Functions on the same bus.
    pub fn on_bus_of(&self, address: PciAddress) -> impl Iterator<Item = &FunctionFacts> {
        let end = |device, function| {
            PciAddress::new(address.domain(), address.bus(), device, function).unwrap_or(address)
        };
        self.facts.functions.range(end(0, 0)..=end(31, 7)).map(|(_, function)| function)
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests {
    use super::fixture::topology;

    #[test]
    fn functions_hang_under_their_bridge_and_in_their_group() {
        let topology = topology(
            "device 0000:00:03.0 class=060400 group=3
             device 0000:01:00.0 class=060400 group=8 parent=0000:00:03.0
             device 0000:02:04.0 class=010000 group=8 parent=0000:01:00.0",
        );
        let card = "0000:02:04.0".parse().expect("address");
        let bridge = "0000:01:00.0".parse().expect("address");
        assert_eq!(topology.roots().len(), 1);
        assert_eq!(topology.children(bridge), [card]);
        assert_eq!(topology.group_members(card), [bridge, card]);
        assert_eq!(topology.bridges_above(card).len(), 2);
    }

    #[test]
    fn bridges_that_claim_each_other_end() {
        let topology = topology(
            "device 0000:01:00.0 parent=0000:02:00.0
             device 0000:02:00.0 parent=0000:01:00.0",
        );
        let one = "0000:01:00.0".parse().expect("address");
        assert_eq!(topology.bridges_above(one).len(), 1);
    }
}
