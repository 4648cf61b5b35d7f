//! What if: facts of a host made to hold what somebody assumes, to plan on.
//!
//! ```text
//! iommu=on|off                    DMA remapping
//! intremap=on|off                 interrupt remapping
//! kernel=RELEASE                  another kernel, for example kernel=6.12.0
//! param=MODULE.NAME=VALUE         a module parameter in force
//! cmdline=WORD                    one more word on the kernel's command line
//! slot=PLACE                      the spec's only device in another slot
//! DEVICE@slot=PLACE               a card in another slot
//! DEVICE@swap=DEVICE              two cards in each other's slot
//! DEVICE@driver=NAME|none         a card on another driver
//! add=VVVV:DDDD[:CCCCCC]@PLACE    one more card (vendor, device, class)
//! remove=DEVICE                   a card less
//! VM@memory=SIZE                  a VM with other memory
//! ```
//! DEVICE is an address, or an id that the host has once; PLACE an address. A card takes all its functions along, a bridge
//! also what is below it. What would be another in the new slot, and nobody can know, becomes unknown: the rules then
//! say what they would need. Nothing is read or changed: facts in, facts out.

mod groups;
mod parse;
mod place;

pub use place::place_in;

use crate::facts::{AssumedFact, DriverName, Fact, Facts, ModuleName, ParameterValue, Switch};
use crate::pci::{ClassCode, PciAddress, PciId};
use crate::topology::Topology;
use crate::vm::{MemorySize, Request, VmName};

/// The most assumptions that are made at once.
pub const MAX_ASSUMPTIONS: usize = 64;

/// A device as an assumption names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRef {
    /// By its place.
    At(PciAddress),
    /// By what it is; the host must have it once.
    Is(PciId),
}

/// One thing assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Iommu(Switch),
    InterruptRemapping(Switch),
    Kernel(String),
    Parameter { module: ModuleName, name: String, value: String },
    Word(String),
    Move { device: Option<DeviceRef>, to: PciAddress },
    Swap(DeviceRef, DeviceRef),
    Driver { device: DeviceRef, driver: Option<DriverName> },
    Add { id: PciId, class: Option<ClassCode>, at: PciAddress },
    Remove(DeviceRef),
    Memory { vm: VmName, memory: MemorySize },
}

/// Why something cannot be assumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssumeError {
    /// Not of the grammar.
    #[error("{text:?} is no assumption: {why}")]
    Syntax {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Too many at once.
    #[error("more than {MAX_ASSUMPTIONS} assumptions")]
    TooMany,
    /// The host has no such device.
    #[error("the host has no device {0}")]
    NoDevice(String),
    /// The host has the device more than once.
    #[error("the host has {id} at {}: say which", .at.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotOne {
        /// What was named.
        id: PciId,
        /// Where it is.
        at: Vec<PciAddress>,
    },
    /// `slot=` without a device, and the spec has none or several.
    #[error("the spec asks for {0} devices: say which is moved, DEVICE@slot=PLACE")]
    WhichDevice(usize),
    /// Somebody sits there.
    #[error("{0} is taken: DEVICE@swap={0} exchanges the two")]
    Occupied(PciAddress),
    /// No bridge leads to that bus.
    #[error("the host has no bus of {0}")]
    NoBus(PciAddress),
    /// The card cannot sit there.
    #[error("{card} does not fit {place}: {why}")]
    DoesNotFit {
        /// The card.
        card: PciAddress,
        /// Where it should go.
        place: PciAddress,
        /// Why not.
        why: &'static str,
    },
    /// The spec declares no such VM.
    #[error("the spec declares no VM {0}")]
    NoVm(VmName),
}

impl AssumeError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Syntax { .. } => Some(
                "iommu=on, intremap=on, kernel=6.12.0, param=vfio_pci.nointxmask=N, cmdline=iommu=pt, 03:04.0@slot=03:05.0, \
                 03:04.0@swap=03:05.0, 03:04.0@driver=none, add=9004:5078@03:06.0, remove=03:04.0, bench@memory=4G",
            ),
            Self::NoDevice(_) | Self::NoBus(_) => Some("`slotwise inspect` shows what is where"),
            _ => None,
        }
    }
}

impl Assumption {
    /// What was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The facts and the request as they would be, one assumption after the other. Slots in the request follow their cards.
///
/// # Errors
/// An assumption that this host or spec cannot hold.
pub fn assume(
    mut facts: Facts,
    mut request: Request,
    assumptions: &[Assumption],
) -> Result<(Facts, Request), AssumeError> {
    if assumptions.len() > MAX_ASSUMPTIONS {
        return Err(AssumeError::TooMany);
    }
    for assumption in assumptions {
        let devices = one(&mut facts, &mut request, assumption)?;
        facts.assumed.facts.push(AssumedFact { devices, text: assumption.text.clone() });
    }
    Ok((facts, request))
}

/// Makes one assumption hold; gives the functions that it is about.
fn one(facts: &mut Facts, request: &mut Request, said: &Assumption) -> Result<Vec<PciAddress>, AssumeError> {
    match &said.kind {
        Kind::Iommu(state) => {
            facts.iommu.state = *state;
            // What was seen spoke of the state that is no longer assumed.
            facts.iommu.evidence = vec![("assumed".to_owned(), said.text.clone())];
            groups::switched(facts, *state);
        }
        Kind::InterruptRemapping(state) => {
            facts.iommu.interrupt_remapping = *state;
            facts.iommu.evidence.push(("assumed".to_owned(), said.text.clone()));
        }
        Kind::Kernel(release) => facts.kernel.release = Fact::Known(release.clone()),
        Kind::Parameter { module, name, value } => {
            let value = ParameterValue { value: value.clone(), place: "assumed".to_owned() };
            facts.kernel.parameters.insert((module.clone(), name.clone()), value);
        }
        Kind::Word(word) => {
            let line = facts.kernel.command_line.known().map_or("", String::as_str);
            facts.kernel.command_line = Fact::Known(format!("{line} {word}").trim().to_owned());
        }
        Kind::Move { device, to } => {
            let from = match device {
                Some(device) => found(facts, *device)?,
                None => only_device(facts, request)?,
            };
            return place::relocate(&Topology::new(facts.clone()), facts, request, &[(from, *to)]);
        }
        Kind::Swap(one, other) => {
            let (one, other) = (found(facts, *one)?, found(facts, *other)?);
            let moves = [(one, other), (other, one)];
            return place::relocate(&Topology::new(facts.clone()), facts, request, &moves);
        }
        Kind::Driver { device, driver } => {
            let address = found(facts, *device)?;
            if let Some(function) = facts.functions.get_mut(&address) {
                function.driver = driver.clone().into();
            }
            return Ok(vec![address]);
        }
        Kind::Add { id, class, at } => return place::add(facts, *id, *class, *at),
        Kind::Remove(device) => {
            let address = found(facts, *device)?;
            return Ok(place::remove(facts, address));
        }
        Kind::Memory { vm, memory } => {
            let found = request.vms.iter_mut().find(|request| request.name == *vm);
            found.ok_or_else(|| AssumeError::NoVm(vm.clone()))?.memory = *memory;
        }
    }
    Ok(Vec::new())
}

/// The facts with cards in other slots, all at once: two that change places do not stand in each other's way.
///
/// # Errors
/// A place that is taken, not there, or that the card does not fit.
pub fn reseat(topology: &Topology, moves: &[(PciAddress, PciAddress)]) -> Result<Facts, AssumeError> {
    let mut facts = topology.facts().clone();
    let devices = place::relocate(topology, &mut facts, &mut Request::default(), moves)?;
    facts.assumed.facts.push(AssumedFact { devices, text: "another slot".to_owned() });
    Ok(facts)
}

fn found(facts: &Facts, device: DeviceRef) -> Result<PciAddress, AssumeError> {
    match device {
        DeviceRef::At(address) if facts.functions.contains_key(&address) => Ok(address),
        DeviceRef::At(address) => Err(AssumeError::NoDevice(address.to_string())),
        DeviceRef::Is(id) => {
            let at: Vec<PciAddress> =
                facts.functions.values().filter(|f| f.id.known() == Some(&id)).map(|f| f.address).collect();
            match at[..] {
                [only] => Ok(only),
                [] => Err(AssumeError::NoDevice(id.to_string())),
                _ => Err(AssumeError::NotOne { id, at }),
            }
        }
    }
}

fn only_device(facts: &Facts, request: &Request) -> Result<PciAddress, AssumeError> {
    let devices: Vec<_> = request.vms.iter().flat_map(|vm| &vm.devices).collect();
    let [only] = devices[..] else { return Err(AssumeError::WhichDevice(devices.len())) };
    match (only.slot, only.id) {
        (Some(slot), _) => found(facts, DeviceRef::At(slot)),
        (None, Some(id)) => found(facts, DeviceRef::Is(id)),
        (None, None) => Err(AssumeError::WhichDevice(0)),
    }
}

#[cfg(test)]
mod tests;
