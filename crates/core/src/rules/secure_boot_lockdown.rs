//! `secure-boot-lockdown`: the kernel forbids user space raw access to PCI devices.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::facts::{Fact, Lockdown};
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
    if assignment.devices().next().is_none() {
        findings.skip(Subject::Host, "no function is handed over");
        return;
    }
    let platform = &topology.facts().platform;
    let secure_boot = match platform.firmware.secure_boot.known() {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    let lockdown = match &platform.lockdown {
        Fact::Known(Lockdown::None) => {
            findings
                .fine(Subject::Host, format!("the kernel is not locked down; Secure Boot is {secure_boot}"));
            return;
        }
        Fact::Known(lockdown) => lockdown,
        // A kernel without lockdown has no such file; where firmware checks signatures, distributions lock.
        unknown if secure_boot == "on" => {
            let needs =
                "whether the kernel is locked down (Secure Boot is on; /sys/kernel/security/lockdown tells)";
            findings.push(cannot_know(Subject::Host, needs, fault(unknown)));
            return;
        }
        _ => {
            let text =
                format!("the kernel has no lockdown, or it was not read; Secure Boot is {secure_boot}");
            findings.skip(Subject::Host, text);
            return;
        }
    };
    let summary = "the kernel is locked down: VFIO works, raw PCI access and unsigned modules do not";
    findings.push(
        Finding::new(&RULE, Severity::Notes, Subject::Host, summary)
            .shown("/sys/kernel/security/lockdown", format!("[{}]", lockdown.name()))
            .shown("/sys/firmware/efi/efivars/SecureBoot", format!("Secure Boot is {secure_boot}"))
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
    fn secure_boot_alone_leaves_it_open() {
        let host = HOST.replace("lockdown=integrity", "secureboot=on");
        let said = check_rule(&RULE, &host, "0000:03:00.0");
        assert!(
            said[0].starts_with("notes host: cannot tell: whether the kernel is locked down"),
            "{said:?}"
        );
        let off = HOST.replace("lockdown=integrity", "secureboot=off");
        assert!(check_rule(&RULE, &off, "0000:03:00.0").is_empty());
        let open = HOST.replace("lockdown=integrity", "lockdown=none secureboot=on");
        assert!(check_rule(&RULE, &open, "0000:03:00.0").is_empty());
    }

    #[test]
    fn an_open_kernel_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("integrity", "none"), "0000:03:00.0").is_empty());
    }
}
