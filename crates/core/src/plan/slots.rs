//! Where else a card could sit that a finding stands against: other slots of the same bridge and of the board, and cards
//! that it could change places with.
//!
//! Every place is judged by the rules themselves, on facts in which the card sits there. Which device numbers of a bus are
//! real slots only the board tells, so places of one bus that come to the same are told together. On a root bus the
//! board decides what a device number is: no place is invented there. How many places are looked at is bounded by the
//! size of the host, and how many were left out is told.

use std::collections::BTreeSet;

use crate::assume::{place_in, reseat};
use crate::facts::FunctionFacts;
use crate::pci::{PciAddress, PortType, decode};
use crate::rules::{self, Assignment, Finding, Severity, Subject};
use crate::topology::{LineKnowledge, Topology};

/// Rules that another slot may satisfy.
const CURABLE: [&str; 7] = [
    "acs-check",
    "bus-reset-takes-siblings",
    "group-has-critical-device",
    "group-not-viable",
    "intx-shared",
    "irq-unrouted",
    "no-reset",
];

/// Those of them that are about who else is in the group.
const WITH_ITS_GROUP: [&str; 2] = ["group-has-critical-device", "group-not-viable"];

/// Cards that are advised on at once.
const MAX_CARDS: usize = 4;
/// Places that are looked at for one card.
const MAX_PLACES: usize = 8;
/// Places that are looked at for the first card on a host of any size.
const FIRST_PLACES: usize = 3;
/// Functions that are gone through for all places together: some milliseconds of work.
const MAX_WORK: usize = 2_000;

/// What the rules make of a place. Ordered, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// What stands against the card would be gone.
    Good,
    /// It may be gone: something cannot be known, or warns.
    Doubtful,
    /// It would not work there either.
    Bad,
}

impl Judgement {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Judgement::Good => "good",
            Judgement::Doubtful => "doubtful",
            Judgement::Bad => "bad",
        }
    }
}

/// How the routing of a place is known. Ordered, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Seen on this host.
    Seen,
    /// Foretold from what was seen.
    Likely,
    /// Nothing tells.
    Unknown,
}

impl Confidence {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Seen => "seen",
            Confidence::Likely => "likely",
            Confidence::Unknown => "unknown",
        }
    }
}

/// A place, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotOption {
    /// The place.
    pub place: PciAddress,
    /// Other free places of the bus that come to the same.
    pub same_as: Vec<PciAddress>,
    /// The card there, that would have to go to this card's place.
    pub exchange: bool,
    /// What the rules make of it.
    pub judgement: Judgement,
    /// How the routing is known.
    pub confidence: Confidence,
    /// The interrupt line that the card would have, where it can be told.
    pub irq: Option<u32>,
    /// Why.
    pub reasons: Vec<String>,
}

/// Where else a card could sit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotAdvice {
    /// The card.
    pub device: PciAddress,
    /// The rules that stand against it where it is.
    pub rules: Vec<&'static str>,
    /// Places, the best first.
    pub options: Vec<SlotOption>,
    /// Places that were not looked at.
    pub left_out: usize,
}

/// Advice for every card that another slot may help.
#[must_use]
pub fn advise(topology: &Topology, assignment: &Assignment, findings: &[Finding]) -> Vec<SlotAdvice> {
    let stands_against = |finding: &&Finding, device: PciAddress| {
        finding.subject == Subject::Device(device)
            && finding.severity == Severity::Blocks
            && CURABLE.contains(&finding.rule)
    };
    let mut work = MAX_WORK;
    let mut advice = Vec::new();
    for device in assignment.devices() {
        let rules: BTreeSet<&'static str> =
            findings.iter().filter(|f| stands_against(f, device)).map(|f| f.rule).collect();
        // What stands against it may go along wherever it goes.
        let of_card = rules.iter().all(|rule| WITH_ITS_GROUP.contains(rule))
            && rules::is_of_card(topology, assignment, device);
        if rules.is_empty() || of_card || advice.len() >= MAX_CARDS {
            continue;
        }
        let places = places(topology, device);
        let first = if advice.is_empty() { FIRST_PLACES } else { 0 };
        let affordable = (work / topology.facts().functions.len().max(1)).max(first).min(MAX_PLACES);
        let looked_at: Vec<Place> = places.iter().take(affordable).cloned().collect();
        work = work.saturating_sub(looked_at.len() * topology.facts().functions.len());
        let left_out = places.len() - looked_at.len();
        let case = Case { topology, assignment, findings, device };
        let mut options: Vec<SlotOption> = looked_at.into_iter().filter_map(|p| case.judge(p)).collect();
        options.sort_by_key(|o| (o.judgement, o.exchange, o.confidence));
        advice.push(SlotAdvice { device, rules: rules.into_iter().collect(), options, left_out });
    }
    advice
}

/// A place to look at.
#[derive(Clone, Debug)]
struct Place {
    at: PciAddress,
    same_as: Vec<PciAddress>,
    taken: bool,
}

/// Places for a card, the nearest first: of its own bus, of other buses of its kind, of cards to change places with.
fn places(topology: &Topology, device: PciAddress) -> Vec<Place> {
    let mut found = Vec::new();
    let conventional = topology.is_express(device) != Some(true);
    let Some(own) = topology.bridges_above(device).first().copied() else { return found };
    if conventional {
        found.extend(free_of_bus(topology, device, device));
    }
    let mut others: Vec<(PciAddress, u8)> =
        topology.functions().filter_map(|f| leads_to(topology, f, conventional)).collect();
    others.retain(|(bridge, _)| *bridge != own);
    for (bridge, bus) in &others {
        let Ok(first) = PciAddress::new(bridge.domain(), *bus, 0, device.function()) else { continue };
        if conventional {
            found.extend(free_of_bus(topology, device, first));
        } else if topology.children(*bridge).is_empty() {
            found.push(Place { at: first, same_as: Vec::new(), taken: false });
        }
    }
    let bridges = std::iter::once(own).chain(others.iter().map(|(bridge, _)| *bridge));
    let mut cards = BTreeSet::new();
    for child in bridges.flat_map(|bridge| topology.children(bridge).iter().copied()) {
        let other = child.function_zero();
        let virtual_function =
            topology.function(child).is_some_and(|f| f.sriov.physical_function.known().is_some());
        let leads_on =
            topology.function(child).and_then(|f| f.class.known()).is_some_and(|c| c.is_pci_bridge());
        if other != device.function_zero() && !virtual_function && !leads_on && cards.insert(other) {
            found.push(Place { at: place_in(other, device), same_as: Vec::new(), taken: true });
        }
    }
    found
}

/// The bus behind a bridge that has slots for such a card.
fn leads_to(topology: &Topology, bridge: &FunctionFacts, conventional: bool) -> Option<(PciAddress, u8)> {
    let decoded = decode(bridge.config.known()?).ok()?;
    let bus = decoded.bridge.as_ref().map(|bridge| bridge.secondary).filter(|bus| *bus != 0)?;
    let fits = match decoded.express().map(|express| (express.port_type, express.slot.is_some())) {
        Some((PortType::RootPort | PortType::DownstreamPort, slot)) => slot && !conventional,
        Some((PortType::PcieToPciBridge, _)) => conventional,
        Some(_) => false,
        None => conventional && topology.is_express(bridge.address) == Some(false),
    };
    fits.then_some((bridge.address, bus))
}

/// Free device numbers of the bus of `at`, one for each turn of the wires: numbers above the card's first, since boards
/// number their slots upwards.
fn free_of_bus(topology: &Topology, device: PciAddress, at: PciAddress) -> Vec<Place> {
    let occupied: BTreeSet<u8> = topology.on_bus_of(at).map(|f| f.address.device()).collect();
    let mut free: Vec<u8> = (1..32).filter(|number| !occupied.contains(number)).collect();
    let own = device.device();
    let same_bus = (device.domain(), device.bus()) == (at.domain(), at.bus());
    free.sort_by_key(|number| (*number < own, number.abs_diff(own)));
    let mut turns: Vec<(u8, Vec<PciAddress>)> = Vec::new();
    for number in free.into_iter().filter(|number| !same_bus || number % 4 != own % 4) {
        let Ok(place) = at.with_device(number).map(|slot| place_in(slot, device)) else { continue };
        match turns.iter_mut().find(|(turn, _)| *turn == number % 4) {
            Some((_, places)) => places.push(place),
            None => turns.push((number % 4, vec![place])),
        }
    }
    let place = |(_, places): (u8, Vec<PciAddress>)| {
        let (first, rest) = places.split_first()?;
        Some(Place { at: *first, same_as: rest.iter().take(3).copied().collect(), taken: false })
    };
    turns.into_iter().filter_map(place).collect()
}

/// A card to be advised on.
struct Case<'t> {
    topology: &'t Topology,
    assignment: &'t Assignment,
    findings: &'t [Finding],
    device: PciAddress,
}

impl Case<'_> {
    /// Judges a place; none where the card cannot be put there.
    fn judge(&self, place: Place) -> Option<SlotOption> {
        let moves = if place.taken {
            vec![(self.device, place.at), (place.at.function_zero(), self.device)]
        } else {
            vec![(self.device, place.at)]
        };
        let there = Topology::new(reseat(self.topology, &moves).ok()?);
        let assignment = self.assigned(&moves);
        let findings = rules::check_some(&CURABLE, &there, &assignment);
        let subject = Subject::Device(place.at);
        let mut judgement = Judgement::Good;
        let mut reasons = Vec::new();
        for finding in &findings {
            let own = finding.subject == subject && CURABLE.contains(&finding.rule);
            let new = finding.severity == Severity::Blocks && !own && !self.stands_now(finding, &moves);
            let worst = match finding.severity {
                Severity::Blocks if own || new => Judgement::Bad,
                Severity::Warns | Severity::Notes if own && finding.is_unknown() => Judgement::Doubtful,
                Severity::Warns if own => Judgement::Doubtful,
                _ => continue,
            };
            judgement = judgement.max(worst);
            reasons.push(format!("{}: {} ({})", finding.rule, finding.summary, finding.subject));
        }
        let line = there.line(place.at);
        let confidence = self.confidence(&there, place.at);
        if let Some(line) = line.as_ref().filter(|_| judgement != Judgement::Bad) {
            reasons.push(format!("it would be on {line}"));
        }
        if self.boots_otherwise(place.at, place.taken) {
            judgement = judgement.max(Judgement::Doubtful);
            reasons.push(
                "a disk that the host runs from would move: see to the firmware's boot order".to_owned(),
            );
        }
        reasons.extend(self.lanes(&there, place.at));
        Some(SlotOption {
            place: place.at,
            same_as: place.same_as,
            exchange: place.taken,
            judgement,
            confidence,
            irq: line.map(|line| line.irq),
            reasons,
        })
    }

    fn assigned(&self, moves: &[(PciAddress, PciAddress)]) -> Assignment {
        let mut assignment = self.assignment.clone();
        for device in assignment.vms.iter_mut().flat_map(|vm| &mut vm.devices) {
            let to = moves.iter().find(|(from, _)| from.function_zero() == device.function_zero());
            if let Some((_, to)) = to {
                *device = place_in(*to, *device);
            }
        }
        assignment
    }

    /// Whether a rule says the same of the same card already.
    fn stands_now(&self, finding: &Finding, moves: &[(PciAddress, PciAddress)]) -> bool {
        let was = |subject: &Subject| match subject {
            Subject::Device(address) => {
                let from = moves.iter().find(|(_, to)| to.function_zero() == address.function_zero());
                Subject::Device(from.map_or(*address, |(from, _)| place_in(*from, *address)))
            }
            other => other.clone(),
        };
        let subject = was(&finding.subject);
        let same = |old: &&Finding| old.rule == finding.rule && old.subject == subject;
        self.findings.iter().filter(|old| old.severity == Severity::Blocks).any(|old| same(&old))
    }

    fn confidence(&self, there: &Topology, place: PciAddress) -> Confidence {
        let group_known = there.function(place).is_some_and(|function| !function.group.is_unreadable());
        if !group_known {
            return Confidence::Unknown;
        }
        match there.line(place).map(|line| line.knowledge) {
            _ if there.pin(place).is_none() => Confidence::Likely,
            Some(LineKnowledge::Own | LineKnowledge::SameWire(_)) => Confidence::Seen,
            Some(LineKnowledge::Pattern { .. }) => Confidence::Likely,
            None => Confidence::Unknown,
        }
    }

    /// Whether a disk that the host runs from changes its place.
    fn boots_otherwise(&self, place: PciAddress, taken: bool) -> bool {
        let vital = |slot: PciAddress| {
            let functions = self.topology.device_functions(slot);
            functions.flat_map(|f| self.topology.dependents(f.address)).any(|d| d.kind.is_vital())
        };
        vital(self.device) || taken && vital(place)
    }

    /// What a slot of fewer lanes costs.
    fn lanes(&self, there: &Topology, place: PciAddress) -> Option<String> {
        let width = |function: &FunctionFacts| {
            let decoded = decode(function.config.known()?).ok()?;
            decoded.express()?.link.map(|link| link.max_width)
        };
        let card = width(self.topology.function(self.device)?)?;
        let port = width(there.function(*there.bridges_above(place).first()?)?)?;
        (port < card).then(|| format!("the slot has {port} lanes, the card uses up to {card}"))
    }
}

#[cfg(test)]
mod tests;
