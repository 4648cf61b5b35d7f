//! `slotwise lab firmware`: the lab's SCSI-2 disk, sound or with a defect, served or tested.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use slotwise_core::report::{Role, Text};
use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::{DEFECTS, Defect, Target};
use slotwise_rigs::behind::BehindRig;
use slotwise_rigs::difference;
use slotwise_rigs::direct::DirectRig;
use slotwise_rigs::{SMALL_DISK, device};
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::matrix::{Matrix, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::rig::Rig;
use slotwise_testbench::suite::{Suite, SuiteError};

use super::relay;
use crate::commands::test::write_reports;
use crate::error::{Failure, Hint, Outcome};
use crate::{launch, print};

/// A SCSI-2 disk whose firmware can be given defects: served by iSCSI, or tested
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// List the defects and do nothing
    #[arg(long)]
    list: bool,
    /// Give the firmware one of its defects
    #[arg(long, value_name = "DEFECT")]
    defect: Option<String>,
    /// Serve on this address; whoever reaches it can use the disk
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Test it instead of serving it; give it twice, and what the path between changes is told
    #[arg(long, value_name = "RIG")]
    test: Vec<RigName>,
    /// The suite to test it with
    #[arg(long, value_name = "SUITE", default_value = "scsi-2")]
    suite: String,
    /// The guest of the rig `guest`
    #[arg(long, value_name = "GUEST", default_value = "debian-12")]
    guest: String,
    /// Write report.json, report.xml (JUnit), report.tap and report.html into this folder
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Print JSON (slotwise.test/1) instead of the matrix
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RigName {
    /// Nothing between the bench and the firmware
    Direct,
    /// An emulated adapter, and a guest
    Guest,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if arguments.list {
        return list();
    }
    let defect = arguments.defect.as_deref().map(find).transpose()?;
    if arguments.test.is_empty() { serve(arguments.listen, defect) } else { test(arguments, defect) }
}

fn find(id: &str) -> Result<Defect, Failure> {
    let row = DEFECTS.iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| Failure::new(format!("no defect {id:?}")));
    Ok(row.hint("`slotwise lab firmware --list` shows what there is")?.defect)
}

fn list() -> Result<Outcome, Failure> {
    let mut text = Text::default();
    for row in DEFECTS {
        text.line(Role::Strong, row.id).add(Role::Plain, format!("  {}", row.fault));
    }
    print::text(&text)?;
    Ok(Outcome::Fine)
}

fn serve(address: SocketAddr, defect: Option<Defect>) -> Result<Outcome, Failure> {
    let interrupted = relay::interrupts()?;
    let portal = Portal::on(address, Target::new(SMALL_DISK, defect))?;
    print::plain(&format!("{}\n-drive {}\n", portal.url(), portal.qemu_drive("d0")))?;
    print::progress("Ctrl-C ends it; the second line is QEMU's, for -device scsi-generic,drive=d0");
    while !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Outcome::Fine)
}

fn test(arguments: &Arguments, defect: Option<Defect>) -> Result<Outcome, Failure> {
    let suite = Suite::builtin(&arguments.suite).map_err(Failure::hinted(SuiteError::hint))?;
    let mut runs = Vec::new();
    for rig in &arguments.test {
        runs.push((*rig, one(*rig, arguments, defect, &suite)?));
    }
    let mut whole = Run::default();
    for (_, run) in &runs {
        whole.rows.extend(run.rows.iter().cloned());
        whole.starts.extend(run.starts.iter().cloned());
        whole.elapsed += run.elapsed;
    }
    if let Some(folder) = &arguments.report {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
        write_reports(&whole, folder)?;
    }
    print::plain(&if arguments.json { report::wire::json(&whole)? } else { report::text(&whole) })?;
    let of = |wanted| runs.iter().find(|(rig, _)| *rig == wanted).map(|(_, run)| run);
    if let (Some(direct), Some(behind)) = (of(RigName::Direct), of(RigName::Guest)) {
        for difference in difference::differences(direct, behind) {
            print::note(Role::Caution, "path", &difference.to_string());
        }
    }
    Ok(if whole.passed() { Outcome::Fine } else { Outcome::Found })
}

fn one(rig: RigName, arguments: &Arguments, defect: Option<Defect>, suite: &Suite) -> Result<Run, Failure> {
    match rig {
        RigName::Direct => {
            Ok(matrix(suite, &mut DirectRig { model: SMALL_DISK, defect }, DirectRig::no_guest()))
        }
        RigName::Guest => {
            let guest = launch::guest_by_id(&arguments.guest)?;
            let portal = Portal::on_loopback(Target::new(SMALL_DISK, defect))?;
            let prepare = launch::prepare_config()?;
            Ok(matrix(suite, &mut BehindRig::firmware(&portal, BehindRig::ADAPTER, prepare), guest))
        }
    }
}

fn matrix(suite: &Suite, rig: &mut dyn Rig, guest: GuestDefinition) -> Run {
    let (suites, devices, guests) = (std::slice::from_ref(suite), [device()], [guest]);
    let progress = print::bar(suite.cases().len(), "cases");
    let mut done = 0;
    let run = run_matrix(&Matrix { suites, devices: &devices, guests: &guests }, rig, &mut |row| {
        done += 1;
        progress.at(done, &format!("{} {}", row.case, row.outcome.name()));
    });
    progress.end();
    run
}
