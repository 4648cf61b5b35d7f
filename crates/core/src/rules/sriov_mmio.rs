//! `sriov-mmio`: there is no memory space for the function's virtual functions.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::facts::{FunctionFacts, Resource};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "sriov-mmio",
    page: Page {
        what: "The physical function could offer virtual functions, but their BARs have no addresses: writing \
              sriov_numvfs fails with \"not enough MMIO resources for SR-IOV\".",
        why: "Space for all virtual functions is set aside when the bus is set up: each BAR times the largest number \
              of functions. Firmware that does not know SR-IOV leaves too small a window above the card.",
        fix: "Switch on SR-IOV support and Above 4G Decoding in the firmware setup, or boot with pci=realloc.",
        source: "drivers/pci/iov.c: sriov_init, sriov_enable; drivers/pci/setup-bus.c: pci_realloc_detect; PCIe Base \
              6.0 §9.3.3.14",
    },
    predicts: &["sriov-mmio"],
    check,
};

/// Rows of the `resource` file that belong to virtual functions (`include/linux/pci.h`: PCI_IOV_RESOURCES, after six
/// BARs and the ROM).
const VF_ROWS: std::ops::RangeInclusive<u8> = 7..=12;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for given in assignment.devices().filter_map(|device| topology.function(device)) {
        let physical =
            given.sriov.physical_function.known().and_then(|physical| topology.function(*physical));
        let function = physical.unwrap_or(given);
        match (function.sriov.total_vfs.known(), function.resources.known()) {
            (None | Some(0), _) => findings.skip(given.address, "it has no virtual functions, nor is it one"),
            (Some(_), None) => {
                findings.skip(given.address, "the BARs of its virtual functions are not known");
            }
            (Some(total), Some(_)) => {
                findings.fine(given.address, format!("the BARs of {total} virtual functions have addresses"));
            }
        }
        if let Some(row) = unassigned(function) {
            findings.push(told(given.address, function, row));
        }
    }
}

fn unassigned(function: &FunctionFacts) -> Option<&Resource> {
    let total = function.sriov.total_vfs.known().copied();
    let rows = function.resources.known()?.iter().filter(|row| VF_ROWS.contains(&row.index));
    // A kernel log tells of the rows and not how many virtual functions there can be.
    rows.into_iter().find(|row| match total {
        Some(total) => total > 0 && (row.flags.is_unset() || row.start == 0),
        None => row.flags.is_unset(),
    })
}

fn told(address: PciAddress, function: &FunctionFacts, row: &Resource) -> Finding {
    let summary =
        format!("no memory space for virtual functions of {} (VF BAR {})", function.address, row.index - 7);
    Finding::new(&RULE, Severity::Notes, address, summary)
        .shown(
            format!("/sys/bus/pci/devices/{}/resource", function.address),
            format!(
                "row {}: start {:#x}, size {:#x}, flags {:#x}",
                row.index, row.start, row.size, row.flags.0
            ),
        )
        .remedy(RemedyKind::Firmware, "switch on SR-IOV and Above 4G Decoding in the firmware setup")
        .remedy(RemedyKind::HostChange, "boot with pci=realloc")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str =
        "device 0000:04:00.0 class=020000 vfs=64 bars=0:f6000000:100000:140204,7:0:100000:20140204";

    #[test]
    fn vf_bars_without_addresses_are_noted() {
        let said = check_rule(&RULE, HOST, "0000:04:00.0");
        assert_eq!(
            said,
            ["notes 0000:04:00.0: no memory space for virtual functions of 0000:04:00.0 (VF BAR 0)"]
        );
    }

    #[test]
    fn rows_without_addresses_tell_of_themselves_where_the_number_is_not_told() {
        let said = check_rule(&RULE, &HOST.replace("vfs=64 ", ""), "0000:04:00.0");
        assert_eq!(said.len(), 1);
    }

    #[test]
    fn assigned_vf_bars_and_devices_without_vfs_are_quiet() {
        assert!(
            check_rule(
                &RULE,
                &HOST.replace("7:0:100000:20140204", "7:f7000000:100000:140204"),
                "0000:04:00.0"
            )
            .is_empty()
        );
        assert!(check_rule(&RULE, &HOST.replace("vfs=64", "vfs=0"), "0000:04:00.0").is_empty());
    }
}
