//! One way to test a rule: a host as text, the functions that leave it, and what the rule says.

use super::{Assignment, Findings, MovedDevice, Reserve, Rule, VmAssignment};
use crate::topology::fixture::{address, topology};
use crate::vm::{BackendKind, CpuCount, MachineType};

/// What `rule` says of handing `devices` (addresses, space between, `|` between VMs) to VMs on the host in `fixture`: one
/// line a finding, severity, subject and summary. A line `vm machine=pc memory=4G cpus=2 backend=xen usb=046d:c330` of the
/// fixture says what the VMs are; without it they are q35 with 1G, run by QEMU. A line `reserve memory=4G cpus=2` says what
/// the host keeps.
pub(super) fn check_rule(rule: &Rule, fixture: &str, devices: &str) -> Vec<String> {
    let (assignment, host) = parts(fixture, devices);
    let mut findings = Findings::of(rule.id);
    (rule.check)(&topology(&host), &assignment, &mut findings);
    let lines = findings.into_inner().into_iter();
    lines.map(|f| format!("{} {}: {}", f.severity.name(), f.subject, f.summary)).collect()
}

/// What all rules say.
pub(super) fn check_all(fixture: &str, devices: &str) -> Vec<super::Finding> {
    let (assignment, host) = parts(fixture, devices);
    super::check(&topology(&host), &assignment)
}

fn parts(fixture: &str, devices: &str) -> (Assignment, String) {
    let of_spec = |line: &&str| ["vm ", "reserve "].iter().any(|word| line.trim_start().starts_with(word));
    let (spec, host): (Vec<&str>, Vec<&str>) = fixture.lines().partition(of_spec);
    let is_vm = |line: &&&str| line.trim_start().starts_with("vm ");
    let vm: Vec<&str> = spec.iter().filter(is_vm).copied().collect();
    let mut reserve = Reserve::default();
    for word in spec.iter().filter(|line| !is_vm(line)).flat_map(|line| line.split_whitespace().skip(1)) {
        match word.split_once('=').expect("key=value") {
            ("memory", value) => reserve.memory = Some(value.parse().expect("memory")),
            ("cpus", value) => reserve.cpus = CpuCount::new(value.parse().expect("cpus")),
            other => panic!("nothing is reserved as {other:?}"),
        }
    }
    let vms = devices.split('|').zip(1..).map(|(devices, number)| {
        let mut one = VmAssignment::new(
            format!("vm{number}").parse().expect("name"),
            BackendKind::Qemu,
            MachineType::Q35,
            "1G".parse().expect("memory"),
            devices.split_whitespace().map(address).collect(),
        );
        vm.iter().flat_map(|line| line.split_whitespace().skip(1)).for_each(|word| set(&mut one, word));
        one
    });
    (Assignment { vms: vms.collect(), reserve }, host.join("\n"))
}

fn set(vm: &mut VmAssignment, word: &str) {
    match word.split_once('=').expect("key=value") {
        ("machine", value) => vm.machine = value.parse().expect("machine"),
        ("memory", value) => vm.memory = value.parse().expect("memory"),
        ("cpus", value) => vm.cpus = CpuCount::new(value.parse().expect("cpus")).expect("cpus"),
        ("node", value) => vm.node = Some(value.parse().expect("node")),
        ("usb", value) => vm.usb.push(value.parse().expect("USB id")),
        ("moved", value) => vm.moved.push(moved(value)),
        ("backend", "libvirt") => vm.backend = BackendKind::Libvirt,
        ("backend", "xen") => vm.backend = BackendKind::Xen,
        other => panic!("a VM in a fixture has no {other:?}"),
    }
}

/// `ID,SLOT,ID-INSTEAD or none,PLACE[,PLACE]`.
fn moved(text: &str) -> MovedDevice {
    let parts: Vec<&str> = text.split(',').collect();
    let [id, slot, instead, places @ ..] = parts.as_slice() else { panic!("moved=ID,SLOT,INSTEAD,PLACE") };
    MovedDevice {
        id: id.parse().expect("id"),
        slot: address(slot),
        instead: (*instead != "none").then(|| instead.parse().expect("id")),
        places: places.iter().map(|place| address(place)).collect(),
    }
}
