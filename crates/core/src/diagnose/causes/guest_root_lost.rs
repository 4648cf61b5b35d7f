//! `guest-root-lost`: the guest does not find its root disk because the passed disk or controller moved or is gone.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "guest-root-lost",
    definition: "The guest does not find its root disk because the passed disk or controller moved or is gone.",
    kind: Kind::Fault,
    rule: Some("guest-root-lost"),
    clues: &[
        primary("guest-root-lost", 2.4).with(&["passthrough-named"]),
        primary("guest-root-lost", 1.6).unless(&["passthrough-named"]),
        supporting("hostpci-option", 0.6),
        supporting("hardware-added", 0.4),
        primary("told-root-lost", 1.4),
    ],
    look_alikes: &[
        LookAlike {
            cause: "none-unrelated",
            tell: "then the guest lost its disk without any device having been passed or moved",
        },
        LookAlike {
            cause: "name-changed-after-slot-move",
            tell: "then the guest boots and only interface names are wrong",
        },
    ],
    settle: &[
        "Which root does the guest's command line name, by path or by UUID?",
        "Does the guest boot with the passed device taken out?",
    ],
    remedies: &[
        "Name the root by UUID in the guest's boot loader and fstab",
        "Put the driver of the passed controller into the guest's initramfs",
        "Fix the boot order of the guest (`bootindex`)",
    ],
    sources: &["Linux init/do_mounts.c: mount_root; initramfs-tools, dracut"],
    explanation: "The guest's kernel starts but does not find its root disk: the disk it boots from has another name or controller than before.",
};
