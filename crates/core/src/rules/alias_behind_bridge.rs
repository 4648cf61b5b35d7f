//! `alias-behind-bridge`: the IOMMU sees the bridge's id, not the function's.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::{DmaAlias, Topology};

pub(super) const RULE: Rule = Rule {
    id: "alias-behind-bridge",
    page: Page {
        what: "The function is on conventional PCI behind a bridge. Its DMA arrives under the bridge's id, so faults \
              in the kernel log name that id (often BB:00.0, which no device has), and all cards behind the bridge \
              share one group.",
        why: "Conventional PCI carries no id of the requester. A PCIe-to-PCI bridge puts its secondary bus number \
              with device 0, function 0 in; a PCI-to-PCI bridge its own id.",
        fix: "Nothing needs fixing: read DMA faults of the alias as this card's, and hand all cards behind the \
              bridge to one VM.",
        source: "drivers/pci/search.c: pci_for_each_dma_alias; PCI Express to PCI/PCI-X Bridge 1.0 §2.3",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for address in assignment.devices() {
        let Some(DmaAlias { bridge, seen_as }) = topology.dma_alias(address) else {
            findings.fine(address, "no conventional bridge above it that is known puts its own id in");
            continue;
        };
        let summary = format!("its DMA is seen as {seen_as}, the id of the bridge {bridge}");
        let neighbours: Vec<String> = topology
            .group_members(address)
            .iter()
            .filter(|member| **member != address && **member != bridge)
            .map(ToString::to_string)
            .collect();
        let mut finding = Finding::new(&RULE, Severity::Notes, address, summary).shown(
            format!("/sys/bus/pci/devices/{address}"),
            format!("no PCI Express capability, behind {bridge}"),
        );
        if !neighbours.is_empty() {
            finding = finding.remedy(
                RemedyKind::SpecChange,
                format!("cards that need another owner must leave this bridge: {}", neighbours.join(", ")),
            );
        }
        findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:00:1c.0 class=060400 express
        device 0000:02:00.0 class=060400 express parent=0000:00:1c.0 group=14
        device 0000:03:04.0 class=010000 conventional parent=0000:02:00.0 group=14
        device 0000:05:00.0 class=010802 express parent=0000:00:1c.0 group=15";

    #[test]
    fn a_card_behind_a_pcie_to_pci_bridge_is_seen_as_device_0_of_its_bus() {
        let said = check_rule(&RULE, HOST, "0000:03:04.0");
        assert_eq!(
            said,
            ["notes 0000:03:04.0: its DMA is seen as 0000:03:00.0, the id of the bridge 0000:02:00.0"]
        );
    }

    #[test]
    fn a_card_behind_a_conventional_bridge_is_seen_as_the_bridge() {
        let host =
            HOST.replace("0000:02:00.0 class=060400 express", "0000:02:00.0 class=060400 conventional");
        // The root port puts the bridge's id through as 02:00.0.
        let said = check_rule(&RULE, &host, "0000:03:04.0");
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("seen as 0000:02:00.0"), "{said:?}");
    }

    #[test]
    fn a_function_that_does_not_answer_is_not_taken_for_conventional() {
        let host = HOST
            .replace("class=010802 express", "class=010802 config=dead")
            .replace("0000:05:00.0", "0000:05:01.0");
        assert!(check_rule(&RULE, &host, "0000:05:01.0").is_empty());
    }

    #[test]
    fn express_functions_speak_for_themselves() {
        assert!(check_rule(&RULE, HOST, "0000:05:00.0").is_empty());
    }
}
