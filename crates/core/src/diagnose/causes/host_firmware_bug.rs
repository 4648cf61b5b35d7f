//! `host-firmware-bug`: a bug of the host's BIOS (or AGESA) breaks the passthrough.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "host-firmware-bug",
    definition: "A bug of the host's BIOS (or AGESA) breaks the passthrough.",
    kind: Kind::Fault,
    rule: Some("irq-unrouted"),
    clues: &[
        primary("agesa", 1.6).with(&["header-127"]),
        primary("agesa", 1.4).with(&["bios-fixed"]),
        primary("agesa", 2.2).with(&["d0-refused"]),
        primary("agesa", 2.2).with(&["stuck-d3"]),
        primary("agesa", 1.8).with(&["reset-recovery"]),
        primary("bios-fixed", 1.6),
        primary("ivrs-error", 1.6),
        primary("amd-mmio-taken", 2.0),
        primary("xen-ivhd-error", 3.2),
        primary("dma-fault-intr", 1.6),
        primary("no-intx-route", 0.3),
        primary("dmar-bad-rmrr", 0.5),
        primary("xen-pciback-notify", 0.6),
        supporting("fw-bug", 0.5).unless(&["dmar-bad-rmrr"]),
        supporting("agesa", 1.2),
        supporting("header-127", 0.5),
        against("fw-1to1", 1.5),
        against("rmrr-ineligible", 2.0),
        against("type1-no-ir", 1.0),
        against("dmar-parse-failed", 1.5),
        against("dmar-bios-broken", 1.5),
        against("said-iommu-off", 0.6),
        against("flags-mismatch-vfio", 1.5),
        against("said-works", 0.6),
        against("group-not-viable", 0.8),
        against("host-no-passthrough", 0.6),
        against("pve-no-iommu", 0.6),
        primary("told-firmware", 1.6),
    ],
    look_alikes: &[
        LookAlike { cause: "d3cold-power", tell: "then the firmware version makes no difference" },
        LookAlike {
            cause: "reset-broken-amd",
            tell: "then only the second start of a guest fails, whatever the firmware",
        },
        LookAlike {
            cause: "acpi-dmar-broken",
            tell: "then the kernel says that the DMAR table cannot be parsed",
        },
    ],
    settle: &[
        "Did it work with another firmware version of the same board?",
        "Which `[Firmware Bug]` lines does `dmesg` show?",
    ],
    remedies: &[
        "Change the firmware: the newest, or the last one that worked",
        "Look for the board's switches (Above 4G decoding, pre-boot DMA protection, ACS, SR-IOV)",
        "Correct the table from the command line where the kernel can (`ivrs_ioapic=`)",
    ],
    sources: &[
        "Linux FW_BUG messages; drivers/iommu/amd/init.c: check_ioapic_information",
        "VFIO forums on AGESA 0.0.7.2 and 1.0.0.x: header type 127 on Ryzen boards",
    ],
    explanation: "The firmware of the host's board breaks the passthrough of {device|the device}; another firmware version behaves differently.",
};
