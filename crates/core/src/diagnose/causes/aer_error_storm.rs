//! `aer-error-storm`: endless PCIe errors of the device are reported until the link or the driver gives up.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "aer-error-storm",
    definition: "Endless PCIe errors of the device are reported until the link or the driver gives up.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("aer-multiple", 1.4).times(2),
        primary("aer-line", 2.0).times(6),
        // A reset that vfio-pci did not ask for, with the errors of its link: the device itself gave up.
        primary("aer-line", 1.4).times(3).with(&["reset-recovery"]),
        primary("aer-fatal", 1.3),
        primary("aer-fatal", 1.8).times(4),
        primary("unrecoverable", 3.0),
        primary("aer-norecover", 2.4),
        supporting("said-aer", 0.8),
        supporting("said-fails", 0.7),
        against("aer-own-driver", 2.0),
        // What falls off the bus reports errors before.
        against("fell-off-bus", 1.6),
        against("link-down", 0.8),
        against("not-ready-bus", 1.0),
        against("said-works", 1.5),
    ],
    look_alikes: &[
        LookAlike {
            cause: "pcie-link-dead",
            tell: "then the link goes down or the device reads ff, and the errors end with it",
        },
        LookAlike {
            cause: "none-harmless",
            tell: "then only a few corrected errors are reported and everything works",
        },
    ],
    settle: &[
        "Which device and which error bits: `dmesg | grep -A4 'PCIe Bus Error'`",
        "Does it stop with `pcie_aspm=off` or in another slot?",
    ],
    remedies: &[
        "Reseat the card, leave out the riser, try another slot",
        "Lower the link speed of the slot in the firmware setup, or switch ASPM off (`pcie_aspm=off`)",
        "Mask the error for this port only if it is corrected and everything works",
    ],
    sources: &[
        "Linux drivers/pci/pcie/aer.c: aer_print_error; err.c: pcie_do_recovery",
        "QEMU hw/vfio/pci.c: vfio_err_notifier_handler",
    ],
    explanation: "{device|The device} reports PCIe errors faster than they can be handled, and the link or its driver gives up.",
};
