//! Functions, BARs, bridges and drivers in a kernel log.
//!
//! Printed by `drivers/pci/probe.c` (`pci_setup_device`, `pci_read_bridge_io` …), `setup-res.c`, `setup-bus.c`. The
//! wording changed with Linux 3.4 (class with its interface), 3.9 (`reg 0x10`) and 6.9 (`BAR 0 [mem …]`).

use super::LOG;
use crate::facts::line::{AboutFunction, about_function};
use crate::facts::parents::{self, Extent, RootBuses};
use crate::facts::{BusRange, DriverName, Fact, Facts, FunctionFacts, Resource, ResourceFlags};
use crate::pci::{ClassCode, PciAddress, PciId};

/// Row of the expansion ROM, and of the first bridge window: I/O, memory, prefetchable memory follow each other
/// (`include/linux/pci.h`: `PCI_ROM_RESOURCE`, `PCI_BRIDGE_RESOURCES` with SR-IOV).
const ROM: u8 = 6;
const WINDOW: u8 = 13;

/// Rows of the BARs of virtual functions (`PCI_IOV_RESOURCES`).
const VF_BARS: std::ops::RangeInclusive<u8> = 7..=12;

/// `IORESOURCE_UNSET` (`include/linux/ioport.h`).
const UNSET: u64 = 0x2000_0000;

/// The most functions that a log is believed to have.
const MOST_FUNCTIONS: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct State {
    root_buses: Vec<(u32, u8)>,
    /// A bridge whose windows follow: `bridge window` lines without it are plans, not windows.
    bridge: Option<PciAddress>,
}

impl State {
    /// Takes one message; says what was expected if it should have been understood and was not.
    pub(super) fn line(&mut self, facts: &mut Facts, message: &str) -> Option<&'static str> {
        // `probe.c: pci_register_host_bridge`; the domain is left out before 3.x kernels on some architectures.
        if let Some(bus) = message.strip_prefix("PCI host bridge to bus ") {
            self.root_buses.extend(bus_address(bus.trim()));
            return None;
        }
        let about = about_function(message)?;
        if facts.functions.len() >= MOST_FUNCTIONS && !facts.functions.contains_key(&about.address) {
            return Some("expected fewer functions");
        }
        let function =
            facts.functions.entry(about.address).or_insert_with(|| FunctionFacts::untold(about.address, LOG));
        driver(function, &about);
        if about.text.starts_with('[') {
            return found(function, about.text);
        }
        self.bridge_line(function, about.text);
        resource_line(function, about.text);
        None
    }

    /// `PCI bridge to [bus 02-05]`, then its windows, each with two spaces before it.
    fn bridge_line(&mut self, function: &mut FunctionFacts, text: &str) {
        if let Some(rest) = text.strip_prefix("PCI bridge to [bus ") {
            let buses = rest.split([']', ' ']).next().and_then(bus_range);
            if let Some(buses) = buses {
                function.buses = Fact::Known(buses);
                // Windows follow anew: those printed earlier may have moved or gone.
                drop_windows(function);
                self.bridge = Some(function.address);
            }
            return;
        }
        if self.bridge == Some(function.address)
            && let Some(window) = text.strip_prefix("  bridge window ")
            && !window.contains("subtractive")
        {
            put(function, window_index(window), window);
        }
    }

    /// Parents, from the buses below bridges.
    pub(super) fn finish(self, facts: &mut Facts) {
        let roots = RootBuses { told: &self.root_buses, extent: Extent::Part, source: LOG };
        parents::derive(&mut facts.functions, &roots);
    }
}

/// `0000:00` or `00`.
fn bus_address(text: &str) -> Option<(u32, u8)> {
    let (domain, bus) = text.split_once(':').unwrap_or(("0", text));
    Some((u32::from_str_radix(domain, 16).ok()?, u8::from_str_radix(bus, 16).ok()?))
}

/// `02-05`, or `02` alone for one bus.
fn bus_range(text: &str) -> Option<BusRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let bus = |text| u8::from_str_radix(text, 16).ok();
    let range = BusRange { secondary: bus(first)?, subordinate: bus(last)? };
    (range.secondary <= range.subordinate).then_some(range)
}

fn drop_windows(function: &mut FunctionFacts) {
    if let Fact::Known(resources) = &mut function.resources {
        resources.retain(|resource| resource.index < WINDOW);
    }
}

/// The name before the address is that of the driver bound at that time (`dev_driver_string`), or the bus.
fn driver(function: &mut FunctionFacts, about: &AboutFunction<'_>) {
    if about.driver == "pci" {
        return;
    }
    if let Ok(name) = DriverName::new(about.driver) {
        function.driver = Fact::Known(name);
    }
}

/// `[8086:1234] type 00 class 0x030000 …` (`pci_setup_device`).
fn found(function: &mut FunctionFacts, text: &str) -> Option<&'static str> {
    let (id, rest) = text.strip_prefix('[')?.split_once(']')?;
    let rest = rest.strip_prefix(" type ")?;
    let mut words = rest.split_ascii_whitespace();
    let kind = words.next();
    let class = match (words.next(), words.next()) {
        (Some("class"), Some(class)) => class_code(kind, class.trim_end_matches(',')),
        _ => None,
    };
    let (Ok(id), Some(class)) = (id.parse::<PciId>(), class) else {
        return Some("expected [VVVV:DDDD] type TT class 0xCCCCCC");
    };
    // What was said of another device at the same address does not hold for this one.
    if function.id.known().is_some_and(|before| *before != id) {
        *function = FunctionFacts::untold(function.address, LOG);
    }
    function.id = Fact::Known(id);
    function.class = Fact::Known(class);
    if !matches!(function.resources, Fact::Known(_)) {
        function.resources = Fact::Known(Vec::new());
    }
    None
}

/// Before Linux 3.4 the type had one digit and the class no interface.
fn class_code(kind: Option<&str>, class: &str) -> Option<ClassCode> {
    let bits = u32::from_str_radix(class.strip_prefix("0x")?, 16).ok()?;
    let without_interface = kind.is_some_and(|kind| kind.len() == 1);
    Some(ClassCode::from_bits(if without_interface { bits << 8 } else { bits }))
}

/// The forms of a resource: `reg 0x10: [mem …]`, `reg 10: [mem …]`, `reg 10 32bit mmio: [0x…]`, `reg 20 io port: [0x…]`,
/// `BAR 0 [mem …]`, `BAR 0: assigned [mem …]`, `ROM [mem …]`.
fn resource_line(function: &mut FunctionFacts, text: &str) {
    if let Some(rest) = text.strip_prefix("reg ") {
        let Some((register, range)) = rest.split_once(": ") else { return };
        let mut words = register.split(' ');
        let index = words.next().and_then(register_index);
        match words.next() {
            None => put(function, index, range),
            Some(kind) => put_old(function, index, kind, range),
        }
        return;
    }
    // Since Linux 6.9; before, they are numbered on behind the ROM.
    let virtual_functions = text.starts_with("VF BAR ");
    let text = text.strip_prefix("VF ").unwrap_or(text);
    let (index, rest) = if let Some(rest) = text.strip_prefix("ROM") {
        (Some(ROM), rest)
    } else if let Some(rest) = text.strip_prefix("BAR ") {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let Some((index, rest)) = rest.split_at_checked(end) else { return };
        let first = if virtual_functions { *VF_BARS.start() } else { 0 };
        let index = index.parse::<u8>().ok().and_then(|index| index.checked_add(first));
        let endpoint = function.class.known().is_some_and(|class| !class.is_pci_bridge());
        let of_vfs = |index: &u8| VF_BARS.contains(index) && (virtual_functions || endpoint);
        (index.filter(|index| *index <= ROM || of_vfs(index)), rest)
    } else {
        return;
    };
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start();
    let range = rest.strip_prefix("assigned ").or_else(|| rest.strip_prefix("set to ")).unwrap_or(rest);
    // `BAR 1: no space for [mem size 0x400000000 64bit pref]`, `failed to assign`; since Linux 6.9 `BAR 1 [mem size …]: can't
    // assign; no space` (`setup-res.c: pci_assign_resource`). An assignment that comes of another try is printed after.
    for words in ["no space for ", "failed to assign ", "can't assign "] {
        if let Some(range) = rest.strip_prefix(words) {
            put_unset(function, index, range);
            return;
        }
    }
    if range.starts_with("[mem size ") {
        if [": can't assign", ": failed to assign"].iter().any(|words| range.contains(words)) {
            put_unset(function, index, range);
        }
        return;
    }
    // `[mem …]: failed to assign`, `can't claim`, `releasing` tell of no address in use.
    let after = range.split_once(']').map_or("", |(_, after)| after.trim());
    if after.is_empty() || after.starts_with(": assigned") || after.starts_with("(PCI address") {
        put(function, index, range);
    } else if after.starts_with(": releasing") || after.starts_with(": failed to assign") {
        remove(function, index);
    }
}

/// Register offset of a BAR or the ROM, in hexadecimal; in VF BARs and the ROM of bridges other rules hold.
fn register_index(register: &str) -> Option<u8> {
    let offset = u8::from_str_radix(register.strip_prefix("0x").unwrap_or(register), 16).ok()?;
    match offset {
        0x10..=0x24 if offset % 4 == 0 => Some((offset - 0x10) / 4),
        0x30 | 0x38 => Some(ROM),
        _ => None,
    }
}

fn window_index(window: &str) -> Option<u8> {
    let flags = window.strip_prefix('[')?;
    Some(
        WINDOW
            + if flags.starts_with("io") {
                0
            } else if window.contains(" pref") {
                2
            } else {
                1
            },
    )
}

fn remove(function: &mut FunctionFacts, index: Option<u8>) {
    if let (Fact::Known(resources), Some(index)) = (&mut function.resources, index) {
        resources.retain(|resource| resource.index != index);
    }
}

/// Puts `[mem 0x…-0x… 64bit pref]` (`lib/vsprintf.c: resource_string`) at its index, in place of what was there.
fn put(function: &mut FunctionFacts, index: Option<u8>, range: &str) {
    let (Some(index), Some(resource)) = (index, resource(range)) else { return };
    insert(function, Resource { index, ..resource });
}

fn insert(function: &mut FunctionFacts, resource: Resource) {
    let mut resources = function.resources.known().cloned().unwrap_or_default();
    resources.retain(|known| known.index != resource.index);
    let place = resources.partition_point(|known| known.index < resource.index);
    resources.insert(place, resource);
    function.resources = Fact::Known(resources);
}

fn resource(range: &str) -> Option<Resource> {
    let inside = range.strip_prefix('[')?.split(']').next()?;
    let mut words = inside.split_ascii_whitespace();
    let mut flags = match words.next()? {
        "mem" => 0x200,
        "io" => 0x100,
        _ => return None,
    };
    let (start, end) = words.next()?.split_once('-')?;
    for word in words {
        flags |= match word {
            "64bit" => 0x0010_0000,
            "pref" => 0x2000,
            _ => 0,
        };
    }
    sized(start, end, flags)
}

/// Before Linux 2.6.33: `reg 10 32bit mmio pref: [0xd0000000-0xdfffffff]`, `reg 20 io port: [0xd0e0-0xd0ef]`.
fn put_old(function: &mut FunctionFacts, index: Option<u8>, kind: &str, range: &str) {
    let flags = match kind {
        "io" => 0x100,
        "64bit" => 0x0010_0200,
        _ => 0x200,
    };
    let inside = range.strip_prefix('[').and_then(|range| range.strip_suffix(']'));
    let resource =
        inside.and_then(|inside| inside.split_once('-')).and_then(|(start, end)| sized(start, end, flags));
    if let (Some(index), Some(resource)) = (index, resource) {
        insert(function, Resource { index, ..resource });
    }
}

/// Puts `[mem size 0x400000000 64bit pref]`, a BAR that got no address (`lib/vsprintf.c: resource_string`, `IORESOURCE_UNSET`). Of the
/// ROM and of ports nothing is said: the kernel clears them and enables the function all the same (`setup-bus.c:
/// reset_resource`, `setup-res.c: pci_enable_resources`), and PCIe functions have to do without ports.
fn put_unset(function: &mut FunctionFacts, index: Option<u8>, range: &str) {
    let Some(index) = index.filter(|index| *index != ROM) else { return };
    let Some(inside) = range.strip_prefix('[').and_then(|range| range.split(']').next()) else { return };
    let mut words = inside.split_ascii_whitespace();
    if (words.next(), words.next()) != (Some("mem"), Some("size")) {
        return;
    }
    let size = words.next().and_then(|size| u64::from_str_radix(size.strip_prefix("0x")?, 16).ok());
    let Some(size) = size.filter(|size| *size > 0) else { return };
    let flags = words.fold(0x200 | UNSET, |flags, word| match word {
        "64bit" => flags | 0x0010_0000,
        "pref" => flags | 0x2000,
        _ => flags,
    });
    insert(function, Resource { index, start: 0, size, flags: ResourceFlags(flags) });
}

fn sized(start: &str, end: &str, flags: u64) -> Option<Resource> {
    let number = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let size = end.checked_sub(start)?.checked_add(1)?;
    Some(Resource { index: 0, start, size, flags: ResourceFlags(flags) })
}

#[cfg(test)]
mod tests {
    use super::super::from_log;
    use super::*;

    #[test]
    fn a_bar_that_got_no_address_is_kept_with_its_size_until_another_try_gives_it_one() {
        let found = "pci 0000:03:00.0: [1002:73bf] type 00 class 0x030000\n";
        let old = format!(
            "{found}pci 0000:03:00.0: BAR 1: no space for [mem size 0x400000000 64bit pref]\n\
             pci 0000:03:00.0: BAR 1: failed to assign [mem size 0x400000000 64bit pref]\n"
        );
        let new = format!(
            "{found}pci 0000:03:00.0: BAR 1 [mem size 0x400000000 64bit pref]: can't assign; no space\n"
        );
        for log in [old, new] {
            let of = |log: &str| {
                let resources = function(log).resources.known().cloned().unwrap_or_default();
                resources.iter().map(|r| (r.index, r.size, r.flags.is_unset())).collect::<Vec<_>>()
            };
            assert_eq!(of(&log), [(1, 0x4_0000_0000, true)], "{log}");
            let later =
                format!("{log}pci 0000:03:00.0: BAR 1: assigned [mem 0x800000000-0xbffffffff 64bit pref]\n");
            assert_eq!(of(&later), [(1, 0x4_0000_0000, false)]);
        }
        for vf in [
            "VF BAR 2 [mem size 0x00400000 64bit]: failed to assign",
            "BAR 9: failed to assign [mem size 0x00400000 64bit]",
        ] {
            let log = format!("{found}pci 0000:03:00.0: {vf}\n");
            let resources = function(&log).resources.known().cloned().unwrap_or_default();
            assert_eq!(
                resources.iter().map(|r| (r.index, r.size)).collect::<Vec<_>>(),
                [(9, 0x40_0000)],
                "{vf}"
            );
        }
        for other in
            ["BAR 6: no space for [mem size 0x00020000 pref]", "BAR 2: no space for [io size 0x0080]"]
        {
            let log = format!("{found}pci 0000:03:00.0: {other}\n");
            assert_eq!(function(&log).resources.known().map(Vec::len), Some(0), "{other}");
        }
    }

    fn function(log: &str) -> FunctionFacts {
        let facts = from_log(log, "test");
        assert_eq!(facts.faults, []);
        facts.functions.into_values().last().expect("a function")
    }

    fn resources(log: &str) -> Vec<(u8, u64, u64, u64)> {
        let function = function(log);
        let rows = function.resources.known().into_iter().flatten();
        rows.map(|row| (row.index, row.start, row.size, row.flags.0)).collect()
    }

    #[test]
    fn class_is_read_in_both_forms() {
        let new = function("pci 0000:03:04.0: [9004:5078] type 00 class 0x010000 conventional PCI endpoint");
        let old = function("pci 0000:03:04.0: [9004:5078] type 0 class 0x000100");
        assert_eq!(new.class, Fact::Known(ClassCode::from_bits(0x01_0000)));
        assert_eq!(new.class, old.class);
    }

    #[test]
    fn bars_are_read_in_all_forms() {
        let expected = [(0, 0xd000_0000, 0x1000_0000, 0x10_2200), (4, 0x2000, 0x100, 0x100)];
        let recent = "pci 0000:01:00.0: BAR 0 [mem 0xd0000000-0xdfffffff 64bit pref]\npci 0000:01:00.0: BAR 4 [io  0x2000-0x20ff]\n";
        let older = "pci 0000:01:00.0: reg 0x10: [mem 0xd0000000-0xdfffffff 64bit pref]\npci 0000:01:00.0: reg 20: [io  0x2000-0x20ff]\n";
        assert_eq!(resources(recent), expected);
        assert_eq!(resources(older), expected);
        let oldest = "pci 0000:01:00.0: reg 20 io port: [0x2000-0x20ff]\n";
        assert_eq!(resources(oldest), [(4, 0x2000, 0x100, 0x100)]);
    }

    #[test]
    fn last_assignment_counts() {
        let log = "pci 0000:01:00.0: BAR 0 [mem 0x0-0xfff]\npci 0000:01:00.0: BAR 0 [mem size 0x1000]: can't assign; no space\npci 0000:01:00.0: BAR 0: assigned [mem 0xe0000000-0xe0000fff]\npci 0000:01:00.0: ROM [mem 0xf0000000-0xf000ffff pref]: assigned\n";
        assert_eq!(resources(log), [(0, 0xe000_0000, 0x1000, 0x200), (6, 0xf000_0000, 0x1_0000, 0x2200)]);
    }

    #[test]
    fn bridge_gives_its_windows_and_is_the_parent() {
        let log = "PCI host bridge to bus 0000:00\npci 0000:00:1c.0: [8086:244e] type 01 class 0x060401\npci 0000:00:1c.0: PCI bridge to [bus 05-06] (subtractive decode)\npci 0000:00:1c.0:   bridge window [io  0xd000-0xdfff]\npci 0000:00:1c.0:   bridge window [mem 0xfe800000-0xfe8fffff]\npci 0000:00:1c.0: bridge window [mem 0x00100000-0x000fffff] to [bus 05] add_size 1000\npci 0000:05:04.0: [9004:5078] type 00 class 0x010000\n";
        let facts = from_log(log, "test");
        let functions: Vec<_> = facts.functions.values().collect();
        let [bridge, card] = functions.as_slice() else { panic!("{functions:?}") };
        assert_eq!(bridge.buses, Fact::Known(BusRange { secondary: 5, subordinate: 6 }));
        assert_eq!(bridge.parent, Fact::Absent);
        assert_eq!(card.parent, Fact::Known(bridge.address));
        assert_eq!(
            bridge.resources.known().map(|rows| rows.iter().map(|row| row.index).collect()),
            Some(vec![13, 14])
        );
    }

    #[test]
    fn last_named_driver_is_the_driver() {
        let log =
            "pci 0000:01:00.0: x\nnouveau 0000:01:00.0: NVIDIA\nvfio-pci 0000:01:00.0: vgaarb: changed\n";
        assert_eq!(function(log).driver, Fact::Known(DriverName::vfio_pci()));
        assert!(function("pci 0000:01:00.0: x\n").driver.is_unreadable());
    }
}
