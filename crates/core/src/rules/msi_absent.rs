//! `msi-absent`: the function has its interrupt wire only.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "msi-absent",
    page: Page {
        what: "The function offers neither MSI nor MSI-X. All its interrupts go over one wire, which other devices \
              may share, and each costs the guest some more time: the host masks the line until the guest has \
              answered.",
        why: "A wire is level-triggered. VFIO masks it on arrival and opens it again when the guest's interrupt \
              controller sees the end of the interrupt, a way that messages do not need.",
        fix: "Nothing for old cards. Mind the line: rules about INTx say who shares it.",
        source: "drivers/vfio/pci/vfio_pci_intrs.c: vfio_intx_handler, vfio_pci_intx_unmask_handler; PCI 3.0 §6.8",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let features = function.features();
        let none = features.msi_vectors == Some(0) && features.msix_vectors == Some(0);
        if !none || topology.pin(function.address).is_none() {
            let count =
                |vectors: Option<u16>| vectors.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
            let (msi, msix) = (count(features.msi_vectors), count(features.msix_vectors));
            findings
                .fine(function.address, format!("vectors of MSI {msi}, of MSI-X {msix}, or no pin at all"));
            continue;
        }
        findings.push(
            Finding::new(
                &RULE,
                Severity::Notes,
                function.address,
                "it has neither MSI nor MSI-X: every interrupt takes the wire",
            )
            .shown(format!("/sys/bus/pci/devices/{}/config", function.address), "no capability 05 or 11")
            .remedy(RemedyKind::Hardware, "where interrupts are many, use a device with MSI"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_card_without_messages_is_noted() {
        let said = check_rule(&RULE, "device 0000:02:04.0 pin=1 config=256", "0000:02:04.0");
        assert_eq!(
            said,
            ["notes 0000:02:04.0: it has neither MSI nor MSI-X: every interrupt takes the wire"]
        );
    }

    #[test]
    fn messages_no_pin_or_an_unread_list_are_quiet() {
        for device in [
            "pin=1 config=256,04:00100000,34:40,40:00000005",
            "config=256",
            "pin=1 config=64,04:00100000,34:40",
        ] {
            let host = format!("device 0000:02:04.0 {device}");
            assert!(check_rule(&RULE, &host, "0000:02:04.0").is_empty(), "{device}");
        }
    }
}
