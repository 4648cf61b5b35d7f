//! `device-in-use`: another guest has the function, or the same group is planned for two.

use std::collections::HashMap;

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, VmAssignment, cannot_know,
    fault, word,
};
use crate::facts::{Fact, FunctionFacts, GroupId};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "device-in-use",
    page: Page {
        what: "Somebody has the function or its group open: QEMU says \"Could not open '/dev/vfio/N': Device or \
              resource busy\", libvirt \"PCI device … is in use by driver QEMU, domain …\". Unbinding it would hang \
              until that guest lets go.",
        why: "A group is opened by one process at a time. A guest that is being shut down, or a QEMU that was left \
              behind, keeps it; so does a second VM that is given another member of the same group.",
        fix: "Stop the other guest, wait until its QEMU is gone, or put all functions of a group into one VM.",
        source: "drivers/vfio/group.c: vfio_group_fops_open (one opener); drivers/vfio/pci/vfio_pci_intrs.c: names \
              of interrupts; drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable (enables on open only)",
    },
    predicts: &["device-in-use"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let first = first_takers(topology, assignment);
    for (number, vm) in assignment.vms.iter().enumerate() {
        for function in vm.devices.iter().filter_map(|device| topology.function(*device)) {
            let (address, group) = (function.address, function.group.known().copied());
            // Xen's dom0 has no groups, and Xen asks for none.
            let groups = group.filter(|_| vm.uses_vfio());
            let earlier = groups.and_then(|group| first.get(&group)).filter(|earlier| **earlier < number);
            let other = earlier.and_then(|earlier| assignment.vms.get(*earlier));
            let twice = other.zip(groups).map(|(other, group)| of_two(vm, other, address, group));
            let held = held(topology, function, group);
            if twice.is_none() && held.is_none() {
                findings.fine(address, nobody(topology, function, group));
            }
            findings.push_all(twice.into_iter().chain(held));
        }
    }
}

/// The first VM of the spec that is given something of each group.
fn first_takers(topology: &Topology, assignment: &Assignment) -> HashMap<GroupId, usize> {
    let mut first = HashMap::new();
    for (number, vm) in assignment.vms.iter().enumerate().filter(|(_, vm)| vm.uses_vfio()) {
        let groups = vm.devices.iter().filter_map(|device| topology.function(*device)?.group.known());
        for group in groups {
            first.entry(*group).or_insert(number);
        }
    }
    first
}

/// What is said of a function whose group an earlier VM has something of.
fn of_two(vm: &VmAssignment, other: &VmAssignment, address: PciAddress, group: GroupId) -> Finding {
    let summary = format!(
        "IOMMU group {group} is given to VM {} and to VM {}: only one can open it",
        other.name, vm.name
    );
    Finding::new(&RULE, Severity::Blocks, address, summary)
        .shown(format!("/sys/bus/pci/devices/{address}/iommu_group"), group.to_string())
        .remedy(RemedyKind::SpecChange, "give all functions of the group to one VM")
}

/// What was seen of a function that nobody else has.
fn nobody(topology: &Topology, function: &FunctionFacts, group: Option<GroupId>) -> String {
    let driver = word(&function.driver);
    let usage = &topology.facts().usage;
    let machines = usage.machines.known().map_or(0, Vec::len);
    let node = match (&usage.open_handles, group) {
        (Fact::Known(_), Some(group)) => format!("; nobody has /dev/vfio/{group} open"),
        _ => String::new(),
    };
    format!("its driver is {driver}, and none of {machines} machines on the host has it{node}")
}

fn held(topology: &Topology, function: &FunctionFacts, group: Option<GroupId>) -> Option<Finding> {
    let address = function.address;
    let stop =
        |finding: Finding| {
            Some(finding.remedy(
                RemedyKind::HostChange,
                "stop the guest that has it, and wait until its process is gone",
            ))
        };
    // vfio-intx(ADDRESS), vfio-msi[N](ADDRESS), vfio-msix[N](ADDRESS)
    let place = format!("({address})");
    let lines = topology.facts().interrupts.known().map_or(&[][..], Vec::as_slice);
    let handler = lines.iter().flat_map(|line| line.handlers.iter().map(move |handler| (line.irq, handler)));
    if let Some((irq, handler)) =
        handler.into_iter().find(|(_, h)| h.starts_with("vfio-") && h.ends_with(&place))
    {
        let finding =
            Finding::new(&RULE, Severity::Blocks, address, "a guest has it now: its interrupts are set up");
        return stop(finding.shown("/proc/interrupts", format!("{irq}: {handler}")));
    }
    if let Some(machine) = topology.machines(address).into_iter().find(|machine| machine.is_running()) {
        let finding = Finding::new(&RULE, Severity::Blocks, address, format!("{machine} has it now"));
        return stop(finding.shown(machine.place.clone(), machine.to_string()));
    }
    function.driver.known().filter(|driver| driver.is_vfio())?;
    let handles = &topology.facts().usage.open_handles;
    let node = group.map(|group| format!("/dev/vfio/{group}"));
    let holder = topology.facts().usage.held().find(|held| Some(&held.path) == node.as_ref());
    if let Some(holder) = holder {
        let summary = format!("its group is open in {} (process {})", holder.name, holder.pid);
        let finding = Finding::new(&RULE, Severity::Blocks, address, summary);
        return stop(finding.shown(format!("/proc/{}/fd", holder.pid), holder.path.clone()));
    }
    match function.enabled.known() {
        Some(true) if handles.known().is_none() => stop(
            Finding::new(
                &RULE,
                Severity::Warns,
                address,
                "it is on vfio-pci and enabled: a guest seems to have it",
            )
            .shown(
                format!("/sys/bus/pci/devices/{address}/enable"),
                "above zero; vfio-pci enables on open only",
            ),
        ),
        None if handles.is_unreadable() => {
            let needs = "whether a guest has it open already";
            Some(cannot_know(Subject::Device(address), needs, fault(handles)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000 group=7 driver=vfio-pci
        device 0000:01:00.1 class=040300 group=7 driver=vfio-pci";

    #[test]
    fn an_interrupt_of_a_guest_blocks() {
        let host = format!("{HOST}\nirq 155 IR-PCI-MSIX pin=0 vfio-msix[0](0000:01:00.0)");
        let said = check_rule(&RULE, &host, "0000:01:00.0 0000:01:00.1");
        assert_eq!(said, ["blocks 0000:01:00.0: a guest has it now: its interrupts are set up"]);
    }

    #[test]
    fn an_open_group_blocks() {
        let host = format!("{HOST}\nholds 4711 qemu-system-x86 /dev/vfio/7");
        let said = check_rule(&RULE, &host, "0000:01:00.0");
        assert_eq!(said, ["blocks 0000:01:00.0: its group is open in qemu-system-x86 (process 4711)"]);
    }

    #[test]
    fn a_function_that_vfio_enabled_is_warned_about() {
        let host = format!("{}\nunread handles", HOST.replace("030000", "030000 enabled"));
        let said = check_rule(&RULE, &host, "0000:01:00.0 0000:01:00.1");
        assert_eq!(said, ["warns 0000:01:00.0: it is on vfio-pci and enabled: a guest seems to have it"]);
    }

    #[test]
    fn one_group_for_two_machines_blocks() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0 | 0000:01:00.1");
        assert_eq!(
            said,
            ["blocks 0000:01:00.1: IOMMU group 7 is given to VM vm1 and to VM vm2: only one can open it"]
        );
    }

    #[test]
    fn a_function_that_nobody_enabled_is_free() {
        assert!(
            check_rule(&RULE, &format!("{HOST}\nunread handles"), "0000:01:00.0 0000:01:00.1").is_empty()
        );
    }
}
