//! `rmrr`: the firmware reserves a memory region (Intel RMRR) for the device.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "rmrr",
    definition: "The firmware reserves a memory region (Intel RMRR) for the device.",
    kind: Kind::Fault,
    rule: Some("rmrr"),
    clues: &[
        primary("rmrr-ineligible", 5.0),
        primary("fw-1to1", 2.2),
        primary("set-iommu-eperm", 1.2),
        primary("xen-rmrr", 4.0),
        primary("xen-rmrr-map", 3.4),
        primary("rmrr-direct-mapping", 1.2),
        primary("set-container-einval", 0.7),
        primary("iommufd-bind-einval", 0.6),
        supporting("vendor-intel", 0.8),
        against("type1-no-ir", 4.0),
        against("vendor-amd", 1.6),
        primary("told-rmrr", 2.0),
        primary("hp-rmrds", 2.2),
        against("told-iova", 1.0),
    ],
    look_alikes: &[
        LookAlike { cause: "no-intremap", tell: "then the kernel says `No interrupt remapping support`" },
        LookAlike { cause: "ivrs-1to1", tell: "then the host has an AMD processor" },
    ],
    settle: &[
        "`dmesg | grep -e RMRR -e ineligible`",
        "`cat /sys/kernel/iommu_groups/N/reserved_regions`: any `direct` line?",
    ],
    remedies: &[
        "Switch the firmware feature off that needs the region (HP: shared memory of the slot; USB legacy)",
        "Move the card to another slot; update the firmware",
        "Under Xen: `rdm_policy=relaxed`",
        "A kernel patched to relax RMRR, if the risk is understood",
    ],
    sources: &[
        "Linux drivers/iommu/intel/iommu.c: device_rmrr_is_relaxable; intel_iommu_attach_device (3.17 to 6.5)",
        "Xen xen/drivers/passthrough/vtd/iommu.c: intel_iommu_assign_device",
        "HPE advisory c04781229 on RMRR and ProLiant slots",
    ],
    explanation: "The firmware reserves memory (an RMRR) that {device|the device} must keep reaching, so the kernel does not give it away.",
};
