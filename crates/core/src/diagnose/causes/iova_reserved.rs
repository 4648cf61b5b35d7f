//! `iova-reserved`: guest memory falls on a reserved range of the IOMMU (MSI window, AMD hole below 1 TiB).

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iova-reserved",
    definition: "Guest memory falls on a reserved range of the IOMMU (MSI window, AMD hole below 1 TiB).",
    kind: Kind::Fault,
    rule: Some("iova-reserved"),
    clues: &[
        primary("map-einval", 2.6),
        primary("map-1tib-hole", 1.6),
        primary("set-iommu-einval", 1.2),
        primary("guest-mem-limit", 1.4),
        supporting("vendor-amd", 0.3),
        against("iommu-width-kernel", 2.0),
        against("ioas-map", 1.6),
        against("aw-bits", 2.0),
        against("map-high-iova", 1.2),
        against("map-39-bits", 1.2).with(&["vendor-intel"]),
        against("fw-1to1", 2.0),
        primary("told-iova", 1.8),
    ],
    look_alikes: &[
        LookAlike {
            cause: "iommu-address-width",
            tell: "then the address lies above the width of the IOMMU",
        },
        LookAlike { cause: "memlock", tell: "then the error is -12, not -22" },
    ],
    settle: &["`cat /sys/kernel/iommu_groups/N/reserved_regions`", "Which guest range does the line name?"],
    remedies: &[
        "Use a machine type of QEMU 7.1 or later, which moves memory above the AMD hole",
        "Give the guest less memory",
        "Keep guest memory off the reserved ranges (a firmware that reserves them, `max-ram-below-4g`)",
    ],
    sources: &[
        "Linux drivers/vfio/vfio_iommu_type1.c: vfio_iommu_iova_dma_valid",
        "QEMU hw/i386/pc.c: pc_memory_init",
    ],
    explanation: "Guest memory at {iova|an address} lies on a range that the host's IOMMU reserves, so mapping it for {device|the device} fails.",
};
