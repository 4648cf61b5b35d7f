//! `group-not-viable`: other members of the device's IOMMU group are still on host drivers.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "group-not-viable",
    definition: "Other members of the device's IOMMU group are still on host drivers.",
    kind: Kind::Fault,
    rule: Some("group-not-viable"),
    clues: &[
        primary("xend-co-assigned", 3.4),
        primary("group-not-viable", 4.5),
        primary("set-container-eperm", 2.6),
        against("acs-lacking", 1.0),
        against("group-shifted", 1.5),
        against("fw-1to1", 1.0),
        primary("told-group", 1.4),
        primary("mon-group-inviable", 4.2),
        primary("mon-container-eperm", 2.2),
    ],
    look_alikes: &[
        LookAlike { cause: "device-not-bound", tell: "then the group node does not exist at all" },
        LookAlike {
            cause: "no-intremap",
            tell: "then the refusal comes when the IOMMU is set for the container",
        },
        LookAlike {
            cause: "iommu-group-changed-after-hotplug",
            tell: "then the group has members it did not have before a card was added",
        },
    ],
    settle: &["Which members are there: `ls -l /sys/kernel/iommu_groups/N/devices/*/driver`"],
    remedies: &[
        "Bind every member of the group to vfio-pci (bridges on `pcieport` may stay), or unbind it",
        "Move the card to a slot with a group of its own",
        "Switch ACS on in the firmware setup",
    ],
    sources: &[
        "Linux drivers/vfio/group.c, drivers/iommu/iommu.c: iommu_group_claim_dma_owner",
        "QEMU hw/vfio/container.c: vfio_group_get",
    ],
    explanation: "{group:IOMMU group #|The IOMMU group of the device} has members that still belong to host drivers, so VFIO does not give {device|the device} away.",
};
