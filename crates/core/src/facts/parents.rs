//! Who hangs under which bridge, from bus numbers, where a source does not tell it.
//!
//! Bus numbers are per domain. A function is behind the bridge whose secondary bus it is on; on a bus that is no
//! bridge's secondary one but lies within a bridge's range, it is a virtual function, which the kernel puts below that
//! bridge too (`drivers/pci/iov.c: virtfn_add_bus`).

use std::collections::BTreeMap;

use super::{BusRange, Fact, FaultKind, FunctionFacts, ReadFault};
use crate::pci::PciAddress;

/// What is known of the buses of a host, beside its bridges.
pub(super) struct RootBuses<'r> {
    /// Buses that the source names as root buses: domain and number.
    pub(super) told: &'r [(u32, u8)],
    /// How much of the host the source lists.
    pub(super) extent: Extent,
    /// What a fault names as its place.
    pub(super) source: &'static str,
}

/// How much of a host a source lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Whatever somebody found worth showing.
    Part,
    /// Every function.
    Whole,
}

/// Sets every function's parent, where that can be known.
///
/// A bus that no bridge leads to is a root bus if the source says so, if it is bus 0, or if the source lists the whole
/// host and tells the numbers of every bridge of the domain: then none is missing that could lead there.
pub(super) fn derive(functions: &mut BTreeMap<PciAddress, FunctionFacts>, roots: &RootBuses<'_>) {
    let bridges = bridges(functions);
    let domains_with_unknown: Vec<u32> = functions
        .values()
        .filter(|f| f.buses.is_unreadable() && f.class.known().is_none_or(|class| class.is_pci_bridge()))
        .map(|f| f.address.domain())
        .collect();
    for function in functions.values_mut() {
        let address = function.address;
        function.parent = match above(&bridges, address) {
            Some(bridge) => Fact::Known(bridge),
            None if address.bus() == 0
                || roots.told.contains(&(address.domain(), address.bus()))
                || roots.extent == Extent::Whole && !domains_with_unknown.contains(&address.domain()) =>
            {
                Fact::Absent
            }
            None => Fact::Unreadable(ReadFault::new(roots.source, FaultKind::NotInSource)),
        };
    }
}

/// Bridges that lead somewhere: one that firmware left alone has secondary bus 0.
fn bridges(functions: &BTreeMap<PciAddress, FunctionFacts>) -> Vec<(PciAddress, BusRange)> {
    let leads = |address: PciAddress, buses: BusRange| {
        buses.secondary != 0 && buses.secondary != address.bus() && buses.secondary <= buses.subordinate
    };
    functions
        .values()
        .filter_map(|function| Some((function.address, *function.buses.known()?)))
        .filter(|(address, buses)| leads(*address, *buses))
        .collect()
}

fn above(bridges: &[(PciAddress, BusRange)], address: PciAddress) -> Option<PciAddress> {
    let others = || bridges.iter().filter(|(b, _)| b.domain() == address.domain() && *b != address);
    let right_below = others().find(|(_, buses)| buses.secondary == address.bus());
    let within = |buses: &BusRange| (buses.secondary..=buses.subordinate).contains(&address.bus());
    let narrowest = || {
        others()
            .filter(|(bridge, buses)| within(buses) && !within_bus(buses, *bridge))
            .min_by_key(|(_, buses)| buses.subordinate - buses.secondary)
    };
    right_below.or_else(narrowest).map(|(bridge, _)| *bridge)
}

/// A bridge that claims the bus that it is on leads nowhere.
fn within_bus(buses: &BusRange, bridge: PciAddress) -> bool {
    (buses.secondary..=buses.subordinate).contains(&bridge.bus())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::ClassCode;

    fn parents(extent: Extent, rows: &[(&str, Option<(u8, u8)>)]) -> Vec<String> {
        let mut functions = BTreeMap::new();
        for (address, buses) in rows {
            let address: PciAddress = address.parse().expect("an address");
            let mut function = FunctionFacts::untold(address, "test");
            function.class = Fact::Known(ClassCode::new(2, 0, 0));
            if let Some((secondary, subordinate)) = *buses {
                function.class = Fact::Known(ClassCode::new(6, 4, 0));
                function.buses = Fact::Known(BusRange { secondary, subordinate });
            }
            functions.insert(address, function);
        }
        derive(&mut functions, &RootBuses { told: &[], extent, source: "test" });
        let shown = |f: &FunctionFacts| match &f.parent {
            Fact::Known(parent) => parent.to_string(),
            Fact::Absent => "root".to_owned(),
            Fact::Unreadable(_) => "unknown".to_owned(),
        };
        functions.values().map(shown).collect()
    }

    #[test]
    fn secondary_buses_give_parents_within_their_domain() {
        let rows = [
            ("0000:00:01.0", Some((1, 3))),
            ("0000:01:00.0", Some((2, 3))),
            ("0000:02:00.0", None),
            ("0000:03:10.0", None),
            ("0001:01:00.0", None),
            ("0000:7f:08.0", None),
        ];
        let expected = ["root", "0000:00:01.0", "0000:01:00.0", "0000:01:00.0", "root", "root"];
        assert_eq!(parents(Extent::Whole, &rows), expected);
        let expected = [expected[0], expected[1], expected[2], expected[3], "unknown", "unknown"];
        assert_eq!(parents(Extent::Part, &rows), expected);
    }

    #[test]
    fn bridges_that_were_not_set_up_lead_nowhere() {
        let rows = [("0000:00:01.0", Some((0, 0))), ("0000:00:02.0", None), ("0000:01:00.0", Some((1, 1)))];
        assert_eq!(parents(Extent::Whole, &rows), ["root"; 3]);
    }
}
