//! `acs-override-in-use`: IOMMU groups are smaller than the hardware warrants.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "acs-override-in-use",
    page: Page {
        what: "The kernel was told to believe in isolation that the hardware does not promise (pcie_acs_override). \
              Groups look separate; devices in them may still reach each other past the IOMMU.",
        why: "Without access control services a switch or multi-function device may pass requests from one function \
              straight to another. A guest's device can then write into a device of the host or of another guest, or \
              such DMA corrupts memory when addresses happen to coincide.",
        fix: "Use slots that are separate without it. Keep it only where all guests are trusted, and never beside \
              devices whose guest addresses overlap BARs of neighbours.",
        source: "out-of-tree patch carried by Proxmox (0004-PCI-Add-pcie_acs_override), zen and Liquorix kernels; \
              drivers/pci/pci.c: pci_acs_enabled; PCIe Base 6.0 §6.12",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    if !assignment.uses_vfio() {
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    let Some(word) = topology.facts().kernel.words("pcie_acs_override").last() else {
        findings.fine(Subject::Host, "pcie_acs_override is not on the kernel command line");
        return;
    };
    // A kernel without the patch ignores the word, which cannot be told from here: the groups are doubtful if it counts.
    findings.push(
        Finding::new(
            &RULE,
            Severity::Warns,
            Subject::Host,
            "IOMMU groups are split by pcie_acs_override, not by the hardware",
        )
        .shown("/proc/cmdline", word)
        .remedy(RemedyKind::HostChange, "take pcie_acs_override off the kernel command line and plan again")
        .remedy(RemedyKind::Hardware, "use a slot whose root port has access control services"),
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn groups_that_were_split_by_word_are_warned_about() {
        let host = "cmdline pcie_acs_override=downstream,multifunction\ndevice 0000:03:00.0";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert_eq!(said, ["warns host: IOMMU groups are split by pcie_acs_override, not by the hardware"]);
    }

    #[test]
    fn groups_as_the_hardware_has_them_are_quiet() {
        assert!(check_rule(&RULE, "cmdline quiet\ndevice 0000:03:00.0", "0000:03:00.0").is_empty());
    }
}
