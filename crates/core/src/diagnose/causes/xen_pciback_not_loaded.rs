//! `xen-pciback-not-loaded`: the xen-pciback module is not loaded in dom0.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "xen-pciback-not-loaded",
    definition: "The xen-pciback module is not loaded in dom0.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("xen-pciback-missing", 4.4),
        // A module is loaded with a word; a hypervisor without an IOMMU passes nothing all the same.
        against("xen-iov-off", 2.0).unless(&["xen-iov-on"]),
    ],
    look_alikes: &[LookAlike {
        cause: "xen-not-assignable",
        tell: "then the module is there and the device not in its list",
    }],
    settle: &["`lsmod | grep pciback`, `ls /sys/bus/pci/drivers/pciback`"],
    remedies: &[
        "`modprobe xen-pciback`, and list it in /etc/modules",
        "Use a dom0 kernel with CONFIG_XEN_PCIDEV_BACKEND",
    ],
    sources: &["Xen tools/libs/light/libxl_pci.c: pciback_dev_is_assigned"],
    explanation: "The xen-pciback module is not loaded in dom0, so no device can be given to a domain.",
};
