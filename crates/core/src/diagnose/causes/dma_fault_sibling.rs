//! `dma-fault-sibling`: the IOMMU refuses DMA because it comes in the name of a sibling function that was not passed along.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "dma-fault-sibling",
    definition: "The IOMMU refuses DMA because it comes in the name of a sibling function that was not passed along.",
    kind: Kind::Fault,
    rule: Some("multifunction-split"),
    clues: &[
        primary("dma-fault-intel", 1.6),
        primary("dma-fault-amd", 1.6),
        primary("dma-fault-smmu", 1.0),
        primary("told-alias", 1.8),
        against("dma-fault-own-driver", 1.6),
        against("dma-fault-igpu", 1.6).unless(&["igpu-handed"]),
        // What the firmware left running is no function of a guest's.
        against("dma-fault-low", 0.8),
        supporting("said-sibling", 1.4),
        supporting("said-fails", 0.2),
        against("iommu-oops", 1.5),
        against("un-userspace-driver", 1.2),
        against("amd-fault-interrupt", 1.6),
        against("bios-fixed", 0.8),
        against("smt-kernel-regress", 1.5),
        against("rmrr-direct-mapping", 1.0),
        against("reset-recovery", 0.4),
        against("header-127", 0.8),
        against("not-ready-flr", 0.8),
        against("said-works", 1.5),
        against("xen-msi-mode", 1.0),
        against("d0-inaccessible", 1.0),
        against("ats-timeout-amd", 1.0),
        against("ats-timeout-intel", 0.8),
    ],
    look_alikes: &[
        LookAlike {
            cause: "host-firmware-bug",
            tell: "then the fault is an interrupt (`INTR-REMAP`) or the address lies in a firmware region",
        },
        LookAlike { cause: "host-kernel-bug-iommu", tell: "then the faults began with a kernel version" },
        LookAlike { cause: "rmrr", tell: "then the address lies in a reserved region of the firmware" },
    ],
    settle: &[
        "Which function does the fault line name, and is it passed to the guest?",
        "Does the model have a DMA alias quirk (drivers/pci/quirks.c)?",
    ],
    remedies: &[
        "Pass all functions of the device",
        "Use a kernel with the alias quirk for the model",
        "Use another card",
    ],
    sources: &[
        "Linux drivers/iommu/intel/dmar.c: dmar_fault_do_one; drivers/iommu/amd/iommu.c: amd_iommu_report_page_fault; drivers/pci/quirks.c: quirk_dma_func1_alias",
    ],
    explanation: "The IOMMU refused DMA in the name of {device|a function} at {address|an address the guest does not own}: a function of the device works with the identity of a sibling that was not passed.",
};
