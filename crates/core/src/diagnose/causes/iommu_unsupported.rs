//! `iommu-unsupported`: the hardware has no IOMMU for the device; no software can change that.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iommu-unsupported",
    definition: "The hardware has no IOMMU for the device; no software can change that.",
    kind: Kind::Fault,
    rule: Some("iommu-unsupported"),
    clues: &[
        primary("said-cpu-unsupported", 3.4),
        primary("dmar-no-width", 3.2),
        primary("said-unsupported", 1.8),
        against("told-iommu-param", 1.5),
        against("noiommu-named", 2.0),
        against("said-off-or-unsupported", 2.0),
        supporting("host-no-passthrough", 0.5),
        supporting("pve-no-iommu", 0.5),
        primary("told-no-iommu-hardware", 1.9),
        primary("told-raspberry", 1.5).unless(&["told-no-iommu-hardware"]),
        primary("told-no-iommu-hardware", 3.6).with(&["pve-iommu-hint"]),
        primary("told-no-iommu-hardware", 3.4).with(&["probe-22"]),
        primary("told-no-iommu-hardware", 3.4).with(&["no-iommu-group"]),
    ],
    look_alikes: &[LookAlike {
        cause: "iommu-disabled",
        tell: "then the firmware setup has a switch, or the command line lacks a parameter",
    }],
    settle: &[
        "Does the processor have VT-d or AMD-Vi according to its data sheet?",
        "Is there a DMAR or IVRS table in `/sys/firmware/acpi/tables`?",
    ],
    remedies: &[
        "Use a processor and board with VT-d or AMD-Vi",
        "Use an emulated or paravirtual device instead",
    ],
    sources: &["Linux drivers/iommu/intel/dmar.c: alloc_iommu"],
    explanation: "The hardware offers no usable IOMMU for {device|the device}.",
};
