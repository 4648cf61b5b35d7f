//! `bar-unassigned`: a BAR of the function has no address.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::facts::{Fact, FunctionFacts, Resource};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "bar-unassigned",
    page: Page {
        what: "A BAR could not be given an address. Opening the function fails with \"Invalid argument\", the kernel \
              says \"BAR N …: not assigned; can't enable device\".",
        why: "The windows of the bridges above are too small, or the firmware left no room above 4 GiB. vfio-pci \
              binds all the same and enables the device only when it is opened.",
        fix: "Switch on Above 4G Decoding in the firmware setup, try pci=realloc, make a resizable BAR smaller, or \
              use another slot.",
        source: "drivers/pci/setup-res.c: pci_enable_resources, pci_assign_resource; \
              drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable",
    },
    predicts: &["host-mmio-window"],
    check,
};

/// BARs 0 to 5. The ROM need not have an address: it is enabled only while it is read.
const BARS: std::ops::RangeInclusive<u8> = 0..=5;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        match &function.resources {
            Fact::Known(resources) => {
                let bars = resources.iter().filter(|resource| BARS.contains(&resource.index));
                let bad = bars.filter(|bar| bar.flags.is_unset() || bar.start == 0);
                findings.push_all(bad.map(|bar| unassigned(function, bar)));
                let count = resources.iter().filter(|resource| BARS.contains(&resource.index)).count();
                findings.fine(function.address, format!("all {count} BARs have addresses"));
            }
            Fact::Absent => findings.skip(function.address, "the source tells nothing of BARs"),
            resources @ Fact::Unreadable(_) => {
                let needs = "whether every BAR has an address";
                findings.push(cannot_know(Subject::Device(function.address), needs, fault(resources)));
            }
        }
    }
}

fn unassigned(function: &FunctionFacts, bar: &Resource) -> Finding {
    // Without the kernel's mark, 0 may be an address; no PC has a BAR there.
    let severity = if bar.flags.is_unset() { Severity::Blocks } else { Severity::Warns };
    let kind = if bar.flags.is_io() { "ports" } else { "memory" };
    let summary = format!("BAR {} ({:#x} bytes of {kind}) has no address", bar.index, bar.size);
    let row =
        format!("row {}: start {:#x}, size {:#x}, flags {:#x}", bar.index, bar.start, bar.size, bar.flags.0);
    Finding::new(&RULE, severity, function.address, summary)
        .shown(format!("/sys/bus/pci/devices/{}/resource", function.address), row)
        .remedy(RemedyKind::Firmware, "switch on Above 4G Decoding (64-bit BARs) in the firmware setup")
        .remedy(RemedyKind::HostChange, "boot with pci=realloc, which makes bridge windows anew")
        .remedy(RemedyKind::Hardware, "use another slot")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_bar_without_an_address_blocks() {
        let host = "device 0000:03:00.0 bars=0:f7000000:1000:40200,1:0:10000000:2014220c";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert_eq!(said, ["blocks 0000:03:00.0: BAR 1 (0x10000000 bytes of memory) has no address"]);
    }

    #[test]
    fn address_0_without_the_kernels_mark_is_only_warned_about() {
        let said = check_rule(&RULE, "device 0000:03:00.0 bars=0:0:1000:40200", "0000:03:00.0");
        assert!(said[0].starts_with("warns"), "{said:?}");
    }

    #[test]
    fn a_rom_needs_none() {
        let host = "device 0000:03:00.0 bars=0:f7000000:1000:40200,6:0:20000:2004e200";
        assert!(check_rule(&RULE, host, "0000:03:00.0").is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_noted() {
        let said = check_rule(&RULE, "device 0000:03:00.0 unread=resources", "0000:03:00.0");
        assert_eq!(said, ["notes 0000:03:00.0: cannot tell: whether every BAR has an address"]);
    }
}
