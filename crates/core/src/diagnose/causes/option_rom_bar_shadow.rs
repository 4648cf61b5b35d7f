//! `option-rom-bar-shadow`: what was read as the card's ROM is the boot-time shadow copy, not the ROM itself.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "option-rom-bar-shadow",
    definition: "What was read as the card's ROM is the boot-time shadow copy, not the ROM itself.",
    kind: Kind::Fault,
    rule: Some("option-rom-shadow"),
    clues: &[
        primary("rom-shadow-said", 1.8),
        primary("rom-unreadable", 0.6).with(&["boot-vga"]),
        supporting("boot-vga", 0.8),
        supporting("no-rom", 0.3),
        supporting("rom-shadow", 0.3),
        against("bar-reserve", 1.5),
        against("said-works", 0.6),
    ],
    look_alikes: &[
        LookAlike { cause: "rom-invalid", tell: "then there is no readable ROM at all" },
        LookAlike {
            cause: "bar-held-by-framebuffer",
            tell: "then a BAR of the boot GPU is held, whatever the ROM",
        },
    ],
    settle: &[
        "Is the GPU the one the firmware boots on (`boot_vga`)?",
        "Compare the dump with one taken while another GPU was the boot GPU",
    ],
    remedies: &[
        "Dump the ROM while the card is not the boot GPU, and give it as `romfile=`",
        "Boot the host on another GPU",
        "Take the card's ROM from its vendor and check it with rom-parser",
    ],
    sources: &["Linux arch/x86/pci/fixup.c: pci_fixup_video", "QEMU hw/vfio/pci.c: vfio_pci_load_rom"],
    explanation: "{device|The GPU} is the boot GPU, so the ROM that QEMU reads is the copy that the firmware left in memory.",
};
