//! Runs that are cut off and gone on with.

use std::num::NonZeroU32;

use super::*;
use crate::fake::{Defect, FakeRig, device};
use crate::guest::GuestDefinition;
use crate::matrix::{Matrix, Options, Outcome, Run, run_with};
use crate::run::Quarantine;
use crate::suite::Suite;

fn recipe() -> Recipe {
    Recipe {
        only: vec!["tur-*".into()],
        seed: Some(7),
        times: 2,
        until: Until::Done,
        suites: vec!["scsi-2".into()],
        devices: vec!["disk".into()],
        guests: vec!["debian-12".into()],
        firmware: Some("fw.bin".into()),
    }
}

/// Runs some cases twice over a defective disk, and stops keeping after so many rows, as a kill would.
fn part(folder: &mut Folder, finished: &Finished, rows: usize) -> (Run, usize) {
    let suites = [Suite::builtin("scsi-2").unwrap().only(|case| case.id().starts_with("inq-"))];
    let (devices, guests) = ([device()], [GuestDefinition::builtin("debian-12").unwrap()]);
    let quarantine = Quarantine::default();
    let options =
        Options { seed: Some(7), times: NonZeroU32::new(2).unwrap(), ..Options::once(&quarantine, finished) };
    let mut done = 0;
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let mut rig = FakeRig { defect: Some(Defect::InquiryPads), starts: 0 };
    let run = run_with(&matrix, &mut rig, &options, &mut |progress| {
        if matches!(progress, Progress::Done(..)) {
            done += 1;
        }
        if done <= rows {
            folder.keep(&progress).unwrap();
        }
    });
    (run, done)
}

/// All but times and the numbers of lines in the guest's log, which no two guests have in common.
fn timeless(run: &Run) -> Vec<Row> {
    let still = |row: &Row| Row {
        elapsed: Duration::ZERO,
        in_guest: Duration::ZERO,
        prepared_in: Duration::ZERO,
        kernel_log: Vec::new(),
        ..row.clone()
    };
    run.rows.iter().map(still).collect()
}

#[test]
fn a_run_that_was_killed_goes_on_and_ends_with_the_same_rows() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::create(place.path(), &recipe()).unwrap();
    let (whole, done) = part(&mut folder, &Finished::default(), 9);
    assert!(done > 20, "{done}");
    drop(folder);
    // The line that was being written.
    let journal = place.path().join(NAME);
    let mut file = OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"{\"done\":{\"at\":{\"se").unwrap();
    drop(file);
    let (mut folder, kept, finished) = Folder::resume(place.path()).unwrap();
    assert_eq!(kept, recipe());
    assert_eq!((finished.rows.len(), finished.starts.len()), (9, 1));
    let (rest, again) = part(&mut folder, &finished, usize::MAX);
    assert_eq!(again, done - 9);
    assert_eq!(timeless(&rest), timeless(&whole));
    assert_eq!(rest.starts, finished.starts);
    drop(folder);
    // Once it is whole, going on does nothing more.
    let (mut folder, _, finished) = Folder::resume(place.path()).unwrap();
    let (same, none) = part(&mut folder, &finished, usize::MAX);
    assert_eq!((same.rows, none), (rest.rows, 0));
}

#[test]
fn each_case_leaves_its_bytes_answers_and_what_the_guest_said() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::create(place.path(), &recipe()).unwrap();
    let (run, _) = part(&mut folder, &Finished::default(), usize::MAX);
    let failed = run.rows.iter().find(|row| row.outcome.is_bad()).unwrap();
    let name = format!("cases/scsi-2.{}.disk.debian-12.1.txt", failed.case);
    let text = fs::read_to_string(place.path().join(name)).unwrap();
    assert!(text.contains("sent     12 00 00 00") && text.contains("got      GOOD"), "{text}");
    assert!(text.contains("kernel: ") && text.contains("console: Kernel panic"), "{text}");
    // What was skipped has nothing to tell.
    let ran = run.rows.iter().filter(|row| row.outcome != Outcome::Skip).count();
    assert!(ran < run.rows.len());
    assert_eq!(fs::read_dir(place.path().join("cases")).unwrap().count(), ran);
}

#[test]
fn what_is_no_journal_is_told_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let journal = place.path().join(NAME);
    assert!(matches!(Folder::resume(place.path()), Err(FolderError::File { .. })));
    drop(Folder::create(place.path(), &recipe()).unwrap());
    let head = fs::read_to_string(&journal).unwrap();
    for (text, at) in [
        (String::new(), 1),
        ("{}\n".to_owned(), 1),
        (head.replace("run-journal/2", "run-journal/1"), 1),
        (format!("{head}{head}"), 2),
        (format!("{head}\0\n"), 2),
        (format!("{head}{{\"done\":{{}}}}\n"), 2),
    ] {
        fs::write(&journal, &text).unwrap();
        let error = Folder::resume(place.path()).unwrap_err();
        assert!(matches!(error, FolderError::Journal { line, .. } if line == at), "{text:?}: {error}");
    }
}

#[test]
fn a_run_of_other_guests_is_not_gone_on_with() {
    let other = Recipe { guests: vec!["grub".into()], ..recipe() };
    let error = recipe().same_as(&other, Path::new("r")).unwrap_err();
    assert_eq!(error.to_string(), "the run in r is of other guests: debian-12, and the spec says grub");
    assert!(recipe().same_as(&recipe(), Path::new("r")).is_ok());
}
