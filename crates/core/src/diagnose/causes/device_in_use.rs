//! `device-in-use`: another guest, or the dying previous QEMU, still holds the device or its group.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "device-in-use",
    definition: "Another guest, or the dying previous QEMU, still holds the device or its group.",
    kind: Kind::Fault,
    rule: Some("device-in-use"),
    clues: &[
        against("link-down", 2.2),
        against("fell-off-bus", 2.2),
        primary("open-group-ebusy", 3.6),
        primary("libvirt-in-use", 4.4),
        primary("libvirt-in-use-bare", 3.0).unless(&["xen-present", "libvirt-in-use"]),
        primary("pve-in-use", 4.5),
        primary("get-device-ebusy", 3.0),
        primary("iommufd-bind-ebusy", 3.0),
        primary("vfio-request-user", 2.6).unless(&["pf-removed"]),
        primary("vfio-request-none", 3.0),
        primary("vfio-blocked-task", 3.4),
        primary("xen-already-assigned", 2.6),
        primary("xen-pciback-removing-used", 3.0),
        primary("xen-detach-timeout", 2.4),
        primary("already-attached", 2.5),
        against("flags-mismatch-vfio", 2.5),
        against("intx-busy", 1.5),
        against("xen-rmrr", 2.0),
        primary("told-in-use", 1.7),
    ],
    look_alikes: &[
        LookAlike { cause: "intx-shared", tell: "then the busy thing is `INTX-0`, not `/dev/vfio/N`" },
        LookAlike { cause: "host-driver-in-use", tell: "then a host driver, not a guest, holds the device" },
        LookAlike { cause: "group-not-viable", tell: "then QEMU says that the group is not viable" },
    ],
    settle: &[
        "Who has the group open: `sudo fuser -v /dev/vfio/*`",
        "Which domains name the device: `virsh list --all`, `qm list`, `xl pci-list`",
    ],
    remedies: &[
        "Stop the other guest, or detach the device from it",
        "Wait for the previous QEMU to end, or end it",
        "Pass another device of the same kind",
    ],
    sources: &[
        "Linux drivers/vfio/group.c: vfio_group_fops_open; vfio_pci_core.c: vfio_pci_core_request",
        "libvirt src/hypervisor/virhostdev.c: virHostdevIsPCINodeDeviceUsed",
        "Proxmox VE PVE/QemuServer/PCI.pm: reserve_pci_usage",
    ],
    explanation: "{device|The device}{group:, in IOMMU group #,|} is held by {other|another guest or a QEMU that has not ended yet}.",
};
