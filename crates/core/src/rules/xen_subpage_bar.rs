//! `xen-subpage-bar`: BARs smaller than a page meet in one page, on the host or in the guest, and Xen maps pages.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, VmAssignment, cannot_know,
    fault,
};
use crate::facts::{Fact, FunctionFacts, Resource};
use crate::pci::PciAddress;
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "xen-subpage-bar",
    page: Page {
        what: "Of several devices in a Xen guest only one works: registers of the others read as those of the first, or as \
              nothing. xend refused such devices (\"pci: … : not page-aligned\"); xl takes them.",
        why: "Xen maps BARs by the page of 4096 bytes. hvmloader puts BARs one behind the other by size, so that those \
              smaller than a page come to lie in one page of the guest, and the last mapping of the page wins. On the \
              host a BAR that begins within a page brings its neighbour's registers along.",
        fix: "On the host, pci=resource_alignment=ADDRESS on the dom0 kernel's command line gives each BAR of the device a \
              page of its own. In a Linux guest the same parameter with the guest's addresses moves them apart there. \
              Where neither helps, give the guest one such device only.",
        source: "xen tools/firmware/hvmloader/pci.c: pci_setup (BARs by descending size, not rounded to pages, to Xen 4.22); \
              QEMU hw/xen/xen_pt.c: xen_pt_region_update; xen-devel thread \"xen-pt: Round pci regions sizes to \
              XEN_PAGE_SIZE\" (2019, 2020); Linux drivers/pci/pci.c: pci_specified_resource_alignment",
    },
    predicts: &["xen-subpage-bar"],
    check,
};

/// Pages that Xen maps (`XC_PAGE_SIZE`), in bytes.
const PAGE: u64 = 4096;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for vm in &assignment.vms {
        if vm.backend != BackendKind::Xen {
            findings.skip(&vm.name, "it is not Xen's");
            continue;
        }
        findings.fine(&vm.name, "no BAR smaller than a page meets another");
        let functions: Vec<&FunctionFacts> =
            vm.devices.iter().filter_map(|device| topology.function(*device)).collect();
        for function in &functions {
            if let unread @ Fact::Unreadable(_) = &function.resources {
                let needs = "whether a BAR is smaller than a page";
                findings.push(cannot_know(Subject::Device(function.address), needs, fault(unread)));
            }
            findings.push_all(
                small(function)
                    .find(|bar| bar.start % PAGE != 0)
                    .map(|bar| within(topology, vm, function, bar)),
            );
        }
        findings.push_all(together(vm, &functions));
    }
}

/// Memory BARs smaller than a page.
fn small(function: &FunctionFacts) -> impl Iterator<Item = &Resource> {
    let bars = function.resources.known().into_iter().flatten();
    bars.filter(|bar| bar.index <= 5 && bar.flags.is_memory() && bar.size < PAGE)
}

fn within(topology: &Topology, vm: &VmAssignment, function: &FunctionFacts, bar: &Resource) -> Finding {
    let page = bar.start / PAGE;
    let meets = |other: &&FunctionFacts| {
        let bars = other.resources.known().into_iter().flatten();
        let mut bars = bars.filter(|b| b.index <= 5 && b.flags.is_memory());
        bars.any(|b| b.start / PAGE <= page && page <= b.start.saturating_add(b.size - 1) / PAGE)
    };
    let neighbour = topology
        .functions()
        .filter(|other| other.address != function.address && !vm.devices.contains(&other.address))
        .find(meets);
    let summary = match neighbour {
        Some(other) => format!("BAR {} shares a page of the host with {}", bar.index, other.address),
        None => format!("BAR {} begins within a page, which Xen maps as a whole", bar.index),
    };
    let address = function.address;
    Finding::new(&RULE, Severity::Warns, address, summary)
        .shown(
            format!("/sys/bus/pci/devices/{address}/resource"),
            format!("row {}: start {:#x}, size {:#x}", bar.index, bar.start, bar.size),
        )
        .remedy(RemedyKind::HostChange, format!("boot dom0 with pci=resource_alignment={address}"))
}

/// BARs that hvmloader puts into one page: by descending size, each at a multiple of it, from a page's begin on, since
/// whatever is larger ends there.
fn together(vm: &VmAssignment, functions: &[&FunctionFacts]) -> Option<Finding> {
    let mut bars: Vec<(PciAddress, &Resource)> =
        functions.iter().flat_map(|f| small(f).map(|bar| (f.address, bar))).collect();
    bars.sort_by_key(|(_, bar)| std::cmp::Reverse(bar.size));
    let mut next = 0u64;
    let mut pages: Vec<(u64, PciAddress, &Resource)> = Vec::new();
    for (address, bar) in bars {
        let size = bar.size.next_power_of_two();
        let start = next.next_multiple_of(size);
        next = start + size;
        pages.push((start / PAGE, address, bar));
    }
    let shared = |page: u64| pages.iter().filter(|(other, _, _)| *other == page).count() > 1;
    let meeting: Vec<_> = pages.iter().filter(|(page, _, _)| shared(*page)).collect();
    if meeting.is_empty() {
        return None;
    }
    let mut devices: Vec<String> = meeting.iter().map(|(_, address, _)| address.to_string()).collect();
    devices.dedup();
    let summary = format!(
        "{} BARs smaller than a page meet in one page of the guest: {}",
        meeting.len(),
        devices.join(", ")
    );
    let finding = Finding::new(&RULE, Severity::Warns, &vm.name, summary);
    let finding = meeting.iter().take(8).fold(finding, |finding, (_, address, bar)| {
        finding.shown(
            format!("/sys/bus/pci/devices/{address}/resource"),
            format!("row {} has a size of {} bytes", bar.index, bar.size),
        )
    });
    Some(finding.remedy(RemedyKind::SpecChange, "give the VM only one of these devices").remedy(
        RemedyKind::SpecChange,
        "in a Linux guest: pci=resource_alignment= with the addresses that the devices have there",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    /// Two USB controllers and a card reader, as in the thread that the page names.
    const HOST: &str = "vm backend=xen memory=2G
        device 0000:00:1a.0 class=0c0320 bars=0:e1a2f000:400:40200
        device 0000:00:1d.0 class=0c0320 bars=0:e1900000:400:40200
        device 0000:02:00.0 class=080501 bars=0:e1a30000:100:40200
        device 0000:03:00.0 class=0c0330 bars=0:e0800000:2000:140204";

    #[test]
    fn small_bars_that_meet_in_the_guest_are_warned_about() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:00:1a.0 0000:00:1d.0 0000:02:00.0 0000:03:00.0"),
            [
                "warns vm1: 3 BARs smaller than a page meet in one page of the guest: 0000:00:1a.0, 0000:00:1d.0, \
                 0000:02:00.0"
            ]
        );
    }

    #[test]
    fn a_bar_that_shares_its_page_on_the_host_is_warned_about() {
        let host = HOST.replace("e1900000", "e1a2f400");
        assert_eq!(
            check_rule(&RULE, &host, "0000:00:1d.0"),
            ["warns 0000:00:1d.0: BAR 0 shares a page of the host with 0000:00:1a.0"]
        );
    }

    #[test]
    fn one_small_bar_in_a_page_of_its_own_and_other_monitors_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:00:1a.0 0000:03:00.0").is_empty());
        assert!(check_rule(&RULE, HOST, "0000:00:1a.0 | 0000:00:1d.0").is_empty());
        let qemu = HOST.replace("vm backend=xen", "vm");
        assert!(check_rule(&RULE, &qemu, "0000:00:1a.0 0000:00:1d.0").is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_noted() {
        let host = "vm backend=xen\ndevice 0000:00:1a.0 unread=resources";
        assert_eq!(
            check_rule(&RULE, host, "0000:00:1a.0"),
            ["notes 0000:00:1a.0: cannot tell: whether a BAR is smaller than a page"]
        );
    }
}
