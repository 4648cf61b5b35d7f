//! `xen-msi-delivery-mode`: the guest programs an MSI delivery mode that Xen does not accept.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "xen-msi-delivery-mode",
    definition: "The guest programs an MSI delivery mode that Xen does not accept.",
    kind: Kind::Fault,
    rule: Some("guest-msi-quirk"),
    clues: &[primary("xen-msi-mode", 4.6)],
    look_alikes: &[LookAlike {
        cause: "xen-map-irq",
        tell: "then mapping the interrupt fails, not its delivery",
    }],
    settle: &["Do the lines come once at a guest reset, or for every interrupt?"],
    remedies: &["Boot the guest with `pci=nomsi`", "Update Xen and the guest's driver"],
    sources: &["Xen xen/arch/x86/hvm/vmsi.c: vmsi_deliver"],
    explanation: "The guest programmed {mode:MSI delivery mode #|an MSI delivery mode} into {device|the device}, which Xen does not deliver, so its interrupts are lost.",
};
