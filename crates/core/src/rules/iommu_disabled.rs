//! `iommu-disabled`: there is no DMA remapping on this host, so no device can be handed over.

use super::{
    Assignment, Evidence, Finding, Findings, Page, Remedy, RemedyKind, Rule, Severity, Subject, cannot_know,
};
use crate::facts::{IommuVendor, Switch};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "iommu-disabled",
    page: Page {
        what: "The host's IOMMU is not in use. No function is in an IOMMU group, binding to vfio-pci fails with \
              error -22, and no VM can be given a device.",
        why: "VFIO lets a guest program a device's DMA only where an IOMMU confines it. The IOMMU may be switched \
              off in the firmware, not asked for on the kernel command line (Intel needs intel_iommu=on unless the \
              kernel defaults to on), or its table may be broken. The line \"DMAR: IOMMU enabled\" only echoes the \
              parameter.",
        fix: "Switch on VT-d (Intel) or IOMMU/AMD-Vi (AMD) in the firmware setup; on Intel add intel_iommu=on to the \
              kernel command line; reboot.",
        source: "drivers/iommu/intel/iommu.c: intel_iommu_setup, intel_iommu_init; drivers/vfio/vfio_main.c: \
              __vfio_register_dev; Documentation/admin-guide/kernel-parameters.txt",
    },
    predicts: &["iommu-disabled"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    if assignment.devices().next().is_none() {
        findings.skip(Subject::Host, "no function is handed over");
        return;
    }
    // Xen keeps the IOMMU to itself: its dom0 has no groups, whatever the IOMMU does.
    let told = topology.facts().iommu.evidence.iter().any(|(_, text)| text.contains("I/O virtualisation"));
    if !assignment.uses_vfio() && !told {
        let needs = "whether Xen uses the IOMMU (xl dmesg says \"I/O virtualisation enabled\")";
        findings.push(cannot_know(Subject::Host, needs, None));
        return;
    }
    let iommu = &topology.facts().iommu;
    let evidence =
        || iommu.evidence.iter().map(|(source, text)| Evidence::new(source.clone(), text.clone())).collect();
    match iommu.state {
        Switch::On => {
            let (groups, vendor) = (iommu.groups.len(), iommu.vendor.name());
            let seen = iommu
                .evidence
                .first()
                .map_or_else(String::new, |(place, text)| format!(" ({place}: {text})"));
            findings
                .fine(Subject::Host, format!("the IOMMU is in use: {vendor}, {groups} groups listed{seen}"));
        }
        Switch::Unknown => findings.push(Finding {
            evidence: evidence(),
            ..cannot_know(Subject::Host, "whether the IOMMU is in use", None)
        }),
        Switch::Off => findings.push(Finding {
            rule: RULE.id,
            severity: Severity::Blocks,
            subject: Subject::Host,
            summary: "the IOMMU is not in use: no device can be handed to a VM".to_owned(),
            why: RULE.page.why.to_owned(),
            evidence: evidence(),
            remedies: remedies(iommu.vendor, topology.facts().kernel.words("intel_iommu").next()),
        }),
    }
}

fn remedies(vendor: IommuVendor, intel_word: Option<&str>) -> Vec<Remedy> {
    let firmware = Remedy::new(
        RemedyKind::Firmware,
        "switch on VT-d (Intel) or IOMMU / AMD-Vi (AMD) in the firmware setup",
    );
    let parameter =
        Remedy::new(RemedyKind::HostChange, "add intel_iommu=on to the kernel command line and reboot");
    match (vendor, intel_word) {
        (IommuVendor::Intel, None | Some("intel_iommu=off")) => vec![parameter, firmware],
        (IommuVendor::Unknown | IommuVendor::None, None) => vec![firmware, parameter],
        _ => vec![firmware],
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_host_without_iommu_is_blocked() {
        let said = check_rule(&RULE, "iommu off\ndevice 0000:00:04.0 class=010000", "0000:00:04.0");
        assert_eq!(said, ["blocks host: the IOMMU is not in use: no device can be handed to a VM"]);
    }

    #[test]
    fn a_host_of_which_nobody_knows_is_noted_not_passed() {
        let said = check_rule(&RULE, "iommu unknown\ndevice 0000:00:04.0 class=010000", "0000:00:04.0");
        assert_eq!(said, ["notes host: cannot tell: whether the IOMMU is in use"]);
    }

    #[test]
    fn a_host_with_iommu_is_quiet() {
        assert!(check_rule(&RULE, "iommu on\ndevice 0000:00:04.0 class=010000", "0000:00:04.0").is_empty());
    }

    #[test]
    fn under_xen_missing_groups_say_nothing() {
        let host = "vm backend=xen\niommu off\ndevice 0000:00:04.0";
        assert!(
            check_rule(&RULE, host, "0000:00:04.0")[0].starts_with("notes host: cannot tell: whether Xen")
        );
    }

    #[test]
    fn a_partition_without_devices_needs_no_iommu() {
        assert!(check_rule(&RULE, "iommu off", "").is_empty());
    }
}
