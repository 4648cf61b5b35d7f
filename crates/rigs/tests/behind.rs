//! The firmware behind an emulated adapter in the debian-12 guest: needs QEMU with its iSCSI driver, a Debian kernel and
//! the static agent, so it runs only where `SLOTWISE_GUEST=1` says that these are there.
//!
//! The agent is looked for where `SLOTWISE_AGENT` says, or where the release build puts it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::{Defect, Target};
use slotwise_rigs::behind::BehindRig;
use slotwise_rigs::difference::{self, KNOWN, Shows};
use slotwise_rigs::direct::DirectRig;
use slotwise_rigs::{SMALL_DISK, device};
use slotwise_testbench::guest::{GuestDefinition, PrepareConfig};
use slotwise_testbench::matrix::{Matrix, Outcome, Row, Run, run_matrix};
use slotwise_testbench::suite::Suite;

fn prepare() -> PrepareConfig {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = temporary.join("../x86_64-unknown-linux-gnu/release/slotwise-agent");
    PrepareConfig {
        cache_dir: temporary.join("images"),
        agent: std::env::var_os("SLOTWISE_AGENT").map_or(built, PathBuf::from),
        boot_dir: "/boot".into(),
        modules_dir: "/lib/modules".into(),
        settings_dir: temporary.join("settings"),
    }
}

/// Cases that look at what lies behind a transfer.
const GUEST_CASES: [&str; 3] = ["di-odd-counts", "wr10-lengths", "wr6-256"];

#[test]
fn a_guests_commands_reach_the_firmware_what_the_path_changes_is_known_and_a_defect_is_found() {
    if std::env::var_os("SLOTWISE_GUEST").is_none() {
        eprintln!("skipped: SLOTWISE_GUEST is not set");
        return;
    }
    let suite = || Suite::whole("scsi-2").unwrap();
    // One boot for both: when the last case of the sound firmware is done, another one takes its place.
    let some = suite().only(|case| GUEST_CASES.contains(&case.id()));
    let cases = suite().cases().len();
    let (suites, devices) = ([suite(), some], [device()]);
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let portal = Portal::on_loopback(Target::new(SMALL_DISK, None)).unwrap();
    let mut rig = BehindRig::firmware(&portal, BehindRig::ADAPTER, prepare());
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let mut done = 0;
    let mut behind = run_matrix(&matrix, &mut rig, &mut |_| {
        done += 1;
        if done == cases {
            portal.with_target(|target| *target = Target::new(SMALL_DISK, Some(Defect::WriteSpills)));
        }
    });
    let start = behind.starts.first().unwrap();
    println!("start to first INQUIRY: {:?} {:?} {:?}", start.to_first_inquiry, start.identity, start.fault);
    println!("{} rows in {:.1} s", behind.rows.len(), behind.elapsed.as_secs_f64());
    let with_defect = behind.rows.split_off(cases);

    every_command_of_the_guest_was_seen(&behind, &portal);
    the_path_changes_what_is_known(&behind);
    let found: Vec<_> =
        with_defect.iter().filter(|row| row.outcome == Outcome::Fail).map(|row| &row.case).collect();
    println!("found by {found:?}");
    assert!(!found.is_empty(), "{with_defect:#?}");
}

fn the_path_changes_what_is_known(behind: &Run) {
    let (suites, devices, guests) = ([Suite::whole("scsi-2").unwrap()], [device()], [DirectRig::no_guest()]);
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let direct = run_matrix(&matrix, &mut DirectRig { model: SMALL_DISK, defect: None }, &mut |_| ());
    let wrong = |row: &&Row| !matches!(row.outcome, Outcome::Pass | Outcome::Skip);
    let blamed: Vec<_> = direct.rows.iter().filter(wrong).map(|row| (&row.case, &row.reason)).collect();
    assert!(blamed.is_empty(), "directly: {blamed:#?}");
    let found = difference::differences(&direct, behind);
    for difference in &found {
        println!("{difference}");
    }
    println!("{} cases pass behind adapter and guest", behind.count(Outcome::Pass));
    let unknown: Vec<_> = found.iter().filter(|difference| difference.known.is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    for known in KNOWN.iter().filter(|known| known.shows == Shows::Always) {
        let there = found.iter().any(|difference| difference.case == known.case);
        assert!(there, "{} does not differ any more: {}", known.case, known.reason);
    }
}

/// Blocks that only the suite sends, byte for byte as the guest's program sent them.
fn every_command_of_the_guest_was_seen(behind: &Run, portal: &Portal) {
    let observed: BTreeSet<_> = portal.observed().into_iter().map(|observed| observed.cdb).collect();
    let mut compared = 0;
    for row in behind.rows.iter().filter(|row| row.outcome == Outcome::Pass) {
        for exchange in &row.exchanges {
            let cdb = &exchange.sent.cdb.0;
            // Reads, writes and VERIFY; QEMU's bus answers some others itself.
            if matches!(cdb.first(), Some(0x08 | 0x0a | 0x28 | 0x2a | 0x2f)) {
                let (case, bytes) = (&row.case, &exchange.sent.cdb);
                assert!(observed.contains(cdb), "{case}: {bytes} never reached the firmware");
                compared += 1;
            }
        }
    }
    println!("{compared} blocks of the guest were among the {} different ones seen", observed.len());
    assert!(compared > 100);
}
