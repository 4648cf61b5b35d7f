//! `mac-policy-denied`: AppArmor or SELinux denies QEMU the device nodes or sysfs files.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "mac-policy-denied",
    definition: "AppArmor or SELinux denies QEMU the device nodes or sysfs files.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("apparmor-denied", 3.6).with(&["mac-vfio-path"]),
        primary("selinux-denied", 3.4).with(&["mac-vfio-path"]),
        primary("apparmor-denied", 0.7).with(&["passthrough-named"]),
        primary("selinux-denied", 0.7).with(&["passthrough-named"]),
        // A USB device is not handed over then; the other passed devices are.
        primary("apparmor-denied", 2.4)
            .with(&["mac-usb-data"])
            .unless(&["unknown-header-lspci", "config-ff"]),
        supporting("open-group-eacces", 0.6),
        against("un-apparmor-other", 2.0),
        against("un-image-open", 1.0),
        // A quoted denial of something else is told of, too.
        primary("told-mac", 1.8).unless(&["apparmor-denied", "mac-shm-said"]),
        primary("told-mac", 1.8).with(&["mac-vfio-path"]),
        primary("said-mac-blamed", 1.9),
    ],
    look_alikes: &[
        LookAlike {
            cause: "vfio-permission",
            tell: "then no policy line is in the log and the node's mode or owner is wrong",
        },
        LookAlike { cause: "usb-permission", tell: "then the node is a USB one and its mode is wrong" },
    ],
    settle: &[
        "`journalctl -k | grep -e DENIED -e 'avc:'` at the time of the failure",
        "Does it work with the policy in complain or permissive mode?",
    ],
    remedies: &[
        "Allow the path in the local profile (`/etc/apparmor.d/local/abstractions/libvirt-qemu`)",
        "Set the SELinux boolean or label (`virt_use_sysfs`, `restorecon`)",
        "Keep ROM files where the policy expects them (`/usr/share/kvm`, `/var/lib/libvirt`)",
    ],
    sources: &["libvirt security drivers; Linux security/apparmor, security/selinux"],
    explanation: "The mandatory access policy denied QEMU something that it needs for {device|the passed device}.",
};
