//! `sriov-mmio`: There is no address space for the BARs of the virtual functions.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "sriov-mmio",
    definition: "There is no address space for the BARs of the virtual functions.",
    kind: Kind::Fault,
    rule: Some("sriov-mmio"),
    clues: &[
        primary("sriov-no-mmio", 4.6),
        primary("numvfs-enomem", 3.4),
        primary("vf-bar-failed", 2.0).unless(&["window-io-7"]).cured_by(&["bar-assigned"]),
        supporting("realloc-hint", 0.2),
    ],
    look_alikes: &[
        LookAlike { cause: "host-mmio-window", tell: "then BARs 0 to 5 of the device itself fail" },
        LookAlike { cause: "vf-not-enabled", tell: "then nobody has asked for virtual functions" },
    ],
    settle: &["`lspci -vv -s PF | grep -A8 SR-IOV`", "`dmesg | grep -e 'VF BAR' -e 'BAR 7' -e IOV`"],
    remedies: &[
        "Boot with `pci=realloc`",
        "Switch SR-IOV and `Above 4G decoding` on in the firmware setup",
        "Ask for fewer virtual functions in the card's firmware",
        "As a last resort `pci=assign-busses` or `pci=nocrs`",
    ],
    sources: &["Linux drivers/pci/iov.c: sriov_enable; Documentation/PCI/pci-iov-howto.rst"],
    explanation: "The firmware left no address space for the virtual functions of {device|the device}.",
};
