//! `iommu-address-width`: a guest address lies beyond the address width of the IOMMU.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iommu-address-width",
    definition: "A guest address lies beyond the address width of the IOMMU.",
    kind: Kind::Fault,
    rule: Some("iommu-address-width"),
    clues: &[
        primary("iommu-width-kernel", 4.2),
        primary("iommu-bug-width", 3.6),
        primary("aw-bits", 4.2),
        primary("map-high-iova", 2.6).unless(&["map-1tib-hole"]),
        supporting("vendor-intel", 0.4),
        primary("map-39-bits", 2.8).with(&["vendor-intel"]).unless(&["map-1tib-hole"]),
        primary("told-address-width", 1.8),
        primary("mon-map-width", 3.2),
    ],
    look_alikes: &[
        LookAlike {
            cause: "iova-reserved",
            tell: "then the address lies within the width but on a reserved range",
        },
        LookAlike { cause: "memlock", tell: "then the error is `Cannot allocate memory`" },
    ],
    settle: &[
        "Width of the IOMMU: MGAW in `/sys/class/iommu/dmar0/intel-iommu/cap` (bits 21:16 plus 1)",
        "At which address does the mapping fail?",
    ],
    remedies: &[
        "Give the guest less memory or a smaller 64-bit window",
        "Set the guest's physical address bits to the host's (`host-phys-bits=on`)",
        "Set `aw-bits=39` for the guest's virtual IOMMU",
    ],
    sources: &[
        "Linux drivers/iommu/intel/iommu.c: intel_iommu_map; QEMU hw/i386/intel_iommu.c: vtd_check_hiod",
    ],
    explanation: "A guest address ({address|see the line}) lies beyond what the host's IOMMU can translate{width: (# bits)|}.",
};
