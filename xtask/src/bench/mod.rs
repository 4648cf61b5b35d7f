//! The parts of the main job, timed, beside the figures that were made by hand (`docs/reference/figures.md`).

mod attach;
pub(crate) mod diagnosis;
mod overhead;
pub(crate) mod reading;

use std::time::{Duration, Instant};

use crate::story::{self, Show};
use crate::{Result, build, check, packages, planning};

/// One figure.
struct Row {
    what: String,
    here: Duration,
    /// What it took by hand, on two cores with no hardware virtualisation, and what it should take.
    by_hand: &'static str,
    target: &'static str,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Part {
    /// How fast hosts of 50 to 10,000 functions are read, beside lspci, a shell script and a bare loop
    Reading,
    /// How fast logs are read, beside ripgrep
    Diagnosis,
    /// How long a plan takes, on hosts of up to 10,000 functions and 100 VMs
    Planning,
    /// What the bench takes of a run's time
    Overhead,
    /// Keeping cases apart: by booting, restoring, or resetting the device, side by side in the virtual lab
    Attach,
    /// The main job in the virtual lab
    Job,
}

/// Measures one part, or all, and prints.
pub(crate) fn run(part: Option<Part>) -> Result {
    match part {
        Some(Part::Reading) => reading::run(),
        Some(Part::Planning) => planning::run(),
        Some(Part::Diagnosis) => diagnosis::run(),
        Some(Part::Overhead) => overhead::run(),
        Some(Part::Attach) => attach::run(),
        Some(Part::Job) => job(),
        None => {
            reading::run()?;
            planning::run()?;
            diagnosis::run()?;
            overhead::run()?;
            attach::run()?;
            job()
        }
    }
}

fn job() -> Result {
    packages::ensure()?;
    let dist = build::dist()?;
    let starts = (0..50).map(|_| check::start_time(&dist)).collect::<Result<Vec<_>>>()?;
    let mut rows = vec![Row {
        what: "slotwise --version, median of 50".to_owned(),
        here: median(starts),
        by_hand: "-",
        target: "< 10 ms",
    }];
    let start = Instant::now();
    let told = story::tell(Show::Steps, &dist)?;
    for (begins, by_hand, target) in [
        ("a lab host boots", "15.5 s (info run)", "< 10 s"),
        ("launched all the same", "4 s + 15 s boot", "-"),
        ("the card moves", "15.5 s (info run)", "< 10 s"),
        ("run: the guest", "9.8 to 18.6 s to /init", "-"),
        ("test:", "21 s (boot, INQUIRY, compare)", "< 60 s"),
    ] {
        if let Some(beat) = told.beats.iter().find(|beat| beat.title.starts_with(begins)) {
            rows.push(Row { what: beat.title.clone(), here: beat.took, by_hand, target });
        }
    }
    rows.push(Row {
        what: "device's first answer in a cold-booted guest".to_owned(),
        here: told.first_answer,
        by_hand: "11 to 20 s",
        target: "< 20 s",
    });
    rows.push(Row {
        what: "the whole story".to_owned(),
        here: start.elapsed(),
        by_hand: "-",
        target: "< 300 s",
    });
    println!("\n{:>10}  {:<32}  {:<9}  what", "here", "by hand", "target");
    for row in rows {
        println!("{:>8.3} s  {:<32}  {:<9}  {}", row.here.as_secs_f64(), row.by_hand, row.target, row.what);
    }
    let report = std::fs::read_to_string(told.report.with_extension("json"))?;
    println!("{}", overhead::Overhead::of(&report)?.told("the suite in a Linux guest"));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
