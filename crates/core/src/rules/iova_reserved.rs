//! `iova-reserved`: the guest's memory would lie where devices cannot reach memory.

use super::memory_map::{guest_memory, place, reserved_for, shown};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, VmAssignment};
use crate::facts::{ReservedKind, ReservedRegion};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "iova-reserved",
    page: Page {
        what: "A part of the guest's memory falls on a range of DMA addresses that the platform keeps for itself. \
              QEMU ends with \"vfio_container_dma_map(…) = -22 (Invalid argument)\".",
        why: "A device's DMA uses the guest's addresses. On some of them no memory can be: the window that \
              interrupts are sent to, AMD's HyperTransport range below 1 TiB, ranges that firmware keeps mapped one \
              to one.",
        fix: "Give the guest less memory, or another machine type, which splits it elsewhere; near 1 TiB on AMD use \
              a machine type of QEMU 7.1 or later, which moves the upper part to 1 TiB.",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_iova_dma_valid, vfio_iommu_resv_exclude; \
              drivers/iommu/amd/iommu.c: amd_iommu_get_resv_regions; QEMU hw/i386/pc.c: pc_memory_init",
    },
    predicts: &["iova-reserved"],
    check,
};

/// AMD's HyperTransport range (`HT_RANGE_START`, `drivers/iommu/amd/amd_iommu_types.h`).
const HYPERTRANSPORT: u64 = 0xfd_0000_0000;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for vm in &assignment.vms {
        let mut told = Vec::new();
        for address in vm.devices.iter().copied() {
            if !vm.uses_vfio() {
                findings.skip(address, "Xen maps the guest's memory itself");
                continue;
            }
            let reserved = reserved_for(topology, address);
            let ranges = reserved.iter().filter(|region| is_kept(region.kind)).count();
            let text =
                format!("none of {ranges} reserved ranges that concern it meets the memory of {}", vm.memory);
            findings.fine(address, text);
            for region in reserved.into_iter().filter(|region| is_kept(region.kind)) {
                let Some((start, end)) = overlap(vm, region) else { continue };
                if told.contains(&region.start) {
                    continue;
                }
                told.push(region.start);
                let avoided = region.start == HYPERTRANSPORT;
                let severity = if avoided { Severity::Warns } else { Severity::Blocks };
                let text = if avoided {
                    "use a machine type of QEMU 7.1 or later"
                } else {
                    "give the guest less memory, or the other machine type"
                };
                let summary = format!(
                    "memory of {} at {start:#x} to {end:#x} is out of its reach (VM {})",
                    vm.memory, vm.name
                );
                findings.push(
                    Finding::new(&RULE, severity, address, summary)
                        .shown(place(topology, address, region.kind), shown(region))
                        .remedy(RemedyKind::SpecChange, text),
                );
            }
        }
    }
}

/// Relaxable ranges and what Intel's table alone says are no obstacle to mapping, or a worse one.
const fn is_kept(kind: ReservedKind) -> bool {
    matches!(kind, ReservedKind::Reserved | ReservedKind::Msi | ReservedKind::Direct | ReservedKind::Ivmd)
}

fn overlap(vm: &VmAssignment, region: &ReservedRegion) -> Option<(u64, u64)> {
    let meets = |(start, end): &(u64, u64)| *start <= region.end && region.start <= *end;
    let (start, end) = guest_memory(vm).into_iter().find(meets)?;
    Some((start.max(region.start), end.min(region.end)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "iommu on vendor=amd
        device 0000:03:00.0 class=010802 group=5
        reserved msi fee00000 feefffff 0000:03:00.0
        reserved reserved fd00000000 ffffffffff 0000:03:00.0";

    #[test]
    fn memory_on_a_kept_range_blocks() {
        let host = format!("{HOST}\nreserved direct 3f000000 3f0fffff 0000:03:00.0");
        let said = check_rule(&RULE, &host, "0000:03:00.0");
        assert_eq!(
            said,
            ["blocks 0000:03:00.0: memory of 1G at 0x3f000000 to 0x3f0fffff is out of its reach (VM vm1)"]
        );
    }

    #[test]
    fn a_terabyte_on_amd_is_warned_about() {
        let said = check_rule(&RULE, &format!("{HOST}\nvm memory=1T"), "0000:03:00.0");
        assert!(said[0].starts_with("warns 0000:03:00.0: memory of 1024G at 0xfd00000000"), "{said:?}");
    }

    #[test]
    fn ordinary_guests_meet_no_window() {
        for vm in ["machine=pc memory=3500M", "machine=pc memory=64G", "machine=q35 memory=4G"] {
            assert!(check_rule(&RULE, &format!("{HOST}\nvm {vm}"), "0000:03:00.0").is_empty(), "{vm}");
        }
    }
}
