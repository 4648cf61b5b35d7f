//! `device-not-bound`: the device is not bound to vfio-pci, so its group has no node.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "device-not-bound",
    definition: "The device is not bound to vfio-pci, so its group has no node.",
    kind: Kind::Fault,
    rule: Some("device-not-bound"),
    clues: &[
        primary("assign-occupied", 4.2),
        primary("assign-busy", 2.8),
        primary("open-group-enoent", 3.0),
        primary("get-device-enodev", 3.0),
        primary("unmanaged-not-detached", 4.0),
        // Before FreeBSD 15 for any error, such as a host without an IOMMU.
        primary("ppt-not-used", 2.6),
        primary("driver-load-failed", 3.0),
        primary("vfio-denylist", 4.0),
        primary("pf-sriov-bind", 4.0),
        primary("probe-16", 2.0),
        primary("bind-failed", 1.6),
        primary("pve-cannot-bind", 2.0),
        // DPDK looks for VFIO whatever has the device (EAL, vfio_get_default_container_fd).
        primary("open-container", 2.6).unless(&["uio-named"]),
        primary("bind-enodev", 1.4),
        primary("own-not-taken", 1.4),
        primary("bind-ebusy", 2.8).with(&["bind-written"]),
        // A model is looked for once, when it is made known; devices that are unbound later have to be bound one by one.
        primary("new-id-exists", 1.6).with(&["bind-written"]).unless(&["said-works"]),
        primary("probe-22", 0.6),
        // With an IOMMU it is the device that vfio-pci does not take: a bridge, a denied model.
        primary("probe-22", 1.6).with(&["group-added"]),
        primary("probe-22", 1.6).with(&["vtd-on"]),
        primary("probe-22", 2.4).with(&["bridge-passed"]),
        primary("bind-einval", 0.5),
        primary("devbind-einval", 0.8),
        primary("devbind-no-driver", 3.0),
        // A mediated device has its group only once vfio_mdev has it (mdev_probe, mdev_attach_iommu).
        primary("no-iommu-group", 5.5).with(&["mdev-driver-named"]),
        against("no-iommu-group", 3.0),
        against("said-card-lost", 2.0),
        against("pve-no-iommu", 3.0),
        against("sysfs-no-groups", 2.5),
        against("said-iommu-off", 1.2),
        against("cmdline-iommu-off", 2.5),
        against("intel-iommu-off", 2.5),
        against("bind-failed-busy", 1.5),
        against("mixed-driver-return", 1.6),
        against("group-shifted", 2.0),
        against("host-no-passthrough", 3.0),
        against("unbind-failed", 1.0),
        // Who binds the device only while a guest runs shows it on its own driver as well.
        primary("listed-but-held", 1.6).unless(&["said-works"]),
        primary("told-not-bound", 1.5),
        primary("told-driver-still", 1.4)
            .with(&["host-driver-bound", "passthrough-named"])
            .unless(&["said-works"]),
        primary("told-stub-missed", 1.5),
        primary("told-driverless", 1.4).with(&["passthrough-named"]).unless(&["told-not-bound"]),
        primary("told-no-node", 1.6),
        primary("mon-open-container", 2.2).unless(&["uio-named", "eal-without-vfio"]),
        primary("mon-group-fd", 2.2),
        primary("mon-not-managed", 3.0),
        primary("mon-override-timeout", 2.4),
        against("mon-no-group", 2.0),
    ],
    look_alikes: &[
        LookAlike {
            cause: "iommu-disabled",
            tell: "then the device has no group at all and binding fails with EINVAL (-22)",
        },
        LookAlike { cause: "vfio-permission", tell: "then the node exists and opening it is denied" },
        LookAlike {
            cause: "driver-autobind-race",
            tell: "then the device was bound and a host driver took it again",
        },
        LookAlike {
            cause: "iommu-group-changed-after-hotplug",
            tell: "then the configuration names a group that existed before a card was added",
        },
    ],
    settle: &["`lspci -nnk -s DEVICE`: is the driver in use vfio-pci?", "`ls /dev/vfio`"],
    remedies: &[
        "Bind the device: `driver_override` to vfio-pci, unbind, `drivers_probe`",
        "With libvirt, set `managed='yes'`",
        "Load the vfio-pci module early in the initramfs",
    ],
    sources: &[
        "Linux drivers/vfio/pci/vfio_pci.c, vfio_pci_core.c: vfio_pci_core_register_device; drivers/base/bus.c: drivers_probe_store",
        "QEMU hw/vfio/container.c: vfio_group_get",
        "libvirt src/hypervisor/virhostdev.c",
    ],
    explanation: "{device|The device} is not bound to vfio-pci, so there is no node for its IOMMU group{group: #|}.",
};
