//! Undoing: repeated, interrupted, after a reboot, and where another hand was at work.

use super::*;

#[test]
fn undo_twice_is_harmless() {
    let bench = bench();
    bench.apply().unwrap();
    bench.undo();
    let writes = bench.host.writes();
    let again = bench.undo();
    assert!(again.restored.is_empty() && again.left.is_empty());
    assert_eq!(bench.host.writes(), writes);
}

#[test]
fn kill_of_undo_at_any_write_is_undone_by_the_next() {
    let whole = {
        let bench = bench();
        bench.apply().unwrap();
        let writes = bench.host.writes();
        bench.undo();
        bench.host.writes() - writes
    };
    for nth in 1..=whole {
        for event in [Event::KillBefore, Event::KillAfter] {
            let bench = bench();
            bench.apply().unwrap();
            bench.host.at_write(nth, event.clone());
            assert!(killed(|| bench.undo()).is_none());
            assert_eq!(bench.standing(), Standing::HalfDone, "{event:?} {nth}");
            assert!(bench.undo().is_clean(), "{event:?} {nth}");
            assert!(bench.is_as_before(), "{event:?} {nth}");
        }
    }
}

#[test]
fn undo_leaves_what_another_hand_has_changed() {
    let bench = bench();
    bench.apply().unwrap();
    bench.host.write_by_hand("/etc/modprobe.d/old.conf", "edited\n");
    let report = bench.undo();
    let [Left { resource, why: LeftWhy::Changed { .. } }] = report.left.as_slice() else {
        panic!("{:?}", report.left)
    };
    assert_eq!(resource.to_string(), "/etc/modprobe.d/old.conf");
    assert_eq!(bench.host.read("/etc/modprobe.d/old.conf", 64).unwrap(), b"edited\n");
    assert_eq!(bench.standing(), Standing::PartlyUndone { left: 1 });
}

#[test]
fn former_driver_that_does_not_come_back_is_told() {
    let list = vec![
        (
            Action::SetDriverOverride { device: at("03:04.0"), driver: Some(driver("none")) },
            State::DriverOverride(None),
        ),
        (
            Action::Unbind { device: at("03:04.0"), driver: driver("aic7xxx") },
            State::Driver(Some(driver("aic7xxx"))),
        ),
    ];
    // Its module goes away in between.
    let host = HOST.replace("driver aic7xxx", "module aic loaded\n driver aic7xxx module=aic");
    let host = host.replace("device 0000:03:05.0 9004:5078 group=14", "");
    let bench = bench_with(&host, made(list));
    bench.apply().unwrap();
    bench.host.unload_module("aic").unwrap();
    let report = bench.undo();
    let [Left { why: LeftWhy::DriverStayedAway { driver, .. }, .. }] = report.left.as_slice() else {
        panic!("{:?}", report.left)
    };
    assert_eq!(driver.as_str(), "aic7xxx");
    bench.host.load_module("aic", &[]).unwrap();
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}

#[test]
fn module_that_somebody_else_uses_by_now_stays() {
    let other = at("05:00.0");
    let bench = bench_with(&format!("{HOST}\n device {other} 8086:1533 group=20"), steps());
    bench.apply().unwrap();
    bench.host.bind_by_hand(other, Some("vfio-pci"));
    let report = bench.undo();
    let [Left { resource, why: LeftWhy::InUse { by } }] = report.left.as_slice() else {
        panic!("{:?}", report.left)
    };
    assert_eq!((resource.to_string().as_str(), by.as_slice()), ("module vfio_pci", &[other][..]));
    assert_eq!(bench.standing(), Standing::PartlyUndone { left: 1 });
    bench.host.bind_by_hand(other, None);
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}

#[test]
fn reboot_leaves_only_files_to_undo() {
    for nth in [None, Some(6), Some(10), Some(12)] {
        let bench = bench();
        if let Some(nth) = nth {
            bench.host.at_write(nth, Event::KillAfter);
        }
        killed(|| bench.apply());
        bench.host.reboot();
        let writes = bench.host.writes();
        let report = bench.undo();
        assert!(report.is_clean() && report.void > 0, "{nth:?}");
        let files = report.restored.iter().all(|action| action.name().ends_with("-file"));
        assert!(files && bench.host.writes() - writes <= 6, "{nth:?}");
        assert!(bench.is_as_before(), "{nth:?}");
        assert_eq!(bench.standing(), Standing::Undone, "{nth:?}");
    }
}

#[test]
fn half_done_apply_without_files_is_void_after_a_reboot() {
    let bench = bench();
    bench.host.at_write(4, Event::KillAfter);
    assert!(killed(|| bench.apply()).is_none());
    bench.host.reboot();
    let record = bench.state.record(bench.id()).unwrap();
    assert!(!record.is_pending(bench.host.live().boot_id()));
    bench.apply().unwrap();
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}

/// Gives one device to vfio-pci; loads the module if it is not there.
fn give(device: &str, module: Option<State>) -> Steps {
    let device = at(device);
    let load = Action::LoadModule { module: ModuleName::new("vfio-pci").unwrap(), parameters: Vec::new() };
    let mut list: Vec<(Action, State)> = module.map(|before| (load, before)).into_iter().collect();
    let vfio = DriverName::vfio_pci;
    list.push((Action::SetDriverOverride { device, driver: Some(vfio()) }, State::DriverOverride(None)));
    list.push((Action::Unbind { device, driver: driver("aic7xxx") }, State::Driver(Some(driver("aic7xxx")))));
    list.push((Action::Probe { device, driver: vfio() }, State::Driver(None)));
    made(list)
}

#[test]
fn module_that_another_apply_uses_stays_and_goes_with_it() {
    let mut bench = bench_with(HOST, give("03:04.0", Some(State::ModuleAbsent)));
    bench.apply().unwrap();
    let first = bench.id();
    bench.steps = give("03:05.0", None);
    bench.apply().unwrap();
    let second = bench.id();
    let live = bench.host.live();
    let request = |id| UndoRequest { live: &live, lock: &bench.lock, state: &bench.state, id, now_unix_s: 8 };

    let report = undo(request(first)).unwrap();
    assert!(report.is_clean());
    let [Left { why, .. }] = report.left.as_slice() else { panic!("{:?}", report.left) };
    assert_eq!(why.to_string(), "0000:03:05.0 uses it");
    assert!(bench.state.record(first).unwrap().leaves_modules_only());
    assert_eq!(undo_modules(request(second)).unwrap(), []);

    assert!(undo(request(second)).unwrap().is_clean());
    let undone = undo_modules(request(second)).unwrap();
    assert_eq!(undone.iter().map(ToString::to_string).collect::<Vec<_>>(), ["unload module vfio_pci"]);
    assert!(bench.is_as_before());
    assert_eq!(bench.state.record(first).unwrap().standing(), Standing::Undone);
}

#[test]
fn what_an_undoing_put_back_is_not_its_own_any_more() {
    let mut bench = bench_with(HOST, give("03:04.0", Some(State::ModuleAbsent)));
    bench.apply().unwrap();
    let first = bench.id();
    bench.steps = give("03:05.0", None);
    bench.apply().unwrap();
    let live = bench.host.live();
    let request = |id| UndoRequest { live: &live, lock: &bench.lock, state: &bench.state, id, now_unix_s: 8 };
    undo(request(first)).unwrap();
    // The device is given away again, by another apply.
    let third = Bench { steps: give("03:04.0", None), ..bench };
    third.apply().unwrap();
    let (live, id) = (third.host.live(), first);
    let report =
        undo(UndoRequest { live: &live, lock: &third.lock, state: &third.state, id, now_unix_s: 9 }).unwrap();
    assert!(report.restored.is_empty(), "{:?}", report.restored);
    let now = observe(&third.host, &Resource::Driver(at("03:04.0")));
    assert_eq!(now, Ok(State::Driver(Some(DriverName::vfio_pci()))));
}
