//! Rules: what will go wrong with a partition on a host, known before it is tried.
//!
//! A rule is one file: its id, its page, its check and its test cases. It is a function of a [`Topology`] and an
//! [`Assignment`]; it knows no plan, no other rule and no text width. A fact that it needs and that nobody could read
//! makes it say so (severity [`Severity::Notes`]), never guess.

mod acpi_dmar_broken;
mod acs_check;
mod acs_override_in_use;
mod alias_behind_bridge;
mod assignment;
mod bar_held_by_framebuffer;
mod bar_unassigned;
mod boot_disk;
mod bootloader_stale;
mod bus_reset_broken;
mod bus_reset_takes_siblings;
mod d3cold_power;
mod device_in_use;
mod device_moved;
mod device_not_bound;
mod dma_entry_limit;
mod driver_binds_first;
mod explain;
mod finding;
mod flr_broken;
pub(crate) mod footprint;
mod group_has_critical_device;
mod group_not_viable;
mod guest_mmio_window;
mod guest_msi_quirk;
mod guest_root_lost;
mod host_cpus;
mod host_driver_in_use;
mod host_memory;
mod host_mmio_window;
mod host_storage;
mod hugepage_pin;
mod id_match_hits_other_device;
mod initramfs_missing_vfio;
mod intx_asserted_at_handover;
mod intx_no_masking;
mod intx_shared;
mod iommu_address_width;
mod iommu_disabled;
mod iommu_unsupported;
mod iova_reserved;
mod irq_unrouted;
mod ivrs_1to1;
mod kernel_parameter_conflict;
mod last_console;
mod management_nic;
mod masking;
mod memlock;
mod memory_map;
mod msi_absent;
mod multifunction_split;
mod no_intremap;
mod no_reset;
mod numa_mismatch;
mod nvidia_kvm_hidden;
mod option_rom_shadow;
mod pcie_on_conventional_bus;
mod permission;
mod pm_reset_is_soft;
mod quirks;
mod reset_broken_amd;
mod rmrr;
mod rom_missing;
mod secure_boot_lockdown;
mod sriov_mmio;
mod usb_permission;
mod vfio_ids;
mod vfio_modules_missing;
mod vfio_permission;
mod vga_flags;
mod virtualization_off;

pub use assignment::{Assignment, MovedDevice, Reserve, VmAssignment};
pub use explain::{Explanation, Outcome, explain};
pub use finding::{Evidence, Finding, Findings, Remedy, RemedyKind, Severity, Silence, Subject};
pub(crate) use group_not_viable::is_of_card;

use crate::facts::{Fact, FaultKind, FunctionFacts, ReadFault};
use crate::topology::Topology;

/// A page about a rule, for `slotwise explain`.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// What happens.
    pub what: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// Where this is known from: specification and section, kernel file and function.
    pub source: &'static str,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Kebab-case words; shared with the diagnosis of the same cause. Never reused for something else.
    pub id: &'static str,
    /// Its page.
    pub page: Page,
    /// Causes that logs will name where what the rule foretells happens, the likeliest first; its own id where there is
    /// a cause of that id. Empty where no log shows it.
    pub predicts: &'static [&'static str],
    check: fn(&Topology, &Assignment, &mut Findings),
}

/// All rules, by id.
pub const RULES: &[Rule] = &[
    acpi_dmar_broken::RULE,
    acs_check::RULE,
    acs_override_in_use::RULE,
    alias_behind_bridge::RULE,
    bar_held_by_framebuffer::RULE,
    bar_unassigned::RULE,
    boot_disk::RULE,
    bootloader_stale::RULE,
    bus_reset_broken::RULE,
    bus_reset_takes_siblings::RULE,
    d3cold_power::RULE,
    device_in_use::RULE,
    device_moved::RULE,
    device_not_bound::RULE,
    dma_entry_limit::RULE,
    driver_binds_first::RULE,
    flr_broken::RULE,
    group_has_critical_device::RULE,
    group_not_viable::RULE,
    guest_mmio_window::RULE,
    guest_msi_quirk::RULE,
    guest_root_lost::RULE,
    host_cpus::RULE,
    host_driver_in_use::RULE,
    host_memory::RULE,
    host_mmio_window::RULE,
    host_storage::RULE,
    hugepage_pin::RULE,
    id_match_hits_other_device::RULE,
    initramfs_missing_vfio::RULE,
    intx_asserted_at_handover::RULE,
    intx_no_masking::RULE,
    intx_shared::RULE,
    iommu_address_width::RULE,
    iommu_disabled::RULE,
    iommu_unsupported::RULE,
    iova_reserved::RULE,
    irq_unrouted::RULE,
    ivrs_1to1::RULE,
    kernel_parameter_conflict::RULE,
    last_console::RULE,
    management_nic::RULE,
    memlock::RULE,
    msi_absent::RULE,
    multifunction_split::RULE,
    no_intremap::RULE,
    no_reset::RULE,
    numa_mismatch::RULE,
    nvidia_kvm_hidden::RULE,
    option_rom_shadow::RULE,
    pcie_on_conventional_bus::RULE,
    pm_reset_is_soft::RULE,
    reset_broken_amd::RULE,
    rmrr::RULE,
    rom_missing::RULE,
    secure_boot_lockdown::RULE,
    sriov_mmio::RULE,
    usb_permission::RULE,
    vfio_modules_missing::RULE,
    vfio_permission::RULE,
    vga_flags::RULE,
    virtualization_off::RULE,
    xen_no_free_pirq::RULE,
    xen_subpage_bar::RULE,
];

/// A rule by its id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Rules that foretell a cause, that of the same id first.
#[must_use]
pub fn predicting(cause: &str) -> Vec<&'static Rule> {
    let mut rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.predicts.contains(&cause)).collect();
    rules.sort_by_key(|rule| (rule.id != cause, rule.id));
    rules
}

/// What all rules say, the gravest first, then by rule and subject.
#[must_use]
pub fn check(topology: &Topology, assignment: &Assignment) -> Vec<Finding> {
    let mut all = Vec::new();
    for rule in RULES {
        let mut findings = Findings::of(rule.id);
        (rule.check)(topology, assignment, &mut findings);
        all.extend(findings.into_inner());
    }
    mark_assumed(topology, &mut all);
    all.sort_by(|a, b| {
        (a.severity, a.rule).cmp(&(b.severity, b.rule)).then_with(|| a.subject.cmp(&b.subject))
    });
    all
}

/// What some of the rules say, as they come: for questions that the others do not bear on.
pub(crate) fn check_some(rules: &[&str], topology: &Topology, assignment: &Assignment) -> Vec<Finding> {
    let mut all = Vec::new();
    for rule in RULES.iter().filter(|rule| rules.contains(&rule.id)) {
        let mut findings = Findings::of(rule.id);
        (rule.check)(topology, assignment, &mut findings);
        all.extend(findings.into_inner());
    }
    all
}

/// Says with each finding which of its facts are somebody's assumption. What is assumed of the host is said where a
/// finding is about the host or a VM.
fn mark_assumed(topology: &Topology, findings: &mut [Finding]) {
    for assumed in &topology.facts().assumed.facts {
        let concerned = |finding: &&mut Finding| match &finding.subject {
            Subject::Device(address) => assumed.devices.contains(address),
            Subject::Host | Subject::Vm(_) => assumed.devices.is_empty(),
        };
        for finding in findings.iter_mut().filter(concerned) {
            let evidence = Evidence::new("assumed", assumed.text.clone());
            if !finding.evidence.contains(&evidence) {
                finding.evidence.push(evidence);
            }
        }
    }
}

/// How the summary of a rule begins that lacks a fact; what it would need follows.
const UNKNOWN: &str = "cannot tell: ";

/// The note of a rule that would need a fact which nobody could read.
fn cannot_know(subject: Subject, needs: &str, fault: Option<&ReadFault>) -> Finding {
    let evidence = fault.map(|f| Evidence::new(f.place.clone(), f.kind.to_string())).into_iter().collect();
    Finding {
        rule: "",
        severity: Severity::Notes,
        subject,
        summary: format!("{UNKNOWN}{needs}"),
        why: "The fact that decides this could not be read, so it is neither confirmed nor ruled out."
            .to_owned(),
        evidence,
        remedies: Vec::new(),
    }
}

/// The functions that go to VMs through VFIO, with the VM; of the others it is said that the rule is not about them.
fn by_vfio<'a>(
    topology: &'a Topology,
    assignment: &'a Assignment,
    findings: &mut Findings,
) -> Vec<(&'a VmAssignment, &'a FunctionFacts)> {
    let mut given = Vec::new();
    for (vm, address) in assignment.given() {
        if vm.uses_vfio() {
            given.extend(topology.function(address).map(|function| (vm, function)));
        } else {
            findings.skip(address, format!("VM {} is Xen's, which does not go through VFIO", vm.name));
        }
    }
    given
}

/// The value of a fact in words, for reasons.
fn word<T: std::fmt::Display>(fact: &Fact<T>) -> String {
    match fact {
        Fact::Known(value) => value.to_string(),
        Fact::Absent => "none".to_owned(),
        Fact::Unreadable(fault) => format!("unread ({})", fault.place),
    }
}

/// Why a fact that every running host has is not known: it could not be read, or the source (a part of a host's tree) does not
/// hold the file that tells.
pub(crate) fn missing<T>(fact: &Fact<T>, place: &str) -> Option<ReadFault> {
    match fact {
        Fact::Known(_) => None,
        Fact::Absent => Some(ReadFault::new(place, FaultKind::NotInSource)),
        Fact::Unreadable(fault) => Some(fault.clone()),
    }
}

/// What of the host's disks and mounts is not known.
pub(crate) fn missing_storage(topology: &Topology) -> Vec<ReadFault> {
    let usage = &topology.facts().usage;
    let swaps = fault(&usage.swaps).cloned();
    [missing(&usage.block, "/sys/class/block"), missing(&usage.mounts, "/proc/self/mountinfo"), swaps]
        .into_iter()
        .flatten()
        .collect()
}

/// The fault of a fact that is unreadable.
fn fault<T>(fact: &Fact<T>) -> Option<&ReadFault> {
    fact.fault()
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod sound;
#[cfg(test)]
mod traps;
mod xen_no_free_pirq;
mod xen_subpage_bar;
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_kebab_case_sorted_and_unique() {
        let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        let sorted: Vec<&str> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(ids, sorted);
        for id in ids {
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
        }
    }

    #[test]
    fn every_page_is_filled() {
        for rule in RULES {
            let Page { what, why, fix, source } = rule.page;
            for part in [what, why, fix, source] {
                assert!(part.len() > 30, "{}: {part:?}", rule.id);
            }
        }
    }
}
