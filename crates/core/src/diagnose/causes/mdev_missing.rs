//! `mdev-missing`: the mediated device (vGPU) of the configuration does not exist on the host.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "mdev-missing",
    definition: "The mediated device (vGPU) of the configuration does not exist on the host.",
    kind: Kind::Fault,
    rule: None,
    clues: &[primary("mdev-missing", 3.2), primary("told-mdev", 2.0), primary("told-mdev-types", 2.0)],
    look_alikes: &[
        LookAlike {
            cause: "device-not-bound",
            tell: "then the missing thing is a whole PCI device or group",
        },
        LookAlike { cause: "vf-not-enabled", tell: "then the vGPU is a virtual function" },
    ],
    settle: &[
        "`ls /sys/bus/mdev/devices` and `mdevctl list`",
        "`ls /sys/bus/pci/devices/PARENT/mdev_supported_types`",
    ],
    remedies: &[
        "Create the mediated device again (`mdevctl start`): it does not survive a reboot unless defined",
        "Load the vendor's host driver with vGPU support",
        "Name the new UUID in the configuration",
    ],
    sources: &["libvirt src/util/virmdev.c: virMediatedDeviceNew", "Linux drivers/vfio/mdev"],
    explanation: "The mediated device that the configuration names is not there on the host.",
};
