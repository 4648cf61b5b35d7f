//! `ats-timeout`: the device is powered but answers ATS invalidations of the IOMMU too late or never.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "ats-timeout",
    definition: "The device is powered but answers ATS invalidations of the IOMMU too late or never.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("fault-status-ite", 3.0),
        against("vendor-reset", 3.0),
        // Intel's VMD resets the ports behind it while their devices are not there yet.
        against("vmd-named", 3.0).unless(&["passthrough-named"]),
        against("said-gpu-second-boot", 1.0),
        primary("ats-timeout-intel", 2.9),
        primary("ats-timeout-amd", 2.9),
        primary("amd-completion-timeout", 2.6),
        supporting("hot-reset-failed", 0.3),
        against("d0-d3cold", 1.2),
        against("d3cold-named", 1.6),
        against("d0-inaccessible", 0.6),
        against("header-127", 0.5),
        primary("told-ats", 1.3),
    ],
    look_alikes: &[
        LookAlike {
            cause: "d3cold-power",
            tell: "then a line says that the device cannot be brought to D0, before the timeouts",
        },
        LookAlike { cause: "pcie-link-dead", tell: "then the link went down first" },
    ],
    settle: &[
        "Did the timeouts begin at a reset, at shutdown of the guest, or during work?",
        "Does `lspci -vvv` show ATS enabled for the device?",
    ],
    remedies: &[
        "Switch ATS off with `pci=noats` to see whether it is the cause",
        "Update the device's firmware and the kernel (quirks that disable ATS for broken models)",
        "Keep the device from sleeping: `power/control` = on",
    ],
    sources: &[
        "Linux drivers/iommu/intel/dmar.c: qi_dump_fault; drivers/iommu/amd/iommu.c: iommu_print_event, wait_on_sem",
    ],
    explanation: "{device|The device} does not answer the IOMMU's ATS invalidations, and the IOMMU waits for it until it gives up.",
};
