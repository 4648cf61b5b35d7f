//! `xen-not-assignable`: the device is not in Xen's list of assignable devices.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "xen-not-assignable",
    definition: "The device is not in Xen's list of assignable devices.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        against("libvirt-not-assignable", 4.0).unless(&["xen-present"]),
        against("xen-pciback-hide", 2.0),
        primary("xen-not-assignable", 4.2),
        primary("xen-not-owned", 2.4).unless(&["xen-pciback-hide"]),
        against("xen-pciback-missing", 2.0),
    ],
    look_alikes: &[
        LookAlike { cause: "xen-pciback-not-loaded", tell: "then the pciback module is missing" },
        LookAlike {
            cause: "pciback-not-seized",
            tell: "then the device was named for pciback and its driver won",
        },
    ],
    settle: &["`xl pci-assignable-list`"],
    remedies: &["`xl pci-assignable-add DEVICE`", "Name it at boot: `xen-pciback.hide=(DEVICE)`"],
    sources: &["Xen tools/libs/light/libxl_pci.c: libxl__device_pci_add"],
    explanation: "{device|The device} was not made assignable in dom0 before it was given to the domain.",
};
