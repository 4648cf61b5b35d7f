//! `flr-broken`: the device advertises a function level reset but does not come back after it.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "flr-broken",
    definition: "The device advertises a function level reset but does not come back after it.",
    kind: Kind::Fault,
    rule: Some("flr-broken"),
    clues: &[
        primary("not-ready-flr", 3.8),
        primary("not-ready-flr-wait", 2.2).times(2),
        primary("flr-pending", 1.4),
        primary("msix-overlap", 1.2),
        supporting("header-127", 0.5),
        supporting("ready-after-reset", -2.5),
        primary("told-flr", 2.0),
    ],
    look_alikes: &[
        LookAlike {
            cause: "reset-broken-amd",
            tell: "then it is an AMD GPU, which offers no FLR; bus reset and `reset recovery` lines show",
        },
        LookAlike {
            cause: "pcie-link-dead",
            tell: "then the failed reset is a bus reset or the link does not come up",
        },
        LookAlike { cause: "d3cold-power", tell: "then the wait is for a power state, not for FLR" },
    ],
    settle: &[
        "`cat /sys/bus/pci/devices/DEVICE/reset_method`",
        "Does it come back with `echo bus > reset_method` first?",
    ],
    remedies: &[
        "Write another order into `reset_method` (for example `bus`)",
        "Update the device's firmware or the kernel (quirk_no_flr)",
        "Power the machine off fully between guests",
    ],
    sources: &["Linux drivers/pci/pci.c: pcie_flr, pci_dev_wait; drivers/pci/quirks.c: quirk_no_flr"],
    explanation: "{device|The device} was reset by FLR and did not answer again within a minute.",
};
