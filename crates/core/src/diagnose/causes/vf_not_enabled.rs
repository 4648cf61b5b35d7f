//! `vf-not-enabled`: the virtual functions of the configuration were never created (sriov_numvfs is 0).

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "vf-not-enabled",
    definition: "The virtual functions of the configuration were never created (sriov_numvfs is 0).",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("pve-no-vf", 2.6),
        against("told-pf", 2.2),
        against("pf-reset", 1.0),
        primary("no-vf", 2.8),
        primary("numvfs-refused", 3.2),
        against("sriov-no-mmio", 2.5),
        against("numvfs-enomem", 2.0),
        against("pf-unload-vfs", 1.5),
        primary("told-no-vf", 1.6),
        primary("told-vf-reboot", 1.6),
    ],
    look_alikes: &[
        LookAlike { cause: "sriov-mmio", tell: "then creating them fails for lack of address space" },
        LookAlike { cause: "pf-driver-reloaded", tell: "then they existed and vanished" },
        LookAlike { cause: "name-changed-after-slot-move", tell: "then they exist at other addresses" },
    ],
    settle: &["`cat /sys/bus/pci/devices/PF/sriov_numvfs` and `sriov_totalvfs`"],
    remedies: &[
        "`echo N > /sys/bus/pci/devices/PF/sriov_numvfs`, and make it permanent (udev rule, systemd unit)",
        "Switch SR-IOV on in firmware setup and card firmware",
    ],
    sources: &[
        "Linux drivers/pci/iov.c: sriov_numvfs_store",
        "libvirt src/network/bridge_driver.c: networkAllocatePort",
    ],
    explanation: "The virtual functions that the configuration names do not exist: none were created on {device|the physical function}.",
};
