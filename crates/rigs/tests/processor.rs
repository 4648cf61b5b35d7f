//! The suite for processor devices on the lab's own, sound and with each defect.

use slotwise_lab::processor::{PROCESSOR_DEFECTS, ProcessorDefect};
use slotwise_rigs::processor::ProcessorRig;
use slotwise_testbench::matrix::{Matrix, Outcome, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::suite::Suite;

fn run(defect: Option<ProcessorDefect>) -> Run {
    let suites = [Suite::whole("scsi-2-processor").unwrap()];
    let (devices, guests) = ([ProcessorRig::device()], [ProcessorRig::no_guest()]);
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    run_matrix(&matrix, &mut ProcessorRig { defect }, &mut |_| ())
}

#[test]
fn a_sound_processor_device_passes_every_case() {
    let run = run(None);
    assert_eq!(run.count(Outcome::Pass), run.rows.len(), "{}", report::text(&run));
}

#[test]
fn every_seeded_defect_is_found() {
    let found = |defect| run(Some(defect)).rows.iter().any(|row| row.outcome.is_bad());
    let missed: Vec<_> = PROCESSOR_DEFECTS.iter().filter(|(defect, _)| !found(*defect)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
