//! The debian-12 guest in an emulated machine with an emulated SCSI-2 disk: needs QEMU, a Debian kernel and the static
//! agent, so it runs only where `SLOTWISE_GUEST=1` says that these are there. `SLOTWISE_ADAPTER` names another adapter
//! than `lsi53c895a`: `dc390` or `am53c974`.
//!
//! The agent is looked for where `cargo build --release -p slotwise-agent --target x86_64-unknown-linux-gnu` puts it, or
//! where `SLOTWISE_AGENT` says.

mod qemu;

use std::fs;
use std::path::Path;

use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::matrix::{Matrix, Outcome, run_matrix};
use slotwise_testbench::rig::{DeviceUnderTest, Identity};
use slotwise_testbench::suite::{Harm, Suite};
use slotwise_testbench::wire::Nexus;

/// Where QEMU's disk (7.2) follows later standards than SCSI-2, or checks less.
const DEVIATIONS: &[(&str, &str)] = &[];

#[test]
fn the_suite_passes_on_an_emulated_disk_but_for_its_known_deviations() {
    if std::env::var_os("SLOTWISE_GUEST").is_none() {
        eprintln!("skipped: SLOTWISE_GUEST is not set");
        return;
    }
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let suites = [Suite::builtin("scsi-2").unwrap()];
    let devices = [DeviceUnderTest {
        name: "disk".into(),
        nexus: Nexus { channel: Some(0), id: Some(2), lun: Some(0) },
        identity: Some(Identity { vendor: "SEAGATE".into(), product: "ST32550N".into(), serial: None }),
        harm_limit: Harm::Data,
    }];
    let adapter = std::env::var("SLOTWISE_ADAPTER").unwrap_or_else(|_| "lsi53c895a".into());
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let run = run_matrix(&matrix, &mut qemu::QemuRig { adapter }, &mut |_| ());

    let start = run.starts.first().unwrap();
    println!("start to first INQUIRY: {:?} {:?} {:?}", start.to_first_inquiry, start.identity, start.fault);
    let seconds: f64 = run.rows.iter().map(|row| row.elapsed.as_secs_f64()).sum();
    let sent: usize = run.rows.iter().map(|row| row.sent).sum();
    let done = run.rows.len() - run.count(Outcome::Skip);
    println!("{done} cases, {sent} commands in {seconds:.2} s: {:.0} cases a minute", done as f64 * 60.0 / seconds);
    println!("whole run {:.2} s", run.elapsed.as_secs_f64());

    let mut unexpected = Vec::new();
    for row in run.rows.iter().filter(|row| !matches!(row.outcome, Outcome::Pass | Outcome::Skip)) {
        println!("{} {}: {}", row.outcome.name(), row.case, row.reason.as_deref().unwrap_or_default());
        if !DEVIATIONS.iter().any(|(case, _)| *case == row.case) {
            unexpected.push(row.case.clone());
        }
    }
    assert_eq!(unexpected, Vec::<String>::new());
    let passed = |case: &str| run.rows.iter().any(|row| row.case == case && row.outcome == Outcome::Pass);
    for (case, why) in DEVIATIONS {
        assert!(!passed(case), "{case} passes now, so it is no deviation any more: {why}");
    }
}
