//! `iommu-unsupported`: the IOMMU is in use, but not for this function; or the machine shows none at all.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, by_vfio, cannot_know, fault,
    word,
};
use crate::facts::{Fact, FunctionFacts, IommuVendor, Switch};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "iommu-unsupported",
    page: Page {
        what: "No IOMMU covers the function: it is in no IOMMU group although others are. Binding it to vfio-pci \
              fails with error -22, or the machine has no IOMMU to switch on.",
        why: "Each hardware unit covers the functions that its firmware table names. Functions that no unit names, \
              units that the kernel dropped, graphics left out by intel_iommu=igfx_off, and functions behind some \
              RAID controllers (Intel VMD) are not translated.",
        fix: "Remove igfx_off, hand over the whole controller instead of a disk behind it, update the firmware; else \
              use another slot or machine.",
        source: "drivers/iommu/intel/iommu.c: intel_iommu_probe_device, device_lookup_iommu; \
              drivers/iommu/amd/iommu.c: amd_iommu_probe_device; drivers/vfio/group.c: vfio_group_find_or_alloc",
    },
    predicts: &["iommu-unsupported"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    if !assignment.uses_vfio() {
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    let iommu = &topology.facts().iommu;
    match iommu.state {
        Switch::On => {
            for (_, function) in by_vfio(topology, assignment, findings) {
                findings.fine(function.address, format!("it is in IOMMU group {}", word(&function.group)));
                findings.push_all(uncovered(topology, function));
            }
        }
        Switch::Off if iommu.vendor == IommuVendor::None => findings.push(no_table()),
        Switch::Off | Switch::Unknown => {
            let state = iommu.state.name();
            findings.skip(Subject::Host, format!("the IOMMU is {state}: see iommu-disabled"));
        }
    }
}

fn uncovered(topology: &Topology, function: &FunctionFacts) -> Option<Finding> {
    let address = function.address;
    let unprotected =
        |group| topology.facts().iommu.groups.get(group).is_some_and(crate::facts::GroupFacts::is_no_iommu);
    match &function.group {
        Fact::Known(group) if unprotected(group) => Some(
            Finding::new(
                &RULE,
                Severity::Blocks,
                address,
                "its group is one of VFIO's no-IOMMU mode, which QEMU cannot use",
            )
            .shown(format!("/sys/kernel/iommu_groups/{group}/name"), "vfio-noiommu")
            .remedy(RemedyKind::Hardware, "use another slot, or hand over the controller above"),
        ),
        Fact::Known(_) => None,
        Fact::Absent => Some(
            Finding::new(&RULE, Severity::Blocks, address, "the IOMMU does not cover this function")
                .shown(format!("/sys/bus/pci/devices/{address}"), "no iommu_group; other functions have one")
                .remedy(RemedyKind::Hardware, "use another slot, or hand over the controller above"),
        ),
        group @ Fact::Unreadable(_) => {
            let needs = "whether the IOMMU covers this function";
            Some(cannot_know(Subject::Device(address), needs, fault(group)))
        }
    }
}

fn no_table() -> Finding {
    let summary = "the firmware shows no IOMMU: switched off, or the machine has none";
    let why = "A firmware switch that is off hides the table, so both look alike from within. If the setup has no such \
               switch, the machine has no IOMMU and no software helps.";
    Finding::new(&RULE, Severity::Notes, Subject::Host, summary)
        .because(why)
        .shown("/sys/firmware/acpi/tables", "no DMAR, IVRS, IORT or VIOT")
        .remedy(RemedyKind::Firmware, "look for VT-d, IOMMU, AMD-Vi or SMMU in the firmware setup")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_function_without_a_group_is_blocked_where_others_have_one() {
        let host = "iommu on\ndevice 0000:00:02.0 class=030000\ndevice 0000:01:00.0 class=010802 group=3";
        let said = check_rule(&RULE, host, "0000:00:02.0 0000:01:00.0");
        assert_eq!(said, ["blocks 0000:00:02.0: the IOMMU does not cover this function"]);
    }

    #[test]
    fn a_group_that_nobody_told_is_noted() {
        let said = check_rule(&RULE, "iommu on\ndevice 0000:00:02.0 unread=group", "0000:00:02.0");
        assert_eq!(said, ["notes 0000:00:02.0: cannot tell: whether the IOMMU covers this function"]);
    }

    #[test]
    fn a_machine_without_a_table_is_noted_beside_the_blocking_rule() {
        let said = check_rule(&RULE, "iommu off vendor=none\ndevice 0000:00:02.0", "0000:00:02.0");
        assert_eq!(said, ["notes host: the firmware shows no IOMMU: switched off, or the machine has none"]);
    }

    #[test]
    fn a_table_that_is_there_says_nothing() {
        assert!(check_rule(&RULE, "iommu off vendor=intel\ndevice 0000:00:02.0", "0000:00:02.0").is_empty());
    }
}
