//! `vfio-permission`: QEMU, run by this user, may not open the function.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, VmAssignment};
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
    let by_us = |vm: &&VmAssignment| vm.backend == BackendKind::Qemu && !vm.devices.is_empty();
    if let Some(user) = topology.facts().platform.user_id.known().filter(|user| **user != 0) {
        for vm in assignment.vms.iter().filter(by_us) {
            findings.push(
                Finding::new(
                    &RULE,
                    Severity::Notes,
                    &vm.name,
                    format!("user {user} may open its groups only if a udev rule allows it"),
                )
                .shown(
                    "/proc/self/status",
                    format!("effective user id {user}; /dev/vfio/N is root's by default"),
                )
                .remedy(
                    RemedyKind::HostChange,
                    "run the VM as root, or add a udev rule for SUBSYSTEM==\"vfio\"",
                ),
            );
        }
    }
    for (_, address) in assignment.given().filter(|(vm, _)| vm.uses_vfio()) {
        let Some(physical) = topology.function(address).and_then(|f| f.sriov.physical_function.known())
        else {
            continue;
        };
        let driver = topology.function(*physical).and_then(|f| f.driver.known());
        if driver.is_some_and(crate::facts::DriverName::is_vfio) {
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
        }
    }
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
