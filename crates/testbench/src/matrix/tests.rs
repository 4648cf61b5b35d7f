//! The whole way from suite to rows, over a disk in memory.

use super::*;
use crate::fake::{Defect, FakeRig, device};
use crate::rig::Identity;
use crate::suite::Harm;

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
    assert!(run.count(Outcome::Pass) > run.count(Outcome::Skip));
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
    assert_eq!(failed(&run), ["sync-all", "sync-beyond"]);
    let row = run.rows.iter().find(|row| row.case == "sync-all").unwrap();
    assert_eq!(row.outcome, Outcome::Crash);
    assert!(row.console.as_deref().is_some_and(|console| console.contains("panic")));
    assert_eq!(rig.starts, 3);
}

#[test]
fn a_guest_that_never_lasts_is_given_up() {
    let (run, rig) = run(Some(Defect::Hangs(0x2a)), device());
    assert_eq!(rig.starts, 4);
    assert!(run.count(Outcome::Crash) == 4 && run.count(Outcome::Error) > 0 && run.count(Outcome::Pass) > 0);
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
        |row: &Row| row.exchanges.iter().any(|exchange| matches!(exchange.command.cdb.0[0], 0x0a | 0x2a));
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
            |row: &Row| row.exchanges.iter().any(|exchange| matches!(exchange.command.cdb.0[0], 0x0a | 0x2a));
        assert!(!run.rows.iter().any(writes));
        assert_eq!(run.rows.iter().find(|row| row.case == "di-patterns").unwrap().outcome, Outcome::Skip);
    }
}
