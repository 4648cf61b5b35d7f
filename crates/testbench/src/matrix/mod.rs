//! The matrix: every suite on every device in every guest, a row for each case.
//!
//! A guest that does not start, dies or hangs costs its own rows, never the run: the case it died in is a `crash`, and it
//! is started again for the cases that follow, a few times.

mod device;
mod observe;
mod session;

use std::time::{Duration, Instant};

use crate::guest::GuestDefinition;
use crate::rig::{DeviceUnderTest, Rig};
use crate::sight::Reference;
use crate::suite::{Case, Exchange, Suite};

use session::Session;

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

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// One for each suite × device × guest × case.
    pub rows: Vec<Row>,
    /// One for each device × guest.
    pub starts: Vec<Start>,
    /// From beginning to end.
    pub elapsed: Duration,
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
    /// Why it did not pass.
    pub reason: Option<String>,
    /// Line of the step at fault, in the case's file.
    pub line: Option<usize>,
    /// How many commands were sent; `exchanges` may have fewer.
    pub sent: usize,
    /// What was sent and came back: the first commands, and those with a complaint.
    pub exchanges: Vec<Exchange>,
    /// What the guest's kernel logged during a case that did not pass.
    pub kernel_log: Vec<String>,
    /// The last lines of the guest's console, where it died.
    pub console: Option<String>,
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

    /// Whether nothing failed, erred or crashed, and something passed.
    pub fn passed(&self) -> bool {
        let bad = [Outcome::Fail, Outcome::Error, Outcome::Crash];
        self.count(Outcome::Pass) > 0 && bad.into_iter().all(|outcome| self.count(outcome) == 0)
    }
}

impl Row {
    /// A row of a case that was not carried out.
    fn not_run(place: &Place<'_>, suite: &Suite, case: &Case, outcome: Outcome, reason: String) -> Self {
        Self {
            suite: suite.id().to_owned(),
            device: place.device.name.clone(),
            guest: place.guest.id().to_owned(),
            case: case.id().to_owned(),
            title: case.title().to_owned(),
            why: case.why().trim().to_owned(),
            standard: suite.standard().to_owned(),
            clause: case.clause().to_owned(),
            clause_checked: case.clause_checked(),
            outcome,
            elapsed: Duration::ZERO,
            reason: Some(reason),
            line: None,
            sent: 0,
            exchanges: Vec::new(),
            kernel_log: Vec::new(),
            console: None,
        }
    }
}

/// One device in one guest.
#[derive(Clone, Copy)]
struct Place<'a> {
    guest: &'a GuestDefinition,
    device: &'a DeviceUnderTest,
}

/// Runs the matrix; `seen` gets each row as it is done.
pub fn run_matrix(matrix: &Matrix<'_>, rig: &mut dyn Rig, seen: &mut dyn FnMut(&Row)) -> Run {
    let start = Instant::now();
    let mut run = Run::default();
    // What one guest finds out about a device holds for those after it.
    let mut references: Vec<Reference> = matrix.devices.iter().map(|device| rig.reference(device)).collect();
    for guest in matrix.guests {
        for (device, reference) in matrix.devices.iter().zip(&mut references) {
            let mut session = Session::new(Place { guest, device }, rig, reference);
            for suite in matrix.suites {
                session.suite(suite, &mut |row| {
                    seen(&row);
                    run.rows.push(row);
                });
            }
            run.starts.push(session.end());
        }
    }
    run.elapsed = start.elapsed();
    run
}

#[cfg(test)]
mod tests;
