//! `memlock`: whoever runs QEMU may not lock as much memory as the guest has.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, footprint};
use crate::facts::LockedMemory;
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "memlock",
    page: Page {
        what: "QEMU ends with \"vfio_container_dma_map(…) = -12 (Cannot allocate memory)\", and the kernel log has \
              \"vfio_pin_pages_remote: RLIMIT_MEMLOCK (N) exceeded\".",
        why: "A device may write to any page of the guest at any time, so VFIO locks all of the guest's memory when \
              the device is attached, and charges it to the limit of the process, unless that has CAP_IPC_LOCK. The \
              usual limit is 8 MiB (64 KiB before Linux 5.16).",
        fix: "Run as root, raise the limit (ulimit -l, LimitMEMLOCK= of the service, /etc/security/limits.d), or let \
              libvirt do it, which raises the limit by itself.",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote, vfio_lock_acct; \
              include/uapi/linux/resource.h: MLOCK_LIMIT; libvirt src/qemu/qemu_domain.c: \
              qemuDomainGetMemLockLimitBytes",
    },
    predicts: &["memlock"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some(LockedMemory::Bytes(limit)) = topology.facts().platform.locked_memory.known() else {
        findings.skip(super::Subject::Host, "who plans may lock any amount, or the source does not tell");
        return;
    };
    for vm in &assignment.vms {
        if vm.backend != BackendKind::Qemu {
            findings.skip(&vm.name, format!("{} sees to the limit itself", vm.backend.name()));
            continue;
        }
        let needed = footprint::locked_bytes(vm).unwrap_or_default();
        if needed <= *limit {
            let text = format!("{} KiB are locked, {} KiB may be", needed / 1024, limit / 1024);
            findings.fine(&vm.name, text);
            continue;
        }
        let summary = format!("a guest of {} cannot be locked within {} KiB", vm.memory, limit / 1024);
        findings.push(
            Finding::new(&RULE, Severity::Warns, &vm.name, summary)
                .shown(
                    "/proc/self/limits",
                    format!("Max locked memory {limit} bytes; about {needed} are needed"),
                )
                .remedy(RemedyKind::HostChange, "run the VM as root, which may lock any amount")
                .remedy(
                    RemedyKind::HostChange,
                    format!("raise the limit: ulimit -l {}", needed.div_ceil(1024)),
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=010802\nvm memory=2G\nplatform memlock=8388608";

    #[test]
    fn a_limit_below_the_guests_memory_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["warns vm1: a guest of 2G cannot be locked within 8192 KiB"]);
    }

    #[test]
    fn no_limit_or_a_high_one_is_quiet() {
        for memlock in ["unlimited", "2214592512"] {
            let host = HOST.replace("8388608", memlock);
            assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty(), "{memlock}");
        }
        let host = HOST.replace("8388608", "2214592511");
        assert_eq!(check_rule(&RULE, &host, "0000:03:00.0").len(), 1);
    }

    #[test]
    fn libvirt_raises_the_limit_itself() {
        assert!(check_rule(&RULE, &HOST.replace("vm ", "vm backend=libvirt "), "0000:03:00.0").is_empty());
    }
}
