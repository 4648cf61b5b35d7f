//! `pciback-not-seized`: a device named for pciback at boot was taken by its dom0 driver first.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "pciback-not-seized",
    definition: "A device named for pciback at boot was taken by its dom0 driver first.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("xen-not-assignable", 3.2).with(&["xen-pciback-hide"]),
        primary("host-driver-bound", 2.6).with(&["xen-pciback-hide"]),
        primary("xen-pciback-not-seized", 3.6),
        primary("xen-msix-insecure", 2.0),
        primary("xen-not-owned", 2.8).with(&["xen-pciback-hide"]),
        primary("xen-not-owned", 1.0),
        primary("told-not-seized", 2.0).with(&["xen-pciback-hide"]).unless(&["xen-pciback-seizing"]),
        supporting("xen-pciback-hide", 0.8),
        against("xen-pciback-missing", 2.0),
        against("xen-pciback-seizing", 0.6),
    ],
    look_alikes: &[
        LookAlike { cause: "xen-not-assignable", tell: "then nobody named the device for pciback at all" },
        LookAlike { cause: "xen-pciback-not-loaded", tell: "then the module is not there" },
    ],
    settle: &[
        "`lspci -k` in dom0: which driver holds the device?",
        "Is `xen-pciback` built in or a module loaded after the driver?",
    ],
    remedies: &[
        "Make the device assignable at run time: `xl pci-assignable-add`",
        "Load xen-pciback from the initramfs before the driver (softdep)",
        "Build xen-pciback into the kernel for `xen-pciback.hide=` to work",
    ],
    sources: &["Linux drivers/xen/xen-pciback/pci_stub.c: pcistub_init; xenbus.c: xen_pcibk_export_device"],
    explanation: "The dom0 driver has {device|the device}, not pciback, although it was meant for a guest.",
};
