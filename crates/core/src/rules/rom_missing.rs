//! `rom-missing`: a display function without an option ROM of its own.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::pci::ROM_INDEX;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "rom-missing",
    page: Page {
        what: "The display function has no expansion ROM that a guest could read. The screen stays dark until the \
              guest's own driver starts, so firmware, boot menu and installer are not seen; some drivers need tables \
              from the ROM.",
        why: "Graphics that are part of the board or processor, and cards of laptops, keep their video BIOS inside \
              the system's firmware. The guest's firmware finds a card without code for it.",
        fix: "Give QEMU the ROM as a file (romfile=), taken from the firmware or from a card of the same kind, or \
              live with a serial console until the driver starts.",
        source: "QEMU hw/vfio/pci.c: vfio_pci_size_rom; drivers/pci/rom.c: pci_map_rom; PCI Firmware 3.3 §5",
    },
    predicts: &["rom-invalid"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let vga = function.class.known().is_some_and(|class| class.base_and_sub() == 0x0300);
        let Some(resources) = function.resources.known().filter(|_| vga) else {
            let text =
                format!("it is no VGA display (class {}), or its BARs are not known", word(&function.class));
            findings.skip(function.address, text);
            continue;
        };
        if resources.is_empty() || resources.iter().any(|resource| resource.index == ROM_INDEX) {
            findings.fine(function.address, "it has a ROM, or no BAR at all is told");
            continue;
        }
        findings.push(
            Finding::new(
                &RULE,
                Severity::Notes,
                function.address,
                "it has no option ROM: dark until the guest's driver starts",
            )
            .shown(format!("/sys/bus/pci/devices/{}/resource", function.address), "no row 6")
            .remedy(RemedyKind::SpecChange, "give the guest the ROM as a file"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000 bars=0:f6000000:1000000:40200";

    #[test]
    fn a_display_without_a_rom_is_noted() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0");
        assert_eq!(said, ["notes 0000:01:00.0: it has no option ROM: dark until the guest's driver starts"]);
    }

    #[test]
    fn a_rom_other_classes_and_unknown_resources_are_quiet() {
        let with = HOST.replace("40200", "40200,6:f7000000:80000:4e200");
        assert!(check_rule(&RULE, &with, "0000:01:00.0").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("030000", "010802"), "0000:01:00.0").is_empty());
        assert!(check_rule(&RULE, "device 0000:01:00.0 class=030000", "0000:01:00.0").is_empty());
    }
}
