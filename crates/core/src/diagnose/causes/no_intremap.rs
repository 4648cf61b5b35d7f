//! `no-intremap`: There is no interrupt remapping, and the type1 back end refuses the device.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "no-intremap",
    definition: "There is no interrupt remapping, and the type1 back end refuses the device.",
    kind: Kind::Fault,
    rule: Some("no-intremap"),
    clues: &[
        primary("assign-no-ir", 4.6),
        primary("assign-eperm", 2.2),
        primary("type1-no-ir", 4.6),
        primary("set-iommu-eperm", 1.8),
        primary("ir-ioapic-missing", 1.6),
        primary("ir-chipset", 1.4),
        primary("ir-amd-off", 1.4),
        primary("ir-failed", 1.4),
        primary("ivrs-ioapic", 0.8),
        primary("xen-ir-off", 0.8),
        primary("iommufd-bind-eperm", 1.4),
        against("rmrr-ineligible", 3.0),
        against("ir-on", 1.5),
        against("ir-amd-on", 1.5),
        against("unsafe-option", 0.8),
        against("said-works", 0.6),
        against("memlock-kernel", 1.5),
        against("iommu-oops", 1.0),
        primary("told-intremap", 1.5),
    ],
    look_alikes: &[
        LookAlike {
            cause: "rmrr",
            tell: "then the kernel names an RMRR requirement, with the same EPERM in QEMU",
        },
        LookAlike {
            cause: "unsafe-interrupts-required-note",
            tell: "then `allow_unsafe_interrupts` is set and the VM starts",
        },
        LookAlike {
            cause: "group-not-viable",
            tell: "then the refusal comes at the group container, not at the IOMMU",
        },
    ],
    settle: &[
        "`dmesg | grep -e 'IRQ remapping' -e 'Interrupt remapping'`",
        "Do chips in `/proc/interrupts` begin with `IR-`?",
    ],
    remedies: &[
        "Switch interrupt remapping on in the firmware setup, update the firmware",
        "Correct missing IO-APICs with `ivrs_ioapic[…]=`",
        "If the guest is trusted: `vfio_iommu_type1.allow_unsafe_interrupts=1`",
    ],
    sources: &[
        "Linux drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group; drivers/iommu/intel/irq_remapping.c; drivers/iommu/amd/init.c: check_ioapic_information",
    ],
    explanation: "The host does not remap interrupts, so VFIO refuses to let {device|the device} send them into a guest.",
};
