//! Keeps KVM of a lab host from patching kernel code while VMs come and go.
//!
//! KVM switches static keys, which patches instructions in place: the first VM and the last turn `preempt_notifier_key` on
//! and off, in the middle of `__schedule` (`kernel/sched/core.c`); virtual processors whose APIC is disabled by software,
//! as each is at first, turn `apic_sw_disabled` (`arch/x86/kvm/lapic.c`). QEMU's multi-threaded TCG before 8.1 may
//! translate a page while another processor patches it, and then runs what is no longer there: an `int3` that the kernel
//! has long replaced traps forever, with a run queue locked, and the host is gone (seen with 7.2 in one of some forty ends
//! of a VM). Mended by QEMU's deba78709ae8, "accel/tcg: Always lock pages before translation".
//!
//! One VM whose processor never runs keeps both keys on from the start of the host to its end.

use kvm_ioctls::{Error, Kvm, VcpuFd, VmFd};

/// The VM that never runs.
#[derive(Debug)]
pub(crate) struct Quiet {
    _vm: VmFd,
    _processor: VcpuFd,
}

impl Quiet {
    /// Holds the keys, where there is KVM.
    ///
    /// # Errors
    ///
    /// What the kernel says to the first request that it refuses.
    pub(crate) fn hold() -> Result<Self, Error> {
        let vm = Kvm::new()?.create_vm()?;
        // Only with KVM's own interrupt controllers has a processor an APIC of KVM's.
        vm.create_irq_chip()?;
        let processor = vm.create_vcpu(0)?;
        Ok(Self { _vm: vm, _processor: processor })
    }
}
