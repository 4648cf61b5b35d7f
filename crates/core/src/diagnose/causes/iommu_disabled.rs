//! `iommu-disabled`: the IOMMU exists in principle but is off or missing: in firmware, on the kernel command line, in Xen, or in a nested guest.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "iommu-disabled",
    definition: "The IOMMU exists in principle but is off or missing: in firmware, on the kernel command line, in Xen, or in a nested guest.",
    kind: Kind::Fault,
    rule: Some("iommu-disabled"),
    clues: &[
        primary("host-validate-iommu", 3.2),
        against("said-cpu-unsupported", 2.5),
        primary("no-iommu-group", 4.2),
        primary("intel-iommu-off", 2.4),
        primary("cmdline-iommu-off", 2.8),
        primary("dmar-none", 2.4),
        primary("dmar-init-failed", 3.0),
        primary("amd-iommu-off", 2.6),
        primary("host-no-passthrough", 3.8),
        primary("pve-no-iommu", 4.2),
        primary("pve-iommu-hint", 3.4),
        primary("noiommu-taint", 3.0),
        primary("probe-22", 2.0),
        primary("bind-einval", 1.2),
        primary("xen-iov-off", 3.2),
        primary("xen-no-passthrough", 3.0),
        primary("sysfs-no-groups", 3.0),
        primary("said-iommu-off", 0.9).with(&["passthrough-named"]),
        primary("ivrs-error", 1.4),
        supporting("igfx-off", 0.8),
        against("vtd-on", 1.6),
        against("group-added", 1.2),
        against("group-not-viable", 3.0),
        against("dmar-parse-failed", 2.0),
        against("dmar-bios-broken", 1.5),
        against("intx-busy", 3.0),
        against("header-127", 1.5),
        against("flags-mismatch-vfio", 3.0),
        against("bridge-type", 1.5),
        against("xen-iov-on", 1.5),
        against("said-unsupported", 0.4),
        against("type1-no-ir", 1.5),
        against("dmar-no-width", 1.5),
    ],
    look_alikes: &[
        LookAlike {
            cause: "iommu-unsupported",
            tell: "then there is no table and no switch for it in the firmware setup",
        },
        LookAlike {
            cause: "acpi-dmar-broken",
            tell: "then the kernel says that the DMAR table cannot be parsed",
        },
        LookAlike { cause: "device-not-bound", tell: "then groups exist and only the bind is missing" },
    ],
    settle: &[
        "`ls /sys/kernel/iommu_groups` and `cat /proc/cmdline`",
        "`dmesg | grep -e DMAR -e AMD-Vi -e IVRS`; under Xen `xl dmesg | grep -i virtualisation`",
    ],
    remedies: &[
        "Switch VT-d, AMD IOMMU or SMMU on in the firmware setup",
        "Add `intel_iommu=on` to the kernel command line (AMD needs none), and remove `iommu=off`",
        "Under Xen, check `iommu=` on the hypervisor's line; in a nested guest, give the VM a virtual IOMMU",
    ],
    sources: &[
        "Linux drivers/iommu/intel/iommu.c: intel_iommu_setup, intel_iommu_init; drivers/vfio/vfio_main.c",
        "libvirt src/qemu/qemu_hostdev.c; Proxmox VE PVE/QemuServer/PCI.pm",
        "Xen xen/drivers/passthrough/iommu.c: iommu_setup",
    ],
    explanation: "The IOMMU is not in use on this host, so {device|the device} has no IOMMU group and cannot be passed.",
};
