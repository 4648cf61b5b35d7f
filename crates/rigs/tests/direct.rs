//! The firmware with nothing between: suites that blame no sound one, and do blame one with a defect.

use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::{Defect, Target};
use slotwise_rigs::direct::DirectRig;
use slotwise_rigs::{SMALL_DISK, device};
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::matrix::{Matrix, Outcome, Run, run_matrix};
use slotwise_testbench::rig::{DeviceUnderTest, IscsiRig, Rig};
use slotwise_testbench::suite::Suite;
use slotwise_testbench::wire::Nexus;

fn run(rig: &mut dyn Rig, guest: GuestDefinition, device: DeviceUnderTest, suite: &str) -> Run {
    let (suites, devices, guests) = ([Suite::whole(suite).unwrap()], [device], [guest]);
    run_matrix(&Matrix { suites: &suites, devices: &devices, guests: &guests }, rig, &mut |_| ())
}

fn directly(defect: Option<Defect>, suite: &str) -> Run {
    run(&mut DirectRig { model: SMALL_DISK, defect }, DirectRig::no_guest(), device(), suite)
}

fn by_iscsi(defect: Option<Defect>, suite: &str) -> Run {
    let portal = Portal::on_loopback(Target::new(SMALL_DISK, defect)).unwrap();
    let mut rig = IscsiRig { url: portal.url().parse().unwrap() };
    let guest = rig.no_guest();
    let anywhere = Nexus { channel: None, id: None, lun: None };
    run(&mut rig, guest, DeviceUnderTest { nexus: anywhere, ..device() }, suite)
}

fn bad(run: &Run) -> Vec<(&str, Option<&str>)> {
    let bad = |row: &&slotwise_testbench::matrix::Row| !matches!(row.outcome, Outcome::Pass | Outcome::Skip);
    run.rows.iter().filter(bad).map(|row| (row.case.as_str(), row.reason.as_deref())).collect()
}

#[test]
fn one_firmware_lasts_the_whole_suite_without_a_power_cycle_between_cases() {
    let run = directly(None, "scsi-2");
    assert_eq!(bad(&run), []);
    assert!(run.count(Outcome::Pass) >= 200, "{}", run.count(Outcome::Pass));
}

#[test]
fn by_iscsi_the_same_cases_pass_that_iscsi_can_carry() {
    let run = by_iscsi(None, "scsi-2");
    assert_eq!(bad(&run), []);
    assert!(run.count(Outcome::Pass) >= 170, "{}", run.count(Outcome::Pass));
}

#[test]
fn a_defect_is_found_by_iscsi_too() {
    let run = by_iscsi(Some(Defect::WriteSpills), "scsi-2");
    assert!(bad(&run).iter().any(|(case, _)| *case == "di-odd-counts"), "{:?}", bad(&run));
}

#[test]
fn the_block_suite_finds_what_any_disk_must_not_do() {
    assert_eq!(bad(&directly(None, "block")), []);
    for (defect, case) in [
        (Defect::CapacityIsCount, "ends"),
        (Defect::RangeFirstOnly, "ends"),
        (Defect::StuckBit, "write-patterns"),
        (Defect::WriteSpills, "write-neighbours"),
        (Defect::SyncHangs, "flush"),
    ] {
        let run = directly(Some(defect), "block");
        assert!(bad(&run).iter().any(|(own, _)| *own == case), "{defect:?}: {:?}", bad(&run));
    }
}
