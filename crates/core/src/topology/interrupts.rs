//! Which interrupt line a wire is, and who else uses it.
//!
//! The table that says so, ACPI `_PRT`, is code in the firmware's language. What Linux made of it shows only on devices
//! that were enabled once: their `irq` is then Linux's number, not the firmware's (`drivers/acpi/pci_irq.c:
//! acpi_pci_irq_enable`). So lines are learnt from those, and for wires nobody has used yet told from the pattern that
//! the learnt ones form, marked as such.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::{IntxPin, Topology, Wire};
use crate::facts::{Facts, FunctionFacts, InterruptLine};
use crate::pci::PciAddress;

/// How a line is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKnowledge {
    /// The function itself was enabled and has it.
    Own,
    /// Another function on the same wire was enabled and has it.
    SameWire(PciAddress),
    /// The lines seen follow `base + (device + pin) mod 4` on this root bus, in all of so many observations.
    Pattern {
        /// Lowest of the four lines.
        base: u32,
        /// How many functions were seen to follow it.
        observations: usize,
    },
}

/// The line that a function's pin is on, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReading {
    /// Linux interrupt number.
    pub irq: u32,
    /// How it is known.
    pub knowledge: LineKnowledge,
}

impl fmt::Display for LineReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.knowledge {
            LineKnowledge::Own => write!(f, "IRQ {}", self.irq),
            LineKnowledge::SameWire(other) => write!(f, "IRQ {} (as {other} on the same wire)", self.irq),
            LineKnowledge::Pattern { base, observations } => write!(
                f,
                "IRQ {} (by the pattern {base} + (device + pin) mod 4 that {observations} functions follow)",
                self.irq
            ),
        }
    }
}

/// Someone registered on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharer {
    /// The line.
    pub irq: u32,
    /// The handler's name as `/proc/interrupts` has it.
    pub handler: String,
    /// The function it serves, where that can be told.
    pub function: Option<PciAddress>,
}

impl fmt::Display for Sharer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            Some(function) => write!(f, "{} ({function})", self.handler),
            None => f.write_str(&self.handler),
        }
    }
}

impl Topology {
    /// The row of `/proc/interrupts` for a number.
    #[must_use]
    pub fn interrupt(&self, irq: u32) -> Option<&InterruptLine> {
        let row = *self.rows.get(&irq)?;
        self.facts().interrupts.known()?.get(row)
    }

    /// The line that a function's INTx pin is on.
    #[must_use]
    pub fn line(&self, address: PciAddress) -> Option<LineReading> {
        let own = self.function(address).and_then(|f| self.observed_line(f));
        match own {
            Some(irq) => Some(LineReading { irq, knowledge: LineKnowledge::Own }),
            None => self.line_of_wire(self.wire(address)?),
        }
    }

    /// The line that a wire is on.
    #[must_use]
    pub fn line_of_wire(&self, wire: Wire) -> Option<LineReading> {
        let seen = &self.observed().wires;
        if let Some((irq, by)) = seen.get(&wire) {
            return Some(LineReading { irq: *irq, knowledge: LineKnowledge::SameWire(*by) });
        }
        let (base, observations) = pattern(seen, wire.root)?;
        let irq = base + u32::from(rotation(wire));
        Some(LineReading { irq, knowledge: LineKnowledge::Pattern { base, observations } })
    }

    /// Who is registered on a line, except the function itself.
    #[must_use]
    pub fn sharers(&self, irq: u32, except: PciAddress) -> Vec<Sharer> {
        let Some(line) = self.interrupt(irq).filter(|line| line.is_wire()) else { return Vec::new() };
        let mut sharers: Vec<Sharer> = line
            .handlers
            .iter()
            .map(|handler| Sharer { irq, handler: handler.clone(), function: self.handled_by(irq, handler) })
            .collect();
        // Two cards of one driver register the same name; the function's own handler is one of them.
        if let Some(own) = sharers.iter().position(|sharer| sharer.function == Some(except)) {
            sharers.remove(own);
        } else if let Some(driver) = self.function(except).and_then(|f| f.driver.known())
            && let Some(own) = sharers.iter().position(|s| s.handler == driver.as_str())
        {
            sharers.remove(own);
        }
        sharers
    }

    /// The function that a handler name stands for: an interface of it, `vfio-intx(ADDRESS)`, a name with its address, or
    /// its driver's name if only one function of that driver is on the line.
    fn handled_by(&self, irq: u32, handler: &str) -> Option<PciAddress> {
        if let Some(network) = self.facts().usage.network.known()
            && let Some(interface) = self.index().interface(handler).and_then(|number| network.get(number))
        {
            return interface.function;
        }
        if let Some(address) = addresses_in(handler).find(|address| self.function(*address).is_some()) {
            return Some(address);
        }
        let driver = handler.split([':', '@']).next().unwrap_or(handler);
        let of_driver = |address: &&PciAddress| {
            let bound = self.function(**address).and_then(|f| f.driver.known());
            bound.is_some_and(|bound| bound.as_str() == driver)
        };
        let mut candidates = self.observed().by_irq.get(&irq)?.iter().filter(of_driver);
        let first = candidates.next()?;
        if candidates.next().is_some() { None } else { Some(*first) }
    }

    /// The line that a function was seen on. Its `irq` counts only if the device was enabled (else it is the
    /// firmware's number), has a pin, uses no MSI (else it is a message's number), and is a wire in `/proc/interrupts`.
    fn observed_line(&self, function: &FunctionFacts) -> Option<u32> {
        let irq = function.irq.known().copied().filter(|irq| *irq != 0)?;
        self.pin(function.address)?;
        let enabled = function.enabled.known().copied().unwrap_or_else(|| function.driver.known().is_some());
        if !enabled || function.msi_irqs.contains(&irq) {
            return None;
        }
        let row = self.interrupt(irq);
        let wired = row.is_some_and(InterruptLine::is_wire);
        // Numbers below 16 may be the legacy controller's: believe them only where the driver's handler is there.
        let believable = irq >= 16 || row.is_some_and(|row| !row.handlers.is_empty());
        (wired && believable).then_some(irq)
    }

    /// The wires that were seen on a line, worked out once.
    fn observed(&self) -> &Observed {
        self.observed.get_or_init(|| {
            let mut seen = Observed::default();
            for function in self.functions() {
                let Some(irq) = self.observed_line(function) else { continue };
                seen.by_irq.entry(irq).or_default().push(function.address);
                if let Some(wire) = self.wire(function.address) {
                    seen.wires.entry(wire).or_insert((irq, function.address));
                }
            }
            for line in &self.facts().assumed.lines {
                if let Some(pin) = IntxPin::from_register(line.pin) {
                    seen.wires.entry(Wire { root: line.root, pin }).or_insert((line.irq, line.by));
                }
            }
            seen
        })
    }
}

/// What was seen of lines on a whole host.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// The line of each wire, and the function that it was seen on.
    wires: BTreeMap<Wire, (u32, PciAddress)>,
    /// The functions seen on each line, by address.
    by_irq: BTreeMap<u32, Vec<PciAddress>>,
}

/// Where the row of each interrupt is.
pub(super) fn rows(facts: &Facts) -> HashMap<u32, usize> {
    let lines = facts.interrupts.known().map_or(&[][..], Vec::as_slice);
    // Of two rows of one number the first counts.
    lines.iter().enumerate().rev().map(|(row, line)| (line.irq, row)).collect()
}

/// The addresses that stand in the name of a handler, by all their digits: `DDDD:BB:DD.F`, the domain of four to eight.
fn addresses_in(handler: &str) -> impl Iterator<Item = PciAddress> + '_ {
    handler.match_indices('.').filter_map(|(dot, _)| {
        // The longest first: of `10000:e1:00.1` not what stands behind the 1.
        (10..=14).rev().find_map(|before| {
            let word = handler.get(dot.checked_sub(before)?..dot + 2)?;
            word.parse().ok().filter(|address: &PciAddress| address.to_string() == word)
        })
    })
}

/// How far a wire is turned: board routing commonly gives neighbouring root-bus devices neighbouring lines of four
/// (the default of the same swizzle applied on the root bus).
const fn rotation(wire: Wire) -> u8 {
    (wire.root.device() + wire.pin.index()) % 4
}

/// The lowest of four lines, if at least two wires with different rotation were seen on the root bus and all fit. One
/// of them must be a wire of the same root-bus device: chipset functions and slots are often routed differently.
fn pattern(seen: &BTreeMap<Wire, (u32, PciAddress)>, root: PciAddress) -> Option<(u32, usize)> {
    let bus = PciAddress::from_requester_id(root.domain(), u16::from(root.bus()) << 8);
    let first = Wire { root: bus, pin: IntxPin::FIRST };
    let same_bus: Vec<_> = seen
        .range(first..)
        .take_while(|(wire, _)| (wire.root.domain(), wire.root.bus()) == (root.domain(), root.bus()))
        .collect();
    if !same_bus.iter().any(|(wire, _)| wire.root == root) {
        return None;
    }
    let mut rotations: Vec<u8> = same_bus.iter().map(|(wire, _)| rotation(**wire)).collect();
    rotations.sort_unstable();
    rotations.dedup();
    if rotations.len() < 2 {
        return None;
    }
    let base = |(wire, (irq, _)): &(&Wire, &(u32, PciAddress))| irq.checked_sub(u32::from(rotation(**wire)));
    let first = base(same_bus.first()?)?;
    same_bus.iter().all(|row| base(row) == Some(first)).then_some((first, same_bus.len()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{BENCH, address, topology};
    use super::*;

    #[test]
    fn a_line_is_learnt_from_the_function_itself() {
        let reading = topology(BENCH).line(address("0000:02:04.0")).expect("line");
        assert_eq!(reading, LineReading { irq: 23, knowledge: LineKnowledge::Own });
    }

    #[test]
    fn another_slots_line_is_told_from_the_pattern() {
        let topology = topology(BENCH);
        let card = address("0000:02:04.0");
        let lines: Vec<u32> = (4..8)
            .map(|device| {
                let wire =
                    topology.wire_as_if_at(card, card.with_device(device).expect("device")).expect("wire");
                topology.line_of_wire(wire).expect("line").irq
            })
            .collect();
        assert_eq!(lines, [23, 20, 21, 22]);
    }

    #[test]
    fn a_pattern_that_one_observation_breaks_is_not_used() {
        let broken =
            BENCH.replace("0000:00:10.0 class=020000 pin=1 irq=20", "0000:00:10.0 class=020000 pin=1 irq=22");
        let broken = broken.replace("irq 20", "irq 22");
        let topology = topology(&broken);
        let card = address("0000:02:04.0");
        let wire = topology.wire_as_if_at(card, address("0000:02:06.0")).expect("wire");
        assert_eq!(topology.line_of_wire(wire), None);
    }

    #[test]
    fn a_root_device_of_which_no_wire_was_seen_is_not_told_from_the_pattern() {
        let host = format!("{BENCH}\ndevice 0000:00:1f.2 class=010601 pin=1 irq=10");
        assert_eq!(topology(&host).line(address("0000:00:1f.2")), None);
    }

    #[test]
    fn sharers_are_named_with_their_function() {
        let sharers = topology(BENCH).sharers(23, address("0000:02:04.0"));
        assert_eq!(sharers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["eth1 (0000:00:13.0)"]);
    }

    #[test]
    fn addresses_are_found_in_names_of_handlers() {
        let found = |handler| addresses_in(handler).map(|a| a.to_string()).collect::<Vec<_>>();
        assert_eq!(found("vfio-intx(0000:01:00.0)"), ["0000:01:00.0"]);
        assert_eq!(found("ahci[0000:00:1f.2]"), ["0000:00:1f.2"]);
        assert_eq!(found("mlx5_comp0@pci:0000:3b:00.0:7"), ["0000:3b:00.0"]);
        assert_eq!(found("nvme@10000:e1:00.1, 01:00.0"), ["10000:e1:00.1"]);
        assert_eq!(found("a.b, eth0.1"), Vec::<String>::new());
    }

    #[test]
    fn firmware_numbers_of_devices_never_enabled_are_not_lines() {
        let topology = topology(
            "device 0000:00:04.0 class=010000 pin=1 irq=11
             irq 11 IO-APIC pin=11",
        );
        assert_eq!(topology.line(address("0000:00:04.0")), None);
    }
}
