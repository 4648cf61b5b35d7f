//! `driver-autobind-race`: a host driver or udev binds the device between unbind and the bind to vfio-pci.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "driver-autobind-race",
    definition: "A host driver or udev binds the device between unbind and the bind to vfio-pci.",
    kind: Kind::Fault,
    rule: Some("driver-binds-first"),
    clues: &[
        primary("bind-failed-busy", 2.6),
        primary("mixed-driver-return", 1.2).with(&["passthrough-named"]).unless(&["guest-driver-takes"]),
        supporting("open-group-enoent", 0.4),
        supporting("bind-enodev", 0.6),
        supporting("group-not-viable", 0.2),
        supporting("unmanaged-not-detached", 0.4),
        against("libvirt-in-use", 2.0),
        against("bar-reserve", 1.5),
        against("header-127", 1.5),
        against("nvrm-usage", 1.5),
        against("code-43", 1.5),
        against("intx-busy", 2.0),
        against("said-works", 0.8),
        against("reset-recovery", 1.0),
        against("memlock-kernel", 2.0),
        against("type1-no-ir", 2.0),
        against("pf-unload-vfs", 1.5),
        against("xen-present", 1.2),
        against("iommufd-cdev", 1.5),
        against("guest-root-lost", 1.0),
    ],
    look_alikes: &[
        LookAlike {
            cause: "device-not-bound",
            tell: "then nothing else ever took the device; vfio-pci was never asked",
        },
        LookAlike {
            cause: "host-driver-in-use",
            tell: "then the host driver cannot be unbound in the first place",
        },
        LookAlike { cause: "pciback-not-seized", tell: "then Xen's pciback lost the same race at boot" },
    ],
    settle: &[
        "Which driver does `lspci -nnk` show right after binding?",
        "Is the host driver built into the kernel or early in the initramfs?",
    ],
    remedies: &[
        "Use `driver_override`, which keeps every other driver away, not `new_id`",
        "Set it from the initramfs (driverctl, a modprobe `softdep` for modular drivers)",
        "Blacklist the host driver if no other device needs it",
    ],
    sources: &[
        "Linux drivers/pci/pci-driver.c: pci_match_device; drivers/base/dd.c",
        "libvirt src/util/virpci.c: virPCIDeviceBindToStub",
    ],
    explanation: "A host driver takes {device|the device} before vfio-pci gets it.",
};
