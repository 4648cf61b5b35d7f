//! `ioas-map-failed`: iommufd cannot map guest memory into its address space (IOAS).

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "ioas-map-failed",
    definition: "iommufd cannot map guest memory into its address space (IOAS).",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("ioas-map", 3.4).unless(&["ioas-map-bar", "map-high-iova"]),
        primary("iommufd-attach", 2.4),
        against("memlock-kernel", 1.0),
    ],
    look_alikes: &[
        LookAlike { cause: "none-harmless", tell: "then only a BAR is concerned: `Bad address, PCI BAR?`" },
        LookAlike {
            cause: "memlock",
            tell: "then the error is ENOMEM and the limit of locked memory explains it",
        },
    ],
    settle: &[
        "Which errno stands in the line?",
        "Does the VM start with the legacy back end (without `iommufd=`)?",
    ],
    remedies: &[
        "Raise the limit of locked memory (iommufd counts per user)",
        "Start without the iommufd object",
        "Update QEMU and the kernel together",
    ],
    sources: &[
        "QEMU backends/iommufd.c: iommufd_backend_map_dma; hw/vfio/iommufd.c: iommufd_cdev_attach_ioas_hwpt",
    ],
    explanation: "iommufd refuses to map guest memory for {device|the device} ({errno|the line says why}).",
};
