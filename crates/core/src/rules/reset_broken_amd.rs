//! `reset-broken-amd`: an AMD graphics chip that no standard reset brings back once a guest has used it.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::facts::{ModuleName, ModuleState, ResetMethod};
use crate::pci::PciId;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "reset-broken-amd",
    page: Page {
        what: "The first start of the guest works. After it ends, or crashes, the card does not come back: the next \
              start shows no picture, hangs, or QEMU reads only ff from it. Only suspend or a reboot of the host \
              cures it.",
        why: "These chips keep running firmware that neither a bus reset nor a power state change stops, and the \
              kernel refuses the latter for all AMD graphics cards (quirk_no_pm_reset). The reset that works is a \
              sequence for the chip's own power controller, which the kernel's VFIO does not know.",
        fix: "Load the vendor-reset module on the host (it adds the method device_specific), shut the guest down \
              cleanly rather than killing it, and do not let the host's amdgpu have the card before.",
        source: "gnif/vendor-reset src/device-db.h; drivers/pci/quirks.c: quirk_no_pm_reset (ATI VGA off the root \
              bus)",
    },
    predicts: &["reset-broken-amd"],
    check,
};

/// Chips that vendor-reset has a sequence for. The ids that its table also lists for processors' graphics are left out:
/// those are not reset by that sequence.
const CHIPS: &[(&str, &[u16])] = &[
    (
        "Polaris 10",
        &[
            0x67c0, 0x67c1, 0x67c2, 0x67c4, 0x67c7, 0x67d0, 0x67df, 0x67c8, 0x67c9, 0x67ca, 0x67cc, 0x67cf,
            0x6fdf,
        ],
    ),
    ("Polaris 11", &[0x67e0, 0x67e3, 0x67e8, 0x67eb, 0x67ef, 0x67ff, 0x67e1, 0x67e7, 0x67e9]),
    ("Polaris 12", &[0x6980, 0x6981, 0x6985, 0x6986, 0x6987, 0x6995, 0x6997, 0x699f]),
    (
        "Vega 10",
        &[
            0x6860, 0x6861, 0x6862, 0x6863, 0x6864, 0x6867, 0x6868, 0x6869, 0x686a, 0x686b, 0x686c, 0x686d,
            0x686e, 0x686f, 0x687f,
        ],
    ),
    ("Vega 20", &[0x66a0, 0x66a1, 0x66a2, 0x66a3, 0x66a4, 0x66a7, 0x66af]),
    ("Navi 10", &[0x7310, 0x7312, 0x7318, 0x7319, 0x731a, 0x731b, 0x731e, 0x731f]),
    ("Navi 14", &[0x7340, 0x7341, 0x7347, 0x734f]),
    ("Navi 12", &[0x7360, 0x7362]),
];

/// Vendor id of AMD's graphics (ATI).
const ATI: u16 = 0x1002;

fn chip(id: PciId) -> Option<&'static str> {
    let listed = CHIPS.iter().find(|(_, devices)| devices.contains(&id.device));
    listed.filter(|_| id.vendor == ATI).map(|(name, _)| *name)
}

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let modules = topology.facts().kernel.modules.known();
    let loaded = ModuleName::new("vendor_reset")
        .is_ok_and(|name| modules.and_then(|m| m.get(&name)) == Some(&ModuleState::Loaded));
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let Some((id, chip)) = function.id.known().and_then(|id| Some((id, chip(*id)?))) else {
            let text = format!("{} is none of the AMD chips that are known for it", word(&function.id));
            findings.skip(function.address, text);
            continue;
        };
        let specific =
            function.reset_methods.known().is_some_and(|m| m.contains(&ResetMethod::DeviceSpecific));
        if loaded || specific {
            let how =
                if loaded { "vendor-reset is loaded" } else { "the kernel has a reset of its own for it" };
            findings.fine(function.address, format!("{chip}: {how}"));
            continue;
        }
        findings.push(
            Finding::new(
                &RULE,
                Severity::Warns,
                function.address,
                format!("{chip} does not come back after its guest ends"),
            )
            .shown(format!("/sys/bus/pci/devices/{}", function.address), id.to_string())
            .remedy(RemedyKind::HostChange, "load the vendor-reset module before the first guest starts"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=030000 id=1002:67df reset=";

    #[test]
    fn a_polaris_card_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["warns 0000:03:00.0: Polaris 10 does not come back after its guest ends"]);
    }

    #[test]
    fn vendor_reset_cures_it() {
        assert!(check_rule(&RULE, &format!("{HOST}\nmodule vendor_reset loaded"), "0000:03:00.0").is_empty());
        assert!(
            check_rule(&RULE, &HOST.replace("reset=", "reset=device_specific"), "0000:03:00.0").is_empty()
        );
    }

    #[test]
    fn later_chips_and_other_vendors_are_quiet() {
        for id in ["1002:744c", "10de:67df"] {
            assert!(check_rule(&RULE, &HOST.replace("1002:67df", id), "0000:03:00.0").is_empty(), "{id}");
        }
    }
}
