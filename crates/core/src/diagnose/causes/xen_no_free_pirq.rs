//! `xen-no-free-pirq`: the domain has no free interrupt number (pirq) left in Xen.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "xen-no-free-pirq",
    definition: "The domain has no free interrupt number (pirq) left in Xen.",
    kind: Kind::Fault,
    rule: Some("xen-no-free-pirq"),
    clues: &[
        primary("xen-no-free-pirq", 4.8),
        primary("xen-map-irq-full", 2.8),
        primary("told-guest-irqs", 2.4),
        supporting("xen-guest-irqs", 0.8),
    ],
    look_alikes: &[LookAlike { cause: "xen-map-irq", tell: "then mapping fails for another reason" }],
    settle: &["How many interrupts do the devices of the domain use?"],
    remedies: &[
        "Raise `extra_guest_irqs=` on the hypervisor's command line",
        "Let devices use fewer vectors, or pass fewer devices",
    ],
    sources: &["Xen xen/arch/x86/irq.c: allocate_pirq; docs/misc/xen-command-line.pandoc: extra_guest_irqs"],
    explanation: "{domain:Domain #|The domain} has used up the interrupt numbers that Xen allows it.",
};
