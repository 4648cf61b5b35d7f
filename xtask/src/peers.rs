//! `cargo xtask peers`: the SCSI-2 suite against targets of others, and beside `iscsi-test-cu` on the same targets.
//!
//! What the suite finds in `tgt` and in the kernel's `scsi_debug` is listed, and written to `docs/reference/peers`. On
//! `tgt` and on our own firmware, sound and with each defect, `iscsi-test-cu` is run too: what it finds within SCSI-2's
//! scope the suite must find as well.

mod cu;
mod scope;
mod stock;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::{DEFECTS, DefectRow, MediumKind, Model, Target};
use slotwise_testbench::matrix::{Outcome, Run};
use slotwise_testbench::suite::Suite;

use crate::build::{self, root};
use crate::{Result, mutation};
use cu::{Ended, Test};

/// Large enough for all of `iscsi-test-cu`'s tests, and odd.
const DISK: Model = Model { blocks: 65_539, medium: MediumKind::Fixed };
const PAGES: &str = "docs/reference/peers";

type Tests = BTreeMap<Test, Ended>;

/// A target of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// tgt in user space, spoken to by iSCSI
    Tgt,
    /// The kernel's scsi_debug, in a guest
    ScsiDebug,
    /// The lab's own firmware, sound and with each defect
    Firmware,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Tgt, Self::ScsiDebug, Self::Firmware];

    const fn page(self) -> &'static str {
        match self {
            Self::Tgt => "tgt.md",
            Self::ScsiDebug => "scsi-debug.md",
            Self::Firmware => "firmware.md",
        }
    }
}

/// Runs the suite on these, or on all, and writes a page for each.
pub(crate) fn run(wanted: &[Peer], every: usize) -> Result {
    let suite = Suite::whole("scsi-2")?;
    let mut missed = Vec::new();
    for peer in if wanted.is_empty() { &Peer::ALL } else { wanted } {
        let date = std::process::Command::new("date").arg("-I").output()?;
        let mut page = String::new();
        match peer {
            Peer::Tgt => missed.extend(tgt(&mut page, &suite)?),
            Peer::ScsiDebug => {
                let run = stock::scsi_debug(&suite, build::agent()?)?;
                let title = format!("scsi_debug of Linux {}, in a guest", cu::version("linux-image-amd64"));
                listed(&mut page, &title, &run)?;
            }
            Peer::Firmware => missed.extend(own_firmware(&mut page, &suite, every)?),
        }
        writeln!(page, "\nMade by `cargo xtask peers`, {}.", String::from_utf8_lossy(&date.stdout).trim())?;
        println!("{page}");
        let folder = root().join(PAGES);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(peer.page()), page)?;
    }
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("found by iscsi-test-cu alone: {}", missed.join("; ")).into())
    }
}

fn tgt(page: &mut String, suite: &Suite) -> Result<Vec<String>> {
    let run = stock::tgt(suite)?;
    let mut theirs = Tests::new();
    for own in scope::suites() {
        // Each with a daemon of its own: what ends one must not end the rest.
        let _tgt = stock::Tgt::start()?;
        theirs.extend(cu::run(&stock::Tgt::url(), &[own])?);
    }
    listed(page, &format!("tgt {}, by iSCSI", cu::version("tgt")), &run)?;
    let missed = beside(page, &run, &theirs)?;
    let cd = stock::tgt_cd(&Suite::builtin("scsi-2-cd")?)?;
    writeln!(page)?;
    listed(page, "tgt's CD-ROM device, by iSCSI", &cd)?;
    Ok(missed)
}

/// What the suite found in a target.
fn listed(page: &mut String, title: &str, run: &Run) -> Result {
    let heading = if page.is_empty() { "#" } else { "##" };
    writeln!(page, "{heading} The SCSI-2 suite on {title}\n\n{MEASURE}\n")?;
    let count = |outcome| run.count(outcome);
    writeln!(
        page,
        "{} cases pass, {} fail, {} could not be carried out, {} do not apply.\n",
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::Error) + count(Outcome::Crash),
        count(Outcome::Skip)
    )?;
    for start in run.starts.iter().filter_map(|start| start.fault.as_ref()) {
        writeln!(page, "It could not be started: {start}\n")?;
    }
    writeln!(page, "| case | clause | what was found |\n| --- | --- | --- |")?;
    for row in run.rows.iter().filter(|row| !matches!(row.outcome, Outcome::Pass | Outcome::Skip)) {
        let reason = row.reason.as_deref().unwrap_or_default().replace('|', "\\|");
        let unanswered = row.exchanges.iter().find(|exchange| exchange.outcome.is_none());
        let at = unanswered.map(|own| format!(" ({}: {})", own.title, own.sent.cdb)).unwrap_or_default();
        writeln!(page, "| `{}` | {} | {reason}{at} |", row.case, row.clause)?;
    }
    Ok(())
}

const MEASURE: &str = "A stock target follows later standards, so not all that is listed is a fault of it by its own measure: it is\n\
where it is no SCSI-2 device.";

/// Tests that fail on a stock target, beside our cases that fail on it too; gives those without any.
fn beside(page: &mut String, run: &Run, theirs: &Tests) -> Result<Vec<String>> {
    let (passed, failed) = counts(theirs);
    writeln!(
        page,
        "\n`iscsi-test-cu` on the same target, within SCSI-2's scope: {passed} pass, {failed} fail.\n"
    )?;
    let mut missed = Vec::new();
    if failed > 0 {
        writeln!(page, "| its test | what it says | our cases that fail too |\n| --- | --- | --- |")?;
    }
    for ((suite, test), ended) in theirs {
        let Ended::Failed(reason) = ended else { continue };
        let wanted = scope::cases(suite, test).unwrap_or_default();
        let ours: Vec<_> = wanted
            .iter()
            .filter(|case| run.rows.iter().any(|row| row.case == **case && row.outcome == Outcome::Fail))
            .map(|case| format!("`{case}`"))
            .collect();
        if ours.is_empty() {
            missed.push(format!("{suite}.{test} on tgt"));
        }
        let ours = if ours.is_empty() { "none".to_owned() } else { ours.join(", ") };
        writeln!(page, "| {suite}.{test} | {} | {ours} |", reason.replace('|', "\\|"))?;
    }
    Ok(missed)
}

fn counts(tests: &Tests) -> (usize, usize) {
    let count = |wanted: fn(&Ended) -> bool| tests.values().filter(|ended| wanted(ended)).count();
    (count(|ended| *ended == Ended::Passed), count(|ended| matches!(ended, Ended::Failed(_))))
}

fn on_firmware(defect: Option<&DefectRow>, suites: &[&str]) -> Result<Tests> {
    let portal = Portal::on_loopback(Target::new(DISK, defect.map(|row| row.defect)))?;
    cu::run(&portal.url(), suites)
}

/// Whether a run with a defect has a failure that the sound firmware has not.
fn is_found(sound: &Tests, with_defect: &Tests) -> bool {
    let new = |(test, ended): (&Test, &Ended)| {
        matches!(ended, Ended::Failed(_)) && sound.get(test) == Some(&Ended::Passed)
    };
    with_defect.iter().any(new)
}

/// Both on our own firmware: with each defect, who finds it.
fn own_firmware(page: &mut String, suite: &Suite, every: usize) -> Result<Vec<String>> {
    let quick = scope::suites().into_iter().filter(|own| !scope::SLOW.contains(own));
    let quick: Vec<_> = quick.collect();
    let sound = on_firmware(None, &scope::suites())?;
    let (passed, failed) = counts(&sound);
    writeln!(page, "# The SCSI-2 suite and iscsi-test-cu on the lab's own firmware\n")?;
    let defects: Vec<_> = DEFECTS.iter().step_by(every.max(1)).collect();
    let (version, tried, all) = (cu::version("libiscsi-bin"), defects.len(), DEFECTS.len());
    writeln!(page, "libiscsi-bin {version}; {tried} of {all} defects tried.\n")?;
    writeln!(page, "Sound, `iscsi-test-cu` within SCSI-2's scope: {passed} pass, {failed} fail.\n")?;
    for ((suite, test), ended) in &sound {
        if let Ended::Failed(reason) = ended {
            writeln!(page, "- {suite}.{test} fails on it: {reason}")?;
        }
    }
    let (mut theirs, mut ours, mut missed) = (0, 0, Vec::new());
    let order = mutation::Order::default();
    for row in defects {
        let found_by_us = mutation::finds(suite, row, &order);
        // The slow ones, where a reset is waited for, matter only for what we do not find.
        let suites = if found_by_us { quick.clone() } else { scope::suites() };
        let mut found_by_them = false;
        for own in suites {
            found_by_them = is_found(&sound, &on_firmware(Some(row), &[own])?);
            if found_by_them {
                break;
            }
        }
        println!("{:36} suite {found_by_us}, iscsi-test-cu {found_by_them}", row.id);
        theirs += usize::from(found_by_them);
        ours += usize::from(found_by_us);
        if found_by_them && !found_by_us {
            missed.push(row.id.to_owned());
        }
    }
    writeln!(
        page,
        "\nOf these defects the suite finds {ours}, `iscsi-test-cu` {theirs} (without its tests that wait for resets); \
         found by it alone: {}.",
        if missed.is_empty() { "none".to_owned() } else { missed.join(", ") }
    )?;
    Ok(missed)
}
