//! `hotplug-no-slot`: the guest machine has no free hot-pluggable port or slot.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "hotplug-no-slot",
    definition: "The guest machine has no free hot-pluggable port or slot.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("no-slot", 3.4),
        // On a command line the address is taken because the configuration gives it twice.
        primary("multi-function-slot", 2.2).with(&["hotplug-said"]),
        primary("pcie-in-pci-bus", 1.4),
        primary("told-no-slot", 1.9),
        // What cannot be unplugged was there from the start.
        against("vfio-request-user", 2.5),
    ],
    look_alikes: &[
        LookAlike {
            cause: "hotplug-no-bus-window",
            tell: "then the device arrives in the guest and fails there",
        },
        LookAlike { cause: "none-unrelated", tell: "then the command line names a bus that does not exist" },
    ],
    settle: &["How many `pcie-root-port` controllers has the machine, and which are free?"],
    remedies: &[
        "Add `pcie-root-port` controllers while the guest is off",
        "Plug into a root port, not into `pcie.0`",
        "Free a slot",
    ],
    sources: &["QEMU hw/pci/pci.c: do_pci_register_device; hw/core/qdev.c", "libvirt src/conf/domain_addr.c"],
    explanation: "The guest machine has no free hot-pluggable slot for {device|the device}.",
};
