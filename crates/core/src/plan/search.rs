//! Choosing devices where the spec leaves a choice: `any = true` takes one of those that have the id.
//!
//! A depth-first search over the choices, cheapest device first, cut where a branch costs no less than the best so far.
//! A device costs what it breaks: a disk that the host runs from or its way out most, a group shared with another owner
//! less, another memory node than the VM's other devices least. The search ends after [`MAX_STEPS`] steps; whether it
//! saw all is told, and what was found until then stands. The rules judge the outcome like any other.

use std::collections::{BTreeMap, BTreeSet};

use crate::pci::PciAddress;
use crate::topology::{DependentKind, Topology};

/// Steps after which the search takes the best so far.
pub const MAX_STEPS: usize = 20_000;

/// How devices were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchNote {
    /// Devices that were left to choose.
    pub choices: usize,
    /// Steps that it took, of [`MAX_STEPS`] at most.
    pub steps: usize,
    /// Whether every way was seen, so that none is better.
    pub complete: bool,
}

/// One device to choose for a VM.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// The VM's number.
    pub(super) vm: usize,
    /// Those that fit.
    pub(super) candidates: Vec<PciAddress>,
}

/// Chooses one candidate for each, none twice and none of `taken`; nothing if there are too few.
pub(super) fn choose(
    topology: &Topology,
    choices: &[Choice],
    taken: &BTreeMap<PciAddress, usize>,
) -> (Option<Vec<PciAddress>>, SearchNote) {
    let mut search = Search { topology, choices, best: None, steps: 0 };
    search.go(&mut Vec::new(), &mut taken.clone(), 0);
    let complete = search.steps < MAX_STEPS;
    let note = SearchNote { choices: choices.len(), steps: search.steps, complete };
    (search.best.map(|(_, chosen)| chosen), note)
}

struct Search<'t> {
    topology: &'t Topology,
    choices: &'t [Choice],
    best: Option<(u32, Vec<PciAddress>)>,
    steps: usize,
}

impl Search<'_> {
    /// Goes on from what was chosen so far, which costs `cost`. At most as deep as there are choices.
    fn go(&mut self, chosen: &mut Vec<PciAddress>, owners: &mut BTreeMap<PciAddress, usize>, cost: u32) {
        let Some(choice) = self.choices.get(chosen.len()) else {
            if self.best.as_ref().is_none_or(|(best, _)| cost < *best) {
                self.best = Some((cost, chosen.clone()));
            }
            return;
        };
        let free = choice.candidates.iter().copied().filter(|candidate| !owners.contains_key(candidate));
        let mut ways: Vec<(u32, PciAddress)> =
            free.map(|candidate| (self.cost(candidate, choice.vm, owners), candidate)).collect();
        ways.sort_unstable();
        for (more, candidate) in ways {
            let sum = cost.saturating_add(more);
            if self.steps >= MAX_STEPS || self.best.as_ref().is_some_and(|(best, _)| sum >= *best) {
                return;
            }
            self.steps += 1;
            chosen.push(candidate);
            owners.insert(candidate, choice.vm);
            self.go(chosen, owners, sum);
            owners.remove(&candidate);
            chosen.pop();
        }
    }

    fn cost(&self, device: PciAddress, vm: usize, owners: &BTreeMap<PciAddress, usize>) -> u32 {
        let mut cost = 0u32;
        for dependent in self.topology.dependents(device) {
            cost += match dependent.kind {
                kind if kind.is_vital() => 10_000,
                DependentKind::Network { default_route: true, .. } => 10_000,
                DependentKind::Mount(_) => 100,
                _ => 1,
            };
        }
        for member in self.topology.group_members(device).iter().filter(|member| **member != device) {
            let bridge = |address| {
                let class = self.topology.function(address).and_then(|f| f.class.known());
                class.is_some_and(|class| class.is_pci_bridge())
            };
            cost += match owners.get(member) {
                Some(owner) if *owner == vm => 0,
                Some(_) => 10_000,
                None if bridge(*member) => 0,
                None => 1_000,
            };
        }
        let node = |address| self.topology.function(address).and_then(|f| f.numa_node.known().copied());
        let nodes: BTreeSet<u32> = owners
            .iter()
            .filter(|(_, owner)| **owner == vm)
            .filter_map(|(address, _)| node(*address))
            .collect();
        let far = node(device).is_some_and(|node| !nodes.is_empty() && !nodes.contains(&node));
        cost.saturating_add(if far { 10 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{address, topology};

    #[test]
    fn a_search_without_end_is_cut_and_says_so() {
        // Twenty devices of one kind in groups of two, each with another owner's: every way costs the same.
        let mut host = String::new();
        for device in 0..20 {
            host.push_str(&format!(
                "device 0000:{device:02x}:00.0 group={} numa={}\n",
                device / 2,
                device % 2
            ));
        }
        let candidates: Vec<PciAddress> = (0..20).map(|d| address(&format!("0000:{d:02x}:00.0"))).collect();
        let choices: Vec<Choice> =
            (0..18).map(|vm| Choice { vm: vm % 9, candidates: candidates.clone() }).collect();
        let (chosen, note) = choose(&topology(&host), &choices, &BTreeMap::new());
        let chosen = chosen.expect("a way");
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 18, "none twice");
        assert!(note.steps <= MAX_STEPS && (note.complete || note.steps == MAX_STEPS), "{note:?}");
    }

    #[test]
    fn too_few_are_told() {
        let host = topology("device 0000:01:00.0 group=1");
        let choice = |vm| Choice { vm, candidates: vec![address("0000:01:00.0")] };
        assert_eq!(choose(&host, &[choice(0), choice(1)], &BTreeMap::new()).0, None);
    }
}
