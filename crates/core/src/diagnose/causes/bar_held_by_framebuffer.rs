//! `bar-held-by-framebuffer`: a firmware framebuffer (efifb, vesafb, simplefb, BOOTFB) of the host still owns a BAR of the GPU.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "bar-held-by-framebuffer",
    definition: "A firmware framebuffer (efifb, vesafb, simplefb, BOOTFB) of the host still owns a BAR of the GPU.",
    kind: Kind::Fault,
    rule: Some("bar-held-by-framebuffer"),
    clues: &[
        primary("bar-reserve", 2.4),
        primary("region-busy", 2.4),
        supporting("bootfb-iomem", 2.2),
        supporting("efifb-iomem", 1.2),
        supporting("framebuffer-fixed", 1.6),
        supporting("boot-vga", 1.0),
        supporting("mmap-failed", 0.3),
        against("pat-conflict", 3.0),
        primary("bootfb-iomem", 1.0).with(&["mmap-failed"]),
        // Who switches a framebuffer off has one in the BAR.
        primary("mmap-failed", 2.0).with(&["framebuffer-fixed"]).unless(&["bar-reserve"]),
        primary("told-framebuffer", 1.7),
    ],
    look_alikes: &[
        LookAlike {
            cause: "bar-held-by-host-driver",
            tell: "then `/proc/iomem` names a driver instead of BOOTFB or efifb, or the kernel complains about memory types",
        },
        LookAlike { cause: "host-mmio-window", tell: "then the BAR has no address at all (`can't assign`)" },
    ],
    settle: &["Who owns the BAR: `sudo grep -A3 -i DEVICE /proc/iomem`", "Is `boot_vga` of the device 1?"],
    remedies: &[
        "Boot the host on another GPU (firmware setting)",
        "Give `initcall_blacklist=sysfb_init` on the kernel command line",
        "Let the GPU's own driver load first and unbind it: it evicts the framebuffer",
        "Unbind the framebuffer: `echo efi-framebuffer.0 > /sys/bus/platform/drivers/efi-framebuffer/unbind`",
    ],
    sources: &[
        "Linux drivers/pci/pci.c: __pci_request_region; drivers/firmware/sysfb_simplefb.c; drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_setup_barmap",
        "qemu-devel: BOOTFB and 'BAR n: can't reserve' with a boot GPU",
    ],
    explanation: "The host's firmware framebuffer still owns {bar:BAR #|a BAR} of {device|the GPU}, so VFIO cannot map it into the guest.",
};
