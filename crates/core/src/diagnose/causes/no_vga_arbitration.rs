//! `no-vga-arbitration`: legacy VGA ranges are not arbitrated, and the wrong card answers.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "no-vga-arbitration",
    definition: "Legacy VGA ranges are not arbitrated, and the wrong card answers.",
    kind: Kind::Fault,
    rule: Some("vga-flags"),
    clues: &[
        primary("x-vga-unsupported", 3.4),
        primary("vga-arbitration-said", 1.6).with(&["vga-wrong-card"]),
        primary("vga-wrong-card", 0.3).with(&["vga-arb"]),
        supporting("vga-wrong-card", 0.8),
        supporting("vga-arb", 0.2),
    ],
    look_alikes: &[
        LookAlike {
            cause: "rom-invalid",
            tell: "then the guest shows nothing and the host's screen is untouched",
        },
        LookAlike {
            cause: "bar-held-by-framebuffer",
            tell: "then the kernel reports a BAR that cannot be reserved",
        },
    ],
    settle: &[
        "Is CONFIG_VFIO_PCI_VGA set, and is `disable_vga` off?",
        "Does a UEFI guest (OVMF) without `x-vga` behave?",
    ],
    remedies: &[
        "Use a UEFI guest, which needs no legacy VGA",
        "Set `disable_vga=0` and a kernel with CONFIG_VFIO_PCI_VGA for `x-vga=on`",
        "With an old i915 host driver, boot it with VGA arbitration (`enable_hd_vgaarb`, out of tree)",
    ],
    sources: &["QEMU hw/vfio/pci.c: vfio_populate_vga", "Linux drivers/pci/vgaarb.c"],
    explanation: "The legacy VGA ranges cannot be routed to {device|the passed GPU}, so another graphics card answers in its place.",
};
