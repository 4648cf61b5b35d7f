//! `kvm-vfio-kernel-config`: the kernel configuration keeps the KVM-VFIO device from taking the group.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "kvm-vfio-kernel-config",
    definition: "The kernel configuration keeps the KVM-VFIO device from taking the group.",
    kind: Kind::Fault,
    rule: None,
    clues: &[primary("kvm-vfio-device", 4.2), primary("kvm-vfio-unset", 1.6)],
    look_alikes: &[LookAlike {
        cause: "group-not-viable",
        tell: "then QEMU names the group, not the KVM device",
    }],
    settle: &["`grep -e KVM_VFIO -e VFIO /boot/config-$(uname -r)`"],
    remedies: &[
        "Use a kernel with CONFIG_KVM_VFIO and VFIO built alike (both built in or both modules)",
        "Start QEMU with KVM acceleration of the same kernel's modules",
    ],
    sources: &["QEMU hw/vfio/helpers.c: vfio_kvm_device_add_fd", "Linux virt/kvm/vfio.c"],
    explanation: "KVM on this host cannot be told of the VFIO group, a matter of the kernel's configuration.",
};
