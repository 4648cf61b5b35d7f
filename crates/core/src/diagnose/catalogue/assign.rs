//! KVM's own device assignment, the way before VFIO: `virt/kvm/` of Linux until 4.11, `pci-assign` of qemu-kvm and of
//! QEMU until 2.8 (`hw/i386/kvm/pci-assign.c`).

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "assign-no-iommu",
        &["nable to assign device"],
        r"no iommu found",
        "QEMU pci-assign.c assign_device",
        "the host has no IOMMU",
    ),
    row(
        "assign-occupied",
        &["is occupying your device"],
        r"driver '(?P<driver>[^']+)' is occupying your device (?P<device>%B)",
        "QEMU pci-assign.c assign_failed_examine",
        "a driver of the host has the device",
    ),
    row(
        "assign-busy",
        &["ailed to assign device"],
        r#"assign device "[^"]*"\s*: device or resource busy"#,
        "QEMU pci-assign.c assign_device",
        "a driver of the host has the device",
    ),
    row(
        "assign-eperm",
        &["ailed to assign device"],
        r#"assign device "[^"]*"\s*: operation not permitted"#,
        "QEMU pci-assign.c assign_device",
        "the kernel refuses the device",
    ),
    row(
        "assign-no-ir",
        &["disallowing device assignment"],
        r"interrupt remapping",
        "Linux kvm_iommu_map_guest",
        "KVM refuses the device because interrupts are not remapped",
    ),
    row(
        "assign-irq-mismatch",
        &["kvm_assigned_intx", "(kvm:0"],
        r"mismatch irq (?P<irq>\d+)\.|kvm_assigned_intx",
        "Linux __setup_irq, assigned_device_enable_host_intx",
        "KVM wants an interrupt line for itself that another driver already uses",
    ),
    row(
        "assign-irq",
        &["ailed to assign irq for", "shares an IRQ with another device"],
        "",
        "QEMU pci-assign.c assign_intx",
        "the legacy interrupt of the device cannot be claimed",
    ),
    row(
        "ppt-not-used",
        &["not using the ppt"],
        "",
        "bhyve passthru_init",
        "the device does not belong to the driver that FreeBSD passes devices with",
    ),
];
