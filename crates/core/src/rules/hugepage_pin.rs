//! `hugepage-pin`: huge pages of this host come from a movable area, and cannot be pinned there.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "hugepage-pin",
    page: Page {
        what: "A guest whose memory is made of huge pages does not start: \"vfio_container_dma_map(…) = -12\", while \
              the same guest with ordinary pages does.",
        why: "hugetlb_cma= reserves huge pages in a contiguous area that must stay movable. A page that a device may \
              write to is pinned for long, so it must first be moved out, and for a gigantic page there is no other \
              place.",
        fix: "Reserve huge pages with hugepagesz=1G hugepages=N instead of hugetlb_cma=, or give the guest ordinary \
              pages.",
        source: "mm/gup.c: check_and_migrate_movable_pages (FOLL_LONGTERM); mm/hugetlb_cma.c: hugetlb_cma_reserve; \
              drivers/vfio/vfio_iommu_type1.c: vaddr_get_pfns",
    },
    predicts: &["hugepage-pin"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    if !assignment.uses_vfio() {
        return;
    }
    let Some(word) = topology.facts().kernel.words("hugetlb_cma").last() else {
        findings.fine(Subject::Host, "hugetlb_cma is not on the kernel command line");
        return;
    };
    findings.push(
        Finding::new(
            &RULE,
            Severity::Notes,
            Subject::Host,
            "huge pages of this host cannot be pinned for a device",
        )
        .shown("/proc/cmdline", word)
        .remedy(RemedyKind::HostChange, "reserve huge pages with hugepages= instead of hugetlb_cma="),
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn huge_pages_in_a_movable_area_are_noted() {
        let said = check_rule(&RULE, "cmdline hugetlb_cma=8G\ndevice 0000:03:00.0", "0000:03:00.0");
        assert_eq!(said, ["notes host: huge pages of this host cannot be pinned for a device"]);
    }

    #[test]
    fn reserved_huge_pages_are_quiet() {
        let host = "cmdline hugepagesz=1G hugepages=8\ndevice 0000:03:00.0";
        assert!(check_rule(&RULE, host, "0000:03:00.0").is_empty());
    }
}
