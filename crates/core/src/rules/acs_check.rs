//! `acs-check`: libvirt's own check, where it is made, refuses the function: the switch port above does not isolate.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::pci::{Feature, PortType, decode};
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "acs-check",
    page: Page {
        what: "libvirt says \"Device … is behind a switch lacking ACS and cannot be assigned\". It does so only \
              where it does not use VFIO, as releases did that still had KVM's own way of handing devices over.",
        why: "Before IOMMU groups existed libvirt looked at the switch ports above a device itself. With VFIO the \
              kernel's groups say the same and the check is skipped: the port shows as a larger group instead.",
        fix: "Use VFIO (the default since libvirt 1.1.3), another slot, or relaxed_acs_check = 1 in qemu.conf.",
        source: "libvirt src/util/virpci.c: virPCIDeviceIsAssignable, virPCIDeviceDownstreamLacksACS; \
              src/hypervisor/virhostdev.c: virHostdevPreparePCIDevicesImpl",
    },
    predicts: &["acs-check"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (vm, address) in assignment.given() {
        if vm.backend != BackendKind::Libvirt {
            findings.skip(
                address,
                format!("VM {} is run by {}, the check is libvirt's", vm.name, vm.backend.name()),
            );
            continue;
        }
        let lacking = topology.bridges_above(address).into_iter().find(|bridge| {
            let config = topology.function(*bridge).and_then(|f| f.config.known());
            config.and_then(|config| decode(config).ok()).is_some_and(|port| {
                let switch =
                    port.express().is_some_and(|express| express.port_type == PortType::DownstreamPort);
                let off = match port.features().acs {
                    Feature::Present(acs) => acs.control.is_some_and(|control| !control.isolates()),
                    Feature::Absent => true,
                    Feature::Unknown => false,
                };
                switch && off
            })
        });
        let Some(port) = lacking else {
            findings.fine(address, "no switch port above it is known to lack isolation");
            continue;
        };
        let summary = format!("the switch port {port} above does not isolate (VM {} of libvirt)", vm.name);
        findings.push(
            Finding::new(&RULE, Severity::Notes, address, summary)
                .shown(
                    format!("/sys/bus/pci/devices/{port}/config"),
                    "downstream port without access control services in use",
                )
                .remedy(
                    RemedyKind::HostChange,
                    "if libvirt refuses: relaxed_acs_check = 1 in /etc/libvirt/qemu.conf",
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    /// A port with a PCI Express capability at 0x40 (version 2, downstream port) and no extended capabilities.
    const HOST: &str = "vm backend=libvirt
        device 0000:02:01.0 class=060400 config=4096,04:00100000,0c:00010000,34:40,40:00620010
        device 0000:05:00.0 class=010802 parent=0000:02:01.0";

    #[test]
    fn a_switch_port_without_acs_is_noted_for_libvirt() {
        let said = check_rule(&RULE, HOST, "0000:05:00.0");
        assert_eq!(
            said,
            ["notes 0000:05:00.0: the switch port 0000:02:01.0 above does not isolate (VM vm1 of libvirt)"]
        );
    }

    #[test]
    fn acs_in_use_is_quiet() {
        let host = HOST.replace("40:00620010", "40:00620010,100:0001000d,104:001d001d");
        assert!(check_rule(&RULE, &host, "0000:05:00.0").is_empty());
    }

    #[test]
    fn other_monitors_do_not_ask() {
        assert!(check_rule(&RULE, &HOST.replace("vm backend=libvirt", ""), "0000:05:00.0").is_empty());
    }
}
