//! `usb-permission`: QEMU, run by this user, may not write to the nodes of USB devices.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::facts::Fact;
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "usb-permission",
    page: Page {
        what: "The guest does not see its USB device; QEMU says \"failed to open BUS:ADDR\", or libusb_open with \
              LIBUSB_ERROR_ACCESS. QEMU starts all the same.",
        why: "QEMU takes a USB device through its node /dev/bus/usb/BBB/DDD, for which it needs leave to write. udev's own \
              rules make these nodes root's with mode 0664, and give some kinds of devices to whoever sits at the \
              machine; a keyboard or a stick is none of them. The node is made anew each time that the device is plugged.",
        fix: "Run the VM as root or let libvirt run it, or write a udev rule for the device: SUBSYSTEM==\"usb\", \
              ATTR{idVendor}==\"vvvv\", ATTR{idProduct}==\"pppp\", GROUP=\"kvm\", MODE=\"0660\".",
        source: "QEMU hw/usb/host-libusb.c: usb_host_open; systemd rules.d/50-udev-default.rules.in: usb_device, \
              MODE=\"0664\"; libvirt src/qemu/qemu_security.c: qemuSecuritySetHostdevLabel",
    },
    predicts: &["usb-permission"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let user = &topology.facts().platform.user_id;
    for vm in assignment.vms.iter().filter(|vm| vm.backend == BackendKind::Qemu && !vm.usb.is_empty()) {
        let user = match user {
            Fact::Known(0) | Fact::Absent => continue,
            Fact::Known(user) => *user,
            unread @ Fact::Unreadable(_) => {
                let needs = "who runs QEMU, and so whether it may open USB devices";
                findings.push(cannot_know(Subject::from(&vm.name), needs, fault(unread)));
                continue;
            }
        };
        let ids: Vec<String> = vm.usb.iter().map(ToString::to_string).collect();
        let summary =
            format!("user {user} may write to USB {} only if a udev rule allows it", ids.join(", "));
        let finding = Finding::new(&RULE, Severity::Warns, &vm.name, summary)
            .shown(
                "/proc/self/status",
                format!("effective user id {user}; /dev/bus/usb is root's by default"),
            )
            .remedy(RemedyKind::HostChange, "run the VM as root, or let libvirt run it");
        findings.push(vm.usb.iter().fold(finding, |finding, id| {
            let rule = format!(
                "SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{:04x}\", ATTR{{idProduct}}==\"{:04x}\", GROUP=\"kvm\", MODE=\"0660\"",
                id.vendor, id.product
            );
            finding.remedy(RemedyKind::HostChange, format!("udev rule: {rule}"))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "vm usb=046d:c330\ndevice 0000:03:00.0 class=010802\nplatform uid=1000";

    #[test]
    fn a_user_is_told_of_the_nodes_mode() {
        assert_eq!(
            check_rule(&RULE, HOST, ""),
            ["warns vm1: user 1000 may write to USB 046d:c330 only if a udev rule allows it"]
        );
    }

    #[test]
    fn root_libvirt_and_machines_without_usb_are_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("uid=1000", "uid=0"), "").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("vm ", "vm backend=libvirt "), "").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("vm usb=046d:c330", ""), "0000:03:00.0").is_empty());
    }
}
