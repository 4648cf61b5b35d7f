//! `numa-mismatch`: the VM's functions hang on different memory nodes, or not on the one that it would run on.

use std::collections::{BTreeMap, BTreeSet};

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
        fix: "Run the VM on the node of its device, and give one VM devices of one node. `node` in the spec binds its memory and \
              its processors there (by hand numactl --cpunodebind=N --membind=N, <numatune> and <vcpupin> in libvirt).",
        source: "Documentation/ABI/testing/sysfs-bus-pci: numa_node; drivers/acpi/pci_root.c: _PXM; numactl(8)",
    },
    predicts: &["numa-mismatch"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let told = topology.functions().filter_map(|f| f.numa_node.known().copied());
    let memory = topology.facts().platform.memory.nodes.known();
    let nodes: BTreeSet<u32> = told.chain(memory.into_iter().flatten().map(|(node, _)| *node)).collect();
    for vm in &assignment.vms {
        let absent = vm.node.filter(|node| !nodes.contains(node));
        if let Some(node) = absent.filter(|_| !nodes.is_empty()) {
            findings.push(no_node(vm, node, &nodes));
        } else if nodes.len() < 2 {
            let text = match nodes.first() {
                Some(node) => format!("the host has memory node {node} alone"),
                None => "the source tells of no memory nodes".to_owned(),
            };
            findings.skip(&vm.name, text);
        } else {
            findings.fine(&vm.name, "what is known of its devices' memory nodes agrees with its own");
            findings.push_all(of_vm(topology, vm));
        }
    }
    for (node, memory) in memory.into_iter().flatten() {
        findings.push_all(too_much_for(assignment, *node, memory.total_bytes));
    }
}

fn no_node(vm: &VmAssignment, node: u32, nodes: &BTreeSet<u32>) -> Finding {
    let list: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let summary = format!("it shall run on memory node {node}, the host has {}", list.join(", "));
    Finding::new(&RULE, Severity::Blocks, &vm.name, summary)
        .shown("/sys/devices/system/node", format!("no node{node}"))
        .remedy(RemedyKind::SpecChange, format!("node = {} in the spec", list.join(" or ")))
}

/// VMs of one node that want more memory than it has.
fn too_much_for(assignment: &Assignment, node: u32, has: u64) -> Option<Finding> {
    let there: Vec<&VmAssignment> = assignment.vms.iter().filter(|vm| vm.node == Some(node)).collect();
    let wanted: u64 = there.iter().map(|vm| vm.memory.bytes()).sum();
    let last = there.last().filter(|_| wanted > has)?;
    let summary =
        format!("the VMs of memory node {node} want {} MiB, it has {} MiB", wanted >> 20, has >> 20);
    let finding = Finding::new(&RULE, Severity::Warns, &last.name, summary).shown(
        format!("/sys/devices/system/node/node{node}/meminfo"),
        format!("MemTotal: {} kB", has / 1024),
    );
    Some(finding.remedy(RemedyKind::SpecChange, "give them less memory, or run one on another node"))
}

fn of_vm(topology: &Topology, vm: &VmAssignment) -> Option<Finding> {
    let mut by_node: BTreeMap<u32, Vec<PciAddress>> = BTreeMap::new();
    for address in &vm.devices {
        if let Some(node) = topology.function(*address).and_then(|f| f.numa_node.known()) {
            by_node.entry(*node).or_default().push(*address);
        }
    }
    let (first, _) = by_node.first_key_value()?;
    let list: Vec<String> = by_node.keys().map(ToString::to_string).collect();
    let (severity, summary) = match vm.node {
        Some(node) if by_node.keys().all(|one| *one == node) => return None,
        _ if by_node.len() > 1 => (
            Severity::Warns,
            format!("its devices hang on memory nodes {}: one is always far", list.join(" and ")),
        ),
        Some(node) => {
            (Severity::Warns, format!("its devices hang on memory node {first}, it shall run on {node}"))
        }
        None => (Severity::Notes, format!("its devices hang on memory node {first}: run it there")),
    };
    let mut finding = Finding::new(&RULE, severity, &vm.name, summary);
    for (node, devices) in &by_node {
        for device in devices {
            finding = finding.shown(format!("/sys/bus/pci/devices/{device}/numa_node"), node.to_string());
        }
    }
    Some(if vm.node == Some(*first) {
        finding.remedy(RemedyKind::SpecChange, "give it devices of one node")
    } else {
        let text =
            format!("node = {first} in the spec: memory and processors of the VM are then of that node");
        finding.remedy(RemedyKind::SpecChange, text)
    })
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
    fn the_specs_node_is_held_against_the_devices() {
        let on = |node: u32| format!("vm node={node}\n{HOST}");
        assert!(check_rule(&RULE, &on(1), "0000:b1:00.0 0000:b2:00.0").is_empty());
        assert_eq!(
            check_rule(&RULE, &on(0), "0000:b1:00.0"),
            ["warns vm1: its devices hang on memory node 1, it shall run on 0"]
        );
        assert_eq!(
            check_rule(&RULE, &on(3), "0000:b1:00.0"),
            ["blocks vm1: it shall run on memory node 3, the host has 0, 1"]
        );
    }

    #[test]
    fn machines_of_one_node_may_not_want_more_than_it_has() {
        let host = format!("vm node=1 memory=6G\nmemory 16384 15000 8192 8192\n{HOST}");
        assert_eq!(
            check_rule(&RULE, &host, "0000:b1:00.0 | 0000:b2:00.0"),
            ["warns vm2: the VMs of memory node 1 want 12288 MiB, it has 8192 MiB"]
        );
        assert!(check_rule(&RULE, &host, "0000:b1:00.0").is_empty());
    }

    #[test]
    fn a_host_of_one_node_is_quiet() {
        let host = HOST.replace("numa=1", "numa=0");
        assert!(check_rule(&RULE, &host, "0000:17:00.0 0000:b1:00.0").is_empty());
    }
}
