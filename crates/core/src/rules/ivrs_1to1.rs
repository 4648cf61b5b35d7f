//! `ivrs-1to1`: AMD's table demands a one-to-one mapping for the function.

use super::memory_map::{place, reserved_for, shown};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, by_vfio};
use crate::facts::{IommuVendor, KernelVersion, ReservedKind};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "ivrs-1to1",
    page: Page {
        what: "The IVRS table has a memory definition (IVMD) for the function, often for all devices. Since Linux \
              6.6 the kernel refuses it: \"Firmware has requested this device have a 1:1 IOMMU mapping, rejecting \
              configuring the device without a 1:1 mapping\". Earlier kernels took it, so an upgrade breaks a \
              working host.",
        why: "Boards with pre-boot DMA protection mark ranges for every device and do not withdraw them. Linux \
              treats exclusion ranges like one-to-one ranges too.",
        fix: "Switch off pre-boot DMA protection (also called DMA protection, kernel DMA protection) in the firmware \
              setup, or update the firmware; until then a kernel before 6.6 works.",
        source: "drivers/iommu/amd/init.c: init_unity_map_range; drivers/iommu/iommu.c: __iommu_device_set_domain \
              (6.6); AMD 48882 rev 3.08 §5.2.3",
    },
    predicts: &["ivrs-1to1"],
    check,
};

/// From here on it blocks.
const REFUSED: KernelVersion = KernelVersion { major: 6, minor: 6 };

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let amd = topology.facts().iommu.vendor == IommuVendor::Amd;
    let version = topology.facts().kernel.version();
    // Xen maps such ranges into the guest (`xen/drivers/passthrough/amd/pci_amd_iommu.c: amd_iommu_assign_device`).
    for (_, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        let regions = reserved_for(topology, address);
        let region = regions
            .into_iter()
            .find(|region| region.kind == ReservedKind::Ivmd || (amd && region.kind == ReservedKind::Direct));
        let said = topology.facts().iommu.one_to_one.get(&address).filter(|_| amd && region.is_none());
        if let Some(words) = said {
            let summary = "firmware demands a 1:1 mapping for it: the kernel refused it already";
            let finding =
                Finding::new(&RULE, Severity::Blocks, address, summary).shown("kernel log", words.clone());
            let text = "switch off pre-boot DMA protection in the firmware setup, or update the firmware";
            findings.push(finding.remedy(RemedyKind::Firmware, text));
            continue;
        }
        let Some(region) = region else {
            let vendor = topology.facts().iommu.vendor.name();
            findings.fine(
                address,
                format!("no IVMD or direct range of an AMD table concerns it (IOMMU: {vendor})"),
            );
            continue;
        };
        let (severity, summary) = match version {
            Some(version) if version < REFUSED => {
                (Severity::Notes, "firmware demands a 1:1 mapping for it: works until Linux 6.6, not after")
            }
            Some(_) => (Severity::Blocks, "firmware demands a 1:1 mapping for it: the kernel refuses it"),
            None => {
                (Severity::Warns, "firmware demands a 1:1 mapping for it: refused by Linux 6.6 and later")
            }
        };
        findings.push(
            Finding::new(&RULE, severity, address, summary)
                .shown(place(topology, address, region.kind), shown(region))
                .remedy(
                    RemedyKind::Firmware,
                    "switch off pre-boot DMA protection in the firmware setup, or update the firmware",
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "kernel 6.8.12
        iommu on vendor=amd
        device 0000:03:00.0 class=010802 group=5
        reserved direct 9d000000 9d0fffff 0000:03:00.0
        reserved msi fee00000 feefffff 0000:03:00.0";

    #[test]
    fn what_the_kernel_refused_once_it_refuses_again() {
        let host = "iommu on vendor=amd\ndevice 0000:03:00.0 class=010802 group=5\nrefused 0000:03:00.0";
        assert!(check_rule(&RULE, host, "0000:03:00.0")[0].starts_with("blocks"));
        assert!(check_rule(&RULE, &host.replace("amd", "intel"), "0000:03:00.0").is_empty());
    }

    #[test]
    fn late_kernels_refuse_it() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(
            said,
            ["blocks 0000:03:00.0: firmware demands a 1:1 mapping for it: the kernel refuses it"]
        );
    }

    #[test]
    fn early_kernels_take_it_and_unknown_ones_may() {
        assert!(check_rule(&RULE, &HOST.replace("6.8.12", "6.1.0"), "0000:03:00.0")[0].starts_with("notes"));
        assert!(
            check_rule(&RULE, &HOST.replace("kernel 6.8.12", ""), "0000:03:00.0")[0].starts_with("warns")
        );
    }

    #[test]
    fn the_table_counts_where_the_kernel_says_nothing() {
        let table = HOST.replace("direct", "ivmd");
        assert!(
            check_rule(&RULE, &table, "0000:03:00.0").is_empty(),
            "the kernel has ranges, and not this one"
        );
        let alone = table.replace("reserved msi fee00000 feefffff 0000:03:00.0", "");
        assert_eq!(check_rule(&RULE, &alone, "0000:03:00.0").len(), 1);
    }

    #[test]
    fn intel_is_left_to_its_own_rule() {
        assert!(check_rule(&RULE, &HOST.replace("amd", "intel"), "0000:03:00.0").is_empty());
    }
}
