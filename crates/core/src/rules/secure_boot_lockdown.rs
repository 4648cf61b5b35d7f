//! `secure-boot-lockdown`: the kernel forbids user space raw access to PCI devices.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::facts::Lockdown;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "secure-boot-lockdown",
    page: Page {
        what: "The kernel is locked down, mostly because of Secure Boot. Passing devices through works; setpci, \
              writes to config files in sysfs, mmap of resource files and unsigned modules (vendor-reset, patched \
              drivers) do not: \"Lockdown: …: direct PCI access is restricted; see man kernel_lockdown.7\".",
        why: "Who can program a device's DMA past the IOMMU could change the kernel. VFIO is not restricted, because \
              the IOMMU confines what it hands out.",
        fix: "Nothing to do for the hand-over itself. Sign modules that are needed with an enrolled key, or switch \
              Secure Boot off where raw access is wanted.",
        source: "drivers/pci/pci-sysfs.c: pci_write_config, pci_mmap_resource (LOCKDOWN_PCI_ACCESS); \
              security/lockdown/lockdown.c: lockdown_is_locked_down; kernel_lockdown(7)",
    },
    predicts: &["secure-boot-lockdown"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some(lockdown) = topology.facts().platform.lockdown.known() else { return };
    if *lockdown == Lockdown::None || assignment.devices().next().is_none() {
        return;
    }
    let summary = "the kernel is locked down: VFIO works, raw PCI access and unsigned modules do not";
    findings.push(
        Finding::new(&RULE, Severity::Notes, Subject::Host, summary)
            .shown("/sys/kernel/security/lockdown", format!("[{}]", lockdown.name()))
            .remedy(
                RemedyKind::HostChange,
                "sign the modules that are needed with a key enrolled by mokutil",
            ),
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=010802\nplatform lockdown=integrity";

    #[test]
    fn lockdown_is_noted_and_never_more() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(
            said,
            ["notes host: the kernel is locked down: VFIO works, raw PCI access and unsigned modules do not"]
        );
    }

    #[test]
    fn an_open_kernel_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("integrity", "none"), "0000:03:00.0").is_empty());
    }
}
