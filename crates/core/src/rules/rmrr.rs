//! `rmrr`: firmware uses memory by this function's DMA, so it must keep its mapping and cannot be a guest's.

use super::memory_map::{place, reserved_for, shown};
use super::{
    Assignment, Evidence, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, VmAssignment,
    cannot_know,
};
use crate::facts::{FunctionFacts, IommuVendor, KernelVersion, ReservedKind, ReservedRegion, Switch};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "rmrr",
    page: Page {
        what: "The function, or a member of its group, has a range of memory that must stay mapped one to one. The \
              kernel refuses: \"Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring \
              the device without a 1:1 mapping\" (Linux 6.6 and later, Invalid argument), before \"Device is \
              ineligible for IOMMU domain attach due to platform RMRR requirement\" (Operation not permitted).",
        why: "A Reserved Memory Region tells the system that firmware, or a management controller behind it, \
              exchanges data with the device by DMA. In a guest's address space those addresses are the guest's \
              memory. USB and graphics are exempt, because their firmware use ends when the system starts.",
        fix: "Switch off the firmware's use of that slot (HP ProLiant: shared memory of the slot), update the \
              firmware, or move the card to a slot without it.",
        source: "drivers/iommu/iommu.c: __iommu_device_set_domain (6.6); drivers/iommu/intel/iommu.c: \
              intel_iommu_attach_device (3.17 to 6.5), device_rmrr_is_relaxable; Intel VT-d 4.1 §8.4",
    },
    predicts: &["rmrr"],
    check,
};

/// From here on the kernel prints `direct-relaxable` (commit "iommu/vt-d: Differentiate relaxable and non relaxable RMRRs").
const RELAXABLE_TOLD: KernelVersion = KernelVersion { major: 5, minor: 3 };

/// From here on any direct range blocks, whoever made the IOMMU.
const ANY_VENDOR: KernelVersion = KernelVersion { major: 6, minor: 6 };

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (vm, address) in assignment.given() {
        let found = if vm.uses_vfio() { by_vfio(topology, address) } else { by_xen(topology, address) };
        let ranges = reserved_for(topology, address).len();
        let text =
            format!("none of {ranges} reserved ranges that concern it is one that firmware goes on using");
        findings.fine(address, text);
        let found = found.or_else(|| refused(topology, vm, address));
        let unknown = || whose(topology, address);
        findings.push_all(found.or_else(unknown));
    }
}

/// What the kernel has said when somebody tried: sure, whatever is known of ranges. AMD's is told by ivrs-1to1.
fn refused(topology: &Topology, vm: &VmAssignment, address: PciAddress) -> Option<Finding> {
    let iommu = &topology.facts().iommu;
    if iommu.vendor == IommuVendor::Amd || !vm.uses_vfio() {
        return None;
    }
    let members = topology.group_members(address).iter().chain([&address]);
    let words = members.into_iter().find_map(|member| iommu.one_to_one.get(member))?;
    let summary = "firmware keeps memory mapped for it: the kernel refused it already";
    Some(Finding::new(&RULE, Severity::Blocks, address, summary).shown("kernel log", words.clone()).remedy(
        RemedyKind::Firmware,
        "switch off what uses the slot in the firmware setup, or update the firmware",
    ))
}

/// A range of which the source does not tell whose it is: kernel logs show ranges, the table's device scopes show functions
/// (`drivers/iommu/intel/dmar.c: dmar_table_print_dmar_entry`).
fn whose(topology: &Topology, address: PciAddress) -> Option<Finding> {
    let iommu = &topology.facts().iommu;
    let members = topology.group_members(address).iter().copied().chain([address]);
    let exempt = members.filter_map(|member| topology.function(member)).all(is_exempt);
    let told = !reserved_for(topology, address).is_empty();
    if exempt || told || iommu.state == Switch::Off {
        return None;
    }
    let rmrrs = || iommu.reserved.iter().filter(|region| region.kind == ReservedKind::Rmrr);
    let nobodys = |region: &&ReservedRegion| {
        region.devices.is_empty()
            && !rmrrs().any(|other| other.start == region.start && !other.devices.is_empty())
    };
    let ranges: Vec<&ReservedRegion> = rmrrs().filter(nobodys).collect();
    let needs = "whether a range that firmware keeps mapped is this function's (its scope in the DMAR table)";
    let finding = cannot_know(Subject::Device(address), needs, None);
    let evidence = ranges.iter().map(|region| Evidence::new("RMRR", shown(region))).collect();
    (!ranges.is_empty()).then_some(Finding { evidence, ..finding })
}

fn by_vfio(topology: &Topology, address: PciAddress) -> Option<Finding> {
    let vendor = topology.facts().iommu.vendor;
    let version = topology.facts().kernel.version();
    let since = version.is_none_or(|version| version >= ANY_VENDOR);
    let region = reserved_for(topology, address).into_iter().find(|region| match (region.kind, vendor) {
        (ReservedKind::Rmrr, _) => holds_a_member(topology, address, region),
        (ReservedKind::Direct, IommuVendor::Amd) => false,
        // Until the kernel had a kind for them, ranges of exempt functions were printed like all others.
        (ReservedKind::Direct, IommuVendor::Intel) => {
            version.is_none_or(|version| version >= RELAXABLE_TOLD)
                || holds_a_member(topology, address, region)
        }
        (ReservedKind::Direct, _) => since,
        _ => false,
    })?;
    let in_doubt = version.is_none() && region.kind == ReservedKind::Direct && vendor != IommuVendor::Intel;
    let severity = if in_doubt { Severity::Warns } else { Severity::Blocks };
    let summary = "firmware keeps memory mapped for it: the kernel refuses it";
    let mut finding = Finding::new(&RULE, severity, address, summary)
        .shown(place(topology, address, region.kind), shown(region));
    if !region.devices.contains(&address) {
        let names: Vec<String> = region.devices.iter().map(ToString::to_string).collect();
        finding = finding.shown("the range belongs to", names.join(", "));
    }
    if let Some(version) = version {
        // The same refusal at two steps (`drivers/vfio/container.c: vfio_container_attach_group`, `vfio_ioctl_set_iommu`).
        let words = if version >= ANY_VENDOR {
            "Failed to set group container: Invalid argument"
        } else {
            "Failed to set iommu for container: Operation not permitted"
        };
        finding = finding.shown(format!("QEMU with Linux {version}"), words);
    }
    Some(
        finding
            .remedy(
                RemedyKind::Firmware,
                "switch off what uses the slot in the firmware setup, or update the firmware",
            )
            .remedy(RemedyKind::Hardware, "move the card to another slot"),
    )
}

/// Xen keeps such ranges mapped in the guest, and refuses a device that shares one with others, unless told to relax
/// (`xen/drivers/passthrough/vtd/iommu.c: intel_iommu_assign_device`).
fn by_xen(topology: &Topology, address: PciAddress) -> Option<Finding> {
    let regions = reserved_for(topology, address);
    let region = regions.into_iter().find(|region| region.kind == ReservedKind::Rmrr)?;
    let endpoint = |device: &&PciAddress| {
        let class = topology.function(**device).and_then(|f| f.class.known());
        class.is_none_or(|class| !class.is_pci_bridge())
    };
    let shared = region.devices.iter().filter(endpoint).count() > 1;
    let (severity, summary) = if shared {
        (
            Severity::Warns,
            "it shares memory that firmware keeps mapped: Xen refuses it unless rdm_policy=relaxed",
        )
    } else {
        (
            Severity::Notes,
            "firmware keeps memory mapped for it: Xen maps it in the guest, which must leave it free",
        )
    };
    let finding = Finding::new(&RULE, severity, address, summary)
        .shown(place(topology, address, region.kind), shown(region));
    Some(finding.remedy(
        RemedyKind::SpecChange,
        "rdm_policy=relaxed for the device, rdm=\"strategy=host\" for the domain",
    ))
}

/// Whether a range of the table concerns a member of the function's group that is not exempt: one such member blocks all.
fn holds_a_member(topology: &Topology, address: PciAddress, region: &ReservedRegion) -> bool {
    let members = topology.group_members(address).iter().copied().chain([address]);
    members.filter_map(|member| topology.function(member)).any(|member| {
        let named = |device: &PciAddress| region.devices.contains(device);
        let concerned = named(&member.address) || topology.bridges_above(member.address).iter().any(named);
        concerned && !is_exempt(member)
    })
}

/// USB controllers and displays (`device_rmrr_is_relaxable`).
fn is_exempt(function: &FunctionFacts) -> bool {
    function.class.known().is_some_and(|class| class.base() == 0x03 || class.base_and_sub() == 0x0c03)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "kernel 6.1.0
        iommu on vendor=intel
        device 0000:03:00.0 class=010700 group=5
        device 0000:03:00.1 class=0c0320 group=6
        reserved direct bdffe000 bdffffff 0000:03:00.0
        reserved relaxable bdf00000 bdf0ffff 0000:03:00.1";

    #[test]
    fn a_direct_range_blocks_on_intel() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["blocks 0000:03:00.0: firmware keeps memory mapped for it: the kernel refuses it"]);
    }

    #[test]
    fn a_range_of_a_group_member_blocks_too() {
        let host = HOST.replace("group=6", "group=5");
        assert_eq!(check_rule(&RULE, &host, "0000:03:00.1").len(), 1);
    }

    #[test]
    fn before_ranges_were_called_relaxable_the_class_tells_who_is_exempt() {
        let host = HOST.replace("relaxable", "direct").replace("6.1.0", "5.2.0");
        assert!(check_rule(&RULE, &host, "0000:03:00.1").is_empty());
        assert_eq!(check_rule(&RULE, &host, "0000:03:00.0").len(), 1);
        assert_eq!(check_rule(&RULE, &host.replace("5.2.0", "5.4.0"), "0000:03:00.1").len(), 1);
    }

    #[test]
    fn a_relaxable_range_is_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:03:00.1").is_empty());
    }

    #[test]
    fn the_table_alone_is_read_with_its_exemptions_and_bridges() {
        let host = "iommu on vendor=intel
            device 0000:00:1c.0 class=060400
            device 0000:03:00.0 class=010700 parent=0000:00:1c.0
            device 0000:00:14.0 class=0c0330
            reserved rmrr bdffe000 bdffffff 0000:00:1c.0 0000:00:14.0";
        assert_eq!(check_rule(&RULE, host, "0000:03:00.0").len(), 1);
        assert!(check_rule(&RULE, host, "0000:00:14.0").is_empty());
    }

    #[test]
    fn an_exempt_function_in_a_group_with_one_that_is_not_blocks() {
        let host = "iommu on vendor=intel
            device 0000:00:14.0 class=0c0330 group=4
            device 0000:00:14.2 class=050000 group=4
            reserved rmrr bdffe000 bdffffff 0000:00:14.2";
        assert_eq!(check_rule(&RULE, host, "0000:00:14.0").len(), 1);
        let only_exempt = host.replace("bdffffff 0000:00:14.2", "bdffffff 0000:00:14.0");
        assert!(check_rule(&RULE, &only_exempt, "0000:00:14.0").is_empty());
    }

    #[test]
    fn a_range_that_is_nobodys_may_be_anybodys_but_of_those_that_are_exempt() {
        let host = "iommu on vendor=intel
            device 0000:03:00.0 class=010700 group=5
            device 0000:00:14.0 class=0c0330 group=4
            reserved rmrr bdffe000 bdffffff";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert!(said[0].starts_with("notes 0000:03:00.0: cannot tell: whether a range"), "{said:?}");
        assert!(check_rule(&RULE, host, "0000:00:14.0").is_empty());
        let named = format!("{host}\nreserved rmrr bdffe000 bdffffff 0000:00:14.0");
        assert!(check_rule(&RULE, &named, "0000:03:00.0").is_empty());
        let off = host.replace("iommu on", "iommu off");
        assert!(check_rule(&RULE, &off, "0000:03:00.0").is_empty());
    }

    #[test]
    fn what_the_kernel_refused_once_it_refuses_again() {
        let host = "iommu on vendor=intel
            device 0000:03:00.0 class=010700 group=5
            device 0000:03:00.1 class=0c0320 group=6
            refused 0000:03:00.0";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert_eq!(
            said,
            ["blocks 0000:03:00.0: firmware keeps memory mapped for it: the kernel refused it already"]
        );
        assert!(check_rule(&RULE, host, "0000:03:00.1").is_empty());
        assert!(check_rule(&RULE, &host.replace("intel", "amd"), "0000:03:00.0").is_empty());
    }

    #[test]
    fn xen_maps_a_range_and_refuses_one_that_is_shared() {
        let host = "vm backend=xen
            device 0000:00:1a.0 class=0c0320
            device 0000:00:1d.0 class=0c0320
            reserved rmrr bdffe000 bdffffff 0000:00:1a.0 0000:00:1d.0";
        assert!(check_rule(&RULE, host, "0000:00:1d.0")[0].starts_with("warns"));
        let alone = host.replace("bdffffff 0000:00:1a.0 ", "bdffffff ");
        assert!(check_rule(&RULE, &alone, "0000:00:1d.0")[0].starts_with("notes"));
    }

    #[test]
    fn amd_is_left_to_its_own_rule_and_others_to_late_kernels() {
        assert!(check_rule(&RULE, &HOST.replace("intel", "amd"), "0000:03:00.0").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("intel", "smmu"), "0000:03:00.0").is_empty());
        let host = HOST.replace("intel", "smmu").replace("6.1.0", "6.12.9");
        assert_eq!(check_rule(&RULE, &host, "0000:03:00.0").len(), 1);
    }
}
