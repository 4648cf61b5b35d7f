//! `x2apic-opt-out`: the firmware asks to opt out of x2APIC; interrupt remapping is limited.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "x2apic-opt-out",
    definition: "The firmware asks to opt out of x2APIC; interrupt remapping is limited.",
    kind: Kind::Harmless,
    rule: None,
    clues: &[
        primary("x2apic-opt-out", 1.4),
        supporting("ir-failed", 1.2),
        supporting("set-iommu-eperm", 0.4),
        against("type1-no-ir", 0.6),
        against("group-not-viable", 2.0),
        against("header-127", 1.0),
        against("bar-reserve", 1.0),
        against("dma-fault-intel", 0.5),
    ],
    look_alikes: &[
        LookAlike {
            cause: "none-harmless",
            tell: "then `Enabled IRQ remapping in xapic mode` follows and the VM starts",
        },
        LookAlike { cause: "no-intremap", tell: "then interrupt remapping is off altogether" },
    ],
    settle: &["`dmesg | grep -e x2apic -e 'IRQ remapping'`"],
    remedies: &["Override with `intremap=no_x2apic_optout`", "Switch x2APIC on in the firmware setup"],
    sources: &["Linux drivers/iommu/intel/irq_remapping.c: intel_prepare_irq_remapping"],
    explanation: "A note, no fault: interrupt remapping works without x2APIC",
};
