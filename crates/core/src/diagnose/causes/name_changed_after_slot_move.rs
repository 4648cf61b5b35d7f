//! `name-changed-after-slot-move`: bus addresses or interface names shifted after a card was moved or added; the configuration names the wrong device.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "name-changed-after-slot-move",
    definition: "Bus addresses or interface names shifted after a card was moved or added; the configuration names the wrong device.",
    kind: Kind::Fault,
    rule: Some("device-moved"),
    clues: &[
        against("virtual-plugged", 4.5).unless(&["passthrough-named", "hostpci-option"]),
        primary("libxl-lstat", 2.6),
        against("pve-group-mismatch", 3.0),
        primary("unraid-not-found", 3.4),
        against("pve-no-vf", 1.6),
        primary("no-host-device", 2.4),
        primary("pci-not-found", 2.0),
        primary("qubes-no-device", 2.4),
        primary("pve-no-device", 3.0),
        primary("hostdev-missing", 2.0),
        primary("device-moved", 1.2),
        primary("device-moved", 3.0).with(&["hardware-added"]),
        primary("address-shifted", 1.8),
        supporting("hardware-added", 1.0),
        against("fell-off-bus", 1.5),
        against("link-down", 1.5),
        against("header-127", 1.2),
        against("group-shifted", 0.4),
        against("said-works", 0.4),
        against("no-vf", 1.0),
        against("intx-busy", 2.5),
        against("group-not-viable", 0.8),
        against("flags-mismatch-vfio", 2.5),
        against("pciehp-add", 1.0),
        primary("told-renamed", 2.0),
        primary("told-address-moved", 1.6),
        primary("told-added-and-gone", 1.7),
    ],
    look_alikes: &[
        LookAlike { cause: "pcie-link-dead", tell: "then the device was there at boot and vanished" },
        LookAlike {
            cause: "iommu-group-changed-after-hotplug",
            tell: "then the address is right and the group is another",
        },
        LookAlike { cause: "vf-not-enabled", tell: "then the missing device is a virtual function" },
    ],
    settle: &["`lspci -nn` now, against what the configuration names", "`dmesg | grep renamed`"],
    remedies: &[
        "Correct the addresses in the configuration, and select devices by id and address together",
        "Name network interfaces by MAC address",
    ],
    sources: &[
        "Linux Documentation/admin-guide/sysfs-rules.rst; systemd.net-naming-scheme(7)",
        "libvirt src/util/virpci.c: virPCIDeviceNew",
        "Proxmox VE PVE/Mapping/PCI.pm",
    ],
    explanation: "There is no such device at {device|the configured address} any more: addresses or names shifted when hardware was moved or added.",
};
