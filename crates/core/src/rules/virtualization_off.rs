//! `virtualization-off`: the processor's own virtualization cannot be used.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::facts::{Fact, Origin, SourceKind};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "virtualization-off",
    page: Page {
        what: "The processor offers neither VT-x nor AMD-V. KVM does not start (\"kvm: support for 'kvm_intel' \
              disabled by bios\"); a guest runs only translated, tens of times slower.",
        why: "VT-x / SVM is another firmware switch than VT-d / IOMMU, and in a virtual machine the hypervisor must \
              offer it. The devices themselves can be handed over without it.",
        fix: "Switch on Intel Virtualization Technology (VT-x) or SVM in the firmware setup; in a virtual machine, \
              allow nested virtualization on its host.",
        source: "arch/x86/kernel/cpu/feat_ctl.c: init_ia32_feat_ctl; arch/x86/kvm/vmx/vmx.c: kvm_is_vmx_supported; \
              arch/x86/kvm/svm/svm.c: kvm_is_svm_supported",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let virtualization = &topology.facts().platform.virtualization;
    if !assignment.uses_vfio() {
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    match virtualization {
        Fact::Known(true) => {
            findings.fine(Subject::Host, "vmx or svm is among the flags of the processor");
            return;
        }
        Fact::Known(false) => {}
        Fact::Absent => {
            findings.skip(Subject::Host, "the processor prints no flags: it is no x86, or was not read");
            return;
        }
        Fact::Unreadable(fault) => {
            findings.skip(Subject::Host, format!("the processor's flags are not known: {fault}"));
            return;
        }
    }
    let (place, text) = match topology.facts().origin {
        Origin::Saved { kind: SourceKind::Log, .. } => ("kernel log", "disabled by firmware"),
        _ => ("/proc/cpuinfo", "flags have neither vmx nor svm"),
    };
    findings.push(
        Finding::new(
            &RULE,
            Severity::Warns,
            Subject::Host,
            "the processor's virtualization is off: guests are translated",
        )
        .shown(place, text)
        .remedy(
            RemedyKind::Firmware,
            "switch on VT-x (Intel) or SVM (AMD), which is not the switch of the IOMMU",
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=010802\nplatform virtualization=off";

    #[test]
    fn a_processor_without_virtualization_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["warns host: the processor's virtualization is off: guests are translated"]);
    }

    #[test]
    fn virtualization_that_is_on_or_untold_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("=off", "=on"), "0000:03:00.0").is_empty());
        assert!(check_rule(&RULE, "device 0000:03:00.0", "0000:03:00.0").is_empty());
    }
}
