//! `usb-permission`: QEMU, run by this user, may not write to the nodes of USB devices.

use super::permission::{Leave, leave, node, shown};
use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, VmAssignment, cannot_know,
    fault,
};
use crate::facts::{Fact, UsbDevice};
use crate::topology::Topology;
use crate::vm::{BackendKind, UsbId};

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
    for vm in &assignment.vms {
        if vm.usb.is_empty() {
            findings.skip(&vm.name, "it is given no USB device");
        }
        for id in &vm.usb {
            let found = of_device(topology, assignment, vm, *id);
            if found.is_none() {
                findings.fine(&vm.name, allowed(topology, vm));
            }
            findings.push_all(found);
        }
    }
}

fn allowed(topology: &Topology, vm: &VmAssignment) -> String {
    match (vm.backend, topology.facts().platform.user_id.known()) {
        (BackendKind::Libvirt, _) => "libvirt gives its QEMU the node".to_owned(),
        (BackendKind::Xen, _) => "Xen's tools run as root".to_owned(),
        (BackendKind::Qemu, Some(user)) => format!("user {user} may write to the nodes"),
        (BackendKind::Qemu, None) => "the source does not tell who will run it".to_owned(),
    }
}

fn of_device(topology: &Topology, assignment: &Assignment, vm: &VmAssignment, id: UsbId) -> Option<Finding> {
    let usb = &topology.facts().usage.attached.usb;
    let is_it = |device: &&UsbDevice| {
        device.id.known().is_some_and(|known| (known.vendor, known.device) == (id.vendor, id.product))
    };
    let there: Vec<&UsbDevice> = usb.known().into_iter().flatten().filter(is_it).collect();
    let finding = |severity, summary: String| Finding::new(&RULE, severity, &vm.name, summary);
    let Some(device) = there.first() else {
        usb.known()?;
        let summary = format!("no USB device {id} is plugged in: the guest gets it once it is");
        return Some(
            finding(Severity::Warns, summary)
                .shown(
                    "/sys/bus/usb/devices",
                    format!("no idVendor {:04x} with idProduct {:04x}", id.vendor, id.product),
                )
                .remedy(RemedyKind::Hardware, "plug the device in before the VM starts")
                .remedy(RemedyKind::SpecChange, "see with `slotwise inspect` which USB devices there are"),
        );
    };
    if let Some(controller) = device.function.filter(|function| assignment.takes(*function)) {
        let summary =
            format!("USB device {id} hangs on {controller}, which is given away with all that is on it");
        return Some(
            finding(Severity::Warns, summary)
                .shown(format!("/sys/bus/usb/devices/{}", device.name), format!("below {controller}"))
                .remedy(
                    RemedyKind::SpecChange,
                    "leave the device out: the guest that has the controller has it",
                )
                .remedy(RemedyKind::Hardware, "plug the device into a controller that stays"),
        );
    }
    if vm.backend != BackendKind::Qemu {
        return None;
    }
    let user = match &topology.facts().platform.user_id {
        Fact::Known(0) | Fact::Absent => return None,
        Fact::Known(user) => *user,
        unread @ Fact::Unreadable(_) => {
            let needs = "who runs QEMU, and so whether it may open USB devices";
            return Some(cannot_know(Subject::from(&vm.name), needs, fault(unread)));
        }
    };
    let finding = by_node(topology, user, device, &finding, id)?;
    let rule = format!(
        "SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{:04x}\", ATTR{{idProduct}}==\"{:04x}\", GROUP=\"kvm\", MODE=\"0660\"",
        id.vendor, id.product
    );
    Some(
        finding
            .remedy(RemedyKind::HostChange, "run the VM as root, or let libvirt run it")
            .remedy(RemedyKind::HostChange, format!("udev rule: {rule}")),
    )
}

/// What the device's node says of the user; none where it may be written to.
fn by_node(
    topology: &Topology,
    user: u32,
    device: &UsbDevice,
    finding: &dyn Fn(Severity, String) -> Finding,
    id: UsbId,
) -> Option<Finding> {
    let bus = device.bus.known().zip(device.device.known());
    let path = bus.map(|(bus, device)| format!("/dev/bus/usb/{bus:03}/{device:03}"));
    let node = path.as_deref().and_then(|path| node(&topology.facts().platform.usb_nodes, path));
    let Some(node) = node else {
        let summary = format!("user {user} may write to USB {id} only if a udev rule allows it");
        let text = format!("effective user id {user}; /dev/bus/usb is root's by default");
        return Some(finding(Severity::Warns, summary).shown("/proc/self/status", text));
    };
    let (severity, summary) = match leave(node, user) {
        Leave::Given => return None,
        Leave::ToGroup(group) => {
            (Severity::Notes, format!("user {user} may write to USB {id} as a member of group {group} only"))
        }
        Leave::Refused => (
            Severity::Warns,
            format!("user {user} may not write to USB {id}, unless a list of access rights says so"),
        ),
    };
    Some(finding(severity, summary).shown(node.path.clone(), shown(node)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "vm usb=046d:c330
        device 0000:03:00.0 class=010802
        device 0000:00:14.0 class=0c0330
        platform uid=1000
        usb 1-4 046d:c330 1 7 0000:00:14.0";

    #[test]
    fn a_user_is_told_of_the_nodes_mode() {
        assert_eq!(
            check_rule(&RULE, HOST, ""),
            ["warns vm1: user 1000 may write to USB 046d:c330 only if a udev rule allows it"]
        );
    }

    #[test]
    fn the_devices_node_decides() {
        let host = |mode: &str| format!("{HOST}\nnode /dev/bus/usb/001/007 {mode}");
        assert_eq!(
            check_rule(&RULE, &host("664 0 0"), ""),
            ["warns vm1: user 1000 may not write to USB 046d:c330, unless a list of access rights says so"]
        );
        assert_eq!(
            check_rule(&RULE, &host("660 0 36"), ""),
            ["notes vm1: user 1000 may write to USB 046d:c330 as a member of group 36 only"]
        );
        assert!(check_rule(&RULE, &host("666 0 0"), "").is_empty());
    }

    #[test]
    fn a_device_that_is_not_there_or_goes_with_its_controller_is_told() {
        let host = HOST.replace("usb 1-4 046d:c330", "usb 1-4 1234:5678");
        assert_eq!(
            check_rule(&RULE, &host, ""),
            ["warns vm1: no USB device 046d:c330 is plugged in: the guest gets it once it is"]
        );
        assert_eq!(
            check_rule(&RULE, &HOST.replace("uid=1000", "uid=0"), "0000:00:14.0"),
            [
                "warns vm1: USB device 046d:c330 hangs on 0000:00:14.0, which is given away with all that is on it"
            ]
        );
    }

    #[test]
    fn root_libvirt_and_machines_without_usb_are_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("uid=1000", "uid=0"), "").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("vm ", "vm backend=libvirt "), "").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("vm usb=046d:c330", ""), "0000:03:00.0").is_empty());
    }
}
