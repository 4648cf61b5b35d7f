//! What a spec leaves open, settled before its devices are looked for: which of several, and what the host keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::search::{Choice, SearchNote, choose};
use crate::pci::{PciAddress, PciId};
use crate::rules::Assignment;
use crate::topology::Topology;
use crate::vm::spec::SpecFault;
use crate::vm::{DeviceRequest, Pick, Request};

/// A request that leaves no choice.
pub(super) struct Settled {
    /// The request, with a slot for each device that was chosen.
    pub(super) request: Request,
    /// How they were chosen, if any were.
    pub(super) search: Option<SearchNote>,
    kept: BTreeMap<PciAddress, Range<usize>>,
}

impl Settled {
    /// What the host keeps by the spec.
    pub(super) fn kept_places(&self) -> BTreeSet<PciAddress> {
        self.kept.keys().copied().collect()
    }

    /// Faults of devices that are given away and kept.
    pub(super) fn refuse_kept(&self, assignment: &Assignment) -> Result<(), Vec<SpecFault>> {
        let mut faults = Vec::new();
        for (request, vm) in self.request.vms.iter().zip(&assignment.vms) {
            for address in &vm.devices {
                let Some(keep) = self.kept.get(address) else { continue };
                let asked = request.devices.iter().find(|device| device.slot == Some(*address));
                let span = asked
                    .or(request.devices.first())
                    .map_or_else(|| request.span.clone(), |d| d.span.clone());
                let message = format!("device {address} is given to VM {}, and the host keeps it", vm.name);
                faults.push(SpecFault::new(message, span).related(keep.clone(), "kept here"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// Settles a request on a host.
pub(super) fn settle(request: &Request, topology: &Topology) -> Result<Settled, Vec<SpecFault>> {
    let kept = kept(request, topology)?;
    let mut request = request.clone();
    let open = |device: &DeviceRequest| device.pick == Pick::AnyOf && device.slot.is_none();
    let mut taken: BTreeMap<PciAddress, usize> = BTreeMap::new();
    let mut choices = Vec::new();
    let mut ids = Vec::new();
    for (number, vm) in request.vms.iter().enumerate() {
        for device in &vm.devices {
            match (device.slot, device.id) {
                (Some(slot), _) => drop(taken.insert(slot, number)),
                (None, Some(id)) if open(device) => {
                    ids.push((id, device.span.clone()));
                    let mut candidates = places(topology, id);
                    candidates.retain(|candidate| !kept.contains_key(candidate));
                    choices.push(Choice { vm: number, candidates });
                }
                (None, Some(id)) => {
                    taken.extend(places(topology, id).into_iter().map(|place| (place, number)));
                }
                (None, None) => {}
            }
        }
    }
    if choices.is_empty() {
        return Ok(Settled { request, search: None, kept });
    }
    let (chosen, search) = choose(topology, &choices, &taken);
    let Some(chosen) = chosen else {
        let fault = |(id, span): (PciId, Range<usize>)| {
            let there = places(topology, id).len();
            SpecFault::new(format!("too few {id} are free: the host has {there}"), span)
                .help("those that the host keeps and that other lines ask for do not count")
        };
        return Err(ids.into_iter().map(fault).collect());
    };
    let mut chosen = chosen.into_iter();
    for device in request.vms.iter_mut().flat_map(|vm| &mut vm.devices).filter(|device| open(device)) {
        device.slot = chosen.next();
    }
    Ok(Settled { request, search: Some(search), kept })
}

fn places(topology: &Topology, id: PciId) -> Vec<PciAddress> {
    topology.functions().filter(|f| f.id.known() == Some(&id)).map(|f| f.address).collect()
}

/// The places that the host keeps, with the lines that say so.
fn kept(
    request: &Request,
    topology: &Topology,
) -> Result<BTreeMap<PciAddress, Range<usize>>, Vec<SpecFault>> {
    let mut kept = BTreeMap::new();
    let mut faults = Vec::new();
    for keep in &request.keep {
        let found = match (keep.slot, keep.id) {
            (Some(slot), _) => topology.function(slot).map(|f| f.address).into_iter().collect(),
            (None, Some(id)) => places(topology, id),
            (None, None) => Vec::new(),
        };
        if found.is_empty() {
            let what = keep.slot.map(|slot| slot.to_string()).or(keep.id.map(|id| id.to_string()));
            let message = format!("the host has no device {} to keep", what.unwrap_or_default());
            let fault = SpecFault::new(message, keep.span.clone());
            faults.push(fault.help("`slotwise inspect` shows what is where"));
        }
        kept.extend(found.into_iter().map(|address| (address, keep.span.clone())));
    }
    if faults.is_empty() { Ok(kept) } else { Err(faults) }
}
