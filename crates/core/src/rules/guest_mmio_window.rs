//! `guest-mmio-window`: the guest's firmware finds no room for the BARs of what it is given.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, VmAssignment, cannot_know,
    fault,
};
use crate::facts::Fact;
use crate::topology::Topology;
use crate::vm::BackendKind;
use crate::vm::address_space::{Bytes, Change, DeviceBars, Fit, Placer, Survey, Unplaced};

pub(super) const RULE: Rule = Rule {
    id: "guest-mmio-window",
    page: Page {
        what: "The BARs of the VM's devices do not fit in the part of its address space that firmware gives to PCI. SeaBIOS stops \
               with `out of 32bit address space`, OVMF comes up with nothing programmed, Xen's hvmloader leaves a BAR without \
               address and the guest's driver fails later.",
        why: "Below 4 GiB there are a few hundred MiB to 2 GiB beside memory, and each BAR lies at a multiple of its size. A \
              64-bit BAR can go above 4 GiB, a 32-bit one, an option ROM and a USB controller's under SeaBIOS cannot.",
        fix: "Another memory size or machine type changes the hole below 4 GiB, often for the better by less memory, sometimes by \
              more: what helps here is listed, each change tried. Else give the VM fewer devices.",
        source: "SeaBIOS src/fw/pciinit.c: pci_bios_map_devices; Xen tools/firmware/hvmloader/pci.c: pci_setup; QEMU \
                 hw/i386/pc_piix.c: pc_init1, hw/i386/pc_q35.c: pc_q35_init",
    },
    predicts: &["guest-mmio-window"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for vm in &assignment.vms {
        let mut devices = Vec::new();
        for function in vm.devices.iter().filter_map(|device| topology.function(*device)) {
            match DeviceBars::of(function) {
                Some(bars) => devices.push(bars),
                // Absent: the source has no such thing as sizes, so there is nothing to be told of this device.
                None if matches!(function.resources, Fact::Absent) => {}
                None => findings.push(cannot_know(
                    Subject::Device(function.address),
                    "whether the guest has room for it takes the sizes of its BARs",
                    fault(&function.resources),
                )),
            }
        }
        let survey = Survey::expected(vm.backend, vm.machine, vm.memory, &devices);
        findings
            .fine(&vm.name, format!("there is room for {} functions whose BARs are known", devices.len()));
        findings.push_all(misfit(vm, &survey));
    }
}

fn misfit(vm: &VmAssignment, survey: &Survey) -> Option<Finding> {
    let (placer, unplaced, _) = survey.misfits.first()?;
    let largest = unplaced.iter().max_by_key(|bar| (bar.size, std::cmp::Reverse((bar.device, bar.bar))))?;
    // What hvmloader does is computed from its source, and it goes on without the BAR: no ground to block on.
    let severity = match (survey.fit, vm.backend) {
        (Fit::Never, BackendKind::Qemu | BackendKind::Libvirt) => Severity::Blocks,
        _ => Severity::Warns,
    };
    let summary = format!(
        "no room in {} with {} ({}): {}",
        vm.machine,
        vm.memory,
        firmware(survey, *placer),
        largest.why
    );
    let finding = Finding::new(&RULE, severity, &vm.name, summary);
    let finding =
        unplaced.iter().filter(|bar| bar.size >= LARGE || *bar == largest).take(4).fold(finding, shown);
    let advice = survey.advice();
    if advice.is_empty() {
        let text = "no single change of memory, machine or firmware makes room: leave the device out";
        return Some(finding.remedy(RemedyKind::SpecChange, text));
    }
    Some(advice.iter().fold(finding, |finding, change| finding.remedy(kind(change), sentence(change))))
}

/// Size from which a BAR is worth a line of evidence.
const LARGE: u64 = 16 << 20;

fn firmware(survey: &Survey, placer: Placer) -> String {
    match (survey.fit, placer) {
        (Fit::Depends, placer) => format!("with {placer}, not with every release"),
        (_, Placer::SeaBios(_)) => "SeaBIOS".to_owned(),
        (_, Placer::Ovmf(_)) => "OVMF".to_owned(),
        (_, Placer::Hvmloader(_)) => "hvmloader".to_owned(),
    }
}

fn shown(finding: Finding, bar: &Unplaced) -> Finding {
    finding.shown(
        format!("/sys/bus/pci/devices/{}/resource", bar.device),
        format!("row {} has a size of {}", bar.bar, Bytes(bar.size)),
    )
}

const fn kind(change: &Change) -> RemedyKind {
    match change {
        Change::Memory(_) | Change::Machine(_) | Change::Without(_) => RemedyKind::SpecChange,
        _ => RemedyKind::Firmware,
    }
}

fn sentence(change: &Change) -> String {
    match change {
        Change::Memory(size) => format!("`memory = \"{size}\"` in the spec: with it everything fits"),
        Change::Machine(machine) => format!("`machine = \"{machine}\"` in the spec: with it everything fits"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    /// 512 MiB of 32-bit prefetchable memory.
    const LOW: &str = "device 0000:01:00.0 class=030000 bars=0:c0000000:20000000:42208";
    /// The same, 64-bit.
    const HIGH: &str = "device 0000:01:00.0 class=030000 bars=0:c0000000:20000000:14220c";

    #[test]
    fn a_32_bit_bar_that_the_hole_does_not_take_blocks() {
        let said = check_rule(&RULE, &format!("vm machine=pc memory=3500M\n{LOW}"), "0000:01:00.0");
        assert_eq!(
            said,
            [
                "blocks vm1: no room in pc with 3500M (SeaBIOS): 524292 KiB must be below 4 GiB, where 576 MiB are \
              free, but not at multiples of the sizes"
            ]
        );
    }

    #[test]
    fn a_64_bit_bar_or_another_memory_size_is_quiet() {
        for host in [format!("vm machine=pc memory=3500M\n{HIGH}"), format!("vm machine=pc memory=3G\n{LOW}")]
        {
            assert!(check_rule(&RULE, &host, "0000:01:00.0").is_empty(), "{host}");
        }
    }

    #[test]
    fn xen_leaves_the_bar_out_and_is_warned_of() {
        let host = format!("vm machine=pc memory=8G backend=xen\n{LOW}");
        let said = check_rule(&RULE, &host, "0000:01:00.0");
        assert_eq!(
            said,
            [
                "warns vm1: no room in pc with 8G (hvmloader): firmware finds no room for it and leaves it without address"
            ]
        );
    }

    #[test]
    fn unread_sizes_are_told() {
        let said = check_rule(&RULE, "device 0000:01:00.0 unread=resources", "0000:01:00.0");
        assert_eq!(
            said,
            [
                "notes 0000:01:00.0: cannot tell: whether the guest has room for it takes the sizes of its BARs"
            ]
        );
    }
}
