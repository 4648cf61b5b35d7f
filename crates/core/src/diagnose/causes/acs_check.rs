//! `acs-check`: libvirt refuses a device that sits behind a PCIe switch or bridge without ACS.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "acs-check",
    definition: "libvirt refuses a device that sits behind a PCIe switch or bridge without ACS.",
    kind: Kind::Fault,
    rule: Some("acs-check"),
    clues: &[
        primary("acs-lacking", 5.0),
        primary("libvirt-not-assignable", 4.4).unless(&["xen-present"]),
        primary("xend-acs", 4.2),
    ],
    look_alikes: &[LookAlike {
        cause: "group-not-viable",
        tell: "then QEMU names the group and there is no word of a switch lacking ACS",
    }],
    settle: &["Does `lspci -vvv` show `Access Control Services` on every port above the device?"],
    remedies: &[
        "Move the card to a slot below a root port with ACS",
        "Use the VFIO back end, whose groups carry the isolation instead of this check",
        "Set `relaxed_acs_check = 1` in qemu.conf if the guests trust each other",
    ],
    sources: &["libvirt src/util/virpci.c: virPCIDeviceIsAssignable, virPCIDeviceIsBehindSwitchLackingACS"],
    explanation: "{device|The device} is behind a PCIe switch that does not isolate its ports with ACS, and libvirt refuses to assign it.",
};
