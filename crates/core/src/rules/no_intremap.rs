//! `no-intremap`: interrupts are not remapped, so VFIO refuses unless told that unsafe is fine.

use super::{
    Assignment, Evidence, Finding, Findings, Page, Remedy, RemedyKind, Rule, Severity, Subject, cannot_know,
};
use crate::facts::{IommuVendor, Switch};
use crate::topology::Topology;

const MODULE: &str = "vfio_iommu_type1";
const PARAMETER: &str = "allow_unsafe_interrupts";

pub(super) const RULE: Rule = Rule {
    id: "no-intremap",
    page: Page {
        what: "The IOMMU is in use but does not remap interrupts. Opening the device fails: \"No interrupt remapping \
              support. Use the module param allow_unsafe_interrupts …\", QEMU says \"Failed to set iommu for \
              container: Operation not permitted\".",
        why: "A device's message-signalled interrupts are DMA writes. Without remapping a guest could aim them at \
              any vector of the host, so VFIO wants remapping or the administrator's word that the guests are \
              trusted.",
        fix: "Switch on interrupt remapping (or x2APIC) with VT-d / IOMMU in the firmware, update the firmware, \
              remove intremap=off; as a last resort, for trusted guests: options vfio_iommu_type1 \
              allow_unsafe_interrupts=1.",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group; drivers/iommu/iommu.c: \
              iommu_group_has_isolated_msi",
    },
    predicts: &["no-intremap", "unsafe-interrupts-required-note"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let facts = topology.facts();
    if !assignment.uses_vfio() || facts.iommu.state == Switch::Off {
        findings.skip(Subject::Host, "VFIO and the IOMMU are not both in use");
        return;
    }
    if facts.iommu.vendor == IommuVendor::Power {
        findings.skip(Subject::Host, "VFIO does not ask for it on POWER (vfio_iommu_spapr_tce)");
        return;
    }
    let allowed = facts.kernel.parameter(MODULE, PARAMETER).filter(|value| value.is_on());
    match (facts.iommu.interrupt_remapping, allowed) {
        (Switch::On, _) => findings.fine(Subject::Host, "interrupts are remapped"),
        (Switch::Unknown, _) => {
            findings.push(cannot_know(Subject::Host, "whether interrupts are remapped", None));
        }
        (Switch::Off, None) => findings.push(blocked(topology)),
        (Switch::Off, Some(value)) => findings.push(Finding {
            severity: Severity::Notes,
            summary: "works without interrupt remapping, because unsafe interrupts are allowed".to_owned(),
            why: "A guest with a device could inject interrupts into the host. Fine for guests you trust."
                .to_owned(),
            evidence: vec![Evidence::new(value.place.clone(), value.value.clone())],
            remedies: Vec::new(),
            ..blocked(topology)
        }),
    }
}

fn blocked(topology: &Topology) -> Finding {
    let mut evidence: Vec<Evidence> = Vec::new();
    if let Some(line) =
        topology.facts().interrupts.known().and_then(|lines| lines.iter().find(|l| !l.remapped))
    {
        let text = format!("{}: {} (no IR- before the chip's name)", line.irq, line.chip);
        evidence.push(Evidence::new("/proc/interrupts", text));
    }
    let told = topology.facts().iommu.evidence.iter();
    evidence.extend(told.map(|(source, text)| Evidence::new(source.clone(), text.clone())));
    Finding {
        rule: RULE.id,
        severity: Severity::Blocks,
        subject: Subject::Host,
        summary: "interrupts are not remapped: VFIO will refuse the device".to_owned(),
        why: RULE.page.why.to_owned(),
        evidence,
        remedies: vec![
            Remedy::new(
                RemedyKind::Firmware,
                "switch on interrupt remapping (often with VT-d or x2APIC) in the firmware setup, or update the firmware",
            ),
            Remedy::new(
                RemedyKind::HostChange,
                "if you trust the guest, allow unsafe interrupts: options vfio_iommu_type1 allow_unsafe_interrupts=1",
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "iommu on intremap=off\ndevice 0000:00:04.0 class=010000\nirq 23 IO-APIC pin=23 eth1";

    #[test]
    fn power_is_not_asked() {
        let host = "iommu on vendor=power\ndevice 0004:01:00.0 class=020000 group=2";
        assert!(check_rule(&RULE, host, "0004:01:00.0").is_empty());
    }

    #[test]
    fn a_host_without_remapping_is_blocked() {
        let said = check_rule(&RULE, HOST, "0000:00:04.0");
        assert_eq!(said, ["blocks host: interrupts are not remapped: VFIO will refuse the device"]);
    }

    #[test]
    fn allowed_unsafe_interrupts_are_noted() {
        let host = format!("{HOST}\nparam vfio_iommu_type1.allow_unsafe_interrupts=Y");
        let said = check_rule(&RULE, &host, "0000:00:04.0");
        assert_eq!(
            said,
            ["notes host: works without interrupt remapping, because unsafe interrupts are allowed"]
        );
    }

    #[test]
    fn unsafe_interrupts_switched_off_by_value_still_block() {
        let host = format!("{HOST}\nparam vfio_iommu_type1.allow_unsafe_interrupts=N");
        assert!(check_rule(&RULE, &host, "0000:00:04.0")[0].starts_with("blocks"));
    }

    #[test]
    fn remapping_on_is_quiet() {
        assert!(
            check_rule(&RULE, "iommu on intremap=on\ndevice 0000:00:04.0 class=010000", "0000:00:04.0")
                .is_empty()
        );
    }
}
