//! `pf-driver-reloaded`: the driver of the physical function was reloaded or removed, and the virtual functions vanished under the guest.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "pf-driver-reloaded",
    definition: "The driver of the physical function was reloaded or removed, and the virtual functions vanished under the guest.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("pf-unload-vfs", 3.2),
        primary("pf-reset", 1.8),
        primary("sriov-disabled", 2.0),
        supporting("vfio-request-user", 0.8),
        primary("vfio-request-user", 3.0).with(&["pf-removed"]),
        against("vfio-request-none", 0.0),
        primary("told-pf", 1.6),
        primary("told-vf-vanish", 1.8),
        primary("told-pf", 3.0).with(&["pve-no-vf"]),
    ],
    look_alikes: &[
        LookAlike { cause: "vf-not-enabled", tell: "then the virtual functions never existed in this boot" },
        LookAlike { cause: "device-in-use", tell: "then nobody touched the physical function" },
    ],
    settle: &["Was the PF driver unloaded, updated, or `sriov_numvfs` written while guests ran?"],
    remedies: &[
        "Stop the guests before reloading the PF driver",
        "Create the virtual functions again and start the guests",
        "Keep automatic tools away from `sriov_numvfs`",
    ],
    sources: &["Linux drivers/pci/iov.c: sriov_disable; Intel igb, ixgbe, i40e drivers: *_disable_sriov"],
    explanation: "The driver of the physical function behind {device|the device} went away or was reset while guests used its virtual functions.",
};
