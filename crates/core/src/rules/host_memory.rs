//! `host-memory`: the guest's memory is more than the host has.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault, footprint,
};
use crate::facts::Fact;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "host-memory",
    page: Page {
        what: "QEMU ends at once with \"cannot set up guest memory 'pc.ram': Cannot allocate memory\". On a host with much \
              swap space it gets further, and mapping memory for the device fails with \"-12 (Cannot allocate memory)\", \
              or the kernel ends processes for want of memory.",
        why: "A guest without a device gets memory page by page as it touches it, and what it does not use can be \
              swapped out. With a device all of it is locked before the guest starts, since the device may write to any \
              page: it must be there at once, in memory.",
        fix: "Give the guest less memory than the host has free, or stop what else uses it.",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote; mm/util.c: __vm_enough_memory; QEMU \
              util/oslib-posix.c: qemu_anon_ram_alloc",
    },
    predicts: &["none-unrelated"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let memory = &topology.facts().platform.memory;
    let total = match &memory.total_bytes {
        Fact::Known(total) => *total,
        Fact::Absent => {
            findings.skip(Subject::Host, "the source does not tell how much memory the host has");
            return;
        }
        unread => {
            let what = "whether the host has the guests' memory takes how much it has";
            findings.push(cannot_know(Subject::Host, what, fault(unread)));
            return;
        }
    };
    let available = memory.available_bytes.known().copied();
    for vm in &assignment.vms {
        let Some(needed) = footprint::locked_bytes(vm) else { continue };
        let mib = |bytes: u64| bytes >> 20;
        let told = |severity, summary: String| {
            let free = available.map_or_else(String::new, |free| format!(", {} MiB of it free", mib(free)));
            Finding::new(&RULE, severity, &vm.name, summary)
                .shown("/proc/meminfo", format!("{} MiB{free}", mib(total)))
                .remedy(RemedyKind::SpecChange, "give the VM less memory")
        };
        if needed > total {
            let summary =
                format!("{} MiB are locked for it, and the host has {} MiB", mib(needed), mib(total));
            findings.push(told(Severity::Blocks, summary));
        } else if let Some(free) = available.filter(|free| needed > *free) {
            let summary =
                format!("{} MiB are locked for it, and the host has {} MiB free", mib(needed), mib(free));
            let stop = "stop what else uses the host's memory";
            findings.push(told(Severity::Warns, summary).remedy(RemedyKind::HostChange, stop));
        } else {
            findings.fine(&vm.name, format!("{} MiB are locked of {} MiB", mib(needed), mib(total)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    fn said(guest: &str, platform: &str, vm: &str) -> Vec<String> {
        let host = format!("device 0000:03:00.0 class=010802\nvm memory={guest}{vm}\nplatform {platform}");
        check_rule(&RULE, &host, "0000:03:00.0")
    }

    #[test]
    fn a_guest_larger_than_the_host_blocks() {
        assert_eq!(
            said("8G", "memory=3915", ""),
            ["blocks vm1: 8256 MiB are locked for it, and the host has 3915 MiB"]
        );
    }

    #[test]
    fn a_guest_larger_than_what_is_free_is_warned_of() {
        assert_eq!(
            said("2G", "memory=3915 free=1000", ""),
            ["warns vm1: 2112 MiB are locked for it, and the host has 1000 MiB free"]
        );
    }

    #[test]
    fn one_that_fits_or_is_not_locked_is_quiet() {
        assert!(said("2G", "memory=3915 free=3000", "").is_empty());
        assert!(said("8G", "memory=3915", " backend=xen").is_empty());
    }
}
