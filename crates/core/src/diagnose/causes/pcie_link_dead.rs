//! `pcie-link-dead`: the PCIe link is down, or the device fell off the bus.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "pcie-link-dead",
    definition: "The PCIe link is down, or the device fell off the bus.",
    kind: Kind::Fault,
    rule: Some("d3cold-power"),
    clues: &[
        against("amd-gpu", 0.6),
        against("power-own-driver", 1.6),
        // A GPU outside loses its link on any machine, VMs or not.
        against("egpu-named", 4.0).unless(&["passthrough-named", "hostpci-option", "header-127"]),
        against("power-own-driver", 1.4).unless(&["power-passed"]),
        primary("fell-off-bus", 2.9),
        primary("said-card-lost", 2.6),
        primary("link-not-active", 2.7),
        primary("link-down", 1.8),
        primary("link-train-failed", 1.8),
        supporting("link-train-failed", 0.6),
        primary("not-ready-bus", 2.6),
        primary("not-ready-bus-wait", 1.2).times(3),
        primary("header-7f", 1.2),
        primary("d0-inaccessible", 1.4),
        primary("pci-irq-assert", 0.7),
        primary("region-io-error", 0.9),
        primary("header-127", 0.7),
        primary("config-ff", 0.8),
        primary("unknown-header-lspci", 0.8),
        supporting("aer-fatal", 0.6),
        supporting("unrecoverable", 0.4),
        against("vendor-reset", 1.2),
        against("d0-d3cold", 1.4),
        against("stuck-d3", 0.8),
        against("agesa", 0.8),
        against("not-ready-pm", 0.8),
        against("said-gpu-second-boot", 0.3),
        against("said-works", 1.0),
        against("ready-after-reset", 1.0),
        against("reset-recovery", 0.3),
        primary("told-link", 1.4),
    ],
    look_alikes: &[
        LookAlike {
            cause: "d3cold-power",
            tell: "then a line says that the device does not leave a low power state",
        },
        LookAlike {
            cause: "reset-broken-amd",
            tell: "then an AMD GPU stays silent after a reset, while its link is up",
        },
        LookAlike {
            cause: "aer-error-storm",
            tell: "then errors are reported without end and the link holds",
        },
    ],
    settle: &["Link state: `lspci -vv -s PORT | grep LnkSta`", "Does `lspci -s DEVICE` show `rev ff`?"],
    remedies: &[
        "Reseat the card; check power cables and riser",
        "Lower the link speed of the slot, switch ASPM off",
        "Remove and rescan the device; power the machine off fully",
    ],
    sources: &[
        "Linux drivers/pci/pci.c: pci_bridge_wait_for_secondary_bus, pci_dev_wait; drivers/pci/hotplug/pciehp_ctrl.c",
        "NVIDIA Xid 79",
    ],
    explanation: "{device|The device} no longer answers on the PCIe bus: its link is down or did not come up again.",
};
