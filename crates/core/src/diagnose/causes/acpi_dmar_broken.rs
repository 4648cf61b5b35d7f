//! `acpi-dmar-broken`: the ACPI DMAR table is malformed or contradictory, so the kernel (or Xen) drops the IOMMU.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "acpi-dmar-broken",
    definition: "The ACPI DMAR table is malformed or contradictory, so the kernel (or Xen) drops the IOMMU.",
    kind: Kind::Fault,
    rule: Some("acpi-dmar-broken"),
    clues: &[
        primary("dmar-parse-failed", 4.0),
        primary("dmar-table-overrun", 3.5),
        primary("dmar-bios-broken", 3.5),
        primary("xen-dmar-failed", 4.5),
        primary("told-dmar", 3.0),
        primary("dmar-rmrr-unmapped", 1.4),
        supporting("dmar-none", 0.5),
        // Linux says so at the end of its initialisation, whatever it could not map.
        against("vtd-on", 2.0).unless(&["dmar-rmrr-unmapped"]),
    ],
    look_alikes: &[
        LookAlike {
            cause: "iommu-disabled",
            tell: "then the table is fine and only the switch in firmware or on the command line is missing",
        },
        LookAlike {
            cause: "host-firmware-bug",
            tell: "then the table parses and another part of the firmware is at fault",
        },
    ],
    settle: &[
        "Dump the table: `acpidump -n DMAR` and decode it with `iasl -d`",
        "Does `ls /sys/class/iommu` list any unit?",
    ],
    remedies: &[
        "Update the board's firmware",
        "Load a corrected DMAR table from the initramfs (Documentation/admin-guide/acpi/initrd_table_override.rst)",
        "Use another board",
    ],
    sources: &[
        "Linux drivers/iommu/intel/dmar.c: parse_dmar_table, warn_invalid_dmar",
        "Xen xen/drivers/passthrough/vtd/dmar.c: acpi_parse_dmar",
    ],
    explanation: "The firmware's DMAR table cannot be used, so the host runs without DMA remapping and no device can be passed.",
};
