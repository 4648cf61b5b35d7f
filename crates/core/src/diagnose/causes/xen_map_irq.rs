//! `xen-map-irq`: Xen cannot map an interrupt (MSI or pirq) of the device for the domain.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "xen-map-irq",
    definition: "Xen cannot map an interrupt (MSI or pirq) of the device for the domain.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        primary("xen-map-irq", 3.6),
        primary("xen-msi-enable-fail", 2.6),
        primary("guest-msi-refused", 2.8).with(&["xen-present"]),
        supporting("xen-present", 0.2),
        against("xen-no-free-pirq", 1.6),
        against("xen-irq-share", 1.0),
        against("xen-guest-irqs", 1.0),
    ],
    look_alikes: &[
        LookAlike { cause: "xen-no-free-pirq", tell: "then the hypervisor's log says `no free pirq`" },
        LookAlike { cause: "intx-shared", tell: "then Xen says who else uses the line" },
    ],
    settle: &[
        "`xl dmesg` at the same time: which line stands above?",
        "Does the domain start with `pci=nomsi` in the guest?",
    ],
    remedies: &[
        "Boot the guest with `pci=nomsi`",
        "Give dom0 and guests more interrupts: `extra_guest_irqs=` on the hypervisor's line",
        "Update Xen",
    ],
    sources: &[
        "Linux arch/x86/pci/xen.c: xen_register_pirq; Xen xen/arch/x86/irq.c: map_domain_pirq; QEMU hw/xen/xen_pt.c: xen_pt_realize",
    ],
    explanation: "Xen could not map the interrupt of {device|the device} into the domain.",
};
