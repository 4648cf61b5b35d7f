//! `usb-permission`: QEMU has no write access to the USB node on the host.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "usb-permission",
    definition: "QEMU has no write access to the USB node on the host.",
    kind: Kind::Fault,
    rule: Some("usb-permission"),
    clues: &[
        primary("usb-open-denied", 3.6).with(&["vm-named"]),
        primary("usb-open-denied", 3.6).with(&["usb-handed"]),
        primary("usb-open-denied", 3.0).with(&["passthrough-named"]),
        primary("libusb-denied", 2.6).with(&["hypervisor-named"]),
        primary("libusb-denied", 3.0).with(&["usb-handed"]),
        against("mac-vfio-path", 0.8),
        primary("told-usb-permission", 2.0).unless(&["usb-guest-node"]),
    ],
    look_alikes: &[
        LookAlike {
            cause: "mac-policy-denied",
            tell: "then the kernel log has a denial of AppArmor or SELinux",
        },
        LookAlike { cause: "vfio-permission", tell: "then the denied node is `/dev/vfio/N`" },
    ],
    settle: &["`ls -l /dev/bus/usb/BUS/DEV` and the user QEMU runs as"],
    remedies: &[
        "Write a udev rule for the device: `SUBSYSTEM==\"usb\", ATTR{idVendor}==…, MODE=\"0660\", GROUP=\"kvm\"`",
        "Let libvirt run QEMU, which sets the owner itself",
        "Start QEMU with the group that owns the node",
    ],
    sources: &["QEMU hw/usb/host-libusb.c: usb_host_open", "libusb: LIBUSB_ERROR_ACCESS"],
    explanation: "QEMU may not open the USB device{usb: #| of the host}.",
};
