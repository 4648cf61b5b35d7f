//! `secure-boot-lockdown`: kernel lockdown (Secure Boot) forbids raw PCI access.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "secure-boot-lockdown",
    definition: "Kernel lockdown (Secure Boot) forbids raw PCI access.",
    kind: Kind::Fault,
    rule: Some("secure-boot-lockdown"),
    clues: &[
        primary("lockdown", 3.2),
        primary("module-key", 2.2).unless(&["guest-hypervisor", "module-key-named"]),
        primary("module-key", 2.2).with(&["module-key-passed"]).unless(&["guest-hypervisor"]),
        primary("devmem-refused", 2.6),
        primary("told-lockdown", 1.5).unless(&["guest-secure-boot"]),
        primary("told-lockdown-pci", 1.5),
    ],
    look_alikes: &[
        LookAlike { cause: "vfio-permission", tell: "then the denied node is `/dev/vfio/N`" },
        LookAlike {
            cause: "none-harmless",
            tell: "then lockdown refused something passthrough does not need (debugfs, kexec)",
        },
    ],
    settle: &["`cat /sys/kernel/security/lockdown`, `mokutil --sb-state`"],
    remedies: &[
        "Sign the module and enrol the key (`mokutil --import`)",
        "Use VFIO, which lockdown allows, instead of raw access",
        "Switch Secure Boot off",
    ],
    sources: &["Linux security/lockdown; man kernel_lockdown(7)"],
    explanation: "Secure Boot has locked the kernel down, and {other|a program} was refused raw access to hardware or an unsigned module.",
};
