//! `hugepage-pin`: huge pages of this host come from a movable area, and cannot be pinned there.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, fault, word as word_of,
};
use crate::facts::HugePages;
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
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    let facts = topology.facts();
    let Some(word) = facts.kernel.words("hugetlb_cma").last() else {
        match fault(&facts.kernel.command_line) {
            Some(unread) => {
                findings.skip(Subject::Host, format!("the kernel command line is not known: {unread}"));
            }
            None => findings.fine(Subject::Host, "hugetlb_cma is not on the kernel command line"),
        }
        return;
    };
    let pools = facts.platform.memory.huge_pages.known();
    let gigantic = |pool: &&HugePages| pool.node.is_none() && pool.page_bytes >= GIGANTIC;
    let pages: Option<u64> =
        pools.and_then(|pools| pools.iter().filter(gigantic).map(|pool| pool.total.known().copied()).sum());
    let (severity, summary) = match pages {
        Some(0) => {
            let text = format!("{word} keeps an area for huge pages, and no page of 1 GiB is in a pool");
            findings.fine(Subject::Host, text);
            return;
        }
        Some(pages) => {
            (Severity::Warns, format!("{pages} huge pages of this host cannot be pinned for a device"))
        }
        None => (Severity::Notes, "huge pages of this host cannot be pinned for a device".to_owned()),
    };
    let finding = Finding::new(&RULE, severity, Subject::Host, summary).shown("/proc/cmdline", word);
    let finding = pools.into_iter().flatten().filter(gigantic).fold(finding, |finding, pool| {
        let kib = pool.page_bytes / 1024;
        let text = format!("{} pages, {} free", word_of(&pool.total), word_of(&pool.free));
        finding.shown(format!("/sys/kernel/mm/hugepages/hugepages-{kib}kB"), text)
    });
    findings.push(
        finding.remedy(RemedyKind::HostChange, "reserve huge pages with hugepages= instead of hugetlb_cma="),
    );
}

/// Pages of this size and more come from the area, in bytes: larger than the page allocator's largest piece
/// (`mm/hugetlb.c: hstate_is_gigantic`; 4 MiB on x86).
const GIGANTIC: u64 = 8 << 20;

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
    fn pages_in_the_pool_are_warned_about_and_an_empty_pool_is_quiet() {
        let host =
            "cmdline hugetlb_cma=8G\nhugepages 1073741824 8 8\nhugepages 2097152 512 0\ndevice 0000:03:00.0";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert_eq!(said, ["warns host: 8 huge pages of this host cannot be pinned for a device"]);
        let empty = host.replace("1073741824 8 8", "1073741824 0 0");
        assert!(check_rule(&RULE, &empty, "0000:03:00.0").is_empty());
    }

    #[test]
    fn reserved_huge_pages_are_quiet() {
        let host = "cmdline hugepagesz=1G hugepages=8\ndevice 0000:03:00.0";
        assert!(check_rule(&RULE, host, "0000:03:00.0").is_empty());
    }
}
