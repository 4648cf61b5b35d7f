//! From what is read of a host to a plan, to the host, and back.

use slotwise_core::facts::Origin;
use slotwise_core::plan::{Plan, plan};
use slotwise_core::topology::Topology;
use slotwise_core::vm::spec;

use super::*;

const SPEC: &str = r#"
    [[vm]]
    name = "bench"
    memory = "96M"
    [[vm.device]]
    select = { id = "9004:5078", slot = "0000:03:04.0" }
    [[vm.device]]
    select = { id = "9004:5078", slot = "0000:03:06.0" }
"#;

fn planned_whole(host: &FakeKernel) -> Plan {
    let origin = Origin::Live { boot_id: Some(host.live().boot_id().to_string()) };
    let topology = Topology::new(crate::read(host, origin));
    plan(&spec::parse(SPEC).unwrap(), &topology).unwrap()
}

fn planned(host: &FakeKernel) -> Steps {
    planned_whole(host).steps
}

/// The host with what a kernel says of itself, planned, and ready to be changed behind the plan's back.
fn ready() -> Bench {
    let host = HOST.replace("module vfio_pci", "module vfio_pci loaded");
    let host = format!(
        "{host}
        file /proc/sys/kernel/osrelease 6.1.0
        file /proc/cmdline quiet iommu=pt
        device 0000:03:07.0 1234:1111 group=14 override=none"
    );
    let plan = planned_whole(&FakeKernel::parse(&host).unwrap());
    Bench { rests_on: Some(plan.fingerprint), ..bench_with(&host, plan.steps) }
}

fn refused(bench: &Bench) -> Vec<String> {
    let error = bench.apply().unwrap_err();
    let ApplyError::Shifted(moved) = &error else { panic!("{error}") };
    assert_eq!((bench.host.writes(), bench.state.ids().unwrap().len()), (0, 0), "nothing was begun");
    moved.iter().map(ToString::to_string).collect()
}

#[test]
fn facts_that_no_step_changes_are_held_against_the_host() {
    let bench = ready();
    bench.host.write_by_hand("/proc/cmdline", "quiet iommu=off\n");
    bench.host.bind_by_hand(at("03:07.0"), Some("other"));
    assert_eq!(
        refused(&bench),
        [
            "kernel command line of host was quiet iommu=pt, is quiet iommu=off",
            "driver of 0000:03:07.0 in its group of 0000:03:04.0 was none, is other",
            "driver of 0000:03:07.0 in its group of 0000:03:06.0 was none, is other",
        ]
    );
}

#[test]
fn a_group_that_lost_a_member_is_another_group() {
    let bench = ready();
    bench.host.pull_out(at("03:05.0"));
    let told = refused(&bench);
    assert!(told[0].starts_with("IOMMU group of 0000:03:04.0 was 0000:03:04.0, 0000:03:05.0"), "{told:?}");
}

#[test]
fn a_host_that_stayed_the_same_is_changed_and_the_same_plan_is_then_done() {
    let bench = ready();
    bench.apply().unwrap();
    assert_eq!(bench.apply().unwrap(), Applied::Already);
    assert!(bench.undo().is_clean() && bench.is_as_before());
}

#[test]
fn plan_of_what_is_read_is_carried_out_and_undone() {
    let host = format!("{HOST}\n file /proc/sys/kernel/osrelease 6.1.0\n");
    let steps = planned(&FakeKernel::parse(&host).unwrap());
    let names: Vec<&str> = steps.as_slice().iter().map(|step| step.action().name()).collect();
    assert_eq!(names, ["set-driver-override", "set-driver-override", "unbind", "probe", "probe"]);
    // Whether the module is there to be loaded cannot be read from this host; somebody has loaded it.
    let bench = bench_with(&host.replace("module vfio_pci", "module vfio_pci loaded"), steps);
    bench.apply().unwrap();
    assert!(planned(&bench.host).as_slice().is_empty(), "a plan of the host as it is then has nothing to do");
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}
