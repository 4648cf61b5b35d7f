//! `dma-entry-limit`: VFIO may make fewer mappings than the guest needs.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, footprint};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "dma-entry-limit",
    page: Page {
        what: "QEMU ends with \"vfio_container_dma_map(…) = -28 (No space left on device)\"; the kernel prints \
              nothing.",
        why: "Each container has a number of mappings that it may hold, 65535 unless \
              vfio_iommu_type1.dma_entry_limit says otherwise. A guest without an IOMMU of its own needs a few tens: \
              one for each piece of memory and each BAR. A limit set that low was meant for something else.",
        fix: "Raise vfio_iommu_type1.dma_entry_limit, or remove the setting.",
        source: "drivers/vfio/vfio_iommu_type1.c: dma_entry_limit, vfio_dma_do_map; QEMU hw/vfio/listener.c: \
              vfio_container_region_add",
    },
    predicts: &["dma-entry-limit"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some(parameter) = topology.facts().kernel.parameter("vfio_iommu_type1", "dma_entry_limit") else {
        findings.fine(super::Subject::Host, "dma_entry_limit is not set: the kernel's own is 65535");
        return;
    };
    let Ok(limit) = parameter.value.trim().parse::<u64>() else {
        findings
            .skip(super::Subject::Host, format!("{:?} is no number that the kernel takes", parameter.value));
        return;
    };
    for vm in &assignment.vms {
        let Some(needed) = footprint::dma_entries(topology, vm) else {
            findings.skip(&vm.name, "nothing goes through VFIO");
            continue;
        };
        findings.fine(&vm.name, format!("it needs up to {needed} mappings, {limit} may be made"));
        if limit < needed {
            let summary = format!("VFIO may make {limit} mappings, the guest needs up to {needed}");
            findings.push(
                Finding::new(&RULE, Severity::Warns, &vm.name, summary)
                    .shown(parameter.place.clone(), parameter.value.clone())
                    .remedy(
                        RemedyKind::HostChange,
                        "remove the setting of dma_entry_limit: the kernel's own is 65535",
                    ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=010802\nparam vfio_iommu_type1.dma_entry_limit=16";

    #[test]
    fn a_limit_below_the_guests_pieces_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["warns vm1: VFIO may make 16 mappings, the guest needs up to 39"]);
    }

    #[test]
    fn the_kernels_own_limit_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("=16", "=65535"), "0000:03:00.0").is_empty());
    }
}
