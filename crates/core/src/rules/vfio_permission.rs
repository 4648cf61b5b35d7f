//! `vfio-permission`: QEMU, run by this user, may not open the function.

use std::collections::BTreeSet;

use super::permission::{Leave, leave, node, shown};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, VmAssignment, by_vfio, word};
use crate::facts::Fact;
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "vfio-permission",
    page: Page {
        what: "QEMU says \"Could not open '/dev/vfio/N': Permission denied\"; or, for a virtual function whose \
              physical one is on vfio-pci, opening fails and the kernel says \"VF token required to access device\".",
        why: "The node of a group belongs to root and is readable by nobody else (mode 0600) until a udev rule says \
              otherwise. Whoever holds a physical function can disturb its virtual ones, so both must show the same \
              token.",
        fix: "Run the VM as root, let libvirt run it, or give the node to a group by a udev rule: \
              SUBSYSTEM==\"vfio\", GROUP=\"vfio\", MODE=\"0660\". Give QEMU the token (vf-token=UUID) for virtual \
              functions, or leave the physical one with its host driver.",
        source: "drivers/vfio/group.c: vfio_devnode; drivers/vfio/pci/vfio_pci_core.c: vfio_pci_validate_vf_token; \
              QEMU hw/vfio/container.c: vfio_group_get",
    },
    predicts: &["vfio-permission"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for vm in &assignment.vms {
        of_user(topology, vm, findings);
    }
    for (_, function) in by_vfio(topology, assignment, findings) {
        let (address, physical) = (function.address, &function.sriov.physical_function);
        let Some(physical) = physical.known() else {
            findings.fine(address, "it is no virtual function, which a token could be wanted for");
            continue;
        };
        let driver = topology.function(*physical).map(|f| &f.driver);
        if driver.and_then(Fact::known).is_some_and(crate::facts::DriverName::is_vfio) {
            findings.push(
                Finding::new(
                    &RULE,
                    Severity::Warns,
                    address,
                    format!("its physical function {physical} is on vfio-pci: a VF token is required"),
                )
                .shown(format!("/sys/bus/pci/devices/{physical}/driver"), "vfio-pci")
                .remedy(RemedyKind::HostChange, format!("leave {physical} with its host driver")),
            );
        } else {
            let driver = driver.map_or_else(|| "unread".to_owned(), word);
            findings.fine(address, format!("the driver of its physical function {physical} is {driver}"));
        }
    }
}

/// Whether who runs the VM may open the nodes of its groups.
fn of_user(topology: &Topology, vm: &VmAssignment, findings: &mut Findings) {
    if vm.backend != BackendKind::Qemu || vm.devices.is_empty() {
        findings.skip(&vm.name, "its monitor opens the nodes as root, or it is given no function");
        return;
    }
    let platform = &topology.facts().platform;
    let Some(user) = platform.user_id.known().copied() else {
        findings.skip(&vm.name, "the source does not tell who will run it");
        return;
    };
    if user == 0 {
        findings.fine(&vm.name, "root runs it");
        return;
    }
    let groups: BTreeSet<u32> = vm
        .devices
        .iter()
        .filter_map(|device| topology.function(*device)?.group.known())
        .map(|group| group.0)
        .collect();
    let mut paths = vec!["/dev/vfio/vfio".to_owned()];
    paths.extend(groups.iter().map(|group| format!("/dev/vfio/{group}")));
    let (mut refused, mut by_group, mut unmade) = (Vec::new(), Vec::new(), false);
    for path in &paths {
        match node(&platform.vfio_nodes, path).map(|node| (node, leave(node, user))) {
            Some((_, Leave::Given)) => {}
            Some((node, Leave::ToGroup(_))) => by_group.push(node),
            Some((node, Leave::Refused)) => refused.push(node),
            None => unmade = true,
        }
    }
    let (severity, summary, nodes) = match (refused.first(), by_group.first()) {
        (Some(first), _) => {
            (Severity::Warns, format!("user {user} may not open {}", first.path), refused.as_slice())
        }
        (None, Some(first)) => {
            let text =
                format!("user {user} may open {} as a member of group {} only", first.path, first.group_id);
            (Severity::Notes, text, by_group.as_slice())
        }
        (None, None) if unmade => {
            let text = format!("user {user} may open its groups only if a udev rule allows it");
            (Severity::Notes, text, [].as_slice())
        }
        (None, None) => {
            findings.fine(&vm.name, format!("user {user} may open {}", paths.join(", ")));
            return;
        }
    };
    let finding = Finding::new(&RULE, severity, &vm.name, summary)
        .shown("/proc/self/status", format!("effective user id {user}; /dev/vfio/N is root's by default"));
    let finding = nodes.iter().fold(finding, |finding, node| finding.shown(node.path.clone(), shown(node)));
    let text = "run the VM as root, or add a udev rule for SUBSYSTEM==\"vfio\"";
    findings.push(finding.remedy(RemedyKind::HostChange, text));
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:04:00.0 class=020000 driver=ixgbe
        device 0000:04:10.0 class=020000 physfn=0000:04:00.0";

    #[test]
    fn a_user_is_told_of_the_nodes_mode() {
        let said = check_rule(&RULE, &format!("{HOST}\nplatform uid=1000"), "0000:04:10.0");
        assert_eq!(said, ["notes vm1: user 1000 may open its groups only if a udev rule allows it"]);
    }

    #[test]
    fn nodes_that_are_there_decide() {
        let host = |mode: &str| {
            let host = HOST.replace("class=020000 physfn", "class=020000 group=9 physfn");
            format!("{host}\nplatform uid=1000\nnode /dev/vfio/vfio 666 0 0\nnode /dev/vfio/9 {mode}")
        };
        assert_eq!(
            check_rule(&RULE, &host("600 0 0"), "0000:04:10.0"),
            ["warns vm1: user 1000 may not open /dev/vfio/9"]
        );
        assert_eq!(
            check_rule(&RULE, &host("660 0 78"), "0000:04:10.0"),
            ["notes vm1: user 1000 may open /dev/vfio/9 as a member of group 78 only"]
        );
        assert!(check_rule(&RULE, &host("600 1000 0"), "0000:04:10.0").is_empty());
    }

    #[test]
    fn a_physical_function_on_vfio_wants_a_token() {
        let said = check_rule(&RULE, &HOST.replace("ixgbe", "vfio-pci"), "0000:04:10.0");
        assert_eq!(
            said,
            ["warns 0000:04:10.0: its physical function 0000:04:00.0 is on vfio-pci: a VF token is required"]
        );
    }

    #[test]
    fn root_and_libvirt_are_quiet() {
        assert!(check_rule(&RULE, &format!("{HOST}\nplatform uid=0"), "0000:04:10.0").is_empty());
        let host = format!("{HOST}\nplatform uid=1000\nvm backend=libvirt");
        assert!(check_rule(&RULE, &host, "0000:04:10.0").is_empty());
    }
}
