//! `dma-entry-limit`: the number of DMA mappings per container (dma_entry_limit) is used up.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "dma-entry-limit",
    definition: "The number of DMA mappings per container (dma_entry_limit) is used up.",
    kind: Kind::Fault,
    rule: Some("dma-entry-limit"),
    clues: &[
        primary("map-enospc", 4.0),
        primary("running-out-mappings", 4.0),
        supporting("entry-limit-param", 1.0),
        primary("told-mappings", 1.8),
        against("map-enomem", 0.5),
        primary("mon-map-enospc", 3.6),
    ],
    look_alikes: &[
        LookAlike {
            cause: "memlock",
            tell: "then the error is `Cannot allocate memory` (-12) and the kernel names RLIMIT_MEMLOCK",
        },
        LookAlike { cause: "none-unrelated", tell: "then `No space left on device` is about a disk" },
    ],
    settle: &[
        "`cat /sys/module/vfio_iommu_type1/parameters/dma_entry_limit`",
        "Does the guest use a virtual IOMMU or virtio-mem with small blocks?",
    ],
    remedies: &[
        "Raise `vfio_iommu_type1.dma_entry_limit`",
        "Use larger blocks for virtio-mem, or large pages in the guest",
        "Leave the guest's virtual IOMMU off or set it to pass-through",
    ],
    sources: &[
        "Linux drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map, dma_entry_limit",
        "QEMU hw/vfio/listener.c: vfio_ram_discard_register_listener",
    ],
    explanation: "The guest needs more DMA mappings than the host allows per container (65535 unless changed).",
};
