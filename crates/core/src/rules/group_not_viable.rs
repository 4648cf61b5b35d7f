//! `group-not-viable`: another member of the IOMMU group is still used by the host.

use super::{
    Assignment, Evidence, Finding, Findings, Page, Remedy, RemedyKind, Rule, Severity, Subject, by_vfio,
    cannot_know, fault, word,
};
use crate::facts::{Fact, FunctionFacts, KernelVersion};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "group-not-viable",
    page: Page {
        what: "A function of the same IOMMU group is bound to a host driver. QEMU says \"group N is not viable. \
              Please ensure all devices within the iommu_group are bound to their vfio bus driver.\"",
        why: "The members of a group cannot be told apart or kept apart by the IOMMU, so either all of them belong \
              to user space or none. Tolerated beside vfio drivers are members without a driver and those on \
              pci-stub or pcieport; before Linux 5.19 also any bridge.",
        fix: "Hand the other members to the same VM, unbind them from their host driver, or move the card to a slot \
              with a group of its own.",
        source: "drivers/iommu/iommu.c: iommu_group_claim_dma_owner, iommu_device_use_default_domain (5.19 and \
              later); drivers/vfio/vfio.c: vfio_dev_driver_allowed (before)",
    },
    predicts: &["group-not-viable"],
    check,
};

/// From here on ownership is counted, and a bridge's driver matters (commit series of Lu Baolu, 2022).
const OWNERSHIP_COUNTED: KernelVersion = KernelVersion { major: 5, minor: 19 };

/// Drivers that leave DMA alone (`driver_managed_dma`), beside the vfio-pci family.
const TOLERATED: &[&str] = &["pci-stub", "pcieport"];

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let mut told = Vec::new();
    // Xen's dom0 has no groups, and Xen asks for none.
    for (_, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        match &function.group {
            Fact::Known(group) if told.contains(group) => {
                findings.skip(address, format!("IOMMU group {group} is told of with another of its members"));
                continue;
            }
            Fact::Known(group) => told.push(*group),
            Fact::Absent => {
                findings.skip(address, "it is in no IOMMU group");
                continue;
            }
            unreadable @ Fact::Unreadable(_) => {
                let needs = "who is in the function's IOMMU group";
                findings.push(cannot_know(Subject::Device(address), needs, fault(unreadable)));
                continue;
            }
        }
        check_group(topology, assignment, address, findings);
    }
}

fn check_group(topology: &Topology, assignment: &Assignment, address: PciAddress, findings: &mut Findings) {
    let mut untold: Vec<&FunctionFacts> = Vec::new();
    for member in staying(topology, assignment, address) {
        if member.driver.is_unreadable() {
            untold.push(member);
        }
    }
    if let Some(first) = untold.first() {
        let list: Vec<String> = untold.iter().map(|member| member.address.to_string()).collect();
        let (word, verb) = if list.len() == 1 { ("member", "has") } else { ("members", "have") };
        let needs = format!("whether group {word} {} {verb} a driver", list.join(", "));
        findings.push(cannot_know(Subject::Device(address), &needs, fault(&first.driver)));
    }
    let blocking = blocking(topology, assignment, address);
    let others = staying(topology, assignment, address);
    let others: Vec<String> = others.map(|f| format!("{} (driver {})", f.address, word(&f.driver))).collect();
    let seen = if others.is_empty() { "nobody".to_owned() } else { others.join(", ") };
    findings.fine(address, format!("of its IOMMU group stay with the host: {seen}"));
    if !blocking.is_empty() {
        findings.push(blocked(topology, address, &blocking));
    }
}

/// Members of the function's group that stay with the host.
fn staying<'t>(
    topology: &'t Topology,
    assignment: &'t Assignment,
    address: PciAddress,
) -> impl Iterator<Item = &'t FunctionFacts> {
    let members = topology.group_members(address).iter().filter(|member| !assignment.takes(**member));
    members.filter_map(|member| topology.function(*member))
}

/// Members of the function's group that make it not viable.
fn blocking<'t>(
    topology: &'t Topology,
    assignment: &'t Assignment,
    address: PciAddress,
) -> Vec<&'t FunctionFacts> {
    let version = topology.facts().kernel.version();
    staying(topology, assignment, address).filter(|member| !is_tolerated(member, version)).collect()
}

/// Whether all that makes the group not viable is on the card itself, so that it goes along wherever the card goes.
pub(crate) fn is_of_card(topology: &Topology, assignment: &Assignment, address: PciAddress) -> bool {
    let card = address.function_zero();
    let blocking = blocking(topology, assignment, address);
    !blocking.is_empty() && blocking.iter().all(|member| member.address.function_zero() == card)
}

fn is_tolerated(member: &FunctionFacts, version: Option<KernelVersion>) -> bool {
    let Some(driver) = member.driver.known() else { return true };
    let bridge = member.class.known().is_some_and(|class| class.is_pci_bridge());
    let old = version.is_some_and(|version| version < OWNERSHIP_COUNTED);
    // Variant drivers (mlx5-vfio-pci, hisi-acc-vfio-pci …) are vfio drivers too.
    TOLERATED.contains(&driver.as_str()) || driver.is_vfio() || (bridge && old)
}

fn blocked(topology: &Topology, address: PciAddress, blocking: &[&FunctionFacts]) -> Finding {
    let names: Vec<String> = blocking.iter().map(|member| with_driver(member)).collect();
    let group = topology.function(address).and_then(|f| f.group.known()).map_or(0, |group| group.0);
    let evidence = blocking.iter().map(|member| {
        Evidence::new(
            format!("/sys/bus/pci/devices/{}", member.address),
            format!("iommu_group {group}, driver {}", member.driver.known().map_or("none", |d| d.as_str())),
        )
    });
    let endpoints = blocking.iter().filter(|m| !m.class.known().is_some_and(|class| class.is_pci_bridge()));
    let mut remedies: Vec<Remedy> = Vec::new();
    let addresses: Vec<String> = endpoints.map(|member| member.address.to_string()).collect();
    if !addresses.is_empty() {
        let list = addresses.join(", ");
        remedies.push(Remedy::new(RemedyKind::SpecChange, format!("hand {list} to the same VM as well")));
        let steps = blocking.iter().map(|m| format!("unbind {}", with_driver(m))).collect();
        let text = format!("release {list} from the host: it must do without while the VM runs");
        remedies.push(Remedy::new(RemedyKind::HostChange, text).with_steps(steps));
    }
    if blocking.iter().any(|member| member.address.function_zero() != address.function_zero()) {
        let text = "move the card to a slot that has an IOMMU group of its own";
        remedies.push(Remedy::new(RemedyKind::Hardware, text));
    }
    // A bridge's driver alone matters from some release on.
    let in_doubt = topology.facts().kernel.version().is_none() && addresses.is_empty();
    Finding {
        rule: RULE.id,
        severity: if in_doubt { Severity::Warns } else { Severity::Blocks },
        subject: Subject::Device(address),
        summary: format!("IOMMU group {group} is not viable: {} still on a host driver", names.join(", ")),
        why: RULE.page.why.to_owned(),
        evidence: evidence.collect(),
        remedies,
    }
}

fn with_driver(member: &FunctionFacts) -> String {
    match member.driver.known() {
        Some(driver) => format!("{} ({driver})", member.address),
        None => member.address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{check_all, check_rule};
    use super::*;
    use crate::topology::fixture::BENCH;

    #[test]
    fn a_neighbour_on_its_host_driver_blocks() {
        let host = BENCH.replace("irq=10 group=8", "irq=10 group=8 driver=8139cp");
        let said = check_rule(&RULE, &host, "0000:02:04.0");
        assert_eq!(
            said,
            [
                "blocks 0000:02:04.0: IOMMU group 8 is not viable: 0000:02:0a.0 (8139cp) still on a host driver"
            ]
        );
    }

    #[test]
    fn a_neighbour_without_driver_and_a_bare_bridge_are_fine() {
        assert!(check_rule(&RULE, BENCH, "0000:02:04.0").is_empty());
    }

    #[test]
    fn xen_knows_no_groups() {
        let host = BENCH.replace("irq=10 group=8", "irq=10 group=8 driver=8139cp");
        assert!(check_rule(&RULE, &format!("vm backend=xen\n{host}"), "0000:02:04.0").is_empty());
    }

    #[test]
    fn a_neighbour_that_goes_along_is_fine() {
        let host = BENCH.replace("irq=10 group=8", "irq=10 group=8 driver=8139cp");
        assert!(check_rule(&RULE, &host, "0000:02:04.0 0000:02:0a.0").is_empty());
    }

    #[test]
    fn a_bridge_with_a_driver_blocks_since_ownership_is_counted() {
        let host = BENCH.replace("group=8 parent=0000:00:03.0", "group=8 driver=shpchp parent=0000:00:03.0");
        assert_eq!(check_rule(&RULE, &host, "0000:02:04.0").len(), 1);
        let before = host.replace("6.1.0-56-amd64", "5.10.0-20-amd64");
        assert!(check_rule(&RULE, &before, "0000:02:04.0").is_empty());
        let unknown = host.replace("kernel 6.1.0-56-amd64", "");
        assert!(check_rule(&RULE, &unknown, "0000:02:04.0")[0].starts_with("warns"));
    }

    #[test]
    fn functions_of_the_card_itself_are_with_it_in_any_slot() {
        let host = "device 0000:01:00.0 class=030000 group=17\ndevice 0000:01:00.1 class=040300 group=17 driver=snd_hda_intel";
        let hardware = |host: &str| {
            let findings = check_all(host, "0000:01:00.0");
            let finding = findings.iter().find(|finding| finding.rule == RULE.id).expect("it blocks");
            finding.remedies.iter().any(|remedy| remedy.kind == RemedyKind::Hardware)
        };
        assert!(!hardware(host));
        assert!(hardware(&format!("{host}\ndevice 0000:00:02.0 class=0c0330 group=17 driver=xhci_hcd")));
    }

    #[test]
    fn members_that_nothing_is_known_of_are_told_of_at_once() {
        let host = "device 0000:01:00.0 group=17\ndevice 0000:01:00.1 group=17 unread=driver\n\
            device 0000:01:00.2 group=17 unread=driver";
        assert_eq!(
            check_rule(&RULE, host, "0000:01:00.0"),
            [
                "notes 0000:01:00.0: cannot tell: whether group members 0000:01:00.1, 0000:01:00.2 have a driver"
            ]
        );
    }

    #[test]
    fn members_on_other_vfio_drivers_are_fine() {
        for driver in ["vfio-pci", "mlx5-vfio-pci", "pci-stub", "mlx5_vfio_pci"] {
            let host = BENCH.replace("irq=10 group=8", &format!("irq=10 group=8 driver={driver}"));
            assert!(check_rule(&RULE, &host, "0000:02:04.0").is_empty(), "{driver}");
        }
    }
}
