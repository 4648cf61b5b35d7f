//! `iommufd-cdev-missing`: There is no per-device VFIO character device for iommufd (kernel configuration or version).

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iommufd-cdev-missing",
    definition: "There is no per-device VFIO character device for iommufd (kernel configuration or version).",
    kind: Kind::Fault,
    rule: None,
    clues: &[primary("iommufd-cdev", 3.6)],
    look_alikes: &[
        LookAlike { cause: "device-not-bound", tell: "then the device has no `vfio-dev` folder at all" },
        LookAlike { cause: "vfio-permission", tell: "then the node exists and may not be opened" },
    ],
    settle: &[
        "`ls /sys/bus/pci/devices/DEVICE/vfio-dev/*/dev` and `ls /dev/vfio/devices /dev/iommu`",
        "`grep -e IOMMUFD -e VFIO_DEVICE_CDEV /boot/config-$(uname -r)`",
    ],
    remedies: &[
        "Use the legacy back end (leave `iommufd=` out)",
        "Use a kernel from 6.6 on with CONFIG_VFIO_DEVICE_CDEV and CONFIG_IOMMUFD",
        "Load the `iommufd` module",
    ],
    sources: &["QEMU hw/vfio/iommufd.c: iommufd_cdev_getfd", "Linux drivers/vfio/Kconfig: VFIO_DEVICE_CDEV"],
    explanation: "The kernel offers no per-device VFIO node for {device|the device}, which QEMU's iommufd back end needs.",
};
