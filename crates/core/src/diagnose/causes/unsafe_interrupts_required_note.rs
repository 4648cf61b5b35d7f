//! `unsafe-interrupts-required-note`: the setup works, but only because unsafe interrupts are allowed.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "unsafe-interrupts-required-note",
    definition: "The setup works, but only because unsafe interrupts are allowed.",
    kind: Kind::Harmless,
    rule: Some("no-intremap"),
    clues: &[
        primary("iommufd-msi-unsafe", 3.0),
        primary("unsafe-option", 1.4).with(&["said-works"]),
        primary("unsafe-option", 0.9).with(&["ir-amd-off"]).unless(&["type1-no-ir", "set-iommu-eperm"]),
        against("set-iommu-eperm", 2.5),
        against("type1-no-ir", 2.0),
        against("group-not-viable", 2.0),
        against("header-127", 1.5),
    ],
    look_alikes: &[LookAlike {
        cause: "no-intremap",
        tell: "then the parameter is not set and the VM does not start",
    }],
    settle: &["`cat /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts`"],
    remedies: &[
        "Leave it if every guest is trusted",
        "Switch interrupt remapping on and take the parameter away",
    ],
    sources: &["Linux drivers/vfio/vfio_iommu_type1.c; drivers/iommu/iommufd/device.c: iommufd_device_bind"],
    explanation: "A note, no fault: the device is passed although the host does not isolate interrupts",
};
