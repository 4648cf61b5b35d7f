//! Ten traps: what looks decisive and is not. Each is told with what does decide, and the rules are held to that.

use super::fixture::check_all;
use super::{Assignment, Finding, Severity, VmAssignment};
use crate::facts::{Facts, from_text};
use crate::topology::Topology;
use crate::topology::fixture::BENCH;
use crate::vm::{BackendKind, MachineType};

fn said(findings: &[Finding], rule: &str) -> Vec<&'static str> {
    findings.iter().filter(|f| f.rule == rule).map(|f| f.severity.name()).collect()
}

fn rules_say(host: &str, devices: &str, rule: &str) -> Vec<&'static str> {
    said(&check_all(host, devices), rule)
}

/// What the rules say of the first function of a kernel log.
fn log_says(log: &str, rule: &str) -> Vec<&'static str> {
    let facts: Facts = from_text(log.as_bytes(), "log").expect("a kernel log");
    let topology = Topology::new(facts);
    let device = topology.functions().map(|f| f.address).take(1).collect();
    let (name, memory) = ("vm".parse().expect("name"), "1G".parse().expect("memory"));
    let vm = VmAssignment::new(name, BackendKind::Qemu, MachineType::Q35, memory, device);
    said(&super::check(&topology, &Assignment { vms: vec![vm], ..Assignment::default() }), rule)
}

const FUNCTION: &str = "[    0.400000] pci 0000:03:00.0: [9004:5078] type 00 class 0x010000\n";

/// Trap 1: `DMAR: IOMMU enabled` proves the parameter, `Default domain type` nothing, `DMAR-IR` interrupt remapping only; groups
/// decide (drivers/iommu/intel/iommu.c: intel_iommu_setup; iommu.c: iommu_subsys_init).
#[test]
fn trap_1_a_parameter_is_no_iommu() {
    let echo = format!(
        "[    0.000000] Linux version 6.1.0-28-amd64\n[    0.010000] Command line: root=/dev/sda1 intel_iommu=on\n\
         [    0.020000] DMAR: IOMMU enabled\n[    0.090000] DMAR-IR: Enabled IRQ remapping in x2apic mode\n\
         [    0.300000] iommu: Default domain type: Translated\n{FUNCTION}"
    );
    assert_ne!(log_says(&echo, "iommu-disabled"), Vec::<&str>::new());
    let on = format!("{echo}[    0.500000] pci 0000:03:00.0: Adding to iommu group 5\n");
    assert_eq!(log_says(&on, "iommu-disabled"), Vec::<&str>::new());
}

/// Trap 2: x2apic opt-out leaves interrupt remapping on, and `iommu=pt` concerns host drivers only
/// (drivers/iommu/intel/irq_remapping.c: intel_prepare_irq_remapping).
#[test]
fn trap_2_opt_out_and_pass_through_are_harmless() {
    let log = format!(
        "[    0.000000] Linux version 6.1.0-28-amd64\n[    0.010000] Command line: root=/dev/sda1 intel_iommu=on iommu=pt\n\
         [    0.080000] DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.\n\
         [    0.090000] DMAR-IR: Enabled IRQ remapping in xapic mode\n{FUNCTION}\
         [    0.500000] pci 0000:03:00.0: Adding to iommu group 5\n"
    );
    for rule in ["no-intremap", "kernel-parameter-conflict", "iommu-disabled"] {
        assert_eq!(log_says(&log, rule), Vec::<&str>::new(), "{rule}");
    }
}

/// Trap 3: AMD's ranges were tolerated before 6.6 and block after; Intel's RMRRs block in both, at different steps
/// (drivers/iommu/iommu.c: __iommu_device_set_domain).
#[test]
fn trap_3_the_release_decides_over_one_to_one_ranges() {
    let host = |kernel: &str, vendor: &str| {
        let host = format!(
            "kernel {kernel}\niommu on intremap=on vendor={vendor}\ndevice 0000:03:00.0 class=010802 group=5\n\
             reserved direct 9d000000 9d0fffff 0000:03:00.0"
        );
        let findings = check_all(&host, "0000:03:00.0");
        (said(&findings, "ivrs-1to1"), said(&findings, "rmrr"))
    };
    assert_eq!(host("6.5.0", "amd"), (vec!["notes"], vec![]));
    assert_eq!(host("6.6.0", "amd"), (vec!["blocks"], vec![]));
    assert_eq!(host("6.5.0", "intel"), (vec![], vec!["blocks"]));
    assert_eq!(host("6.6.0", "intel"), (vec![], vec!["blocks"]));
}

/// Trap 4: EPERM at SET_IOMMU has two causes and EINVAL at SET_CONTAINER a third: the rules tell them apart by facts, and say
/// where each will show.
#[test]
fn trap_4_one_error_number_has_several_causes() {
    let host = "kernel 6.1.0\niommu on intremap=off vendor=intel\ndevice 0000:03:00.0 class=010700 group=5\n\
                reserved direct 9d000000 9d0fffff 0000:03:00.0";
    let findings = check_all(host, "0000:03:00.0");
    assert_eq!((said(&findings, "no-intremap"), said(&findings, "rmrr")), (vec!["blocks"], vec!["blocks"]));
    let shown = |kernel: &str| {
        let findings = check_all(&host.replace("6.1.0", kernel), "0000:03:00.0");
        let evidence = findings.into_iter().filter(|f| f.rule == "rmrr").flat_map(|f| f.evidence);
        evidence.map(|e| e.text).collect::<Vec<_>>().join("; ")
    };
    assert!(shown("6.1.0").contains("Operation not permitted"));
    assert!(shown("6.8.0").contains("Invalid argument"));
}

/// Trap 5: Since 5.19 a bridge in the group is tolerated without driver or on pcieport only, before with any
/// (drivers/vfio/vfio.c: vfio_dev_driver_allowed; iommu_device_use_default_domain).
#[test]
fn trap_5_not_any_bridge_is_tolerated() {
    let bridge = "0000:01:00.0 class=060400 pin=1 group=8";
    let with = |driver: &str, kernel: &str| {
        let host =
            BENCH.replace(bridge, &format!("{bridge} driver={driver}")).replace("6.1.0-56-amd64", kernel);
        rules_say(&host, "0000:02:04.0", "group-not-viable")
    };
    assert_eq!(with("shpchp", "5.18.0"), Vec::<&str>::new());
    assert_eq!(with("shpchp", "5.19.0"), ["blocks"]);
    assert_eq!(with("pcieport", "5.19.0"), Vec::<&str>::new());
}

/// Trap 6: Nothing tells whether INTx will be exclusive but the kernel's own test; and `irq` of a device that was never enabled
/// is the firmware's number (drivers/pci/probe.c: pci_read_irq).
#[test]
fn trap_6_the_number_of_a_device_never_enabled_is_not_its_line() {
    let host = "iommu on intremap=on\ndevice 0000:05:00.0 class=010000 id=9004:5078 pin=1 irq=11 conventional\n\
                irq 11 IO-APIC pin=11 acpi";
    let findings = check_all(host, "0000:05:00.0");
    let told: Vec<&str> =
        findings.iter().filter(|f| f.rule == "intx-shared").map(|f| f.summary.as_str()).collect();
    assert!(matches!(told[..], [one] if one.starts_with("cannot tell: which interrupt line")), "{told:?}");
}

/// Trap 7: No `bus` in reset_method does not exclude VFIO's hot reset; siblings on pcieport or pci-stub are viable and make it
/// fail (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_dev_set_resettable).
#[test]
fn trap_7_reset_method_is_not_all_that_vfio_can_do() {
    let host = |sibling: &str| {
        format!(
            "iommu on intremap=on\ndevice 0000:00:01.0 class=060400 group=1\n\
             device 0000:01:00.0 class=030000 group=2 parent=0000:00:01.0 driver=vfio-pci reset=\n\
             device 0000:01:00.1 class=040300 group=2 parent=0000:00:01.0 driver={sibling} reset="
        )
    };
    let both = check_all(&host("vfio-pci"), "0000:01:00.0 0000:01:00.1");
    assert_eq!((said(&both, "no-reset"), said(&both, "bus-reset-takes-siblings")), (vec![], vec![]));
    let stub = check_all(&host("pci-stub"), "0000:01:00.0");
    assert_eq!(said(&stub, "group-not-viable"), Vec::<&str>::new());
    assert_eq!(said(&stub, "bus-reset-takes-siblings"), ["warns"]);
}

/// Trap 8: vfio-pci binds while the boot framebuffer owns a BAR, and while configuration space reads ff: being bound proves
/// neither.
#[test]
fn trap_8_being_bound_proves_little() {
    let held = "iommu on intremap=on\nclaim BOOTFB e0000000 e02fffff\n\
                device 0000:01:00.0 class=030000 group=1 driver=vfio-pci boot_vga bars=1:e0000000:10000000:14220c";
    assert_eq!(rules_say(held, "0000:01:00.0", "bar-held-by-framebuffer"), ["blocks"]);
    let dead = "iommu on intremap=on\ndevice 0000:01:00.0 class=030000 group=1 driver=vfio-pci config=dead";
    assert_eq!(rules_say(dead, "0000:01:00.0", "d3cold-power"), ["blocks"]);
}

/// Trap 9: drivers_probe succeeds without binding, and error -22 has several causes: no group, a bridge, a listed device; -16 a
/// physical function with virtual ones (drivers/base/bus.c: drivers_probe_store).
#[test]
fn trap_9_why_nothing_is_bound_is_told_apart() {
    let host = "kernel 6.1.0\niommu on intremap=on\ndevice 0000:00:01.0 class=060400 group=1 driver=pcieport\n\
                device 0000:02:00.0 class=010802\ndevice 0000:03:00.0 class=0b4000 id=8086:37c8 group=3\n\
                device 0000:04:00.0 class=020000 group=4 numvfs=2";
    for (device, rule, severity) in [
        ("0000:02:00.0", "iommu-unsupported", "blocks"),
        ("0000:00:01.0", "device-not-bound", "blocks"),
        ("0000:03:00.0", "device-not-bound", "blocks"),
        ("0000:04:00.0", "device-not-bound", "warns"),
    ] {
        let of_probe = ["iommu-unsupported", "device-not-bound"];
        let findings = check_all(host, device);
        let told: Vec<_> = findings
            .iter()
            .filter(|f| of_probe.contains(&f.rule))
            .map(|f| (f.rule, f.severity.name()))
            .collect();
        assert_eq!(told, [(rule, severity)], "{device}");
    }
}

/// Trap 10: Xen's dom0 has no groups at all: nothing that rests on groups may be said there. A BAR above the IOMMU's width fails
/// softly, memory fatally.
#[test]
fn trap_10_a_dom0_has_no_groups() {
    let dom0 = "vm backend=xen memory=2G\niommu off intremap=off\nmodule vfio_pci missing\n\
                device 0000:03:00.0 class=0c0330 driver=pciback reset=bus";
    let loud: Vec<_> =
        check_all(dom0, "0000:03:00.0").into_iter().filter(|f| f.severity != Severity::Notes).collect();
    assert_eq!(loud, []);
    let high_bar = "vm memory=4G\niommu on intremap=on width=39\n\
                    device 0000:03:00.0 class=030000 group=3 bars=0:38000000000:400000000:14220c";
    assert_eq!(rules_say(high_bar, "0000:03:00.0", "iommu-address-width"), Vec::<&str>::new());
    assert_eq!(rules_say(&high_bar.replace("4G", "600G"), "0000:03:00.0", "iommu-address-width"), ["blocks"]);
}
