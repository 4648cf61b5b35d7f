//! The suite for CD-ROM drives on the lab's own, sound and with each defect.

use slotwise_lab::cdrom::{CD_DEFECTS, CdCommands, CdDefect, CdModel, Disc};
use slotwise_rigs::cdrom::CdRig;
use slotwise_testbench::matrix::{Matrix, Outcome, Row, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::suite::Suite;

/// Of a hundred defects this many have to be found.
const SCORE_WANTED: usize = 95;

fn run(model: CdModel, defect: Option<CdDefect>) -> Run {
    let suites = [Suite::whole("scsi-2-cd").unwrap()];
    let (devices, guests) = ([CdRig::device()], [CdRig::no_guest()]);
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    run_matrix(&matrix, &mut CdRig { model, defect }, &mut |_| ())
}

fn is_bad(row: &&Row) -> bool {
    row.outcome.is_bad()
}

#[test]
fn a_sound_drive_passes_every_case() {
    let run = run(CdModel::FULL, None);
    assert_eq!(run.count(Outcome::Pass), run.rows.len(), "{}", report::text(&run));
}

#[test]
fn no_lawful_drive_is_blamed_with_whatever_disc_and_without_what_is_optional() {
    for commands in [CdCommands::All, CdCommands::Mandatory] {
        for (disc, least) in
            [(Some(Disc::Data), 8), (Some(Disc::Audio), 8), (Some(Disc::Combined), 8), (None, 2)]
        {
            let run = run(CdModel { commands, disc }, None);
            let text = format!("{commands:?} {disc:?}: {}", report::text(&run));
            assert_eq!(run.rows.iter().filter(is_bad).count(), 0, "{text}");
            assert!(run.count(Outcome::Pass) >= least, "{text}");
        }
    }
}

#[test]
fn most_seeded_defects_are_found() {
    let finds = |defect| run(CdModel::FULL, Some(defect)).rows.iter().any(|row| row.outcome.is_bad());
    let missed: Vec<_> = CD_DEFECTS.iter().filter(|row| !finds(row.defect)).collect();
    let found = CD_DEFECTS.len() - missed.len();
    assert!(found * 100 >= SCORE_WANTED * CD_DEFECTS.len(), "{missed:?}");
}
