//! `device-not-bound`: vfio-pci will not take the function, whatever is written to its override.

use super::{Assignment, Evidence, Finding, Findings, Page, RemedyKind, Rule, Severity, by_vfio, word};
use crate::facts::{Fact, FunctionFacts, KernelVersion};
use crate::pci::{Body, HeaderKind, PciAddress, PciId};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "device-not-bound",
    page: Page {
        what: "Writing to drivers_probe succeeds and nothing is bound; the kernel says \"probe with driver vfio-pci failed with \
              error -22\" (or -16), QEMU finds no /dev/vfio/N.",
        why: "vfio-pci refuses at once what it cannot hand out: bridges (their header is not that of an endpoint), some \
              accelerators whose errata let a guest take the host down (Intel QuickAssist, DSA, IAX), and a physical function \
              whose virtual functions exist. Functions without IOMMU group fail with the same number for another reason.",
        fix: "Hand over the functions behind a bridge, not the bridge. Remove virtual functions first (echo 0 > \
              sriov_numvfs), or hand over those. For listed accelerators use their virtual functions, where the list leaves \
              them out, or load vfio-pci with disable_denylist=1 for guests that you trust.",
        source: "drivers/vfio/pci/vfio_pci.c: vfio_pci_probe, vfio_pci_dev_in_denylist; \
              drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_register_device; drivers/base/bus.c: drivers_probe_store",
    },
    predicts: &["device-not-bound"],
    check,
};

/// Intel accelerators that are listed, and since when (`vfio_pci_dev_in_denylist`; `include/linux/pci_ids.h`,
/// `drivers/crypto/intel/qat`).
const LISTED: &[(u16, &str, KernelVersion)] = &[
    (0x19e2, "QuickAssist C3xxx", QAT),
    (0x19e3, "QuickAssist C3xxx virtual function", QAT),
    (0x37c8, "QuickAssist C62x", QAT),
    (0x37c9, "QuickAssist C62x virtual function", QAT),
    (0x0435, "QuickAssist DH895xCC", QAT),
    (0x0443, "QuickAssist DH895xCC virtual function", QAT),
    (0x0b25, "Data Streaming Accelerator", DSA),
    (0x0cfe, "In-Memory Analytics Accelerator", DSA),
];

/// The list began with these.
const QAT: KernelVersion = KernelVersion { major: 5, minor: 9 };
/// Added for CVE-2024-21823, and taken into maintained older kernels.
const DSA: KernelVersion = KernelVersion { major: 6, minor: 10 };

const INTEL: u16 = 0x8086;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (_, function) in by_vfio(topology, assignment, findings) {
        let bound = function.driver.known().is_some_and(crate::facts::DriverName::is_vfio);
        if bound {
            findings.fine(function.address, format!("{} has it already", word(&function.driver)));
            continue;
        }
        let (class, id) = (word(&function.class), word(&function.id));
        let vfs = in_use(topology, function);
        let without = match &vfs {
            Some((count, evidence)) => {
                format!("with {count} virtual functions ({}: {})", evidence.source, evidence.text)
            }
            None => "and how many virtual functions it has is not told".to_owned(),
        };
        findings.fine(function.address, format!("no bridge (class {class}), not listed ({id}), {without}"));
        let found = bridge(function).or_else(|| listed(topology, function));
        findings.push_all(found.or_else(|| with_vfs(function.address, vfs?)));
    }
}

fn bridge(function: &FunctionFacts) -> Option<Finding> {
    let header = function.decoded().map(|decoded| decoded.header.kind);
    let is_bridge = match header {
        Some(HeaderKind::Bridge | HeaderKind::CardBus) => true,
        Some(HeaderKind::Endpoint) => false,
        // What does not answer now was something once: its class tells.
        Some(HeaderKind::Unknown(_)) | None => {
            function.class.known().is_some_and(|class| matches!(class.base_and_sub(), 0x0604 | 0x0607))
        }
    };
    let address = function.address;
    is_bridge.then(|| {
        Finding::new(&RULE, Severity::Blocks, address, "it is a bridge, which cannot be handed to a VM")
            .shown(
                format!("/sys/bus/pci/devices/{address}/class"),
                function.class.known().map_or_else(|| "header type 1".to_owned(), ToString::to_string),
            )
            .remedy(RemedyKind::SpecChange, "hand over the functions behind it")
    })
}

fn listed(topology: &Topology, function: &FunctionFacts) -> Option<Finding> {
    let id: PciId = *function.id.known().filter(|id| id.vendor == INTEL)?;
    let (_, name, since) = LISTED.iter().find(|(device, _, _)| *device == id.device)?;
    let kernel = &topology.facts().kernel;
    if kernel.parameter("vfio_pci", "disable_denylist").is_some_and(crate::facts::ParameterValue::is_on) {
        return None;
    }
    let severity = match kernel.version() {
        Some(version) if version >= *since => Severity::Blocks,
        Some(version) if version < QAT => return None,
        _ => Severity::Warns,
    };
    let address = function.address;
    Some(
        Finding::new(
            &RULE,
            severity,
            address,
            format!("vfio-pci has {name} on its list of devices not to take"),
        )
        .shown(format!("/sys/bus/pci/devices/{address}"), id.to_string())
        .remedy(RemedyKind::HostChange, "for guests that you trust: options vfio_pci disable_denylist=1"),
    )
}

/// How many virtual functions of it there are, and what tells: the kernel, the function's own registers, or functions that call it
/// theirs. None where nothing does.
fn in_use(topology: &Topology, function: &FunctionFacts) -> Option<(usize, Evidence)> {
    let address = function.address;
    if let Some(count) = function.sriov.num_vfs.known() {
        let place = format!("/sys/bus/pci/devices/{address}/sriov_numvfs");
        return Some((usize::from(*count), Evidence::new(place, count.to_string())));
    }
    let named = |other: &&FunctionFacts| other.sriov.physical_function.known() == Some(&address);
    let children = topology.functions().filter(named).count();
    if children > 0 {
        let text = format!("{children} functions name {address} as their physical function");
        return Some((children, Evidence::new("/sys/bus/pci/devices/*/physfn", text)));
    }
    // The kernel has no such file of a function without the capability.
    let none = matches!(function.sriov.num_vfs, Fact::Absent);
    let without = || none.then(|| (0, Evidence::new("sriov_numvfs", "there is none")));
    let Some(decoded) = function.decoded() else { return without() };
    let place = format!("/sys/bus/pci/devices/{address}/config");
    let registers = decoded.capabilities.iter().find_map(|capability| match &capability.body {
        Body::SrIov(sriov) => Some(sriov),
        _ => None,
    });
    match registers {
        Some(sriov) => {
            let count = if sriov.enabled { usize::from(sriov.num_vfs) } else { 0 };
            let text =
                format!("VF Enable{}, NumVFs {}", if sriov.enabled { "+" } else { "-" }, sriov.num_vfs);
            Some((count, Evidence::new(place, text)))
        }
        None if function.features().sriov_total_vfs == Some(0) => {
            Some((0, Evidence::new(place, "no SR-IOV capability")))
        }
        None => without(),
    }
}

fn with_vfs(address: PciAddress, (count, evidence): (usize, Evidence)) -> Option<Finding> {
    if count == 0 {
        return None;
    }
    Some(
        Finding::new(
            &RULE,
            Severity::Warns,
            address,
            format!("it has {count} virtual functions: vfio-pci refuses it as long as they exist"),
        )
        .shown(evidence.source, evidence.text)
        .remedy(RemedyKind::HostChange, format!("echo 0 > /sys/bus/pci/devices/{address}/sriov_numvfs"))
        .remedy(RemedyKind::SpecChange, "hand over virtual functions instead"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "kernel 6.1.0
        device 0000:00:01.0 class=060400 driver=pcieport
        device 0000:3d:00.0 class=0b4000 id=8086:37c8 driver=c6xx
        device 0000:04:00.0 class=020000 id=8086:1572 driver=i40e numvfs=4
        device 0000:05:00.0 class=010802 id=8086:0a54 driver=nvme";

    #[test]
    fn a_bridge_blocks() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:00:01.0"),
            ["blocks 0000:00:01.0: it is a bridge, which cannot be handed to a VM"]
        );
    }

    #[test]
    fn a_listed_accelerator_blocks_unless_the_list_is_off_or_later() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:3d:00.0"),
            ["blocks 0000:3d:00.0: vfio-pci has QuickAssist C62x on its list of devices not to take"]
        );
        let off = format!("{HOST}\nparam vfio_pci.disable_denylist=Y");
        assert!(check_rule(&RULE, &off, "0000:3d:00.0").is_empty());
        let old = HOST.replace("6.1.0", "5.4.0");
        assert!(check_rule(&RULE, &old, "0000:3d:00.0").is_empty());
        let dsa = HOST.replace("37c8", "0b25");
        assert!(check_rule(&RULE, &dsa, "0000:3d:00.0")[0].starts_with("warns"));
    }

    #[test]
    fn virtual_functions_are_warned_about() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:04:00.0"),
            ["warns 0000:04:00.0: it has 4 virtual functions: vfio-pci refuses it as long as they exist"]
        );
    }

    #[test]
    fn virtual_functions_show_in_the_registers_and_by_whom_they_call_theirs_too() {
        // SR-IOV at 0x100: control with VF Enable, 7 of at most 8 virtual functions.
        let sriov =
            "config=4096,04:00100000,34:40,40:00020010,100:00010010,108:00000001,10c:00080008,110:00000007";
        let host = format!("device 0000:04:00.0 class=020000 id=8086:1572 {sriov}");
        let said = check_rule(&RULE, &host, "0000:04:00.0");
        assert_eq!(
            said,
            ["warns 0000:04:00.0: it has 7 virtual functions: vfio-pci refuses it as long as they exist"]
        );
        assert!(check_rule(&RULE, &host.replace("108:00000001", "108:00000000"), "0000:04:00.0").is_empty());
        let named = "device 0000:04:00.0 class=020000\ndevice 0000:04:10.0 class=020000 physfn=0000:04:00.0";
        assert!(check_rule(&RULE, named, "0000:04:00.0")[0].contains("1 virtual functions"));
    }

    #[test]
    fn endpoints_and_what_is_bound_already_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:05:00.0").is_empty());
        assert!(
            check_rule(&RULE, &HOST.replace("driver=c6xx", "driver=vfio-pci"), "0000:3d:00.0").is_empty()
        );
        assert!(check_rule(&RULE, &HOST.replace("numvfs=4", "numvfs=0"), "0000:04:00.0").is_empty());
    }
}
