//! The machines: made from a seed, so that all have the same, and nobody chose them for what comes of them.

use slotwise_core::vm::address_space::{BridgeKind, CpuVendor, PhysBits, Reserve};
use slotwise_core::vm::{GuestSlot, MachineType, MemorySize};

use super::set::{BridgeNode, Firmware, Maker, Node, Set};
use super::stand_in::{Catalogue, StandIn};
use crate::Result;
use crate::random::Random;

const SEED: u64 = 20_260_101;
/// How many machines start with each firmware. OVMF takes half a minute to come up on an emulated processor.
const COUNTS: [(Firmware, usize); 2] = [(Firmware::SeaBios, 72), (Firmware::Ovmf, 18)];

/// How devices are arranged.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// On the root bus.
    Flat,
    /// Some of them functions of one device.
    Functions,
    /// Behind root ports.
    Ports,
    /// Behind bridges to conventional PCI, on the root bus or in each other.
    Bridges,
    /// Behind a root port and a bridge to conventional PCI in it.
    Conventional,
    /// All of this.
    Mixed,
    /// On the root bus, more and larger.
    Tight,
    /// As a VM of a spec.
    Ours,
}

const SHAPES: [Shape; 8] = [
    Shape::Flat,
    Shape::Ports,
    Shape::Bridges,
    Shape::Functions,
    Shape::Tight,
    Shape::Conventional,
    Shape::Ours,
    Shape::Mixed,
];

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Functions => "functions",
            Self::Ports => "ports",
            Self::Bridges => "bridges",
            Self::Conventional => "conventional",
            Self::Mixed => "mixed",
            Self::Tight => "tight",
            Self::Ours => "ours",
        }
    }

    /// Whether it takes PCI Express.
    const fn express(self) -> bool {
        matches!(self, Self::Ports | Self::Conventional | Self::Mixed)
    }
}

/// Sizes around those at which memory is split otherwise, in MiB; the last is where it passes 1 TiB with its hole.
const MEMORY: [u32; 15] =
    [256, 512, 1024, 2047, 2048, 2700, 2815, 2816, 3000, 3072, 3500, 3584, 4096, 12288, 1_034_240];

const BITS: [(CpuVendor, u8); 6] = [
    (CpuVendor::Intel, 40),
    (CpuVendor::Amd, 40),
    (CpuVendor::Intel, 39),
    (CpuVendor::Intel, 46),
    (CpuVendor::Amd, 48),
    (CpuVendor::Intel, 36),
];

/// First device number of a root bus that no chipset has, and the last that is given away here.
const FIRST: u8 = 2;
const LAST: u8 = 0x1b;

/// All machines.
pub(super) fn sets(catalogue: &Catalogue) -> Result<Vec<Set>> {
    let mut generator = Generator { catalogue, random: Random(SEED), next: FIRST };
    let mut sets = Vec::new();
    for (firmware, count) in COUNTS {
        for number in 0..count {
            let shape = SHAPES.get(number % SHAPES.len()).copied().unwrap_or(Shape::Flat);
            sets.push(generator.set(firmware, number, shape)?);
        }
    }
    Ok(sets)
}

struct Generator<'a> {
    catalogue: &'a Catalogue,
    random: Random,
    /// The next device number of the root bus.
    next: u8,
}

impl Generator<'_> {
    fn set(&mut self, firmware: Firmware, number: usize, shape: Shape) -> Result<Set> {
        self.next = FIRST;
        let machine =
            if shape.express() || self.random.below(2) == 0 { MachineType::Q35 } else { MachineType::Pc };
        let mib = *self.random.one_of(&MEMORY).ok_or("no memory sizes")?;
        let (vendor, bits) = *self.random.one_of(&BITS).ok_or("no processors")?;
        let (maker, root) = match shape {
            Shape::Ours => (Maker::Backend, self.ours()?),
            _ => (Maker::Task, self.root(shape)?),
        };
        let name = format!("{firmware}-{number:02}-{machine}-{}", shape.name());
        let memory = MemorySize::from_mib(mib)?;
        let phys_bits = PhysBits::new(vendor, bits).ok_or("no such number of address bits")?;
        Ok(Set { name, firmware, machine, memory, phys_bits, maker, root })
    }

    fn root(&mut self, shape: Shape) -> Result<Vec<Node>> {
        let mut root = Vec::new();
        for _ in 0..=self.random.below(if matches!(shape, Shape::Tight) { 11 } else { 5 }) {
            match shape {
                Shape::Flat | Shape::Ours => root.push(self.card_on_root(7)?),
                Shape::Tight => root.push(self.card_on_root(usize::MAX)?),
                Shape::Functions => self.functions(&mut root)?,
                Shape::Ports => root.push(self.port()?),
                Shape::Bridges => root.push(self.bridge("pci-bridge", 2)?),
                Shape::Conventional => root.push(self.conventional()?),
                Shape::Mixed => match self.random.below(5) {
                    0 => root.push(self.bridge("pci-bridge", 2)?),
                    1 => root.push(self.conventional()?),
                    2 => self.functions(&mut root)?,
                    3 => root.push(self.port()?),
                    _ => root.push(self.card_on_root(7)?),
                },
            }
            if self.next > LAST {
                break;
            }
        }
        Ok(root)
    }

    /// Devices that are anywhere, or where the user wants them.
    fn ours(&mut self) -> Result<Vec<Node>> {
        let mut root = Vec::new();
        for _ in 0..=self.random.below(6) {
            let mut node = self.card_on_root(9)?;
            node.slot = node.slot.filter(|_| self.random.below(2) == 0);
            root.push(node);
        }
        Ok(root)
    }

    /// The next place of the root bus, or one a little after it.
    fn place(&mut self) -> Result<GuestSlot> {
        let gap = u8::from(self.random.below(3) == 0);
        let slot = GuestSlot::new(self.next + gap, 0)?;
        self.next += 1 + gap;
        Ok(slot)
    }

    fn card(&mut self, most: usize) -> Result<StandIn> {
        let large = self.random.below(10) < if most == usize::MAX { 8 } else { 4 };
        if large {
            self.catalogue.large(&mut self.random, most)
        } else {
            self.catalogue.small(&mut self.random)
        }
    }

    fn card_on_root(&mut self, most: usize) -> Result<Node> {
        let slot = self.place()?;
        Ok(leaf(slot, self.card(most)?))
    }

    fn functions(&mut self, root: &mut Vec<Node>) -> Result {
        let first = self.place()?;
        for function in 0..=self.random.below(4) {
            let slot = GuestSlot::new(first.device(), u8::try_from(function)?)?;
            let card = self.card(6)?;
            root.push(leaf(slot, card));
        }
        Ok(())
    }

    /// A root port with nothing, a card or its functions behind it.
    fn port(&mut self) -> Result<Node> {
        let slot = self.place()?;
        let mut behind = Vec::new();
        for function in 0..self.random.below(4).min(2) {
            behind.push(leaf(GuestSlot::new(0, u8::try_from(function)?)?, self.card(7)?));
        }
        let reserve = self.reserve();
        Ok(bridge(slot, "pcie-root-port", reserve, behind))
    }

    /// What a port asks for; mostly nothing.
    fn reserve(&mut self) -> Reserve {
        let size = |random: &mut Random, low: usize, count: usize| Some(1 << (low + random.below(count)));
        let random = &mut self.random;
        let nothing = Reserve::default();
        match random.below(8) {
            0 => Reserve { memory: size(random, 20, 8), ..nothing },
            1 => Reserve { prefetchable64: size(random, 21, 13), ..nothing },
            2 => Reserve { prefetchable32: size(random, 21, 7), ..nothing },
            3 => Reserve { io: size(random, 12, 2), memory: size(random, 22, 4), ..nothing },
            _ => nothing,
        }
    }

    /// A bridge to conventional PCI on the root bus, with cards and at times another bridge behind it.
    fn bridge(&mut self, model: &str, depth: usize) -> Result<Node> {
        let slot = self.place()?;
        let behind = self.behind(depth)?;
        Ok(bridge(slot, model, Reserve::default(), behind))
    }

    fn behind(&mut self, depth: usize) -> Result<Vec<Node>> {
        let mut behind = Vec::new();
        // Slot 0 is the hot-plug controller's own (QEMU hw/pci/shpc.c).
        let mut device = 1;
        for _ in 0..self.random.below(5) {
            let slot = GuestSlot::new(device, 0)?;
            device += 1 + u8::from(self.random.below(3) == 0);
            if depth > 1 && self.random.below(4) == 0 {
                let inner = self.behind(depth - 1)?;
                behind.push(bridge(slot, "pci-bridge", Reserve::default(), inner));
            } else {
                behind.push(leaf(slot, self.card(5)?));
            }
        }
        Ok(behind)
    }

    /// A root port, a bridge to conventional PCI in it, and what is behind that.
    fn conventional(&mut self) -> Result<Node> {
        let slot = self.place()?;
        let behind = self.behind(2)?;
        let inner = bridge(GuestSlot::new(0, 0)?, "pcie-pci-bridge", Reserve::default(), behind);
        let reserve = self.reserve();
        Ok(bridge(slot, "pcie-root-port", reserve, vec![inner]))
    }
}

const fn leaf(slot: GuestSlot, stand_in: StandIn) -> Node {
    Node { slot: Some(slot), stand_in, bridge: None }
}

fn bridge(slot: GuestSlot, model: &str, reserve: Reserve, behind: Vec<Node>) -> Node {
    let kind = if model == "pcie-root-port" { BridgeKind::RootPort } else { BridgeKind::Conventional };
    let bridge = Some(BridgeNode { kind, reserve, behind });
    Node { slot: Some(slot), stand_in: StandIn::bridge(model), bridge }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_seed_gives_the_same_machines_with_names_of_their_own() {
        let catalogue = Catalogue::read().unwrap();
        let once = sets(&catalogue).unwrap();
        let names: BTreeSet<&str> = once.iter().map(|set| set.name.as_str()).collect();
        assert_eq!(names.len(), once.len());
        assert_eq!(format!("{once:?}"), format!("{:?}", sets(&catalogue).unwrap()));
    }

    #[test]
    fn no_two_functions_are_at_one_place() {
        for set in sets(&Catalogue::read().unwrap()).unwrap() {
            let seats = set.seats().unwrap();
            let places: BTreeSet<_> = seats.iter().map(|seat| seat.address).collect();
            assert_eq!(places.len(), seats.len(), "{}", set.name);
        }
    }
}
