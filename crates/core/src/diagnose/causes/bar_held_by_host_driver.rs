//! `bar-held-by-host-driver`: a leftover mapping or memory type of a host driver keeps a BAR from being mapped.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "bar-held-by-host-driver",
    definition: "A leftover mapping or memory type of a host driver keeps a BAR from being mapped.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("pat-conflict", 3.4),
        primary("ioremap-conflict", 2.6),
        primary("bar-reserve", 1.2),
        // vfio_pci_core_setup_barmap has the BAR to itself and cannot map it: its memory type is taken.
        primary("region-enomem", 2.4),
        supporting("mixed-driver-return", 0.8),
        against("bootfb-iomem", 3.0),
        against("efifb-iomem", 1.0),
        against("framebuffer-fixed", 1.5),
        primary("mmap-failed", 1.2).unless(&["bar-reserve"]),
        against("msix-pba", 1.5),
        primary("told-mapping-left", 1.7),
    ],
    look_alikes: &[
        LookAlike {
            cause: "bar-held-by-framebuffer",
            tell: "then BOOTFB, efifb or simplefb owns the range in `/proc/iomem`",
        },
        LookAlike {
            cause: "msix-table-mmap",
            tell: "then the MSI-X table lies in the part that cannot be mapped",
        },
    ],
    settle: &[
        "Who owns the BAR: `sudo grep -A3 -i DEVICE /proc/iomem`",
        "Which driver held the device before vfio-pci?",
    ],
    remedies: &[
        "Bind vfio-pci at boot, before the host driver ever maps the BAR",
        "Reboot the host after unbinding a driver that leaves mappings behind",
        "Give `nopat` only to test",
    ],
    sources: &["Linux arch/x86/mm/pat/memtype.c: memtype_reserve; drivers/pci/pci.c: __pci_request_region"],
    explanation: "A mapping that a host driver left behind blocks {bar:BAR #|a BAR} of {device|the device}.",
};
