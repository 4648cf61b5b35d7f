//! `guest-mmio-window`: the guest's firmware or its MMIO window is too small for a BAR of the device.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "guest-mmio-window",
    definition: "The guest's firmware or its MMIO window is too small for a BAR of the device.",
    kind: Kind::Fault,
    rule: Some("guest-mmio-window"),
    clues: &[
        primary("seabios-space", 3.0),
        primary("ovmf-resources", 2.6),
        primary("edk2-conflict", 2.6),
        primary("xen-mmio-hole", 2.6),
        // A PV guest sees the addresses of the host; its memory map must leave them free (`e820_host=1`).
        primary("pcifront-unclaimed", 3.0),
        primary("phys-bits", 2.4),
        primary("assign-failed", 1.8).with(&["guest-hypervisor"]).cured_by(&["bar-assigned"]),
        primary("assign-failed-large", 3.2).with(&["guest-hypervisor"]).cured_by(&["bar-assigned"]),
        primary("nvrm-bar", 3.2).with(&["guest-hypervisor"]),
        primary("nvrm-bar", 2.0).with(&["vm-named"]),
        primary("cant-enable-unassigned", 1.5).with(&["guest-hypervisor"]),
        supporting("guest-hypervisor", 0.4),
        against("hotplug-no-bus", 1.5),
        against("hotplug-said", 1.2),
        against("pciehp-add", 1.5),
        primary("mon-move-bar", 2.0).with(&["passthrough-named"]),
        primary("code-12", 1.6).with(&["passthrough-named"]),
        primary("told-guest-window", 1.8),
        against("memlock-said", 1.2),
        primary("told-guest-below-4g", 1.6),
    ],
    look_alikes: &[
        LookAlike {
            cause: "host-mmio-window",
            tell: "then the same lines come from the host's own kernel log",
        },
        LookAlike {
            cause: "hotplug-no-bus-window",
            tell: "then the device was hot-added behind a port of the running guest",
        },
    ],
    settle: &[
        "Is the log the guest's (does it say `Hypervisor detected`) or the host's?",
        "How large are the BARs: `lspci -vv -s DEVICE` on the host",
    ],
    remedies: &[
        "Use OVMF with a larger 64-bit window: `-fw_cfg opt/ovmf/X-PciMmio64Mb,string=65536`",
        "Use the q35 machine type and the host's physical address bits (`-cpu host,host-phys-bits=on`)",
        "With Xen HVM, raise `mmio_hole`",
        "Shrink a resizable BAR before binding",
    ],
    sources: &[
        "QEMU hw/i386/pc.c: pc_memory_init; edk2 OvmfPkg PlatformInitLib; SeaBIOS src/fw/pciinit.c; Xen hvmloader pci_setup",
    ],
    explanation: "The guest found no room for a BAR of {device|the passed device} in its address space.",
};
