//! What the bench costs beside the guest: of a run's time, how much was not spent waiting for guests and devices.
//!
//! Both come from the run's own report, so they are of one run and one clock. Without a guest the share is at its worst: a
//! firmware on the loopback interface answers in microseconds where a guest under emulation takes milliseconds. So the
//! time a case is what carries over.

use std::path::Path;

use serde_json::Value;
use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::Target;
use slotwise_rigs::{SMALL_DISK, device};
use slotwise_testbench::matrix::{Finished, Matrix, Options, run_with};
use slotwise_testbench::report;
use slotwise_testbench::rig::{DeviceUnderTest, IscsiRig};
use slotwise_testbench::run::{Folder, Quarantine, Recipe};
use slotwise_testbench::suite::Suite;
use slotwise_testbench::wire::Nexus;

use crate::Result;

/// Of the time of a run in a guest, the bench may take this much.
const TARGET_PERCENT: f64 = 5.0;

/// Where the time of a run went, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Overhead {
    whole: f64,
    in_guests: f64,
    cases: usize,
}

impl Overhead {
    /// Reads it from a report (`slotwise.test/1`).
    pub(crate) fn of(report: &str) -> Result<Self> {
        let report: Value = serde_json::from_str(report)?;
        let seconds = |name: &str| {
            let found = report.pointer(name).and_then(Value::as_f64);
            found.ok_or_else(|| format!("the report has no {name}"))
        };
        let ran = |row: &&Value| row["outcome"] != "skip";
        let cases = report["rows"].as_array().map_or(0, |rows| rows.iter().filter(ran).count());
        let (whole, in_guests) = (seconds("/run/seconds")?, seconds("/run/seconds_in_guests")?);
        if !(whole > 0.0 && in_guests <= whole) || cases == 0 {
            return Err(format!("{in_guests} s of {whole} s and {cases} cases cannot be").into());
        }
        Ok(Self { whole, in_guests, cases })
    }

    /// The bench's own part of the time.
    pub(crate) fn percent(self) -> f64 {
        (self.whole - self.in_guests) * 100.0 / self.whole
    }

    /// What is to be said of a share in a guest that is above the aim.
    pub(crate) fn missed(self) -> Option<String> {
        let percent = self.percent();
        (percent >= TARGET_PERCENT)
            .then(|| format!("the bench's own part is {percent:.1} %, aim < {TARGET_PERCENT} %"))
    }

    /// One line.
    pub(crate) fn told(self, what: &str) -> String {
        let own = self.whole - self.in_guests;
        format!(
            "{what}: {:.3} s, of which {:.3} s in guests and devices, {own:.3} s ({:.1} %) the bench's own: {:.2} ms a case (target < {TARGET_PERCENT} % in a guest)",
            self.whole,
            self.in_guests,
            self.percent(),
            own * 1000.0 / self.cases as f64,
        )
    }
}

/// Runs the SCSI-2 suite over iSCSI with a journal, and prints where the time went.
pub(crate) fn run() -> Result {
    let folder = tempfile::tempdir()?;
    println!("{}", Overhead::of(&by_iscsi(folder.path())?)?.told("scsi-2 by iSCSI, with a journal"));
    Ok(())
}

fn by_iscsi(folder: &Path) -> Result<String> {
    let portal = Portal::on_loopback(Target::new(SMALL_DISK, None))?;
    let mut rig = IscsiRig { url: portal.url().parse()? };
    let nexus = Nexus { channel: None, id: None, lun: None };
    let (devices, guests) = ([DeviceUnderTest { nexus, ..device() }], [rig.no_guest()]);
    let suites = [Suite::builtin("scsi-2")?];
    let (quarantine, finished) = (Quarantine::default(), Finished::default());
    let options = Options::once(&quarantine, &finished);
    let recipe = Recipe {
        only: Vec::new(),
        seed: options.seed,
        times: options.times.get(),
        until: options.until,
        suites: vec!["scsi-2".to_owned()],
        devices: vec![devices[0].name.clone()],
        guests: vec![guests[0].id().to_owned()],
        firmware: None,
    };
    let mut journal = Folder::create(folder, &recipe)?;
    let mut unkept = None;
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let run = run_with(&matrix, &mut rig, &options, &mut |progress| {
        unkept = unkept.take().or(journal.keep(&progress).err());
    });
    if let Some(error) = unkept {
        return Err(error.into());
    }
    Ok(report::wire::json(&run)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_read_from_a_report_and_nonsense_is_refused() {
        let report = |whole: f64, in_guests: f64| {
            format!(
                "{{\"run\":{{\"seconds\":{whole},\"seconds_in_guests\":{in_guests}}},\"rows\":[{{\"outcome\":\"pass\"}},{{\"outcome\":\"skip\"}}]}}"
            )
        };
        let found = Overhead::of(&report(10.0, 9.5)).unwrap();
        assert_eq!((found.percent(), found.cases), (5.0, 1));
        assert!(found.missed().is_some() && Overhead::of(&report(10.0, 9.6)).unwrap().missed().is_none());
        assert!(found.told("x").contains("500.00 ms a case"));
        for bad in [report(1.0, 2.0), report(0.0, 0.0), "{}".to_owned(), String::new()] {
            assert!(Overhead::of(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_with_a_journal_costs_little_a_case() {
        let folder = tempfile::tempdir().unwrap();
        let found = Overhead::of(&by_iscsi(folder.path()).unwrap()).unwrap();
        assert!(found.cases > 150 && found.in_guests > 0.0, "{found:?}");
    }
}
