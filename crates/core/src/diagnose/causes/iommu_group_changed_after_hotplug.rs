//! `iommu-group-changed-after-hotplug`: group numbers or members changed after a card was added, and the configuration names the wrong group.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iommu-group-changed-after-hotplug",
    definition: "Group numbers or members changed after a card was added, and the configuration names the wrong group.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("pve-group-mismatch", 4.6),
        primary("group-shifted", 2.4),
        primary("group-shifted", 3.6).with(&["hardware-added"]),
        supporting("hardware-added", 1.0),
        supporting("open-group-enoent", 0.6),
        supporting("group-not-viable", 0.3),
        against("address-shifted", 0.8),
        against("device-moved", 1.0),
        against("said-works", 0.5),
    ],
    look_alikes: &[
        LookAlike {
            cause: "name-changed-after-slot-move",
            tell: "then the address of the device itself changed",
        },
        LookAlike { cause: "group-not-viable", tell: "then the group always had these members" },
    ],
    settle: &[
        "Compare `/sys/kernel/iommu_groups/*/devices` with what the configuration names",
        "What was added or moved before it failed?",
    ],
    remedies: &[
        "Name devices by address and id, never by group number",
        "Bind the new members of the group too, or move the card",
    ],
    sources: &["Linux drivers/iommu/iommu.c: pci_device_group, iommu_group_alloc"],
    explanation: "After hardware was added the IOMMU groups are others than the configuration expects {group:(group #)|(see the line that names a group)}.",
};
