//! The matrix: every suite on every device in every guest, a row for each case.
//!
//! A guest that does not start, dies or hangs costs its own rows, never the run: the case it died in is a `crash`, and it
//! is started again for the cases that follow. A device that hangs costs its deadline and is then reset, by the mildest
//! way that helps: see [`recover`](self).

mod device;
mod function;
mod isolation;
mod observe;
mod recover;
mod session;
mod stall;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::guest::GuestDefinition;
use crate::rig::{DeviceUnderTest, Origin, Rig};
use crate::run::{Comparison, Quarantine, Quarantined};
use crate::sight::Reference;
use crate::suite::{Case, Exchange, Performed, Suite};

use session::Session;

pub(crate) use session::chain;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Suites, in this order.
    pub suites: &'a [Suite],
    /// Devices, in this order.
    pub devices: &'a [DeviceUnderTest],
    /// Guests, in this order.
    pub guests: &'a [GuestDefinition],
}

/// How to run it.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What the order of a suite's cases and the data they send come from; without it cases run in the suite's order,
    /// with the suite's data.
    pub seed: Option<u64>,
    /// How often the suites run with each device in each guest.
    pub times: NonZeroU32,
    /// When to end.
    pub until: Until,
    /// What is done to guest and device between two cases.
    pub isolation: Isolation,
    /// Failures that are known.
    pub quarantine: &'a Quarantine,
    /// What an earlier part of this run has done; none of it is done again.
    pub finished: &'a Finished,
}

impl<'a> Options<'a> {
    /// Everything once, in the suites' order.
    pub fn once(quarantine: &'a Quarantine, finished: &'a Finished) -> Self {
        Self {
            seed: None,
            times: NonZeroU32::MIN,
            until: Until::Done,
            isolation: Isolation::None,
            quarantine,
            finished,
        }
    }
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When everything is done.
    Done,
    /// At the first case that fails, and is not known to.
    Failure,
}

/// How cases are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Not at all: a guest runs all cases, one after another.
    #[default]
    None,
    /// The device is taken out of the guest and put in again before each case, which resets it.
    Device,
    /// Each case has a guest of its own.
    Guest,
}

/// Names one row of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The suite.
    pub suite: String,
    /// The device.
    pub device: String,
    /// The guest.
    pub guest: String,
    /// The case.
    pub case: String,
    /// Which time it ran, from 1.
    pub attempt: u32,
}

/// What an earlier part of a run has done.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Its rows, each with what was known of the device after it.
    pub rows: BTreeMap<RowKey, (Row, Reference)>,
    /// How guests came up.
    pub starts: Vec<Start>,
    /// How long it took.
    pub elapsed: Duration,
    /// How much of that was spent waiting for guests.
    pub in_guests: Duration,
}

/// Something has happened in a run.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A guest has come up with a device for the first time, or has not.
    Started(&'a Start),
    /// A case is done, and this is known of the device.
    Done(&'a Row, &'a Reference),
    /// A case was done by an earlier part of the run.
    Kept(&'a Row),
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// One for each suite × device × guest × case, and each time it ran.
    pub rows: Vec<Row>,
    /// One for each device × guest.
    pub starts: Vec<Start>,
    /// From beginning to end.
    pub elapsed: Duration,
    /// How much of that was spent waiting for guests and devices.
    pub in_guests: Duration,
    /// What order and data came from.
    pub seed: Option<u64>,
    /// What has changed since another run.
    pub comparison: Option<Comparison>,
    /// The host as a drawing in SVG, whose texts are escaped.
    pub picture: Option<String>,
}

/// How one guest came up with one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The guest.
    pub guest: String,
    /// The device.
    pub device: String,
    /// What the device said it is: vendor, product, revision.
    pub identity: Option<[String; 3]>,
    /// From the start of the guest to the answer to the first INQUIRY.
    pub to_first_inquiry: Option<Duration>,
    /// How the guest came to run.
    pub origin: Option<Origin>,
    /// Why it did not, if so.
    pub fault: Option<String>,
    /// What to do about that.
    pub hint: Option<String>,
}

/// One case on one device in one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The suite.
    pub suite: String,
    /// The device.
    pub device: String,
    /// The guest.
    pub guest: String,
    /// The case.
    pub case: String,
    /// Which time it ran, from 1.
    pub attempt: u32,
    /// What the case is about.
    pub title: String,
    /// What the standard says, and why it matters.
    pub why: String,
    /// The standard.
    pub standard: String,
    /// Its clauses.
    pub clause: String,
    /// Whether they were compared with the printed standard.
    pub clause_checked: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub elapsed: Duration,
    /// How much of that was spent waiting for the guest or the device.
    pub in_guest: Duration,
    /// How long it took before to have a guest in which the device answers INQUIRY; nothing if there was one.
    pub prepared_in: Duration,
    /// Why it did not pass.
    pub reason: Option<String>,
    /// Line of the step at fault, in the case's file.
    pub line: Option<usize>,
    /// How many commands were sent; `exchanges` may have fewer.
    pub sent: usize,
    /// What was sent and came back: the first commands, and those with a complaint.
    pub exchanges: Vec<Exchange>,
    /// What was done with the PCI function, and came of it: the first operations, and those with a complaint.
    pub operations: Vec<Performed>,
    /// What the guest's kernel logged during the case.
    pub kernel_log: Vec<String>,
    /// The last lines of the guest's console, where the case did not pass.
    pub console: Option<String>,
    /// What was done to the device so that it answers again.
    pub recovery: Vec<String>,
    /// What is known of failures of this case.
    pub quarantined: Option<Quarantined>,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Every answer was right.
    Pass,
    /// The device answered wrongly.
    Fail,
    /// Not carried out, for a reason that is nobody's fault.
    Skip,
    /// Could not be carried out.
    Error,
    /// The guest died or hung.
    Crash,
}

impl Outcome {
    /// Whether something is wrong.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Fail | Self::Error | Self::Crash)
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// All there are.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Fail, Self::Skip, Self::Error, Self::Crash];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Error => "error",
            Self::Crash => "crash",
        }
    }
}

impl Run {
    /// How many rows ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|row| row.outcome == outcome).count()
    }

    /// Whether nothing failed, erred or crashed that is not known to, and something passed.
    pub fn passed(&self) -> bool {
        self.count(Outcome::Pass) > 0 && !self.rows.iter().any(Row::stands)
    }
}

impl Row {
    /// What names it.
    pub fn key(&self) -> RowKey {
        RowKey {
            suite: self.suite.clone(),
            device: self.device.clone(),
            guest: self.guest.clone(),
            case: self.case.clone(),
            attempt: self.attempt,
        }
    }

    /// Whether it speaks against the run: something is wrong, and it is not a failure that is known.
    pub fn stands(&self) -> bool {
        self.outcome.is_bad() && !self.quarantined.as_ref().is_some_and(Quarantined::holds)
    }

    /// A row of a case that was not carried out.
    fn not_run(place: &Place<'_>, suite: &Suite, case: &Case, outcome: Outcome, reason: String) -> Self {
        Self {
            suite: suite.id().to_owned(),
            device: place.device.name.clone(),
            guest: place.guest.id().to_owned(),
            case: case.id().to_owned(),
            attempt: 1,
            title: case.title().to_owned(),
            why: case.why().trim().to_owned(),
            standard: suite.standard().to_owned(),
            clause: case.clause().to_owned(),
            clause_checked: case.clause_checked(),
            outcome,
            elapsed: Duration::ZERO,
            in_guest: Duration::ZERO,
            prepared_in: Duration::ZERO,
            reason: Some(reason),
            line: None,
            sent: 0,
            exchanges: Vec::new(),
            operations: Vec::new(),
            kernel_log: Vec::new(),
            console: None,
            recovery: Vec::new(),
            quarantined: None,
        }
    }
}

/// One device in one guest.
#[derive(Clone, Copy)]
struct Place<'a> {
    guest: &'a GuestDefinition,
    device: &'a DeviceUnderTest,
}

/// Runs the matrix once; `seen` gets each row as it is done.
pub fn run_matrix(matrix: &Matrix<'_>, rig: &mut dyn Rig, seen: &mut dyn FnMut(&Row)) -> Run {
    let (quarantine, finished) = (Quarantine::default(), Finished::default());
    run_with(matrix, rig, &Options::once(&quarantine, &finished), &mut |progress| {
        if let Progress::Done(row, _) = progress {
            seen(row);
        }
    })
}

/// Runs the matrix; `seen` hears what happens. Rows of an earlier part are taken over where they belong.
pub fn run_with(
    matrix: &Matrix<'_>,
    rig: &mut dyn Rig,
    options: &Options<'_>,
    seen: &mut dyn FnMut(Progress<'_>),
) -> Run {
    let start = Instant::now();
    let mut run = Run { seed: options.seed, in_guests: options.finished.in_guests, ..Run::default() };
    // What one guest finds out about a device holds for those after it.
    let mut references: Vec<Reference> = matrix.devices.iter().map(|device| rig.reference(device)).collect();
    'all: for guest in matrix.guests {
        for (device, reference) in matrix.devices.iter().zip(&mut references) {
            let mut session = Session::new(Place { guest, device }, rig, reference, options);
            let ended = pass(matrix.suites, &mut session, options, &mut |progress| {
                if let Progress::Done(row, _) | Progress::Kept(row) = &progress {
                    run.rows.push((*row).clone());
                }
                seen(progress);
            });
            let (own, waited) = session.end();
            run.in_guests += waited;
            run.starts.push(own);
            if ended {
                break 'all;
            }
        }
    }
    run.elapsed = options.finished.elapsed + start.elapsed();
    run
}

/// All suites with one device in one guest, as often as is wanted. True if the run is to end.
fn pass(
    suites: &[Suite],
    session: &mut Session<'_>,
    options: &Options<'_>,
    seen: &mut dyn FnMut(Progress<'_>),
) -> bool {
    for attempt in 1..=options.times.get() {
        for suite in suites {
            let shuffled = options.seed.map(|seed| suite.clone().shuffled(seed.wrapping_add(attempt.into())));
            if session.suite(shuffled.as_ref().unwrap_or(suite), attempt, seen) {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests;
