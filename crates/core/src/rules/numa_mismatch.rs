//! `numa-mismatch`: the VM's functions hang on different memory nodes, or not on the one that it would run on.

use std::collections::BTreeMap;

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, VmAssignment};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "numa-mismatch",
    page: Page {
        what: "The host has several memory nodes. A guest whose memory or processors are on another node than its \
              device works, with less throughput and more latency.",
        why: "Each node has its own root ports. DMA to another node's memory and interrupts to its processors cross \
              the link between the sockets.",
        fix: "Run the VM on the node of its device (numactl --cpunodebind=N --membind=N, <numatune> in libvirt), and \
              give one VM devices of one node.",
        source: "Documentation/ABI/testing/sysfs-bus-pci: numa_node; drivers/acpi/pci_root.c: _PXM; numactl(8)",
    },
    predicts: &["numa-mismatch"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let mut nodes: Vec<u32> = topology.functions().filter_map(|f| f.numa_node.known().copied()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.len() < 2 {
        findings.skip(super::Subject::Host, "the host has one NUMA node, or does not tell");
        return;
    }
    for vm in &assignment.vms {
        findings.push_all(of_vm(topology, vm));
    }
}

fn of_vm(topology: &Topology, vm: &VmAssignment) -> Option<Finding> {
    let mut by_node: BTreeMap<u32, Vec<PciAddress>> = BTreeMap::new();
    for address in &vm.devices {
        if let Some(node) = topology.function(*address).and_then(|f| f.numa_node.known()) {
            by_node.entry(*node).or_default().push(*address);
        }
    }
    let (first, _) = by_node.first_key_value()?;
    let (severity, summary) = if by_node.len() > 1 {
        let list: Vec<String> = by_node.keys().map(ToString::to_string).collect();
        (
            Severity::Warns,
            format!("its devices hang on memory nodes {}: one is always far", list.join(" and ")),
        )
    } else {
        (Severity::Notes, format!("its devices hang on memory node {first}: run it there"))
    };
    let mut finding = Finding::new(&RULE, severity, &vm.name, summary);
    for (node, devices) in &by_node {
        for device in devices {
            finding = finding.shown(format!("/sys/bus/pci/devices/{device}/numa_node"), node.to_string());
        }
    }
    let text = format!("bind processors and memory of the VM to node {first}");
    Some(finding.remedy(RemedyKind::HostChange, text))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:17:00.0 numa=0\ndevice 0000:b1:00.0 numa=1\ndevice 0000:b2:00.0 numa=1";

    #[test]
    fn devices_of_two_nodes_in_one_machine_are_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:17:00.0 0000:b1:00.0");
        assert_eq!(said, ["warns vm1: its devices hang on memory nodes 0 and 1: one is always far"]);
    }

    #[test]
    fn one_of_several_nodes_is_noted() {
        let said = check_rule(&RULE, HOST, "0000:b1:00.0 0000:b2:00.0");
        assert_eq!(said, ["notes vm1: its devices hang on memory node 1: run it there"]);
    }

    #[test]
    fn a_host_of_one_node_is_quiet() {
        let host = HOST.replace("numa=1", "numa=0");
        assert!(check_rule(&RULE, &host, "0000:17:00.0 0000:b1:00.0").is_empty());
    }
}
