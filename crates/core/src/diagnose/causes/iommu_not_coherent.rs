//! `iommu-not-coherent`: the IOMMU does not force cache coherency, and VFIO refuses it.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iommu-not-coherent",
    definition: "The IOMMU does not force cache coherency, and VFIO refuses it.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        // vhost-vdpa asks the IOMMU the same of a device that nobody assigns (vhost_vdpa_alloc_domain).
        primary("not-coherent", 3.0).unless(&["vdpa-named"]),
    ],
    look_alikes: &[LookAlike { cause: "iommu-disabled", tell: "then the device has no group at all" }],
    settle: &["Does `ecap` of the unit have bit 7 (snoop control)?"],
    remedies: &[
        "Use a device below another IOMMU unit (graphics units of old VT-d lack snoop control)",
        "Use a newer kernel or platform",
    ],
    sources: &[
        "Linux drivers/vfio/vfio_main.c: __vfio_register_dev; drivers/iommu/iommufd/device.c: iommufd_device_bind",
    ],
    explanation: "The IOMMU above {device|the device} cannot force coherent DMA, which VFIO demands.",
};
