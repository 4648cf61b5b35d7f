//! `vfio-permission`: QEMU may not open the /dev/vfio nodes (mode, group, control-group device list).

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "vfio-permission",
    definition: "QEMU may not open the /dev/vfio nodes (mode, group, control-group device list).",
    kind: Kind::Fault,
    rule: Some("vfio-permission"),
    clues: &[
        primary("open-group-eacces", 4.0),
        primary("vf-token", 3.2),
        primary("get-device-eacces", 2.4),
        supporting("cgroup-device", 0.4),
        against("apparmor-denied", 2.6),
        against("selinux-denied", 2.4),
        against("mac-vfio-path", 1.0),
        primary("told-vfio-permission", 1.8),
    ],
    look_alikes: &[
        LookAlike {
            cause: "mac-policy-denied",
            tell: "then AppArmor or SELinux logs a denial at the same time",
        },
        LookAlike { cause: "device-in-use", tell: "then the error is `Device or resource busy`" },
        LookAlike { cause: "memlock", tell: "then the node opens and mapping memory fails" },
    ],
    settle: &[
        "`ls -l /dev/vfio` and the user QEMU runs as",
        "Is `/dev/vfio/N` in the control group's device list?",
    ],
    remedies: &[
        "Write a udev rule: `SUBSYSTEM==\"vfio\", OWNER=\"root\", GROUP=\"kvm\", MODE=\"0660\"`",
        "Add the node to `cgroup_device_acl` in qemu.conf, or let libvirt manage the device",
        "In a container, hand the node and its control-group permission in",
    ],
    sources: &[
        "Linux drivers/vfio/group.c; QEMU hw/vfio/container.c: vfio_group_get; libvirt qemu.conf: cgroup_device_acl",
    ],
    explanation: "QEMU is not allowed to open the VFIO node of {group:group #|the device}.",
};
