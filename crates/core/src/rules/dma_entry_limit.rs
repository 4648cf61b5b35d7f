//! `dma-entry-limit`: VFIO may make fewer mappings than the guest needs.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, VmAssignment};
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

/// Pieces of guest memory beside BARs: low and high RAM, the legacy region below 1 MiB in its 12 switchable segments
/// (QEMU hw/pci-host/pam.c: 12 expansion segments and the BIOS), firmware, ROMs.
const MEMORY_PIECES: u64 = 32;

/// Mappings of one function at the most: six BARs and the ROM, BARs with an MSI-X table in them split in two.
const PIECES_OF_FUNCTION: u64 = 8;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some(parameter) = topology.facts().kernel.parameter("vfio_iommu_type1", "dma_entry_limit") else {
        return;
    };
    let Ok(limit) = parameter.value.trim().parse::<u64>() else { return };
    for vm in assignment.vms.iter().filter(|vm| vm.uses_vfio() && !vm.devices.is_empty()) {
        let needed = needed(vm);
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

fn needed(vm: &VmAssignment) -> u64 {
    let functions = u64::try_from(vm.devices.len()).unwrap_or(u64::MAX);
    functions.saturating_mul(PIECES_OF_FUNCTION).saturating_add(MEMORY_PIECES)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=010802\nparam vfio_iommu_type1.dma_entry_limit=16";

    #[test]
    fn a_limit_below_the_guests_pieces_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["warns vm1: VFIO may make 16 mappings, the guest needs up to 40"]);
    }

    #[test]
    fn the_kernels_own_limit_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("=16", "=65535"), "0000:03:00.0").is_empty());
    }
}
