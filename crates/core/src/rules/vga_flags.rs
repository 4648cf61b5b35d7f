//! `vga-flags`: the guest's firmware reaches the display at the legacy VGA addresses, or cannot.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "vga-flags",
    page: Page {
        what: "A BIOS guest shows its boot screen on a passed card only if the card answers at the legacy VGA \
              addresses (x-vga=on). Two cards cannot both do so, and with vfio-pci's disable_vga=1 none can: \
              \"device does not support requested feature x-vga\".",
        why: "Legacy VGA is one fixed range (0xa0000 to 0xbffff, ports 0x3b0 to 0x3df). The kernel's arbiter hands \
              it to one card at a time; vfio-pci offers it as a region of its own, if built with CONFIG_VFIO_PCI_VGA \
              and not told otherwise.",
        fix: "Use a UEFI guest with a card that has a UEFI ROM, which needs no legacy VGA; for a BIOS guest leave \
              disable_vga off and give one card only.",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_vga_init, vfio_pci_set_decode; QEMU hw/vfio/pci.c: \
              vfio_populate_vga",
    },
    predicts: &["no-vga-arbitration"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let is_vga = |address: &PciAddress| {
        let class = topology.function(*address).and_then(|f| f.class.known());
        class.is_some_and(|class| class.base_and_sub() == 0x0300)
    };
    let disabled = topology.facts().kernel.parameter("vfio_pci", "disable_vga").filter(|value| value.is_on());
    for vm in &assignment.vms {
        let displays: Vec<PciAddress> = vm.devices.iter().copied().filter(is_vga).collect();
        for device in &vm.devices {
            let set = disabled.map_or("not set", |_| "on");
            let count = displays.len();
            findings.fine(*device, format!("VM {} has {count} VGA displays, disable_vga is {set}", vm.name));
        }
        if !vm.uses_vfio() {
            continue;
        }
        let (Some(first), Some(parameter)) = (displays.first(), disabled) else {
            if let [_, second, ..] = displays[..] {
                let summary = format!(
                    "a second display for VM {}: only one can show a BIOS guest's boot screen",
                    vm.name
                );
                let finding = Finding::new(&RULE, Severity::Notes, second, summary);
                findings.push(finding.shown("/sys/bus/pci/devices", "class 0300, twice in one VM"));
            }
            continue;
        };
        findings.push(
            Finding::new(
                &RULE,
                Severity::Notes,
                *first,
                "no legacy VGA: a BIOS guest shows nothing on it, a UEFI guest does",
            )
            .shown(parameter.place.clone(), format!("disable_vga={}", parameter.value))
            .remedy(RemedyKind::HostChange, "load vfio-pci without disable_vga, if the guest boots by BIOS"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000\ndevice 0000:02:00.0 class=030000\ndevice 0000:03:00.0 class=030200";

    #[test]
    fn legacy_vga_that_is_switched_off_is_noted() {
        let host = format!("{HOST}\nparam vfio_pci.disable_vga=Y");
        let said = check_rule(&RULE, &host, "0000:01:00.0");
        assert_eq!(
            said,
            ["notes 0000:01:00.0: no legacy VGA: a BIOS guest shows nothing on it, a UEFI guest does"]
        );
    }

    #[test]
    fn two_displays_in_one_machine_are_noted() {
        assert_eq!(check_rule(&RULE, HOST, "0000:01:00.0 0000:02:00.0").len(), 1);
    }

    #[test]
    fn one_display_each_and_displays_without_vga_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:01:00.0 | 0000:02:00.0").is_empty());
        let host = format!("{HOST}\nparam vfio_pci.disable_vga=Y");
        assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty());
    }
}
