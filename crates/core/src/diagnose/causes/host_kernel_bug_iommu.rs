//! `host-kernel-bug-iommu`: a bug in the host's IOMMU driver breaks the passthrough.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "host-kernel-bug-iommu",
    definition: "A bug in the host's IOMMU driver breaks the passthrough.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("iommu-oops", 3.0),
        primary("dmar-panic", 3.0),
        primary("dma-pte-set", 2.6),
        primary("dte-illegal", 2.2),
        primary("told-kernel", 3.0).with(&["dma-fault-smmu"]),
        primary("smt-kernel-regress", 1.8),
        supporting("un-panic", 0.2),
        against("un-program-panic", 2.0),
        against("d0-d3cold", 0.8),
        against("iommu-bug-width", 2.0),
        against("told-address-width", 1.6),
        against("iommu-width-kernel", 2.0),
        primary("told-kernel", 1.5),
        primary("amd-fault-interrupt", 1.2),
        primary("amd-legacy-interrupts", 2.4).with(&["amd-fault-interrupt"]),
        primary("told-kernel", 3.0).with(&["dma-fault-intel"]),
        primary("told-kernel", 3.0).with(&["dma-fault-amd"]),
    ],
    look_alikes: &[
        LookAlike {
            cause: "dma-fault-sibling",
            tell: "then only DMA faults are reported and no kernel function fails",
        },
        LookAlike {
            cause: "host-firmware-bug",
            tell: "then another kernel behaves the same and another firmware does not",
        },
    ],
    settle: &[
        "Does another kernel version behave differently?",
        "Which function stands at the top of the trace?",
    ],
    remedies: &[
        "Update the host's kernel, or go back to the last one that worked",
        "Try `iommu=pt` or `intel_iommu=on,sm_off` to see which part fails",
        "Report the trace to iommu@lists.linux.dev",
    ],
    sources: &["Linux drivers/iommu/"],
    explanation: "The host's kernel fails inside its own IOMMU driver while it handles {device|the device}.",
};
