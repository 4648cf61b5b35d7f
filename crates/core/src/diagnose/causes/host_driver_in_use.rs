//! `host-driver-in-use`: the host driver cannot be unbound because a process holds the device.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "host-driver-in-use",
    definition: "The host driver cannot be unbound because a process holds the device.",
    kind: Kind::Fault,
    rule: Some("host-driver-in-use"),
    clues: &[
        primary("libxl-unbind", 2.6),
        primary("gpu-module-in-use", 3.0),
        primary("nvrm-usage", 4.2),
        primary("unbind-failed", 2.6),
        primary("module-in-use", 2.4),
        primary("busy-unbind", 1.6),
        primary("nodedev-detach", 1.4),
        primary("hung-unbind", 1.8),
        against("pf-unload-vfs", 1.5),
        against("iommu-oops", 1.0),
        against("guest-root-lost", 1.0),
        against("hook-calls-libvirt", 2.0),
        primary("told-unbind-hangs", 1.9),
        primary("told-held-open", 1.8),
        primary("told-process-holds", 1.6),
    ],
    look_alikes: &[
        LookAlike { cause: "device-in-use", tell: "then a guest, not a host process, holds the device" },
        LookAlike { cause: "driver-autobind-race", tell: "then unbinding works and the driver comes back" },
    ],
    settle: &["Who has it open: `sudo fuser -v /dev/nvidia* /dev/dri/*`, mounts, network interfaces"],
    remedies: &[
        "Stop the display manager, `nvidia-persistenced`, and whatever else has the device open",
        "Unmount its disks, take its interface down",
        "Bind vfio-pci at boot instead of at run time",
    ],
    sources: &[
        "NVIDIA kernel module nv-pci.c: nv_pci_remove",
        "libvirt src/util/virpci.c: virPCIDeviceUnbind",
    ],
    explanation: "A process on the host still uses {device|the device}, so its driver{driver: #|} does not let it go.",
};
