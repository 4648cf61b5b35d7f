//! From what is read of a host to a plan, to the host, and back.

use slotwise_core::facts::Origin;
use slotwise_core::plan::{Plan, moved, plan};
use slotwise_core::report::wire::v1::{self, SavedPlan};
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

/// The host with what a kernel says of itself.
fn telling() -> String {
    let host = HOST.replace("module vfio_pci", "module vfio_pci loaded");
    format!(
        "{host}
        file /proc/sys/kernel/osrelease 6.1.0
        file /proc/cmdline quiet iommu=pt
        file /sys/module/vfio_pci/parameters/nointxmask N
        device 0000:03:07.0 1234:1111 group=14 override=none"
    )
}

/// It, planned, and ready to be changed behind the plan's back.
fn ready() -> Bench {
    let host = telling();
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

/// What `apply --plan` names: a plan in a file, held against one made anew of the host as it is by then.
fn named(before: &FakeKernel, after: &FakeKernel) -> Vec<String> {
    let text = serde_json::to_string(&v1::Plan::new(&planned_whole(before))).unwrap();
    let saved = SavedPlan::parse(&text).unwrap();
    let now = planned_whole(after);
    moved(&saved.facts, now.fingerprint.facts()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_saved_plan_names_each_fact_of_the_host_that_moved_and_nothing_else() {
    type Change = fn(&FakeKernel);
    let of_group = |is: &str| {
        ["4", "6"]
            .map(|slot| format!("driver of 0000:03:07.0 in its group of 0000:03:0{slot}.0 was none, is {is}"))
    };
    let cases: [(Change, Vec<String>); 6] = [
        (|_| (), vec![]),
        (
            |host| host.bind_by_hand(at("03:04.0"), None),
            vec!["driver of 0000:03:04.0 was aic7xxx, is none".to_owned()],
        ),
        (|host| host.bind_by_hand(at("03:07.0"), Some("other")), of_group("other").to_vec()),
        (
            |host| host.write_by_hand("/proc/cmdline", "quiet iommu=pt vfio-pci.ids=9004:5078\n"),
            vec![
                "kernel command line of host was quiet iommu=pt, is quiet iommu=pt vfio-pci.ids=9004:5078"
                    .to_owned(),
            ],
        ),
        (
            |host| host.write_by_hand("/sys/module/vfio_pci/parameters/nointxmask", "Y\n"),
            vec!["parameter vfio_pci.nointxmask of host was N, is Y".to_owned()],
        ),
        (
            |host| host.write_by_hand("/proc/sys/kernel/osrelease", "6.12.0\n"),
            vec!["kernel of host was 6.1.0, is 6.12.0".to_owned()],
        ),
    ];
    for (change, expected) in cases {
        let [before, after] = [telling(), telling()].map(|host| FakeKernel::parse(&host).unwrap());
        change(&after);
        assert_eq!(named(&before, &after), expected);
    }
}

#[test]
fn a_card_that_was_moved_to_another_slot_is_named_by_what_is_no_longer_there() {
    let elsewhere = telling().replace("device 0000:03:04.0", "device 0000:03:08.0");
    let [before, after] = [telling(), elsewhere].map(|host| FakeKernel::parse(&host).unwrap());
    let told = named(&before, &after);
    for expected in [
        "devices of VM bench was 0000:03:04.0, 0000:03:06.0, is 0000:03:06.0",
        "identity of 0000:03:04.0 was 9004:5078, is not to be read",
    ] {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected} in {told:#?}");
    }
}

#[test]
fn a_saved_plan_that_was_carried_out_has_moved_nothing_by_itself() {
    let bench = ready();
    let before = FakeKernel::parse(&telling()).unwrap();
    bench.apply().unwrap();
    assert_eq!(named(&before, &bench.host), Vec::<String>::new());
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
