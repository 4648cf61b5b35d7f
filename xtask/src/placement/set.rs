//! A machine with devices in it, of which it is foretold and then seen where their BARs are.

use std::fmt;

use slotwise_core::pci::PciAddress;
use slotwise_core::vm::address_space::{BridgeKind, CpuVendor, PhysBits, Reserve};
use slotwise_core::vm::{GuestSlot, MachineType, MemorySize};

use super::stand_in::{StandIn, at};
use crate::Result;

/// Which firmware the machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Firmware {
    SeaBios,
    Ovmf,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SeaBios => "seabios",
            Self::Ovmf => "ovmf",
        })
    }
}

/// Who makes the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// This task: everything is where the set says.
    Task,
    /// The backend, as for a VM of a spec: with its ports and its channel, and devices wherever they go.
    Backend,
}

/// One machine.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) firmware: Firmware,
    pub(super) machine: MachineType,
    pub(super) memory: MemorySize,
    pub(super) phys_bits: PhysBits,
    pub(super) maker: Maker,
    /// What is on the root bus.
    pub(super) root: Vec<Node>,
}

/// A function, and what is behind it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// None for the first free place of the root bus.
    pub(super) slot: Option<GuestSlot>,
    pub(super) stand_in: StandIn,
    pub(super) bridge: Option<BridgeNode>,
}

/// What a bridge is asked to keep, and what is behind it.
#[derive(Clone, Debug)]
pub(super) struct BridgeNode {
    pub(super) kind: BridgeKind,
    pub(super) reserve: Reserve,
    pub(super) behind: Vec<Node>,
}

/// A node with its name, and the bus that it is on.
#[derive(Clone, Debug)]
pub(super) struct Seat<'s> {
    pub(super) node: &'s Node,
    /// Under which it is known to the planner: where the guest will find it, if buses are numbered depth first; for a machine
    /// of the backend, where a host has it.
    pub(super) address: PciAddress,
    /// Under which QEMU knows it.
    pub(super) id: String,
    bus: String,
    first_of_several: bool,
}

impl Set {
    pub(super) fn root_bus(&self) -> &'static str {
        match self.machine {
            MachineType::Pc => "pci.0",
            MachineType::Q35 => "pcie.0",
        }
    }

    /// All functions, bridges before what is behind them.
    pub(super) fn seats(&self) -> Result<Vec<Seat<'_>>> {
        let mut seats = Vec::new();
        let mut buses = 0;
        seat(&mut seats, &self.root, self.root_bus(), &mut buses)?;
        if self.maker == Maker::Backend {
            // Nobody knows where they will be; the host would have them somewhere.
            for (number, seat) in (0u8..).zip(&mut seats) {
                seat.address = PciAddress::new(0, 0x40, number, 0)?;
            }
        }
        Ok(seats)
    }

    /// The processor, memory and devices as QEMU's arguments.
    pub(super) fn arguments(&self) -> Result<Vec<String>> {
        let mut arguments = self.machine_arguments();
        for (number, seat) in self.seats()?.iter().enumerate() {
            arguments.extend(seat.arguments(number + 1)?);
        }
        Ok(arguments)
    }

    /// The processor and memory alone. Memory is not reserved: nothing here fills it.
    pub(super) fn machine_arguments(&self) -> Vec<String> {
        let vendor = match self.phys_bits.vendor() {
            CpuVendor::Intel => "GenuineIntel",
            CpuVendor::Amd => "AuthenticAMD",
        };
        let memory = self.memory;
        [
            "-machine",
            &format!("{},memory-backend=ram", self.machine),
            "-object",
            &format!("memory-backend-ram,id=ram,size={memory},reserve=off"),
            "-m",
            &memory.to_string(),
            "-accel",
            "tcg",
            "-cpu",
            &format!("max,vendor={vendor},phys-bits={}", self.phys_bits.bits()),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// What is in it, in a line.
    pub(super) fn contents(&self) -> String {
        contents(&self.root)
    }
}

fn contents(nodes: &[Node]) -> String {
    let one = |node: &Node| match &node.bridge {
        None => node.stand_in.name.clone(),
        Some(bridge) => format!("{} ({})", node.stand_in.name, contents(&bridge.behind)),
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn seat<'s>(seats: &mut Vec<Seat<'s>>, nodes: &'s [Node], bus: &str, buses: &mut u8) -> Result {
    let number = *buses;
    let mut sorted: Vec<&Node> = nodes.iter().collect();
    sorted.sort_by_key(|node| node.slot);
    for (index, node) in (0u8..).zip(&sorted) {
        let slot = node.slot.map_or((index, 0), |slot| (slot.device(), slot.function()));
        let several = |other: &&&Node| {
            other.slot.map(GuestSlot::device) == node.slot.map(GuestSlot::device) && node.slot.is_some()
        };
        let first = slot.1 == 0 && sorted.iter().filter(several).count() > 1;
        let address = PciAddress::new(0, number, slot.0, slot.1)?;
        let id = format!("f{}", seats.len());
        seats.push(Seat { node, address, id: id.clone(), bus: bus.to_owned(), first_of_several: first });
        if let Some(bridge) = &node.bridge {
            *buses = buses.checked_add(1).ok_or("more buses than a machine can have")?;
            seat(seats, &bridge.behind, &id, buses)?;
        }
    }
    Ok(())
}

impl Seat<'_> {
    /// QEMU's arguments; `number` tells ports apart, which have to differ.
    fn arguments(&self, number: usize) -> Result<Vec<String>> {
        let slot = self.node.slot.ok_or("a device of this machine has no place")?;
        let mut rest = at(&self.bus, slot);
        if self.first_of_several {
            rest.push_str(",multifunction=on");
        }
        if let Some(bridge) = &self.node.bridge {
            rest.push_str(&bridge.options(&self.node.stand_in.name, number));
        }
        Ok(self.node.stand_in.arguments(&self.id, &rest))
    }
}

/// The options by which bridges of a machine differ, which they have to.
pub(super) fn numbers(model: &str, number: usize) -> String {
    match model {
        "pcie-root-port" => format!(",chassis={number},slot={number}"),
        "pci-bridge" => format!(",chassis_nr={number}"),
        _ => String::new(),
    }
}

impl BridgeNode {
    fn options(&self, model: &str, number: usize) -> String {
        let mut options = numbers(model, number);
        let reserve = &self.reserve;
        for (name, size) in [
            ("io-reserve", reserve.io),
            ("mem-reserve", reserve.memory),
            ("pref32-reserve", reserve.prefetchable32),
            ("pref64-reserve", reserve.prefetchable64),
        ] {
            if let Some(size) = size {
                options.push_str(&format!(",{name}={size}"));
            }
        }
        options
    }
}
