//! Proxmox VE (`PVE/QemuServer/PCI.pm`, `PVE/SysFSTools.pm`, `PVE/QemuMigrate.pm`).

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "pve-no-iommu",
        &["IOMMU not present", "iommu not present"],
        r"prepare PCI pass-through|IOMMU not present",
        "Proxmox VE PCI::prepare_pci_device",
        "the host has no IOMMU groups",
    ),
    row(
        "pve-iommu-hint",
        &["No IOMMU detected", "no IOMMU detected"],
        "",
        "Proxmox VE web interface",
        "the host has no IOMMU groups",
    ),
    row(
        "pve-cannot-bind",
        &["annot bind", "unbind/bind pci group to vfio", "unbind/bind to stub"],
        r"cannot bind (?P<device>%B) to vfio|unbind/bind (?:pci group )?to (?:vfio|stub)(?:.*?'(?P<device2>%B))?",
        "Proxmox VE PCI::prepare_pci_device",
        "the device could not be bound to vfio-pci",
    ),
    row(
        "pve-in-use",
        &["already in use by V", "in use by VM"],
        r"(?:PCI device '?(?P<device>%B)'? )?already in use by (?:VMID|VM) '?(?P<other>\d+)|in use by VM",
        "Proxmox VE PCI::reserve_pci_usage",
        "another VM holds the device",
    ),
    row(
        "pve-no-device",
        &[
            "no pci device info",
            "no PCI device found",
            "PCI device mapping invalid",
            "hardware probably changed",
            "pci device '",
        ],
        r"(?:no pci device info|no PCI device found|mapping invalid|hardware probably changed)(?:.*?device '?(?P<device>%B))?|pci device '(?P<device2>%B)' (?:not|does)",
        "Proxmox VE SysFSTools, Mapping::PCI",
        "there is no such device at the configured address",
    ),
    row(
        "pve-group-mismatch",
        &["iommugroup' does not match"],
        "",
        "Proxmox VE Mapping::PCI, assert_valid",
        "the device is in another IOMMU group than the configuration says",
    ),
    row(
        "pve-reset-try",
        &["ailed to reset PCI device", "not all devices need a reset"],
        r"(?:PCI device '?(?P<device>%B))?.*(?:but trying to continue|reset)",
        "Proxmox VE PCI::prepare_pci_device",
        "the reset that the host tried before the start was refused",
    ),
    row(
        "pve-reset-fail",
        &["an't reset PCI device", "annot reset PCI device"],
        r"reset PCI device '?(?P<device>%B)",
        "Proxmox VE PCI::prepare_pci_device",
        "the device cannot be reset",
    ),
    row(
        "sysfs-reset-failed",
        &["/reset': ", "/reset: ", "/reset returned"],
        r"/(?P<device>%B)/reset.{0,20}(?:Inappropriate ioctl|write error|Invalid|No such)",
        "Linux reset_store",
        "the device has no reset by sysfs",
    ),
    row(
        "task-error-start",
        &[
            "TASK ERROR: start failed",
            "start failed: QEMU exited",
            "unexpectedly closed the monitor",
            "rror starting domain",
        ],
        "",
        "Proxmox VE, libvirt",
        "the VM did not start",
    ),
    row(
        "pve-no-vf",
        &["no pci device info"],
        r"no pci device info.*'(?:[0-9a-f]{4}:)?(?:[0-9a-f]{2}:1[0-9a-f]\.[0-7]|00:02\.[1-7])",
        "Proxmox VE SysFSTools",
        "there is no device at an address where virtual functions are",
    ),
];
