//! `no-reset`: the device or the kernel offers no usable reset where one is required.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "no-reset",
    definition: "The device or the kernel offers no usable reset where one is required.",
    kind: Kind::Fault,
    rule: Some("no-reset"),
    clues: &[
        primary("reset-none", 4.0),
        primary("reset-active-devices", 3.2),
        primary("no-reset-methods", 3.4),
        primary("reset-depends", 1.8),
        primary("pve-reset-fail", 3.0),
        primary("no-reset-mechanism", 0.7),
        supporting("said-regressed", 1.0),
        primary("hot-reset-info", 1.4),
        primary("hot-reset-failed", 0.9),
        primary("sysfs-reset-failed", 0.6).unless(&["pve-reset-try"]),
        primary("pve-reset-try", 0.3),
        primary("xen-reset-unsupported", 0.4),
        supporting("said-fails", 0.3),
        supporting("said-gpu-second-boot", 0.6),
        against("header-127", 1.5),
        primary("vendor-reset", 1.8).with(&["nvidia-gpu"]).unless(&["amd-gpu"]),
        against("vendor-reset", 1.2).with(&["amd-gpu"]),
        against("reset-recovery", 0.8),
        against("said-works", 1.2),
        against("memlock-kernel", 2.0),
        against("amd-gpu", 0.5),
        against("not-ready-bus", 1.0),
        against("d0-refused", 0.8),
        against("xen-map-irq", 1.5),
        against("xen-rmrr", 2.0),
        against("xen-no-free-pirq", 1.5),
        against("code-43", 1.0),
        primary("told-no-reset", 1.7),
        primary("told-reset-regressed", 1.6),
        primary("told-reset-regressed", 3.4).with(&["said-works"]),
    ],
    look_alikes: &[
        LookAlike { cause: "flr-broken", tell: "then the device has an FLR and does not come back from it" },
        LookAlike { cause: "reset-broken-amd", tell: "then it is an AMD GPU whose reset has no effect" },
        LookAlike { cause: "none-harmless", tell: "then the VM goes on and works" },
    ],
    settle: &[
        "`cat /sys/bus/pci/devices/DEVICE/reset_method`",
        "Which functions share the bus, and are they all on vfio-pci?",
    ],
    remedies: &[
        "Pass every function of the bus together, so that the bus can be reset",
        "Bind the device with VFIO rather than an old stub, libvirt then leaves the reset to QEMU",
        "Move the card so that it is alone on its bus",
        "Restart the host between guests",
    ],
    sources: &[
        "Linux drivers/pci/pci.c: pci_reset_fn_methods",
        "libvirt src/util/virpci.c: virPCIDeviceReset",
        "QEMU hw/vfio/pci.c: vfio_pci_hot_reset",
    ],
    explanation: "{device|The device} offers no reset that may be used here, and one is needed.",
};
