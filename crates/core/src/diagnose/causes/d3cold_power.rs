//! `d3cold-power`: the device was left in, or fell into, a deep power state (D3hot, D3cold) and cannot be woken; its configuration space reads ff.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "d3cold-power",
    definition: "The device was left in, or fell into, a deep power state (D3hot, D3cold) and cannot be woken; its configuration space reads ff.",
    kind: Kind::Fault,
    rule: Some("d3cold-power"),
    clues: &[
        against("power-own-driver", 1.6),
        against("power-own-driver", 1.4).unless(&["power-passed"]),
        against("radio-named", 2.5).unless(&["passthrough-named"]),
        primary("d0-d3cold", 2.9),
        primary("stuck-d3", 2.4),
        primary("d0-refused", 2.2),
        primary("d0-inaccessible", 2.0),
        primary("not-ready-pm", 2.8),
        primary("not-ready-pm-wait", 2.4).times(3).cured_by(&["ready-after-reset"]),
        primary("runtime-resume-failed", 2.5),
        primary("header-127", 0.9),
        primary("pci-irq-assert", 1.0),
        primary("msix-overlap", 0.5),
        primary("region-io-error", 0.6),
        primary("get-device-eio", 0.8),
        primary("saved-state-lost", 1.0),
        primary("header-7f", 0.6),
        primary("config-ff", 0.4),
        supporting("d3cold-named", 1.2),
        against("vendor-reset", 1.6),
        against("agesa", 1.0),
        against("fell-off-bus", 2.0),
        against("link-down", 1.5),
        against("link-not-active", 1.5),
        against("link-train-failed", 1.5),
        against("not-ready-bus", 1.2),
        against("not-ready-flr", 2.5),
        against("aer-fatal", 0.8),
        against("reset-recovery", 0.6),
        against("said-gpu-second-boot", 0.4),
        primary("told-d3", 1.7),
        primary("ats-timeout-amd", 1.6).with(&["d3cold-named"]),
        primary("ats-timeout-intel", 1.6).with(&["d3cold-named"]),
    ],
    look_alikes: &[
        LookAlike {
            cause: "pcie-link-dead",
            tell: "then a port reports that its link is down, or the device vanished during work",
        },
        LookAlike {
            cause: "reset-broken-amd",
            tell: "then an AMD GPU fails after a guest was shut down, with `reset recovery` lines",
        },
        LookAlike { cause: "flr-broken", tell: "then the failure follows a function level reset" },
        LookAlike {
            cause: "host-firmware-bug",
            tell: "then the same setup worked with an older firmware of the board",
        },
    ],
    settle: &[
        "`cat /sys/bus/pci/devices/DEVICE/power_state` and `d3cold_allowed`",
        "Does `setpci -s DEVICE 0.l` read ffffffff right after boot, before any guest?",
    ],
    remedies: &[
        "Load vfio-pci with `disable_idle_d3=1`",
        "`echo 0 > /sys/bus/pci/devices/DEVICE/d3cold_allowed`, also for the port above",
        "`echo on > …/power/control` of the device and the port",
        "Power the machine off fully, then boot",
    ],
    sources: &[
        "Linux drivers/pci/pci.c: pci_power_up, pci_set_full_power_state, pci_dev_wait; drivers/vfio/pci/vfio_pci_core.c",
        "libvirt src/util/virpci.c: virPCIGetHeaderType",
        "QEMU hw/vfio/pci.c: vfio_pci_pre_reset",
    ],
    explanation: "{device|The device} is in a low power state and does not wake up: its configuration space reads ff and it cannot be opened.",
};
