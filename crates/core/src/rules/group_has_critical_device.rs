//! `group-has-critical-device`: what would have to leave the host with the function is what the host lives on.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, by_vfio, cannot_know,
    missing_storage, word,
};
use crate::pci::PciAddress;
use crate::topology::{DependentKind, Topology};

pub(super) const RULE: Rule = Rule {
    id: "group-has-critical-device",
    page: Page {
        what: "The function's IOMMU group also holds the controller of the host's own disk, or the network card of \
              its default route. The group can only be handed over whole, and the host cannot do without that \
              member.",
        why: "All members of a group leave the host together. Boards put chipset functions, or every slot behind one \
              switch, into one group, and unbinding \"the others\" as advised everywhere would take the root file \
              system away.",
        fix: "Move the card to a slot that has a group of its own (often one wired to the processor), or move the \
              host's disk or network to another controller.",
        source: "drivers/iommu/iommu.c: pci_device_group, iommu_group_claim_dma_owner; /proc/self/mountinfo and \
              /proc/net/route followed down to PCI functions",
    },
    predicts: &["group-not-viable"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let mut told = Vec::new();
    for (_, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        let Some(group) = function.group.known() else {
            findings.skip(address, format!("its IOMMU group: {}", word(&function.group)));
            continue;
        };
        if told.contains(group) {
            findings.skip(address, format!("IOMMU group {group} is told of with another of its members"));
            continue;
        }
        told.push(*group);
        let critical: Vec<(PciAddress, String)> = topology
            .group_members(address)
            .iter()
            .filter(|member| !assignment.takes(**member))
            .filter_map(|member| needed(topology, *member).map(|what| (*member, what)))
            .collect();
        let others = topology.group_members(address).iter().filter(|m| !assignment.takes(**m)).count();
        if let Some(unread) = missing_storage(topology).first()
            && critical.is_empty()
            && others > 0
        {
            let needs = format!("whether the host lives on another member of IOMMU group {group}");
            findings.push(cannot_know(Subject::Device(address), &needs, Some(unread)));
            continue;
        }
        if critical.is_empty() {
            let text = format!("the host lives on none of {others} other members of IOMMU group {group}");
            findings.fine(address, text);
            continue;
        }
        let list: Vec<String> = critical.iter().map(|(member, what)| format!("{member} ({what})")).collect();
        let summary = format!("IOMMU group {group} also holds what the host lives on: {}", list.join(", "));
        let mut finding = Finding::new(&RULE, Severity::Blocks, address, summary);
        for (member, what) in critical {
            finding = finding
                .shown(format!("/sys/bus/pci/devices/{member}"), format!("iommu_group {group}; {what}"));
        }
        findings.push(
            finding
                .remedy(RemedyKind::Hardware, "move the card to a slot that has an IOMMU group of its own")
                .remedy(RemedyKind::Hardware, "move the host's disk or network to another controller"),
        );
    }
}

fn needed(topology: &Topology, member: PciAddress) -> Option<String> {
    let needed = |kind: &DependentKind| {
        kind.is_vital() || matches!(kind, DependentKind::Network { default_route: true, .. })
    };
    topology.dependents(member).into_iter().find(|dependent| needed(&dependent.kind)).map(|d| d.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=030000 group=1
        device 0000:04:00.0 class=010802 group=1 driver=nvme
        device 0000:05:00.0 class=020000 group=2 driver=igb
        device 0000:06:00.0 class=020000 group=2
        net eth0 function=0000:05:00.0 default
        block nvme0n1 259:0 function=0000:04:00.0
        mount / 259:0 ext4";

    #[test]
    fn a_group_with_the_root_disk_is_blocked() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(
            said,
            [
                "blocks 0000:03:00.0: IOMMU group 1 also holds what the host lives on: 0000:04:00.0 (/ on nvme0n1)"
            ]
        );
    }

    #[test]
    fn a_group_with_the_default_route_is_blocked() {
        assert_eq!(check_rule(&RULE, HOST, "0000:06:00.0").len(), 1);
    }

    #[test]
    fn other_neighbours_are_left_to_their_own_rule() {
        let host = HOST.replace("mount / ", "mount /srv ");
        assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty());
    }
}
