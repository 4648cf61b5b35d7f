//! `host-mmio-window`: the windows of the bridges above are too small for a memory BAR, or for what it could be.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::facts::{FunctionFacts, Resource};
use crate::pci::PciAddress;
use crate::topology::Topology;
use crate::vm::address_space::Bytes;

pub(super) const RULE: Rule = Rule {
    id: "host-mmio-window",
    page: Page {
        what: "A memory BAR has no address, since no window above it holds it: \"BAR 1: no space for [mem size …]\", \"can't \
              assign; no space\", and opening the function fails. Or a resizable BAR stays at its small size although the \
              device offers a larger one.",
        why: "Memory reaches a device only through the windows of all bridges above, the host bridge's first. Firmware without \
              64-bit decoding puts all of them below 4 GiB, where some hundred MiB are free, and sizes them for what was there \
              when it started. A prefetchable 64-bit BAR fits the prefetchable window only.",
        fix: "Switch on Above 4G Decoding (and Re-Size BAR support) in the firmware setup; boot with pci=realloc, which lets \
              Linux make the bridges' windows anew; make a resizable BAR smaller (resourceN_resize); use a slot closer to the \
              processor. pci=nocrs only as a last resort: it ignores what firmware says of its own devices.",
        source: "drivers/pci/setup-bus.c: pbus_size_mem, pci_realloc_detect; drivers/pci/setup-res.c: pci_assign_resource, \
              pci_resize_resource; PCI-to-PCI Bridge 1.2 §3.2.5.8; PCIe Base 6.0 §7.8.6",
    },
    predicts: &["host-mmio-window"],
    check,
};

const FOUR_GIB: u64 = 1 << 32;

/// From this row on a bridge's `resource` file has its windows; before are its own two BARs, and where the kernel has
/// SR-IOV six rows for virtual functions (`include/linux/pci.h`: PCI_BRIDGE_RESOURCES).
const FIRST_WINDOW: u8 = 7;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let bars = function.resources.known().into_iter().flatten();
        let memory = bars.filter(|bar| bar.index <= 5 && bar.flags.is_memory());
        let (placed, unplaced): (Vec<&Resource>, Vec<&Resource>) =
            memory.partition(|bar| !bar.flags.is_unset() && bar.start != 0);
        if function.resources.known().is_some() {
            let text = format!("{} memory BARs have their place, none is without", placed.len());
            findings.fine(function.address, text);
        } else {
            let why = function.resources.fault().map_or_else(|| "not told".to_owned(), ToString::to_string);
            findings.skip(function.address, format!("its BARs are not known: {why}"));
        }
        findings.push_all(unplaced.into_iter().map(|bar| no_room(topology, function, bar)));
        findings.push_all(placed.into_iter().find_map(|bar| stays_small(topology, function, bar)));
    }
}

/// Memory windows of a bridge that such a BAR may lie in: of a 64-bit prefetchable BAR either, else the one that is not
/// prefetchable.
fn windows<'a>(bridge: &'a FunctionFacts, bar: &Resource) -> impl Iterator<Item = &'a Resource> {
    let prefetchable = bar.flags.is_prefetchable();
    let rows = bridge.resources.known().into_iter().flatten();
    rows.filter(move |row| {
        let fits = prefetchable || !row.flags.is_prefetchable();
        row.index >= FIRST_WINDOW && row.flags.is_memory() && fits && !row.flags.is_unset()
    })
}

fn no_room(topology: &Topology, function: &FunctionFacts, bar: &Resource) -> Finding {
    // Without the kernel's mark, 0 may be an address; no PC has a BAR there.
    let severity = if bar.flags.is_unset() { Severity::Blocks } else { Severity::Warns };
    let above: Vec<&FunctionFacts> = topology
        .bridges_above(function.address)
        .into_iter()
        .filter_map(|bridge| topology.function(bridge))
        .collect();
    let largest = |bridge: &FunctionFacts| windows(bridge, bar).map(|window| window.size).max();
    let known = |bridge: &&&FunctionFacts| bridge.resources.known().is_some();
    let small = above.iter().filter(known).find(|bridge| largest(bridge).is_none_or(|size| size < bar.size));
    let (number, size) = (bar.index, Bytes(bar.size));
    let summary = match small.map(|bridge| (bridge.address, largest(bridge))) {
        Some((bridge, Some(window))) => {
            format!("BAR {number} needs {size}, the window of {bridge} has {}", Bytes(window))
        }
        Some((bridge, None)) => format!("BAR {number} needs {size}, {bridge} has no window for it"),
        None if above.is_empty() => format!("BAR {number} needs {size}, which the host bridge has not free"),
        None => format!("BAR {number} needs {size}, which no window above has free"),
    };
    let finding = Finding::new(&RULE, severity, function.address, summary).shown(
        format!("/sys/bus/pci/devices/{}/resource", function.address),
        format!("row {number}: start {:#x}, size {:#x}, flags {:#x}", bar.start, bar.size, bar.flags.0),
    );
    let finding = above.iter().filter(known).fold(finding, |finding, bridge| {
        windows(bridge, bar).fold(finding, |finding, window| {
            let end = window.start.saturating_add(window.size.saturating_sub(1));
            finding.shown(
                format!("/sys/bus/pci/devices/{}/resource", bridge.address),
                format!("row {}: {:#x} to {end:#x}", window.index, window.start),
            )
        })
    });
    finding
        .remedy(RemedyKind::Firmware, "switch on Above 4G Decoding (64-bit BARs) in the firmware setup")
        .remedy(RemedyKind::HostChange, "boot with pci=realloc, which makes bridge windows anew")
        .remedy(RemedyKind::Hardware, "use another slot")
}

/// A BAR that the device would make larger than all that is below 4 GiB, on a host where nothing is above.
fn stays_small(topology: &Topology, function: &FunctionFacts, bar: &Resource) -> Option<Finding> {
    let bars = function.features().resizable_bars?;
    let resizable = bars.iter().find(|one| one.index == bar.index)?;
    let largest = (0..=43u32).rev().find(|bit| resizable.supported >> bit & 1 == 1)?;
    let most = 1u64.checked_shl(20 + largest)?;
    if most < FOUR_GIB || bar.size >= most || any_above(topology, function.address) {
        return None;
    }
    let summary = format!(
        "resizable BAR {} stays at {} of {}: nothing on this host lies above 4 GiB",
        bar.index,
        Bytes(bar.size),
        Bytes(most)
    );
    Some(
        Finding::new(&RULE, Severity::Notes, function.address, summary)
            .shown(
                format!("/sys/bus/pci/devices/{}/resource{}_resize", function.address, bar.index),
                format!("{:x}", resizable.supported),
            )
            .remedy(
                RemedyKind::Firmware,
                "switch on Above 4G Decoding and Re-Size BAR support in the firmware setup",
            ),
    )
}

/// Whether any memory of the same domain's functions is above 4 GiB, and so the host bridge has a window there.
fn any_above(topology: &Topology, address: PciAddress) -> bool {
    let same = topology.functions().filter(|f| f.address.domain() == address.domain());
    let mut rows = same.flat_map(|f| f.resources.known().into_iter().flatten());
    rows.any(|row| row.flags.is_memory() && row.start >= FOUR_GIB)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:00:01.0 class=060400 bars=13:e000:1000:100,14:f0000000:2000000:200,15:c0000000:10000000:2201
        device 0000:01:00.0 class=030000 parent=0000:00:01.0 bars=0:0:400000000:2014220c,2:f0000000:1000000:40200
        device 0000:00:1f.0 class=040300 bars=0:0:4000:20140204";

    #[test]
    fn the_bridge_that_is_too_small_is_named() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:01:00.0"),
            ["blocks 0000:01:00.0: BAR 0 needs 16 GiB, the window of 0000:00:01.0 has 256 MiB"]
        );
    }

    #[test]
    fn a_window_that_others_fill_and_a_root_bus_are_told_apart() {
        let small = HOST.replace("400000000:2014220c", "1000000:2014220c");
        assert_eq!(
            check_rule(&RULE, &small, "0000:01:00.0"),
            ["blocks 0000:01:00.0: BAR 0 needs 16 MiB, which no window above has free"]
        );
        assert_eq!(
            check_rule(&RULE, HOST, "0000:00:1f.0"),
            ["blocks 0000:00:1f.0: BAR 0 needs 16 KiB, which the host bridge has not free"]
        );
    }

    /// A 256 MiB BAR 0 that goes to 16 GiB (Resizable BAR at 0x100: sizes 256 MiB to 16 GiB, now 256 MiB).
    const RESIZABLE: &str = "device 0000:01:00.0 class=030000 bars=0:c0000000:10000000:14220c \
         config=4096,04:00100000,34:40,40:00020010,100:00010015,104:0007f000,108:00000820";

    #[test]
    fn a_resizable_bar_on_a_host_without_high_windows_is_noted() {
        assert_eq!(
            check_rule(&RULE, RESIZABLE, "0000:01:00.0"),
            [
                "notes 0000:01:00.0: resizable BAR 0 stays at 256 MiB of 16 GiB: nothing on this host lies above 4 GiB"
            ]
        );
    }

    #[test]
    fn assigned_bars_ports_and_hosts_with_high_windows_are_quiet() {
        let assigned = HOST.replace("0:0:400000000:2014220c", "0:c0000000:10000000:14220c");
        assert!(check_rule(&RULE, &assigned, "0000:01:00.0").is_empty());
        let ports = "device 0000:01:00.0 bars=4:0:100:20040101";
        assert!(check_rule(&RULE, ports, "0000:01:00.0").is_empty());
        let high = RESIZABLE.replace("c0000000", "4000000000");
        assert!(check_rule(&RULE, &high, "0000:01:00.0").is_empty());
    }
}
