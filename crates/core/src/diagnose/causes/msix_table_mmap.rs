//! `msix-table-mmap`: the MSI-X table shares a page with registers, and that part of the BAR cannot be mapped.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "msix-table-mmap",
    definition: "The MSI-X table shares a page with registers, and that part of the BAR cannot be mapped.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("gasket-table-timeout", 2.6).with(&["passthrough-named"]),
        primary("gasket-table-timeout", 2.6).with(&["vm-named"]).unless(&["passthrough-named"]),
        primary("msix-pba", 3.2),
        primary("msix-overlap", 0.6),
        primary("mmap-failed", 1.3).unless(&["bar-reserve", "pat-conflict", "framebuffer-fixed"]),
        primary("told-msix", 1.9),
        primary("mon-pba-map", 2.6),
        primary("mon-region-unaligned", 2.6),
    ],
    look_alikes: &[LookAlike {
        cause: "bar-held-by-framebuffer",
        tell: "then the kernel says `can't reserve` for the same BAR",
    }],
    settle: &[
        "Where is the table: `lspci -vv -s DEVICE | grep -A2 MSI-X`",
        "Which kernel: from 4.16 on the page may be mapped",
    ],
    remedies: &[
        "Update the kernel and QEMU",
        "Move the table with `x-msix-relocation=auto`",
        "Live with it: the page is emulated, which is only slow",
    ],
    sources: &[
        "QEMU hw/vfio/pci.c: vfio_msix_early_setup, vfio_pci_relocate_msix",
        "Linux VFIO_REGION_INFO_CAP_MSIX_MAPPABLE",
    ],
    explanation: "The MSI-X structures of {device|the device} lie where its BAR{bar: #|} cannot be mapped into the guest.",
};
