//! Round trips on the model of the kernel: whatever goes wrong, before equals after.

mod disk;
mod planned;
mod undoing;

use slotwise_core::action::{Action, FilePath, Reason};
use slotwise_core::facts::{DriverName, ModuleName};
use slotwise_core::pci::PciAddress;

use super::*;
use crate::fake::{Event, FakeKernel, Snapshot, killed};
use crate::kernel::WriteErrorKind;
use crate::lock::{HostLock, Owner};

/// Two SCSI controllers with their driver, a third that is kept without one, and files.
const HOST: &str = "
    module vfio_pci
    driver vfio-pci module=vfio_pci
    driver aic7xxx ids=9004:5078
    driver other ids=1234:1111
    device 0000:03:04.0 9004:5078 group=14
    device 0000:03:05.0 9004:5078 group=14
    device 0000:03:06.0 9004:5078 group=14 override=none
    file /etc/modprobe.d/old.conf options vfio_pci disable_idle_d3=1
    private-file /etc/modprobe.d/gone.conf blacklist aic7xxx
";

struct Bench {
    host: FakeKernel,
    before: Snapshot,
    steps: Steps,
    rests_on: Option<Fingerprint>,
    state: StateDir,
    lock: HostLock,
    dir: tempfile::TempDir,
}

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn driver(name: &str) -> DriverName {
    DriverName::new(name).unwrap()
}

fn file(path: &str) -> FilePath {
    FilePath::new(path).unwrap()
}

/// All kinds of steps: a module, three devices of which one has an override and no driver, three files of which one
/// lies two directories deep in nothing.
fn steps() -> Steps {
    let devices =
        [("04.0", true), ("05.0", true), ("06.0", false)].map(|(a, bound)| (at(&format!("03:{a}")), bound));
    let mut list = vec![(
        Action::LoadModule { module: ModuleName::new("vfio-pci").unwrap(), parameters: Vec::new() },
        State::ModuleAbsent,
    )];
    for (device, bound) in devices {
        let former = if bound { None } else { Some(driver("none")) };
        let action = Action::SetDriverOverride { device, driver: Some(DriverName::vfio_pci()) };
        list.push((action, State::DriverOverride(former)));
    }
    for (device, _) in devices.into_iter().filter(|(_, bound)| *bound) {
        let action = Action::Unbind { device, driver: driver("aic7xxx") };
        list.push((action, State::Driver(Some(driver("aic7xxx")))));
    }
    for (device, _) in devices {
        list.push((Action::Probe { device, driver: DriverName::vfio_pci() }, State::Driver(None)));
    }
    let old = "options vfio_pci disable_idle_d3=1\n".to_owned();
    let write =
        |path: &str| Action::WriteFile { path: file(path), content: "options vfio_pci ids=\n".to_owned() };
    list.push((write("/etc/modprobe.d/old.conf"), State::File(Some(old))));
    list.push((write("/etc/dracut/conf.d/slotwise.conf"), State::File(None)));
    let gone = Action::RemoveFile { path: file("/etc/modprobe.d/gone.conf") };
    list.push((gone, State::File(Some("blacklist aic7xxx\n".to_owned()))));
    made(list)
}

fn made(list: Vec<(Action, State)>) -> Steps {
    let step = |(index, (action, before)): (usize, (Action, State))| {
        let id = StepId::new(&format!("s{}", index + 1)).unwrap();
        Step::new(id, action, before, Reason::Request("vm bench".to_owned())).unwrap()
    };
    Steps::new(list.into_iter().enumerate().map(step).collect()).unwrap()
}

fn bench() -> Bench {
    bench_with(HOST, steps())
}

fn bench_with(host: &str, steps: Steps) -> Bench {
    let host = FakeKernel::parse(host).unwrap();
    // Thousands of journal lines are synced here; in memory, where there is such a place, that takes no time.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let state = StateDir::create(dir.path()).unwrap();
    let owner = Owner { pid: 1, command: "test".to_owned(), since_unix_s: 0 };
    let lock = HostLock::acquire(&dir.path().join("lock"), &owner).unwrap();
    Bench { before: host.snapshot(), host, steps, rests_on: None, state, lock, dir }
}

impl Bench {
    fn apply(&self) -> Result<Applied, ApplyError> {
        let live = self.host.live();
        let Bench { lock, state, steps, .. } = self;
        let rests_on = self.rests_on.as_ref();
        apply(ApplyRequest {
            live: &live,
            lock,
            state,
            steps,
            rests_on,
            command: "slotwise apply x",
            now_unix_s: 7,
        })
    }

    fn id(&self) -> ApplyId {
        self.state.ids().unwrap().last().copied().unwrap()
    }

    fn undo(&self) -> UndoReport {
        let live = self.host.live();
        let Bench { lock, state, .. } = self;
        undo(UndoRequest { live: &live, lock, state, id: self.id(), now_unix_s: 8 }).unwrap()
    }

    fn is_as_before(&self) -> bool {
        self.host.snapshot() == self.before
    }

    fn standing(&self) -> Standing {
        self.state.record(self.id()).unwrap().standing()
    }
}

/// How many writes the whole plan takes.
fn writes_of_the_plan() -> usize {
    let bench = bench();
    bench.apply().unwrap();
    bench.host.writes()
}

#[test]
fn plan_is_carried_out_and_undone() {
    let bench = bench();
    let Applied::Done { id, steps } = bench.apply().unwrap() else { panic!("nothing done") };
    assert_eq!((id.to_string().as_str(), steps.len()), ("1", 12));
    for device in ["04.0", "05.0", "06.0"] {
        let resource = Resource::Driver(at(&format!("03:{device}")));
        assert_eq!(observe(&bench.host, &resource), Ok(State::Driver(Some(DriverName::vfio_pci()))));
    }
    assert_eq!(bench.standing(), Standing::Applied);
    let report = bench.undo();
    assert!(report.is_clean() && report.unrecorded.is_none());
    assert!(bench.is_as_before());
    assert_eq!(bench.standing(), Standing::Undone);
}

#[test]
fn done_plan_writes_nothing_on_host_or_disk() {
    let bench = bench();
    bench.apply().unwrap();
    let writes = bench.host.writes();
    assert_eq!(bench.apply().unwrap(), Applied::Already);
    assert_eq!((bench.host.writes(), bench.state.ids().unwrap().len()), (writes, 1));
}

#[test]
fn failure_of_any_write_leaves_the_host_as_it_was() {
    let errors =
        [WriteErrorKind::Busy, WriteErrorKind::NoSpace, WriteErrorKind::Other("Invalid argument".to_owned())];
    for nth in 1..=writes_of_the_plan() {
        let bench = bench();
        let kind = errors[nth % errors.len()].clone();
        bench.host.at_write(nth, Event::Fail(kind.clone()));
        let error = bench.apply().unwrap_err();
        let ApplyError::Undone { source, .. } = &error else { panic!("write {nth}: {error}") };
        assert!(
            matches!(&**source, StepError::Write { source, .. } if source.kind == kind),
            "write {nth}: {source}"
        );
        assert!(bench.is_as_before(), "write {nth}");
        assert_eq!(bench.standing(), Standing::Undone, "write {nth}");
        bench.apply().unwrap();
    }
}

#[test]
fn kill_on_either_side_of_any_write_is_undone_from_the_journal() {
    for nth in 1..=writes_of_the_plan() {
        for event in [Event::KillBefore, Event::KillAfter] {
            let bench = bench();
            bench.host.at_write(nth, event.clone());
            assert!(killed(|| bench.apply()).is_none());
            assert_eq!(bench.standing(), Standing::HalfDone, "{event:?} {nth}");
            assert!(matches!(bench.apply(), Err(ApplyError::Unfinished(_))));
            assert!(bench.undo().is_clean(), "{event:?} {nth}");
            assert!(bench.is_as_before(), "{event:?} {nth}");
            assert_eq!(bench.standing(), Standing::Undone);
        }
    }
}

#[test]
fn everything_that_moved_is_named_before_the_first_write() {
    let bench = bench();
    bench.host.bind_by_hand(at("03:05.0"), Some("other"));
    bench.host.write_by_hand("/etc/modprobe.d/old.conf", "edited\n");
    let error = bench.apply().unwrap_err();
    let ApplyError::Moved(moved) = &error else { panic!("{error}") };
    assert_eq!(moved.len(), 2);
    assert_eq!(
        error.to_string(),
        "the host has changed since the plan was made: driver of 0000:03:05.0 should be: bound to aic7xxx; it is: \
         bound to other; /etc/modprobe.d/old.conf should be: a file of 35 bytes; it is: a file of 7 bytes"
    );
    assert_eq!(bench.host.writes(), 0);
}

#[test]
fn device_that_is_not_there_is_named_before_the_first_write() {
    let bench = bench();
    bench.host.pull_out(at("03:05.0"));
    let error = bench.apply().unwrap_err();
    assert!(matches!(error, ApplyError::Unreadable { .. }));
    assert_eq!(error.to_string(), "cannot check driver_override of 0000:03:05.0 before changing it");
    assert_eq!(bench.host.writes(), 0);
}

#[test]
fn device_pulled_out_in_the_middle_takes_its_changes_along() {
    for nth in 2..=9 {
        let mut bench = bench();
        bench.host.at_write(nth, Event::Vanish(at("03:04.0")));
        let answer = bench.apply();
        let after = bench.host.snapshot();
        let host = FakeKernel::parse(HOST).unwrap();
        host.pull_out(at("03:04.0"));
        bench.before = host.snapshot();
        match answer {
            Err(ApplyError::Undone { .. }) => assert_eq!(after, bench.before, "write {nth}"),
            // Its own steps were done; the others do not depend on it.
            Ok(_) => assert!(bench.undo().is_clean() && bench.is_as_before(), "write {nth}"),
            Err(error) => panic!("write {nth}: {error}"),
        }
    }
}

#[test]
fn driver_that_does_not_take_the_device_is_an_error_though_the_write_succeeds() {
    let host = HOST.replace("03:05.0 9004:5078 group=14", "03:05.0 9004:5078 group=14 refuses=vfio-pci");
    let bench = bench_with(&host, steps());
    let error = bench.apply().unwrap_err();
    let ApplyError::Undone { at_step, source, .. } = error else { panic!("{error}") };
    assert_eq!(at_step.as_str(), "s8");
    assert_eq!(source.to_string(), "vfio-pci did not take 0000:03:05.0");
    assert!(source.hint().contains("-22"));
    assert!(bench.is_as_before());
}

#[test]
fn driver_that_grabs_the_device_in_between_is_named_and_left() {
    let bench = bench();
    // The fifth write takes 0000:03:04.0 from its driver.
    bench.host.at_write(5, Event::Grab(at("03:04.0"), "other".to_owned()));
    let error = bench.apply().unwrap_err();
    let ApplyError::Stuck { at_step, left, source, .. } = &error else { panic!("{error}") };
    assert_eq!(at_step.as_str(), "s5");
    assert_eq!(source.to_string(), "other took 0000:03:04.0");
    assert!(matches!(left.as_slice(), [Left { why: LeftWhy::Changed { .. }, .. }]));
    assert_eq!(bench.standing(), Standing::PartlyUndone { left: 1 });
    bench.host.bind_by_hand(at("03:04.0"), None);
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}

#[test]
fn override_that_a_module_acts_upon_at_once_is_undone_too() {
    // The device is free and already reserved for vfio-pci: loading the module binds it.
    let host = HOST.replace("override=none", "override=vfio-pci");
    let list = vec![
        (
            Action::LoadModule { module: ModuleName::new("vfio-pci").unwrap(), parameters: Vec::new() },
            State::ModuleAbsent,
        ),
        (Action::Probe { device: at("03:06.0"), driver: DriverName::vfio_pci() }, State::Driver(None)),
    ];
    let bench = bench_with(&host, made(list));
    bench.apply().unwrap();
    assert_eq!(bench.host.list("/dev/vfio").unwrap(), ["14"]);
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}

#[test]
fn journal_that_cannot_be_read_stops_a_new_apply() {
    let bench = bench();
    std::fs::write(bench.dir.path().join("000004.journal"), "{}\n").unwrap();
    assert!(matches!(bench.apply(), Err(ApplyError::Journal(_))));
    assert_eq!(bench.host.writes(), 0);
}

#[test]
fn status_lists_what_was_applied_and_how_it_ended() {
    let bench = bench();
    bench.apply().unwrap();
    bench.undo();
    bench.host.at_write(3, Event::KillAfter);
    assert!(killed(|| bench.apply()).is_none());
    let records = bench.state.records().unwrap();
    let records: Vec<_> = records.into_iter().map(|(_, record)| record.unwrap()).collect();
    let standings: Vec<_> = records.iter().map(crate::journal::Record::standing).collect();
    assert_eq!(standings, [Standing::Undone, Standing::HalfDone]);
    assert_eq!(records[1].progress(), (12, 3));
    assert_eq!(records[1].command(), Some("slotwise apply x"));
    let actions: Vec<_> = records[1].actions().map(Action::name).collect();
    assert_eq!(actions, ["load-module", "set-driver-override", "set-driver-override"]);
}

#[test]
fn file_edited_between_check_and_step_is_not_written_over() {
    let bench = bench();
    let path = "/etc/modprobe.d/old.conf";
    bench.host.at_write(1, Event::Edit(path.to_owned(), "edited\n".to_owned()));
    let error = bench.apply().unwrap_err();
    let ApplyError::Undone { at_step, source, .. } = error else { panic!("{error}") };
    assert_eq!(at_step.as_str(), "s10");
    assert!(matches!(*source, StepError::NotTaken { resource: Resource::File(_), .. }), "{source}");
    assert_eq!(bench.host.read(path, 64).unwrap(), b"edited\n");
    bench.host.write_by_hand(path, "options vfio_pci disable_idle_d3=1\n");
    assert!(bench.is_as_before());
}

#[test]
fn device_given_back_to_the_host_is_taken_again_by_undo() {
    let host = HOST
        .replace("module vfio_pci", "module vfio_pci loaded")
        .replace("override=none", "override=vfio-pci");
    let device = at("03:06.0");
    let bench = bench_with(
        &host,
        made(vec![
            (
                Action::SetDriverOverride { device, driver: None },
                State::DriverOverride(Some(DriverName::vfio_pci())),
            ),
            (
                Action::Unbind { device, driver: DriverName::vfio_pci() },
                State::Driver(Some(DriverName::vfio_pci())),
            ),
            (Action::Probe { device, driver: driver("aic7xxx") }, State::Driver(None)),
        ]),
    );
    assert_eq!(bench.host.list("/dev/vfio").unwrap(), ["14"]);
    bench.apply().unwrap();
    assert!(bench.host.list("/dev/vfio").is_err());
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}

#[test]
fn plan_of_no_steps_leaves_no_journal() {
    let bench = bench_with(HOST, made(Vec::new()));
    assert_eq!(bench.apply().unwrap(), Applied::Already);
    assert!(bench.state.ids().unwrap().is_empty());
}

/// An error, its causes, and its hint, as a person gets them.
fn told(error: &ApplyError) -> String {
    let mut text = format!("error: {error}\n");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!("  caused by: {error}\n"));
        cause = error.source();
    }
    text + "hint: " + error.hint() + "\n"
}

#[test]
fn errors_tell_what_why_and_what_next() {
    let busy = bench();
    busy.host.at_write(5, Event::Fail(WriteErrorKind::Busy));
    let gone = bench();
    gone.host.pull_out(at("03:05.0"));
    let unfinished = bench();
    unfinished.host.at_write(2, Event::KillBefore);
    killed(|| unfinished.apply());
    let stuck = bench();
    stuck.host.at_write(5, Event::Grab(at("03:04.0"), "other".to_owned()));
    let all: Vec<String> =
        [busy, gone, unfinished, stuck].iter().map(|bench| told(&bench.apply().unwrap_err())).collect();
    expect_test::expect![[r#"
        error: step s5 failed; everything is as it was
          caused by: cannot take 0000:03:04.0 from aic7xxx
          caused by: cannot write /sys/bus/pci/drivers/aic7xxx/unbind: in use
        hint: something uses it: a mount, a network link, a display, a running VM

        error: cannot check driver_override of 0000:03:05.0 before changing it
          caused by: cannot read /sys/bus/pci/devices/0000:03:05.0/driver_override: no such file
        hint: look with `slotwise inspect` whether the device is there, and plan again

        error: apply 1 was ended in the middle
        hint: run `slotwise undo` first, which puts back what was there before it

        error: step s5 failed, and not all could be put back: driver of 0000:03:04.0: it was changed by another hand and is now: bound to other
          caused by: other took 0000:03:04.0
        hint: see to what is named, then run `slotwise undo` again
    "#]].assert_eq(&all.join("\n"));
}
