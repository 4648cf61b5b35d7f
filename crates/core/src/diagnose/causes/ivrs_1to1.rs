//! `ivrs-1to1`: the AMD IVRS table demands 1:1 mappings for the device (DMA protection, bad table).

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "ivrs-1to1",
    definition: "The AMD IVRS table demands 1:1 mappings for the device (DMA protection, bad table).",
    kind: Kind::Fault,
    rule: Some("ivrs-1to1"),
    clues: &[
        primary("fw-1to1", 3.2),
        primary("iommufd-bind-einval", 0.6),
        primary("set-container-einval", 1.0),
        supporting("vendor-amd", 1.6),
        against("vendor-intel", 3.4),
        against("rmrr-ineligible", 2.0),
        primary("mon-container-einval", 1.0),
    ],
    look_alikes: &[
        LookAlike { cause: "rmrr", tell: "then the host is an Intel one, with RMRRs in its DMAR table" },
        LookAlike {
            cause: "group-not-viable",
            tell: "then the refusal is EPERM and the kernel says nothing of 1:1",
        },
    ],
    settle: &[
        "`cat /sys/kernel/iommu_groups/N/reserved_regions`: any `direct` line?",
        "Which IVMD entries has the IVRS table (`acpidump -n IVRS`)?",
    ],
    remedies: &[
        "Switch pre-boot DMA protection off in the firmware setup",
        "Update the board's firmware",
        "Use another slot, or a kernel before 6.6, which tolerated it",
    ],
    sources: &[
        "Linux drivers/iommu/iommu.c: __iommu_device_set_domain (6.6 and later); drivers/iommu/amd/init.c: init_unity_map_range",
        "linux-iommu thread amd_iommu=relax_unity, 2026-03",
    ],
    explanation: "The firmware's IVRS table demands that {device|the device} keeps a 1:1 mapping, so kernels from 6.6 on refuse to give it away.",
};
