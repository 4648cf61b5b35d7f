//! Cards in other slots, more cards, fewer cards.

use std::collections::BTreeMap;

use super::{AssumeError, groups};
use crate::facts::{Fact, Facts, FaultKind, FunctionFacts, ReadFault, SeenLine};
use crate::pci::{ClassCode, PciAddress, PciId, PortType, decode};
use crate::topology::Topology;
use crate::vm::Request;

fn unknown<T>(why: &str) -> Fact<T> {
    Fact::Unreadable(ReadFault::new("assumed", FaultKind::Failed(why.to_owned())))
}

/// Moves cards, each with its functions, from one slot to another; a place that one of them leaves is free.
///
/// `topology` is that of `facts`.
pub(super) fn relocate(
    topology: &Topology,
    facts: &mut Facts,
    request: &mut Request,
    moves: &[(PciAddress, PciAddress)],
) -> Result<Vec<PciAddress>, AssumeError> {
    let leaving: Vec<PciAddress> = moves.iter().map(|(from, _)| from.function_zero()).collect();
    let mut places = BTreeMap::new();
    let mut parents = BTreeMap::new();
    for (from, to) in moves {
        let taken = topology.device_functions(*to).next().is_some();
        if taken && !leaving.contains(&to.function_zero()) {
            return Err(AssumeError::Occupied(to.function_zero()));
        }
        let parent = above(topology, *to)?;
        fits(topology, *from, *to, parent)?;
        for function in topology.device_functions(*from) {
            let place = place_in(*to, function.address);
            places.insert(function.address, place);
            parents.insert(place, parent);
        }
    }
    for from in places.keys() {
        release_line(topology, facts, *from);
    }
    let below = take_along(topology, &places);
    rename(facts, request, &places, &parents);
    // On another place of the same bus below a bridge the way up, and with it the group, stays the same.
    let new_way = |from: &PciAddress, to: &PciAddress| {
        let same_bus = (from.domain(), from.bus()) == (to.domain(), to.bus());
        !same_bus || topology.bridges_above(*from).is_empty()
    };
    let mut ungrouped: Vec<PciAddress> =
        places.iter().filter(|(from, to)| new_way(from, to)).map(|(_, to)| *to).collect();
    if !ungrouped.is_empty() {
        ungrouped.extend(below);
    }
    if !topology.groups().is_empty() {
        groups::regroup(facts, &ungrouped);
    }
    Ok(places.values().copied().collect())
}

/// The place that a function of a card has in another slot.
#[must_use]
pub fn place_in(slot: PciAddress, function: PciAddress) -> PciAddress {
    PciAddress::new(slot.domain(), slot.bus(), slot.device(), function.function()).unwrap_or(slot)
}

/// What hangs below the cards that move.
fn take_along(topology: &Topology, places: &BTreeMap<PciAddress, PciAddress>) -> Vec<PciAddress> {
    let hangs = |address: &PciAddress| {
        topology.bridges_above(*address).iter().any(|bridge| places.contains_key(bridge))
    };
    topology.functions().map(|f| f.address).filter(hangs).collect()
}

/// The bridge above a place; none on a root bus.
fn above(topology: &Topology, place: PciAddress) -> Result<Option<PciAddress>, AssumeError> {
    if let Some(neighbour) = topology.on_bus_of(place).next() {
        return Ok(neighbour.parent.known().copied());
    }
    let leads = |function: &&FunctionFacts| {
        let secondary = function.buses.known().map(|buses| buses.secondary).or_else(|| {
            let decoded = decode(function.config.known()?).ok()?;
            decoded.bridge.map(|bridge| bridge.secondary)
        });
        function.address.domain() == place.domain() && secondary == Some(place.bus()) && place.bus() != 0
    };
    let bridge = topology.functions().find(leads);
    bridge.map(|bridge| Some(bridge.address)).ok_or(AssumeError::NoBus(place))
}

/// Conventional cards sit behind conventional bridges, Express ones below a port, which has one place.
fn fits(
    topology: &Topology,
    card: PciAddress,
    place: PciAddress,
    parent: Option<PciAddress>,
) -> Result<(), AssumeError> {
    let port = parent.and_then(|parent| {
        let config = topology.function(parent)?.config.known()?;
        decode(config).ok()?.express().map(|express| express.port_type)
    });
    let express = topology.is_express(card);
    let why = match port {
        Some(PortType::RootPort | PortType::DownstreamPort) if place.device() != 0 => {
            "below an Express port there is device 0 only"
        }
        Some(PortType::RootPort | PortType::DownstreamPort) if express == Some(false) => {
            "it is a conventional PCI card, the slot is PCI Express"
        }
        Some(PortType::PcieToPciBridge) if express == Some(true) => {
            "it is a PCI Express card, the slot is conventional PCI"
        }
        _ => return Ok(()),
    };
    Err(AssumeError::DoesNotFit { card, place, why })
}

/// Takes a function's handler from its line. What the line taught of the routing is kept.
fn release_line(topology: &Topology, facts: &mut Facts, address: PciAddress) {
    let Some(line) = topology.line(address) else { return };
    if let Some(wire) = topology.wire(address) {
        let pin = wire.pin.index() + 1;
        facts.assumed.lines.push(SeenLine { root: wire.root, pin, irq: line.irq, by: address });
    }
    let staying: Vec<String> = topology.sharers(line.irq, address).into_iter().map(|s| s.handler).collect();
    if let Fact::Known(lines) = &mut facts.interrupts
        && let Some(row) = lines.iter_mut().find(|row| row.irq == line.irq && row.is_wire())
    {
        row.handlers = staying;
    }
}

/// Gives functions their new addresses wherever facts and request name them.
fn rename(
    facts: &mut Facts,
    request: &mut Request,
    places: &BTreeMap<PciAddress, PciAddress>,
    parents: &BTreeMap<PciAddress, Option<PciAddress>>,
) {
    let new = |address: PciAddress| places.get(&address).copied().unwrap_or(address);
    let moved: Vec<FunctionFacts> = places.keys().filter_map(|from| facts.functions.remove(from)).collect();
    for mut function in moved {
        let place = new(function.address);
        let parent = parents.get(&place).copied().flatten().map(new);
        let node = parent.and_then(|parent| facts.functions.get(&parent)).map(|p| p.numa_node.clone());
        seat(&mut function, place, parent);
        function.numa_node = node.unwrap_or_else(|| function.numa_node.clone());
        facts.functions.insert(place, function);
    }
    for function in facts.functions.values_mut() {
        if let Fact::Known(parent) = &mut function.parent
            && !places.values().any(|place| *place == function.address)
        {
            *parent = new(*parent);
        }
        if let Fact::Known(physical) = &mut function.sriov.physical_function {
            *physical = new(*physical);
        }
    }
    if let Fact::Known(block) = &mut facts.usage.block {
        block.iter_mut().for_each(|device| device.function = device.function.map(new));
    }
    if let Fact::Known(network) = &mut facts.usage.network {
        network.iter_mut().for_each(|interface| interface.function = interface.function.map(new));
    }
    for device in request.vms.iter_mut().flat_map(|vm| &mut vm.devices) {
        device.slot = device.slot.map(new);
    }
}

/// A function in a new place: what belongs to the place goes, what belongs to the card stays.
fn seat(function: &mut FunctionFacts, place: PciAddress, parent: Option<PciAddress>) {
    function.address = place;
    function.parent = parent.into();
    function.driver_override = Fact::Absent;
    function.irq = unknown("the line of another slot shows once a driver has used it");
    function.enabled = Fact::Known(false);
    function.msi_irqs.clear();
    function.physical_slot = unknown("which slot that is only the board tells");
}

/// Adds a card. What a twin of it on this host says of itself is taken to be true of it.
pub(super) fn add(
    facts: &mut Facts,
    id: PciId,
    class: Option<ClassCode>,
    at: PciAddress,
) -> Result<Vec<PciAddress>, AssumeError> {
    let topology = Topology::new(facts.clone());
    if topology.device_functions(at).next().is_some() {
        return Err(AssumeError::Occupied(at));
    }
    let parent = above(&topology, at)?;
    let twin = topology.functions().find(|function| function.id.known() == Some(&id));
    if let Some(twin) = twin {
        fits(&topology, twin.address, at, parent)?;
    }
    let mut function = twin.cloned().unwrap_or_else(|| FunctionFacts::untold(at, "assumed"));
    function.id = Fact::Known(id);
    if let Some(class) = class {
        function.class = Fact::Known(class);
    }
    seat(&mut function, at, parent);
    function.resources = unknown("the host assigns them once the card is there");
    facts.functions.insert(at, function);
    if topology.groups().is_empty() {
        if let Some(function) = facts.functions.get_mut(&at) {
            function.group = Fact::Absent;
        }
    } else {
        groups::regroup(facts, &[at]);
    }
    Ok(vec![at])
}

/// Takes a card away, with its functions, what is below them, and what the host used of it.
pub(super) fn remove(facts: &mut Facts, address: PciAddress) -> Vec<PciAddress> {
    let topology = Topology::new(facts.clone());
    let card: BTreeMap<PciAddress, PciAddress> =
        topology.device_functions(address).map(|f| (f.address, f.address)).collect();
    let gone: Vec<PciAddress> = card.keys().copied().chain(take_along(&topology, &card)).collect();
    for address in &gone {
        release_line(&topology, facts, *address);
        facts.functions.remove(address);
    }
    let stays = |function: &Option<PciAddress>| !function.is_some_and(|function| gone.contains(&function));
    if let Fact::Known(block) = &mut facts.usage.block {
        block.retain(|device| stays(&device.function));
    }
    if let Fact::Known(network) = &mut facts.usage.network {
        network.retain(|interface| stays(&interface.function));
    }
    gone
}
