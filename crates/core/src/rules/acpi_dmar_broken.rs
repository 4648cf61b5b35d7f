//! `acpi-dmar-broken`: the firmware's IOMMU table is damaged or contradicts itself.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::facts::{FaultKind, Switch};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "acpi-dmar-broken",
    page: Page {
        what: "The ACPI table that describes the IOMMU (DMAR or IVRS) cannot be read to its end. The kernel drops \
              units, or the IOMMU altogether: \"DMAR: Parse DMAR table failure.\", \"Your BIOS is broken; DMAR \
              reported at address …\".",
        why: "The table is the only thing that tells the kernel where the hardware units are and which devices they \
              cover. Firmware gets it wrong often enough for the kernel to have a message for each way.",
        fix: "Update the firmware. Toggling VT-d / IOMMU, or loading the setup's defaults, sometimes writes the \
              table anew.",
        source: "drivers/iommu/intel/dmar.c: dmar_table_init, warn_invalid_dmar, dmar_walk_remapping_entries; \
              drivers/iommu/amd/init.c: check_ivrs_checksum, early_amd_iommu_init",
    },
    predicts: &["acpi-dmar-broken"],
    check,
};

/// What the kernel prints of a table that it cannot use (the functions on the page).
const LINES: &[&str] = &[
    "Parse DMAR table failure",
    "Your BIOS is broken; DMAR reported",
    "No DRHD structure found in DMAR table",
    "Record passes table end",
    "IVRS table error",
    "IVRS invalid checksum",
];

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    if !assignment.uses_vfio() {
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    let facts = topology.facts();
    let damaged = facts.faults.iter().filter(|fault| {
        let table = fault.place.ends_with("tables/DMAR") || fault.place.ends_with("tables/IVRS");
        table && matches!(fault.kind, FaultKind::Malformed(_))
    });
    let damaged = damaged.map(|fault| (fault.place.clone(), fault.to_string()));
    let printed =
        facts.iommu.evidence.iter().filter(|(_, text)| LINES.iter().any(|line| text.contains(line)));
    let evidence: Vec<(String, String)> = damaged.chain(printed.cloned()).collect();
    if evidence.is_empty() {
        let tables = if facts.iommu.tables.is_empty() {
            "no IOMMU table of the firmware was read".to_owned()
        } else {
            format!("the firmware's {} reads well", facts.iommu.tables.join(", "))
        };
        findings.fine(Subject::Host, format!("{tables}, and no complaint of the kernel was seen"));
        return;
    }
    let (severity, summary) = match facts.iommu.state {
        Switch::Off => {
            (Severity::Blocks, "the firmware's IOMMU table is broken, and the IOMMU is not in use")
        }
        Switch::On | Switch::Unknown => {
            (Severity::Warns, "the firmware's IOMMU table is broken: some devices may not be covered")
        }
    };
    let finding = Finding::new(&RULE, severity, Subject::Host, summary);
    let finding = evidence.into_iter().fold(finding, |finding, (place, text)| finding.shown(place, text));
    findings.push(finding.remedy(RemedyKind::Firmware, "update the firmware"));
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const TABLE: &str =
        "device 0000:03:00.0 class=010802\nfault /sys/firmware/acpi/tables/DMAR table is broken at byte 48";

    #[test]
    fn a_damaged_table_blocks_where_the_iommu_is_off() {
        let said = check_rule(&RULE, &format!("iommu off\n{TABLE}"), "0000:03:00.0");
        assert_eq!(said, ["blocks host: the firmware's IOMMU table is broken, and the IOMMU is not in use"]);
        assert!(check_rule(&RULE, &format!("iommu on\n{TABLE}"), "0000:03:00.0")[0].starts_with("warns"));
    }

    #[test]
    fn the_kernels_own_words_count() {
        let host = "iommu off\ndevice 0000:03:00.0\ntold DMAR: Parse DMAR table failure.";
        assert_eq!(check_rule(&RULE, host, "0000:03:00.0").len(), 1);
    }

    #[test]
    fn other_files_that_make_no_sense_are_not_the_table() {
        let host = TABLE.replace("tables/DMAR", "tables/MCFG");
        assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty());
    }
}
