//! The whole way from suite to rows, over a disk in memory.

use super::*;
use std::collections::BTreeSet;

use crate::fake::{Cure, Defect, FakeDisk, FakeRig, StuckRig, device};
use crate::rig::Identity;
use crate::run::{Date, Standing};
use crate::suite::{Batch, Case, CaseRun, Harm, Names};
use crate::transport::{Event, Transport};

fn run(defect: Option<Defect>, device: DeviceUnderTest) -> (Run, FakeRig) {
    let suites = [Suite::whole("scsi-2").unwrap()];
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let mut rig = FakeRig { defect, starts: 0 };
    let matrix = Matrix { suites: &suites, devices: &[device], guests: &guests };
    let run = run_matrix(&matrix, &mut rig, &mut |_| ());
    assert_eq!(run.rows.len(), suites[0].cases().len());
    (run, rig)
}

fn failed(run: &Run) -> Vec<&str> {
    let bad = |row: &&Row| !matches!(row.outcome, Outcome::Pass | Outcome::Skip);
    run.rows.iter().filter(bad).map(|row| row.case.as_str()).collect()
}

/// The cases that the fake disk takes part in: by what its guest can carry, by the harm that is allowed, and by the case's own
/// condition, from what the suite's set-up finds out. None of it asks the matrix.
fn can_run() -> BTreeSet<String> {
    let suite = Suite::whole("scsi-2").unwrap();
    let guest = GuestDefinition::builtin("debian-12").unwrap();
    let (device, mut disk) = (device(), FakeDisk::new(Defect::None));
    let address = disk.devices().unwrap()[0].address;
    let mut setup = CaseRun::setup(&suite, &Names::default());
    while let Some(batch) = setup.next_batch() {
        let Batch::Commands(_, commands) = batch else { panic!("the set-up has commands alone") };
        setup.answer(disk.execute(address, &commands, Duration::MAX).unwrap());
    }
    let names = setup.into_names();
    let fits = |case: &&Case| {
        guest.capabilities().missing(case.needs()).next().is_none()
            && case.harm() <= device.harm_limit
            && CaseRun::applies(case, &names).is_ok()
    };
    suite.cases().iter().filter(fits).map(|case| case.id().to_owned()).collect()
}

#[test]
fn a_sound_disk_passes_every_case_that_can_run() {
    let (run, rig) = run(Some(Defect::None), device());
    let told: Vec<_> = run
        .rows
        .iter()
        .filter(|row| row.outcome != Outcome::Pass)
        .map(|row| (&row.case, &row.reason))
        .collect();
    assert!(run.passed(), "{told:#?}");
    for row in run.rows.iter().filter(|row| row.outcome == Outcome::Skip) {
        let reason = row.reason.as_deref().unwrap_or_default();
        let beyond = ["needs ", "only where ", "its harm is "].iter().any(|begin| reason.starts_with(begin));
        assert!(beyond, "{}: {reason}", row.case);
    }
    let passed: BTreeSet<_> =
        run.rows.iter().filter(|row| row.outcome == Outcome::Pass).map(|row| row.case.clone()).collect();
    assert_eq!(passed, can_run());
    // That many have passed before, and none of them is to be lost.
    assert!(passed.len() >= 207, "{} pass", passed.len());
    assert_eq!(rig.starts, 1);
}

#[test]
fn each_defect_is_caught_by_the_case_about_it() {
    for (defect, case) in [
        (Defect::StaleSense, "rs-second-empty"),
        (Defect::InquiryPads, "inq-alloc-sweep"),
        (Defect::CapacityIsCount, "cap-last-readable"),
        (Defect::VerifyWrites, "vfy-differs"),
        (Defect::Write6ZeroIsNone, "wr6-256"),
        (Defect::NoRangeCheck, "rd10-straddle"),
    ] {
        let (run, _) = run(Some(defect), device());
        assert!(failed(&run).contains(&case), "{defect:?}: {:?}", failed(&run));
        let row = run.rows.iter().find(|row| row.case == case).unwrap();
        assert_eq!(row.outcome, Outcome::Fail);
        assert!(row.reason.is_some() && row.line.is_some());
        assert!(row.exchanges.iter().any(|exchange| exchange.complaint.is_some()));
    }
}

#[test]
fn a_way_without_residuals_skips_the_cases_that_need_them_and_blames_no_device() {
    let (run, _) = run(Some(Defect::NoResidual), device());
    assert!(run.passed(), "{:?}", failed(&run));
    let row = run.rows.iter().find(|row| row.case == "inq-alloc-sweep").unwrap();
    assert_eq!(row.reason.as_deref(), Some("needs residual, which debian-12 has not with disk"));
}

#[test]
fn a_hung_guest_costs_its_case_and_is_started_again() {
    let (run, rig) = run(Some(Defect::Hangs(0x35)), device());
    let mut bad = run.rows.iter().filter(|row| row.outcome.is_bad());
    assert!(bad.all(|row| row.outcome == Outcome::Crash), "what hangs is no failure of the case");
    assert!(["sync-all", "sync-beyond"].iter().all(|case| failed(&run).contains(case)));
    let row = run.rows.iter().find(|row| row.case == "sync-all").unwrap();
    assert_eq!(row.outcome, Outcome::Crash);
    assert!(row.console.as_deref().is_some_and(|console| console.contains("panic")));
    assert_eq!(rig.starts, 1 + failed(&run).len());
}

#[test]
fn a_guest_that_hangs_time_and_again_costs_those_cases_and_not_the_run() {
    let (run, rig) = run(Some(Defect::Hangs(0x2a)), device());
    let crashes = run.count(Outcome::Crash);
    let given_up = |row: &Row| row.reason.as_deref().is_some_and(|reason| reason.contains("did not last"));
    assert!(crashes > 4 && !run.rows.iter().any(given_up), "{crashes}");
    assert!(run.count(Outcome::Pass) > 0 && rig.starts > 4);
}

#[test]
fn a_guest_that_never_lasts_is_given_up() {
    // START STOP UNIT is in the suite's setup: no case ever begins.
    let (run, rig) = run(Some(Defect::Hangs(0x1b)), device());
    assert_eq!((rig.starts, run.count(Outcome::Pass)), (4, 0));
    let last = run.rows.iter().rfind(|row| row.outcome == Outcome::Error).unwrap();
    assert_eq!(last.reason.as_deref(), Some("the guest was started 4 times and did not last"));
}

/// The scsi-2 suite over a disk that hangs at REZERO UNIT, until it gets what it needs.
fn stuck(cure: Cure) -> (Run, Vec<String>) {
    let suites =
        [Suite::builtin("scsi-2").unwrap().only(|case| ["rezero", "tur-ready"].contains(&case.id()))];
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let mut rig = StuckRig::new(0x01, cure);
    let matrix = Matrix { suites: &suites, devices: &[device()], guests: &guests };
    let run = run_matrix(&matrix, &mut rig, &mut |_| ());
    let done = rig.did();
    (run, done)
}

#[test]
fn a_hung_device_is_reset_by_the_mildest_way_that_helps_and_the_run_goes_on() {
    for (cure, did, told) in [
        (
            Cure::Event(Event::DeviceReset),
            vec!["start", "device-reset", "stop"],
            "device-reset: the device answers again",
        ),
        (
            Cure::Event(Event::BusReset),
            vec!["start", "device-reset", "bus-reset", "stop"],
            "bus-reset: the device answers again",
        ),
        (
            Cure::Function,
            vec!["start", "device-reset", "bus-reset", "function", "stop"],
            "function reset (flr): the device answers again",
        ),
        (
            Cure::Release,
            vec!["start", "device-reset", "bus-reset", "stop", "start", "stop"],
            "the guest was ended, which resets the function; the next case gets a new one",
        ),
        (
            Cure::Power,
            vec!["start", "device-reset", "bus-reset", "stop", "start", "stop", "power", "start", "stop"],
            "the guest was ended, which resets the function; the next case gets a new one",
        ),
    ] {
        let (run, done) = stuck(cure);
        assert_eq!(done, did, "{cure:?}");
        let [hung, next] = run.rows.as_slice() else { panic!("{cure:?}: {} rows", run.rows.len()) };
        assert_eq!((hung.case.as_str(), hung.outcome), ("rezero", Outcome::Fail), "{cure:?}");
        assert_eq!(hung.recovery.last().map(String::as_str), Some(told), "{cure:?}");
        assert_eq!(
            (next.case.as_str(), next.outcome),
            ("tur-ready", Outcome::Pass),
            "{cure:?}: {:?}",
            next.reason
        );
        let power = ["power: switched off and on".to_owned()];
        assert_eq!(next.recovery, if cure == Cure::Power { power.as_slice() } else { &[] }, "{cure:?}");
    }
}

#[test]
fn a_device_that_nothing_brings_back_costs_errors_and_an_end() {
    let (run, done) = stuck(Cure::Event(Event::ChangeMedium));
    assert_eq!(run.rows[1].outcome, Outcome::Error);
    assert!(run.rows[1].reason.as_deref().is_some_and(|reason| reason.contains("no SCSI device")));
    assert_eq!(done.iter().filter(|what| *what == "power").count(), 1);
}

fn with(options: &Options<'_>, defect: Defect) -> Run {
    let suites = [Suite::builtin("scsi-2").unwrap().only(|case| case.id().starts_with("inq-"))];
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let matrix = Matrix { suites: &suites, devices: &[device()], guests: &guests };
    run_with(&matrix, &mut FakeRig { defect: Some(defect), starts: 0 }, options, &mut |_| ())
}

#[test]
fn order_follows_from_the_seed_and_each_time_has_its_own() {
    let (quarantine, finished) = (Quarantine::default(), Finished::default());
    let times = NonZeroU32::new(2).unwrap();
    let order = |seed| {
        let run = with(&Options { seed, times, ..Options::once(&quarantine, &finished) }, Defect::None);
        let cases: Vec<(u32, String)> = run.rows.into_iter().map(|row| (row.attempt, row.case)).collect();
        cases
    };
    assert_eq!(order(Some(3)), order(Some(3)));
    assert_ne!(order(Some(3)), order(Some(4)));
    let plain = order(None);
    let (first, second) = plain.split_at(plain.len() / 2);
    assert!(first.iter().map(|(_, case)| case).eq(second.iter().map(|(_, case)| case)));
    assert!(first.iter().all(|(attempt, _)| *attempt == 1));
    assert!(second.iter().all(|(attempt, _)| *attempt == 2));
}

#[test]
fn until_fail_ends_at_the_first_failure_that_is_not_known() {
    let (none, finished) = (Quarantine::default(), Finished::default());
    let times = NonZeroU32::new(100).unwrap();
    let options = Options { times, until: Until::Failure, ..Options::once(&none, &finished) };
    let run = with(&options, Defect::InquiryPads);
    assert!(run.rows.last().is_some_and(Row::stands) && run.count(Outcome::Fail) == 1);
    let today = Date { year: 2027, month: 1, day: 1 };
    let text = "[[known]]\ncase = \"inq-*\"\nreason = \"it pads\"\nexpires = 2027-01-01\n";
    let known = Quarantine::parse("q.toml", text, today).unwrap();
    let once = Options { until: Until::Failure, ..Options::once(&known, &finished) };
    let run = with(&once, Defect::InquiryPads);
    assert!(run.passed() && run.count(Outcome::Fail) > 1);
    let still = run.rows.iter().filter(|row| row.outcome == Outcome::Pass);
    assert!(still.clone().count() > 0);
    assert!(
        still
            .into_iter()
            .all(|row| { row.quarantined.as_ref().is_some_and(|known| known.standing == Standing::Passes) })
    );
}

#[test]
fn time_spent_in_guests_is_part_of_the_whole() {
    let (run, _) = run(Some(Defect::None), device());
    assert!(run.in_guests > Duration::ZERO && run.in_guests <= run.elapsed);
    assert!(run.rows.iter().all(|row| row.in_guest <= row.elapsed));
}

#[test]
fn a_rig_that_cannot_start_gives_errors_with_the_cause() {
    let (run, rig) = run(None, device());
    assert_eq!(rig.starts, 1);
    assert_eq!(run.count(Outcome::Error) + run.count(Outcome::Skip), run.rows.len());
    let row = run.rows.iter().find(|row| row.outcome == Outcome::Error).unwrap();
    assert_eq!(row.reason.as_deref(), Some("cannot start guest debian-12 with disk: group 14 is not viable"));
    assert_eq!(run.starts[0].hint.as_deref(), Some("bind the whole group"));
}

#[test]
fn another_disk_than_the_declared_is_sent_nothing() {
    for (vendor, serial) in [("SEAGATE", Some("F001")), ("SLOTWISE", Some("F002"))] {
        let identity =
            Identity { vendor: vendor.into(), product: "FAKE DISK".into(), serial: serial.map(Into::into) };
        let (run, _) = run(Some(Defect::None), DeviceUnderTest { identity: Some(identity), ..device() });
        assert_eq!(run.count(Outcome::Pass), 0);
        assert!(run.rows.iter().all(|row| row.sent == 0));
        assert!(
            run.rows.iter().any(|row| row.reason.as_deref().is_some_and(|text| text.contains("is declared")))
        );
    }
}

#[test]
fn a_disk_that_turns_out_to_be_another_is_not_written_to_any_more() {
    let (run, _) = run(Some(Defect::Swapped(400)), device());
    let told = "not to be written to any more";
    let says = |row: &&Row| row.reason.as_deref().is_some_and(|reason| reason.contains(told));
    let refused: Vec<_> = run.rows.iter().filter(says).collect();
    assert!(!refused.is_empty() && refused.iter().all(|row| row.sent == 0 && row.outcome == Outcome::Error));
    let first = run.rows.iter().position(|row| row.case == refused[0].case).unwrap();
    let writes =
        |row: &Row| row.exchanges.iter().any(|exchange| matches!(exchange.sent.cdb.0[0], 0x0a | 0x2a));
    assert!(!run.rows[first..].iter().any(writes));
}

#[test]
fn nothing_is_written_to_a_disk_without_a_declared_identity_or_beyond_the_limit() {
    for device in [
        DeviceUnderTest { identity: None, ..device() },
        DeviceUnderTest { harm_limit: Harm::None, ..device() },
    ] {
        let (run, _) = run(Some(Defect::None), device);
        assert!(run.passed());
        let writes =
            |row: &Row| row.exchanges.iter().any(|exchange| matches!(exchange.sent.cdb.0[0], 0x0a | 0x2a));
        assert!(!run.rows.iter().any(writes));
        assert_eq!(run.rows.iter().find(|row| row.case == "di-patterns").unwrap().outcome, Outcome::Skip);
    }
}

/// Two cases, kept apart.
fn apart(isolation: Isolation, defect: Defect) -> (Run, usize) {
    let only: Vec<_> = ["tur-ready", "inq-standard"].map(|case| case.parse().unwrap()).into();
    let suites = crate::run::select(vec![Suite::whole("scsi-2").unwrap()], &only).unwrap();
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let (quarantine, finished) = (Quarantine::default(), Finished::default());
    let options = Options { isolation, ..Options::once(&quarantine, &finished) };
    let mut rig = FakeRig { defect: Some(defect), starts: 0 };
    let matrix = Matrix { suites: &suites, devices: &[device()], guests: &guests };
    let run = run_with(&matrix, &mut rig, &options, &mut |_| ());
    assert!(run.passed() && run.rows.len() == 2, "{:?}", failed(&run));
    (run, rig.starts)
}

#[test]
fn a_guest_runs_all_cases_unless_they_are_to_be_kept_apart() {
    let (run, starts) = apart(Isolation::None, Defect::None);
    assert_eq!((starts, run.rows[1].prepared_in), (1, Duration::ZERO));
    assert!(run.rows[0].prepared_in > Duration::ZERO);
}

#[test]
fn cases_are_kept_apart_by_a_reset_of_the_device_or_by_a_guest_each() {
    for (isolation, guests) in [(Isolation::Device, 1), (Isolation::Guest, 2)] {
        let (run, starts) = apart(isolation, Defect::None);
        assert_eq!(starts, guests);
        assert!(run.rows.iter().all(|row| row.prepared_in > Duration::ZERO && row.recovery.is_empty()));
    }
}

#[test]
fn a_device_that_does_not_come_in_again_gets_a_new_guest_and_the_row_says_so() {
    let (run, starts) = apart(Isolation::Device, Defect::StaysOut);
    assert_eq!((starts, run.rows[0].recovery.as_slice()), (2, &[][..]));
    let told = "the guest does not list the device after 20 s; the case has a new guest";
    assert_eq!(run.rows[1].recovery, [told]);
}
