//! What the planner says of a machine: nothing of QEMU or firmware is asked for it but the BARs that its devices have.

use std::collections::BTreeMap;
use std::fmt;

use slotwise_core::pci::{BarKind, PciAddress, ROM_INDEX};
use slotwise_core::vm::GuestSlot;
use slotwise_core::vm::address_space::{
    AddressSpace, BarRequest, Bridge, Class, DeviceBars, Function, Furniture, GuestMachine, Owner, Part,
    Placement, Placer, Tuning, Why,
};

use super::emulator::{Emulator, Started};
use super::set::{Maker, Node, Seat, Set, numbers};
use super::stand_in::{StandIn, at};
use crate::Result;

/// What a stand-in asks for, as a host would know it of a card.
#[derive(Clone, Debug)]
pub(super) struct Wants {
    pub(super) bars: Vec<BarRequest>,
    class: Class,
}

/// What all stand-ins ask for.
pub(super) type Measured = BTreeMap<StandIn, Wants>;

/// As many as surely fit on the root bus of one machine.
const AT_ONCE: usize = 24;

/// How a start is foretold to end, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Placed,
    NoPorts,
    NoMemory,
    /// QEMU does not start the machine: it passes the processor's address bits.
    TooLarge,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placed => "fits",
            Self::NoPorts => "too few I/O ports",
            Self::NoMemory => "no room",
            Self::TooLarge => "does not start",
        })
    }
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    At(u64),
    /// From and to, the end included.
    Window(u64, u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nowhere"),
            Self::At(start) => write!(f, "{start:#x}"),
            Self::Window(start, end) => write!(f, "{start:#x}-{end:#x}"),
        }
    }
}

/// The prediction for one machine.
pub(super) struct Prediction {
    pub(super) ending: Ending,
    places: BTreeMap<(Owner, Part), Place>,
}

impl Prediction {
    pub(super) fn place(&self, owner: Owner, part: Part) -> Place {
        self.places.get(&(owner, part)).copied().unwrap_or(Place::Nowhere)
    }
}

/// Asks a machine that does not run which BARs the stand-ins of all sets have.
pub(super) fn measure(sets: &[Set]) -> Result<Measured> {
    let mut all = BTreeMap::new();
    for set in sets {
        for seat in set.seats()? {
            all.insert(seat.node.stand_in.clone(), ());
        }
    }
    let all: Vec<StandIn> = all.into_keys().collect();
    let mut measured = Measured::new();
    for chunk in all.chunks(AT_ONCE) {
        let mut arguments = vec!["-machine".to_owned(), "q35".to_owned()];
        for (number, stand_in) in (0u8..).zip(chunk) {
            let slot = GuestSlot::new(number + 2, 0)?;
            let rest = at("pcie.0", slot) + &numbers(&stand_in.name, usize::from(number) + 1);
            arguments.extend(stand_in.arguments(&format!("m{number}"), &rest));
        }
        let mut emulator = match Emulator::paused(&arguments)? {
            Started::Up(emulator) => emulator,
            Started::Refused(said) => return Err(format!("the stand-ins do not start: {said}").into()),
        };
        for listed in emulator.functions()? {
            let number = listed.id.strip_prefix('m').and_then(|number| number.parse::<usize>().ok());
            let Some(stand_in) = number.and_then(|number| chunk.get(number)) else { continue };
            let bars = listed.regions.iter().map(request).collect::<Result<_>>()?;
            // USB (PCI Code and ID Assignment 1.15 §1.13).
            let class = if listed.class == 0x0c03 { Class::Usb } else { Class::Other };
            measured.insert(stand_in.clone(), Wants { bars, class });
        }
    }
    Ok(measured)
}

/// A BAR as `query-pci` describes it.
fn request(region: &serde_json::Value) -> Result<BarRequest> {
    let index = region["bar"].as_u64().and_then(|n| u8::try_from(n).ok()).ok_or("a BAR has no number")?;
    let size = region["size"].as_u64().ok_or("a BAR has no size")?;
    let flag = |name: &str| region[name].as_bool().unwrap_or(false);
    let kind = match (region["type"].as_str(), index, flag("mem_type_64")) {
        (Some("io"), _, _) => BarKind::Io,
        (_, ROM_INDEX, _) => BarKind::Rom,
        (_, _, true) => BarKind::Memory64,
        _ => BarKind::Memory32,
    };
    Ok(BarRequest::new(index, kind, flag("prefetch"), size)?)
}

/// Asks the planner.
pub(super) fn predict(set: &Set, placer: Placer, measured: &Measured) -> Result<Prediction> {
    let machine = guest(set, placer);
    let placement = match set.maker {
        Maker::Task => {
            let mut root = AddressSpace::chipset(&machine);
            root.extend(functions(&set.root, &mut set.seats()?.into_iter(), measured)?);
            AddressSpace::lay_out(&machine, &root)
        }
        Maker::Backend => {
            let seats = set.seats()?;
            // In the order of the set, which is that of the command line.
            let devices = set.root.iter().map(|node| {
                let seat = seats.iter().find(|seat| std::ptr::eq(seat.node, node)).ok_or("lost a device")?;
                let wants = wants(node, measured)?;
                Ok(DeviceBars {
                    address: seat.address,
                    slot: node.slot,
                    bars: wants.bars.clone(),
                    usb_controller: wants.class == Class::Usb,
                })
            });
            let devices: Vec<DeviceBars> = devices.collect::<Result<_>>()?;
            AddressSpace::plan_with(&machine, &devices, Furniture::AgentChannel)
        }
    };
    prediction(&placement)
}

pub(super) fn guest(set: &Set, placer: Placer) -> GuestMachine {
    let phys_bits = Some(set.phys_bits);
    GuestMachine { machine: set.machine, placer, memory: set.memory, phys_bits, tuning: Tuning::default() }
}

pub(super) fn wants<'m>(node: &Node, measured: &'m Measured) -> Result<&'m Wants> {
    Ok(measured.get(&node.stand_in).ok_or_else(|| format!("{} was not measured", node.stand_in.name))?)
}

/// The functions of a bus, as the planner takes them. `seats` yields them and all behind them, depth first.
fn functions<'s>(
    nodes: &[Node],
    seats: &mut std::vec::IntoIter<Seat<'s>>,
    measured: &Measured,
) -> Result<Vec<Function>> {
    let mut all = Vec::new();
    for _ in nodes {
        let seat = seats.next().ok_or("lost a function")?;
        let wants = wants(seat.node, measured)?;
        let bridge = match &seat.node.bridge {
            None => None,
            Some(bridge) => {
                let behind = functions(&bridge.behind, seats, measured)?;
                Some(Bridge { kind: bridge.kind, reserve: bridge.reserve, behind })
            }
        };
        all.push(Function {
            owner: Owner::Host(seat.address),
            slot: seat.node.slot.ok_or("a device of this machine has no place")?,
            bars: wants.bars.clone(),
            class: wants.class,
            bridge,
        });
    }
    Ok(all)
}

fn prediction(placement: &Placement) -> Result<Prediction> {
    let mut places = BTreeMap::new();
    let mut ending = Ending::Placed;
    for placed in &placement.map {
        let place = match placed.part {
            Part::Bar(_) => Place::At(placed.start),
            Part::Window(_) => {
                Place::Window(placed.start, placed.start.saturating_add(placed.size.saturating_sub(1)))
            }
        };
        places.insert((placed.device, placed.part), place);
    }
    for bar in &placement.unplaced {
        match bar.why {
            // Firmware does program it; it is the address that is of no use.
            Why::BeyondPhysBits { start } | Why::HyperTransport { start } => {
                places.insert((Owner::Host(bar.device), Part::Bar(bar.bar)), Place::At(start));
            }
            Why::IoFull => ending = Ending::NoPorts,
            Why::LowFull { .. } | Why::HighFull { .. } => ending = Ending::NoMemory,
            Why::MachineTooLarge => ending = Ending::TooLarge,
            Why::NoSlot | Why::LeftOut => return Err(format!("not foreseen here: {}", bar.why).into()),
        }
    }
    Ok(Prediction { ending, places })
}

/// The name under which a function is shown.
pub(super) fn label(address: PciAddress, name: &str) -> String {
    format!("{:02x}:{:02x}.{} {name}", address.bus(), address.device(), address.function())
}
