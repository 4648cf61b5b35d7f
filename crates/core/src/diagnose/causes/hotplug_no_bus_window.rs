//! `hotplug-no-bus-window`: behind the guest port of a hot-added device there is no bus number or no memory window.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "hotplug-no-bus-window",
    definition: "Behind the guest port of a hot-added device there is no bus number or no memory window.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("hotplug-no-bus", 2.6),
        primary("cannot-add-device", 2.0),
        primary("assign-failed", 4.2).with(&["hotplug-said"]).cured_by(&["bar-assigned"]),
        primary("assign-failed", 4.0).with(&["pciehp-add"]).cured_by(&["bar-assigned"]),
        primary("told-hotplug-window", 1.4),
        // An empty port has no window either where nothing is hot-added.
        primary("bridge-no-window", 2.2).with(&["hotplug-said", "qemu-bridge"]),
    ],
    look_alikes: &[
        LookAlike { cause: "guest-mmio-window", tell: "then the device was there from the start" },
        LookAlike {
            cause: "hotplug-no-slot",
            tell: "then QEMU or libvirt refuses before the guest sees anything",
        },
    ],
    settle: &[
        "Was the device added while the guest ran?",
        "What windows has the port: `lspci -vv` in the guest",
    ],
    remedies: &[
        "Reserve room at the port: `-device pcie-root-port,mem-reserve=…,pref64-reserve=…,bus-reserve=…`",
        "Add the device before the guest starts",
        "Boot the guest with `pci=realloc`",
    ],
    sources: &[
        "Linux drivers/pci/probe.c: pci_hp_add_bridge; drivers/pci/hotplug/pciehp_pci.c",
        "QEMU docs/pcie.txt, pcie-root-port properties",
    ],
    explanation: "The guest cannot take the hot-added {device|device}: behind its port there is no bus number or address window left.",
};
