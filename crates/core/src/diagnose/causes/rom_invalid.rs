//! `rom-invalid`: the video BIOS is missing or unusable in the guest.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "rom-invalid",
    definition: "The video BIOS is missing or unusable in the guest.",
    kind: Kind::Fault,
    rule: Some("rom-missing"),
    clues: &[
        primary("rom-unreadable", 2.2),
        primary("rom-signature", 0.7),
        primary("rom-signature", 2.4).with(&["code-43", "igpu-handed"]).unless(&["code-43-gone"]),
        primary("romfile-open", 2.4).unless(&["un-qemu-rom"]),
        primary("guest-radeon-rom", 3.0),
        primary("no-rom", 0.1).with(&["said-fails", "rom-signature"]),
        primary("code-43", 0.8).with(&["no-rom"]).unless(&["code-43-gone"]),
        supporting("no-rom", 0.8),
        supporting("gpu-init-fatal", 0.4),
        supporting("said-fails", 0.6),
        supporting("nvidia-gpu", 0.2).with(&["said-fails"]),
        against("said-works", 1.6),
        against("bar-reserve", 1.6),
        against("header-127", 1.4),
        against("reset-recovery", 0.8),
        against("rom-shadow-said", 1.0),
        against("fell-off-bus", 1.5),
        against("d0-refused", 1.0),
        against("d0-inaccessible", 1.0),
        against("group-not-viable", 1.5),
        // QEMU warns of the ROM and goes on; where it stops, something else stopped it.
        against("map-enomem", 1.5),
        against("map-einval", 1.5),
        against("memlock-kernel", 1.5),
        against("mac-vfio-path", 1.5),
        primary("told-rom", 1.3),
        primary("rom-cat", 0.9),
    ],
    look_alikes: &[
        LookAlike {
            cause: "option-rom-bar-shadow",
            tell: "then a ROM is read, but it is the firmware's copy",
        },
        LookAlike { cause: "none-harmless", tell: "then the guest works, with UEFI or without a screen" },
        LookAlike { cause: "d3cold-power", tell: "then everything of the device reads ff, not only the ROM" },
    ],
    settle: &[
        "`echo 1 > rom; cat rom | xxd | head` in the device's sysfs folder: does it begin with 55 aa?",
        "Does a dumped ROM given as `romfile=` help?",
    ],
    remedies: &[
        "Give the card's ROM as a file: `romfile=` or `<rom file=…/>`",
        "Strip vendor headers from a dumped ROM",
        "Use OVMF with a card whose ROM has a UEFI part",
    ],
    sources: &["Linux drivers/pci/rom.c: pci_get_rom_size", "QEMU hw/vfio/pci.c: vfio_pci_load_rom"],
    explanation: "No usable video BIOS of {device|the GPU} reaches the guest.",
};
