//! `iommu-address-width`: the guest has memory above what the IOMMU can address.

use super::memory_map::guest_memory;
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "iommu-address-width",
    page: Page {
        what: "The top of the guest's memory lies above the IOMMU's address width. QEMU ends with \
              \"vfio_container_dma_map(…) = -22 (Invalid argument)\".",
        why: "Many desktop processors translate DMA addresses of 39 bits only, 512 GiB, however much memory the \
              board takes. Memory above has no DMA address; BARs above only lose transfers from device to device.",
        fix: "Give the guest less memory, or use a host whose IOMMU addresses 48 bits.",
        source: "drivers/iommu/intel/iommu.c: intel_iommu_domain_alloc_paging_flags, agaw_to_width; \
              drivers/vfio/vfio_iommu_type1.c: vfio_iommu_iova_dma_valid; Intel VT-d 4.1 §11.4.2 (MGAW, SAGAW)",
    },
    predicts: &["iommu-address-width"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some(bits) = topology.facts().iommu.address_bits.known() else {
        findings.skip(super::Subject::Host, "the host does not tell how wide the IOMMU's addresses are");
        return;
    };
    let Some(end) = 1u64.checked_shl(u32::from(*bits)) else {
        findings.fine(super::Subject::Host, format!("{bits} bits address more than any guest has"));
        return;
    };
    for vm in &assignment.vms {
        if !vm.uses_vfio() || vm.devices.is_empty() {
            findings.skip(&vm.name, "nothing goes through VFIO");
            continue;
        }
        let Some((_, last)) = guest_memory(vm).last().copied() else { continue };
        if last < end {
            findings.fine(&vm.name, format!("its memory ends at {last:#x}, within {bits} bits"));
            continue;
        }
        let summary = format!("memory of {} ends at {last:#x}, the IOMMU addresses {bits} bits", vm.memory);
        findings.push(
            Finding::new(&RULE, Severity::Blocks, &vm.name, summary)
                .shown("/sys/class/iommu/*/intel-iommu/cap", format!("{bits} bits"))
                .remedy(RemedyKind::SpecChange, "give the guest less memory"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    fn said(memory: &str) -> Vec<String> {
        let host = format!("iommu on width=39\nvm memory={memory}\ndevice 0000:03:00.0");
        check_rule(&RULE, &host, "0000:03:00.0")
    }

    #[test]
    fn memory_above_the_width_blocks() {
        assert_eq!(
            said("512G"),
            ["blocks vm1: memory of 512G ends at 0x807fffffff, the IOMMU addresses 39 bits"]
        );
    }

    #[test]
    fn memory_up_to_the_width_is_quiet() {
        assert!(said("510G").is_empty());
        assert!(check_rule(&RULE, "vm memory=16T\ndevice 0000:03:00.0", "0000:03:00.0").is_empty());
    }
}
