//! `option-rom-shadow`: what can be read as the card's ROM is the copy that firmware made at boot.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::pci::ROM_INDEX;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "option-rom-shadow",
    page: Page {
        what: "The ROM that the host offers for this function is the copy at 0xc0000 in its own memory, not the \
              card's. The guest runs code that has been run once already: no picture, or QEMU says \"Device option \
              ROM contents are probably invalid\".",
        why: "Firmware copies the video BIOS of the boot display to 0xc0000 and starts it there. It changes itself \
              while it initializes the card, and a UEFI card may have nothing useful there at all.",
        fix: "Boot the host on another display function, so that this one's own ROM can be read; or give QEMU a file \
              (romfile=) with the original.",
        source: "arch/x86/pci/fixup.c: pci_fixup_video (IORESOURCE_ROM_SHADOW); drivers/pci/rom.c: pci_map_rom; QEMU \
              hw/vfio/pci.c: vfio_pci_load_rom",
    },
    predicts: &["option-rom-bar-shadow"],
    check,
};

/// Where video BIOSes are copied to (`pci_fixup_video`).
const SHADOW: std::ops::RangeInclusive<u64> = 0xc_0000..=0xd_ffff;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let resources = function.resources.known().map_or(&[][..], Vec::as_slice);
        let Some(rom) = resources.iter().find(|r| r.index == ROM_INDEX && SHADOW.contains(&r.start)) else {
            let rom = resources.iter().find(|r| r.index == ROM_INDEX);
            let text = rom.map_or_else(
                || "no ROM is told of it".to_owned(),
                |r| format!("its ROM is at {:#x}", r.start),
            );
            findings.fine(function.address, text);
            continue;
        };
        findings.push(
            Finding::new(
                &RULE,
                Severity::Warns,
                function.address,
                "its ROM can be read only as the copy that firmware used",
            )
            .shown(
                format!("/sys/bus/pci/devices/{}/resource", function.address),
                format!("row 6: start {:#x}, size {:#x}", rom.start, rom.size),
            )
            .remedy(RemedyKind::Firmware, "make another display function the first one in the firmware setup")
            .remedy(RemedyKind::SpecChange, "give the guest the original ROM as a file"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000 bars=0:f6000000:1000000:40200,6:c0000:20000:212";

    #[test]
    fn a_shadow_copy_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0");
        assert_eq!(said, ["warns 0000:01:00.0: its ROM can be read only as the copy that firmware used"]);
    }

    #[test]
    fn the_cards_own_rom_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("c0000:20000", "f7000000:80000"), "0000:01:00.0").is_empty());
    }
}
