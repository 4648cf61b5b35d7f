//! `xen-subpage-bar`: BARs below 4 KiB of passed devices share one guest page.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "xen-subpage-bar",
    definition: "BARs below 4 KiB of passed devices share one guest page.",
    kind: Kind::Fault,
    rule: Some("xen-subpage-bar"),
    clues: &[
        primary("xend-unaligned-bar", 4.2),
        primary("xen-gfn-overlap", 3.6),
        primary("xen-subpage", 2.4).with(&["xen-present"]),
        primary("xen-subpage", 0.6),
        primary("xen-pt-map-fail", 1.0),
        against("msix-pba", 1.5),
    ],
    look_alikes: &[LookAlike {
        cause: "guest-mmio-window",
        tell: "then the window, not the size of a BAR, is the trouble",
    }],
    settle: &["`lspci -vv`: which BARs are smaller than 4K, and which share a page?"],
    remedies: &[
        "Align the BARs: `pci=resource_alignment=DEVICE` on the dom0 kernel's line",
        "Pass all devices of the page to the same domain",
    ],
    sources: &[
        "Linux drivers/pci/pci.c: pci_specified_resource_alignment; Xen tools: xc_domain_memory_mapping works in pages",
    ],
    explanation: "A BAR of {device|the device} is smaller than a page and shares it with another, which Xen cannot map apart.",
};
