//! Files of a run as they are on disk: known failures as TOML, the journal as a JSON object a line.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::quarantine::{Date, Quarantined, Standing};
use crate::matrix::{Outcome, Row, Start};
use crate::rig::{Origin, Way};
use crate::sight::Reference;
use crate::suite::{Exchange, Performed};
use crate::wire::{Operation, OperationOutcome};

/// The name of the journal's format.
pub(super) const JOURNAL: &str = "slotwise.run-journal/2";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuarantineFile {
    #[serde(default)]
    pub known: Vec<KnownFailure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownFailure {
    pub case: Spanned<String>,
    pub device: Option<String>,
    pub guest: Option<String>,
    pub reason: Spanned<String>,
    pub expires: Spanned<toml::value::Datetime>,
}

/// A line of the journal. The first is the recipe.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    Recipe(RecipeLine),
    Started(StartLine),
    Done(Box<DoneLine>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RecipeLine {
    pub format: String,
    pub only: Vec<String>,
    pub seed: Option<u64>,
    pub times: u32,
    pub until_fail: bool,
    pub suites: Vec<String>,
    pub devices: Vec<String>,
    pub guests: Vec<String>,
    pub firmware: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StartLine {
    guest: String,
    device: String,
    identity: Option<[String; 3]>,
    to_first_inquiry: Option<Duration>,
    #[serde(default)]
    way: Option<String>,
    #[serde(default)]
    note: Option<String>,
    fault: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DoneLine {
    /// Since the run began, all its parts together.
    pub at: Duration,
    pub row: RowLine,
    pub known: ReferenceLine,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReferenceLine {
    function: Option<String>,
    bytes: Option<u64>,
    marked: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RowLine {
    suite: String,
    device: String,
    guest: String,
    case: String,
    attempt: u32,
    title: String,
    why: String,
    standard: String,
    clause: String,
    clause_checked: bool,
    outcome: String,
    elapsed: Duration,
    in_guest: Duration,
    #[serde(default)]
    prepared_in: Duration,
    reason: Option<String>,
    line: Option<usize>,
    sent: usize,
    exchanges: Vec<Exchange>,
    #[serde(default)]
    operations: Vec<PerformedLine>,
    kernel_log: Vec<String>,
    console: Option<String>,
    recovery: Vec<String>,
    quarantined: Option<QuarantinedLine>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PerformedLine {
    title: String,
    line: usize,
    operation: Operation,
    outcome: Option<OperationOutcome>,
    complaint: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct QuarantinedLine {
    reason: String,
    expires: String,
    standing: String,
}

impl From<&Start> for StartLine {
    fn from(start: &Start) -> Self {
        let Start { guest, device, identity, to_first_inquiry, origin, fault, hint } = start.clone();
        let way = origin.as_ref().map(|origin| origin.way.name().to_owned());
        let note = origin.and_then(|origin| origin.note);
        Self { guest, device, identity, to_first_inquiry, way, note, fault, hint }
    }
}

impl From<StartLine> for Start {
    fn from(line: StartLine) -> Self {
        let StartLine { guest, device, identity, to_first_inquiry, way, note, fault, hint } = line;
        let origin = way.and_then(|name| Way::from_name(&name)).map(|way| Origin { way, note });
        Self { guest, device, identity, to_first_inquiry, origin, fault, hint }
    }
}

impl From<&Reference> for ReferenceLine {
    fn from(reference: &Reference) -> Self {
        let function = reference.function.map(|id| id.to_string());
        Self { function, bytes: reference.bytes, marked: reference.marked }
    }
}

impl From<ReferenceLine> for Reference {
    /// A function that cannot be read is not known; it is found out again.
    fn from(line: ReferenceLine) -> Self {
        let function = line.function.and_then(|id| id.parse().ok());
        Self { function, bytes: line.bytes, marked: line.marked }
    }
}

impl From<&Row> for RowLine {
    fn from(row: &Row) -> Self {
        let row = row.clone();
        let performed = |own: Performed| {
            let Performed { title, line, operation, outcome, complaint } = own;
            PerformedLine { title, line, operation, outcome, complaint }
        };
        let quarantined = row.quarantined.map(|known| QuarantinedLine {
            reason: known.reason,
            expires: known.expires.to_string(),
            standing: known.standing.name().to_owned(),
        });
        Self {
            suite: row.suite,
            device: row.device,
            guest: row.guest,
            case: row.case,
            attempt: row.attempt,
            title: row.title,
            why: row.why,
            standard: row.standard,
            clause: row.clause,
            clause_checked: row.clause_checked,
            outcome: row.outcome.name().to_owned(),
            elapsed: row.elapsed,
            in_guest: row.in_guest,
            prepared_in: row.prepared_in,
            reason: row.reason,
            line: row.line,
            sent: row.sent,
            exchanges: row.exchanges,
            operations: row.operations.into_iter().map(performed).collect(),
            kernel_log: row.kernel_log,
            console: row.console,
            recovery: row.recovery,
            quarantined,
        }
    }
}

impl RowLine {
    /// The row; `None` where a name in it is none of ours.
    pub(super) fn row(self) -> Option<Row> {
        let performed = |own: PerformedLine| {
            let PerformedLine { title, line, operation, outcome, complaint } = own;
            Performed { title, line, operation, outcome, complaint }
        };
        let known = |own: QuarantinedLine| {
            let standing = Standing::from_name(&own.standing)?;
            Some(Quarantined { reason: own.reason, expires: Date::read(&own.expires)?, standing })
        };
        let quarantined = match self.quarantined {
            Some(own) => Some(known(own)?),
            None => None,
        };
        Some(Row {
            suite: self.suite,
            device: self.device,
            guest: self.guest,
            case: self.case,
            attempt: self.attempt,
            title: self.title,
            why: self.why,
            standard: self.standard,
            clause: self.clause,
            clause_checked: self.clause_checked,
            outcome: Outcome::from_name(&self.outcome)?,
            elapsed: self.elapsed,
            in_guest: self.in_guest,
            prepared_in: self.prepared_in,
            reason: self.reason,
            line: self.line,
            sent: self.sent,
            exchanges: self.exchanges,
            operations: self.operations.into_iter().map(performed).collect(),
            kernel_log: self.kernel_log,
            console: self.console,
            recovery: self.recovery,
            quarantined,
        })
    }
}
