//! `host-memory`: the VMs together want more memory than the host has beside what it keeps.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault, footprint,
};
use crate::facts::Fact;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "host-memory",
    page: Page {
        what: "QEMU ends with \"cannot set up guest memory\" or \"vfio_container_dma_map(…) = -12 (Cannot allocate memory)\"; or \
              the VM starts, and the host kills processes for want of memory.",
        why: "A VM with a device has all of its memory locked from its start on: none of it can be swapped, shared or given \
              back. Pages that the host keeps in a pool of huge pages are no others' either.",
        fix: "Give the VMs less memory, run fewer of them at a time, or take pages out of the pools of huge pages \
              (/sys/kernel/mm/hugepages/*/nr_hugepages). What the host shall keep is said by `memory` in the spec's [host].",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_pin_map_dma; mm/hugetlb.c: hugetlb_report_meminfo; \
              Documentation/filesystems/proc.rst: MemTotal",
    },
    predicts: &["none-unrelated", "memlock"],
    check,
};

/// What a host with a login and a VM monitor gets along with, where the spec does not say, in bytes.
const FEW_BYTES: u64 = 512 << 20;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    // A dom0 sees its own share only.
    let here = || assignment.vms.iter().filter(|vm| vm.uses_vfio());
    if here().next().is_none() {
        findings.skip(Subject::Host, "all VMs are Xen's, whose dom0 does not tell how much memory there is");
        return;
    }
    let memory = &topology.facts().platform.memory;
    let kept = assignment.reserve.memory;
    let Some(total) = memory.total_bytes.known().copied() else {
        if kept.is_some() || memory.total_bytes.is_unreadable() {
            let needs = "whether the host has memory for all VMs (MemTotal of /proc/meminfo)";
            findings.push(cannot_know(Subject::Host, needs, fault(&memory.total_bytes)));
        } else {
            findings.skip(Subject::Host, "the source does not tell how much memory the host has");
        }
        return;
    };
    let locked: u64 = here().filter_map(footprint::locked_bytes).sum();
    let ordinary: u64 =
        here().filter(|vm| footprint::locked_bytes(vm).is_none()).map(|vm| vm.memory.bytes()).sum();
    let pooled = pooled_bytes(topology);
    let usable = total.saturating_sub(pooled);
    let wanted = locked.saturating_add(ordinary);
    let left = usable.checked_sub(wanted);
    let free = memory.available_bytes.known().copied();
    let sum = format!("the VMs want {} of {}", mib(wanted), mib(usable));
    let (severity, summary) = match (left, kept) {
        (None, _) if locked > usable => (Severity::Blocks, sum),
        (None, _) => (Severity::Warns, sum),
        (Some(left), Some(kept)) if left < kept.bytes() => {
            (Severity::Blocks, format!("{sum}: {} are left, the host keeps {kept}", mib(left)))
        }
        // What else runs may yet give some back, so this much is no certainty.
        (Some(_), None) if free.is_some_and(|free| locked > free) => {
            (Severity::Warns, format!("{sum}, and {} are free now", mib(free.unwrap_or_default())))
        }
        (Some(left), None) if left < FEW_BYTES => {
            (Severity::Notes, format!("{sum}: {} are left to the host", mib(left)))
        }
        (Some(left), _) => {
            findings.fine(Subject::Host, format!("{sum}: {} are left to the host", mib(left)));
            return;
        }
    };
    let finding = Finding::new(&RULE, severity, Subject::Host, summary)
        .shown("/proc/meminfo", format!("MemTotal: {} kB", total / 1024));
    let finding = if pooled > 0 {
        finding
            .shown("/sys/kernel/mm/hugepages", format!("{} are in pools of huge pages", mib(pooled)))
            .remedy(RemedyKind::HostChange, "take pages out of the pools of huge pages that no VM uses")
    } else {
        finding
    };
    let finding = here().fold(finding, |finding, vm| {
        let how = if footprint::locked_bytes(vm).is_some() { "locked" } else { "not locked" };
        finding.shown(format!("VM {}", vm.name), format!("{}, {how}", vm.memory))
    });
    findings.push(finding.remedy(RemedyKind::SpecChange, "give the VMs less memory, or declare fewer"));
}

/// Bytes in whole MiB, as `MemTotal` is no round number.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Memory in pools of huge pages, which guests of ordinary pages cannot have.
fn pooled_bytes(topology: &Topology) -> u64 {
    let pools = topology.facts().platform.memory.huge_pages.known().map_or(&[][..], Vec::as_slice);
    let of_host = pools.iter().filter(|pool| pool.node.is_none());
    of_host
        .map(|pool| match pool.total {
            Fact::Known(pages) => pages.saturating_mul(pool.page_bytes),
            Fact::Absent | Fact::Unreadable(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "vm memory=4G
        memory 16384 15000
        device 0000:03:00.0 class=010802
        device 0000:04:00.0 class=010802
        device 0000:05:00.0 class=010802";

    #[test]
    fn locked_memory_beyond_the_hosts_blocks() {
        let host = HOST.replace("memory=4G", "memory=8G");
        let said = check_rule(&RULE, &host, "0000:03:00.0 | 0000:04:00.0");
        assert_eq!(said, ["blocks host: the VMs want 16512 MiB of 16384 MiB"]);
        assert!(check_rule(&RULE, HOST, "0000:03:00.0 | 0000:04:00.0").is_empty());
    }

    #[test]
    fn pages_in_pools_do_not_count() {
        let host = format!("{HOST}\nhugepages 1073741824 10 10");
        let said = check_rule(&RULE, &host, "0000:03:00.0 | 0000:04:00.0");
        assert_eq!(said, ["blocks host: the VMs want 8320 MiB of 6144 MiB"]);
    }

    #[test]
    fn what_the_spec_keeps_for_the_host_is_held() {
        let host = format!("{HOST}\nreserve memory=6G");
        assert!(check_rule(&RULE, &host, "0000:03:00.0 | 0000:04:00.0").is_empty());
        let said = check_rule(&RULE, &host, "0000:03:00.0 | 0000:04:00.0 | 0000:05:00.0");
        assert_eq!(
            said,
            ["blocks host: the VMs want 12480 MiB of 16384 MiB: 3904 MiB are left, the host keeps 6G"]
        );
    }

    #[test]
    fn machines_without_devices_are_not_locked_and_little_is_noted() {
        let host = HOST.replace("memory=4G", "memory=9G");
        assert!(check_rule(&RULE, &host, " | ")[0].starts_with("warns"));
        let host = HOST.replace("memory=4G", "memory=15872M").replace("15000", "16300");
        assert!(check_rule(&RULE, &host, "0000:03:00.0")[0].starts_with("notes"));
    }

    #[test]
    fn more_than_what_is_free_now_is_warned_of() {
        let host = HOST.replace("15000", "3000");
        let said = check_rule(&RULE, &host, "0000:03:00.0");
        assert_eq!(said, ["warns host: the VMs want 4160 MiB of 16384 MiB, and 3000 MiB are free now"]);
    }

    #[test]
    fn an_untold_amount_is_unknown_where_the_spec_keeps_some() {
        let host = HOST.replace("memory 16384 15000", "reserve memory=1G");
        let said = check_rule(&RULE, &host, "0000:03:00.0");
        assert!(said[0].starts_with("notes host: cannot tell: whether the host has memory"), "{said:?}");
        assert!(check_rule(&RULE, &HOST.replace("memory 16384 15000", ""), "0000:03:00.0").is_empty());
    }
}
