//! The JSON of a run. `v1` may get fields, and loses or changes none.

/// `slotwise.test/1`.
pub mod v1 {
    use serde::{Deserialize, Serialize};

    use crate::matrix::{Outcome, Row, Run, Start};
    use crate::report::{one_line, visible};
    use crate::run::{Change, Comparison, Flaky, Quarantined, flaky};
    use crate::scsi::{SenseCode, Status, cdb_fields, host_status_name, sense_fields, sense_key_name};
    use crate::suite::{Came, Exchange, Head, Performed, SentData};
    use crate::wire::{HexBytes, OperationOutcome};

    /// The name of this contract.
    pub const SCHEMA: &str = "slotwise.test/1";

    /// The whole document.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct Document {
        /// [`SCHEMA`].
        pub schema: String,
        /// The run as a whole.
        pub run: RunInfo,
        /// One for each suite × device × guest × case, and each time it ran.
        pub rows: Vec<TestRow>,
        /// What has changed since another run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub comparison: Option<ComparedRun>,
    }

    /// What has changed since another run.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct ComparedRun {
        /// The other run, as the user named it.
        pub baseline: String,
        /// Cases that ended as they did there, with the same answers.
        pub unchanged: usize,
        /// The others, the worst first.
        pub changes: Vec<ChangedCase>,
    }

    /// A case that is not as it was.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct ChangedCase {
        /// `newly-failing`, `fails-otherwise`, `gone`, `not-run`, `newly-passing`, `changed-answer`, `new`, `now-run` or
        /// `flaky`.
        pub kind: String,
        /// The suite.
        pub suite: String,
        /// The device.
        pub device: String,
        /// The guest.
        pub guest: String,
        /// The case.
        pub case: String,
        /// How it ended there.
        pub was: Option<String>,
        /// How it ended here.
        pub now: Option<String>,
        /// What differs.
        pub detail: Option<String>,
    }

    /// A case that did not always end the same way.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct FlakyCase {
        /// The suite.
        pub suite: String,
        /// The device.
        pub device: String,
        /// The guest.
        pub guest: String,
        /// The case.
        pub case: String,
        /// How often it ended how: `pass 3, fail 1`.
        pub outcomes: String,
    }

    /// What is known of a failure.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct KnownFailure {
        /// Why.
        pub reason: String,
        /// The last day it holds, `YYYY-MM-DD`.
        pub expires: String,
        /// `holds`, `expired` or `passes`.
        pub standing: String,
    }

    /// The run as a whole.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct RunInfo {
        /// From beginning to end.
        pub seconds: f64,
        /// How much of that was spent waiting for guests and devices, their starts included; the rest is the bench's own.
        #[serde(default)]
        pub seconds_in_guests: f64,
        /// What the order of cases and the random data come from; none where the suites' own were used.
        #[serde(default)]
        pub seed: Option<u64>,
        /// How many rows ended so.
        pub counts: Counts,
        /// Failures among them that are known, and hold.
        #[serde(default)]
        pub known_failures: usize,
        /// Cases that did not always end the same way.
        #[serde(default)]
        pub flaky: Vec<FlakyCase>,
        /// How each guest came up with each device.
        pub starts: Vec<GuestStart>,
    }

    /// How many rows ended so.
    #[derive(Clone, Copy, Debug, Serialize, Deserialize)]
    pub struct Counts {
        /// Every answer right.
        pub pass: usize,
        /// The device answered wrongly.
        pub fail: usize,
        /// Not carried out, with reason.
        pub skip: usize,
        /// Could not be carried out.
        pub error: usize,
        /// The guest died or hung.
        pub crash: usize,
    }

    /// How one guest came up with one device.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct GuestStart {
        /// The guest.
        pub guest: String,
        /// The device.
        pub device: String,
        /// By the device's own INQUIRY data.
        pub vendor: Option<String>,
        /// By the device's own INQUIRY data.
        pub product: Option<String>,
        /// By the device's own INQUIRY data.
        pub revision: Option<String>,
        /// From the start of the guest to the answer to the first INQUIRY.
        pub seconds_to_first_inquiry: Option<f64>,
        /// How it came to run: `booted` with the device, `attached` when it had booted, or `restored` from a saved state.
        #[serde(default)]
        pub way: Option<String>,
        /// Why it did not come by a faster way, where that was tried.
        #[serde(default)]
        pub way_note: Option<String>,
        /// Why it did not come up.
        pub fault: Option<String>,
        /// What to do about that.
        pub hint: Option<String>,
    }

    /// One case on one device in one guest.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct TestRow {
        /// The suite.
        pub suite: String,
        /// The device.
        pub device: String,
        /// The guest.
        pub guest: String,
        /// The case.
        pub case: String,
        /// Which time it ran, from 1.
        #[serde(default = "first")]
        pub attempt: u32,
        /// What it is about.
        pub title: String,
        /// What the standard says, and why it matters.
        pub why: String,
        /// The standard.
        pub standard: String,
        /// Its clauses.
        pub clause: String,
        /// Whether these were compared with the printed standard.
        pub clause_checked: bool,
        /// `pass`, `fail`, `skip`, `error` or `crash`.
        pub outcome: String,
        /// How long it took.
        pub seconds: f64,
        /// How much of that was spent waiting for the guest or the device.
        #[serde(default)]
        pub seconds_in_guest: f64,
        /// How long it took before to have a guest in which the device answers INQUIRY: to start it, or to reset the device
        /// between two cases. 0 if there was one.
        #[serde(default)]
        pub seconds_to_prepare: f64,
        /// Why it did not pass.
        pub reason: Option<String>,
        /// Line of the step at fault in the case's file.
        pub line: Option<usize>,
        /// How many commands were sent.
        pub commands_sent: usize,
        /// The first of them, and all with a complaint.
        pub commands: Vec<SentCommand>,
        /// What was done with the PCI function: the first operations, and all with a complaint.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub operations: Vec<DoneOperation>,
        /// What the guest's kernel logged.
        pub kernel_log: Vec<String>,
        /// The last lines of the guest's console, where the case did not pass.
        pub console: Option<String>,
        /// What was done to the device so that it answers again.
        #[serde(default)]
        pub recovery: Vec<String>,
        /// What is known of failures of this case.
        #[serde(default)]
        pub quarantined: Option<KnownFailure>,
    }

    fn first() -> u32 {
        1
    }

    /// Something done with the PCI function, and what came of it.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct DoneOperation {
        /// What was asked, in words.
        pub title: String,
        /// Line of its step in the case's file.
        pub line: usize,
        /// How the data that it brought begin.
        pub data: Option<HexBytes>,
        /// How many of what it counts.
        pub result: Option<u64>,
        /// How many frames came.
        pub frames: Option<usize>,
        /// From handing over to getting back.
        pub microseconds: Option<u64>,
        /// Why it could not be done.
        pub failed: Option<String>,
        /// What was wrong with it.
        pub complaint: Option<String>,
    }

    /// A command, and what came back.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct SentCommand {
        /// What it is called.
        pub title: String,
        /// Line of its step in the case's file.
        pub line: usize,
        /// Command descriptor block.
        pub cdb: HexBytes,
        /// Its fields in words.
        #[serde(default)]
        pub fields: Vec<String>,
        /// `none`, `in` or `out`.
        pub direction: String,
        /// Length of the buffer, in bytes.
        pub length: usize,
        /// How the data sent begin.
        pub data_out: Option<HexBytes>,
        /// What came back; `null` if nothing did.
        pub answer: Option<Answer>,
        /// Why it was never sent.
        pub not_sent: Option<String>,
        /// What was wrong with the answer.
        pub complaint: Option<String>,
    }

    /// What came back for a command.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct Answer {
        /// SCSI status byte.
        pub status: u8,
        /// Its name.
        pub status_name: String,
        /// Sense bytes.
        pub sense: HexBytes,
        /// Its fields in words, if it is of the fixed format.
        #[serde(default)]
        pub sense_fields: Vec<String>,
        /// Key, ASC and ASCQ with the key's name, if the sense is of the fixed format.
        pub sense_code: Option<String>,
        /// How the data begin.
        pub data: HexBytes,
        /// How many there are.
        pub data_length: usize,
        /// Bytes of the buffer not moved.
        pub residual: i32,
        /// The adapter driver's result.
        pub host_status: u16,
        /// Its name.
        pub host_status_name: String,
        /// The kernel's driver byte.
        pub driver_status: u16,
        /// From handing over to getting back.
        pub microseconds: u64,
    }

    impl From<&Run> for Document {
        fn from(run: &Run) -> Self {
            let counts = Counts {
                pass: run.count(Outcome::Pass),
                fail: run.count(Outcome::Fail),
                skip: run.count(Outcome::Skip),
                error: run.count(Outcome::Error),
                crash: run.count(Outcome::Crash),
            };
            let starts = run.starts.iter().map(GuestStart::from).collect();
            let known = |row: &&Row| row.outcome.is_bad() && !row.stands();
            let run_info = RunInfo {
                seconds: run.elapsed.as_secs_f64(),
                seconds_in_guests: run.in_guests.as_secs_f64(),
                seed: run.seed,
                counts,
                known_failures: run.rows.iter().filter(known).count(),
                flaky: flaky(&run.rows).iter().map(FlakyCase::from).collect(),
                starts,
            };
            Self {
                schema: SCHEMA.to_owned(),
                run: run_info,
                rows: run.rows.iter().map(TestRow::from).collect(),
                comparison: run.comparison.as_ref().map(ComparedRun::from),
            }
        }
    }

    impl From<&Comparison> for ComparedRun {
        fn from(comparison: &Comparison) -> Self {
            Self {
                baseline: one_line(&comparison.baseline),
                unchanged: comparison.unchanged,
                changes: comparison.changes.iter().map(ChangedCase::from).collect(),
            }
        }
    }

    impl From<&Change> for ChangedCase {
        fn from(change: &Change) -> Self {
            Self {
                kind: change.kind.name().to_owned(),
                suite: one_line(&change.suite),
                device: one_line(&change.device),
                guest: one_line(&change.guest),
                case: one_line(&change.case),
                was: change.was.as_deref().map(one_line),
                now: change.now.as_deref().map(one_line),
                detail: change.detail.as_deref().map(one_line),
            }
        }
    }

    impl From<&Flaky> for FlakyCase {
        fn from(flaky: &Flaky) -> Self {
            Self {
                suite: flaky.suite.clone(),
                device: one_line(&flaky.device),
                guest: flaky.guest.clone(),
                case: flaky.case.clone(),
                outcomes: flaky.told(),
            }
        }
    }

    impl From<&Quarantined> for KnownFailure {
        fn from(known: &Quarantined) -> Self {
            Self {
                reason: one_line(&known.reason),
                expires: known.expires.to_string(),
                standing: known.standing.name().to_owned(),
            }
        }
    }

    impl From<&Start> for GuestStart {
        fn from(start: &Start) -> Self {
            let [vendor, product, revision] = match &start.identity {
                Some(texts) => texts.clone().map(|text| Some(one_line(&text))),
                None => [None, None, None],
            };
            Self {
                guest: start.guest.clone(),
                device: one_line(&start.device),
                vendor,
                product,
                revision,
                seconds_to_first_inquiry: start.to_first_inquiry.map(|time| time.as_secs_f64()),
                way: start.origin.as_ref().map(|origin| origin.way.name().to_owned()),
                way_note: start.origin.as_ref().and_then(|origin| origin.note.as_deref()).map(visible),
                fault: start.fault.as_deref().map(visible),
                hint: start.hint.as_deref().map(visible),
            }
        }
    }

    impl From<&Row> for TestRow {
        fn from(row: &Row) -> Self {
            Self {
                suite: row.suite.clone(),
                device: one_line(&row.device),
                guest: row.guest.clone(),
                case: row.case.clone(),
                attempt: row.attempt,
                title: row.title.clone(),
                why: row.why.clone(),
                standard: row.standard.clone(),
                clause: row.clause.clone(),
                clause_checked: row.clause_checked,
                outcome: row.outcome.name().to_owned(),
                seconds: row.elapsed.as_secs_f64(),
                seconds_in_guest: row.in_guest.as_secs_f64(),
                seconds_to_prepare: row.prepared_in.as_secs_f64(),
                reason: row.reason.as_deref().map(visible),
                line: row.line,
                commands_sent: row.sent,
                commands: row.exchanges.iter().map(SentCommand::from).collect(),
                operations: row.operations.iter().map(DoneOperation::from).collect(),
                kernel_log: row.kernel_log.iter().map(|line| one_line(line)).collect(),
                console: row.console.as_deref().map(visible),
                recovery: row.recovery.iter().map(|line| one_line(line)).collect(),
                quarantined: row.quarantined.as_ref().map(KnownFailure::from),
            }
        }
    }

    impl From<&Performed> for DoneOperation {
        fn from(own: &Performed) -> Self {
            let bare = Self {
                title: visible(&own.operation.to_string()),
                line: own.line,
                data: None,
                result: None,
                frames: None,
                microseconds: None,
                failed: None,
                complaint: own.complaint.as_deref().map(visible),
            };
            match &own.outcome {
                None => bare,
                Some(OperationOutcome::Failed { reason }) => Self { failed: Some(visible(reason)), ..bare },
                Some(OperationOutcome::Done { data, result, frames, elapsed_us }) => Self {
                    data: Some(Head::of(&data.0).bytes),
                    result: Some(*result),
                    frames: Some(frames.len()),
                    microseconds: Some(*elapsed_us),
                    ..bare
                },
            }
        }
    }

    impl From<&Exchange> for SentCommand {
        fn from(exchange: &Exchange) -> Self {
            let (direction, length, data_out) = match &exchange.sent.data {
                SentData::None => ("none", 0, None),
                SentData::In { length } => ("in", *length, None),
                SentData::Out(data) => ("out", data.length, Some(data.bytes.clone())),
            };
            let (answer, not_sent) = match &exchange.outcome {
                None => (None, None),
                Some(Came::NotSent { error }) => (None, Some(visible(error))),
                Some(Came::Completed { completion, data }) => {
                    let code = SenseCode::from_sense(&completion.sense.0);
                    let answer = Answer {
                        status: completion.status,
                        status_name: Status(completion.status).to_string(),
                        sense: completion.sense.clone(),
                        sense_fields: sense_fields(&completion.sense.0),
                        sense_code: code.map(|code| format!("{code} {}", sense_key_name(code.key))),
                        data: data.bytes.clone(),
                        data_length: data.length,
                        residual: completion.residual,
                        host_status: completion.host_status,
                        host_status_name: host_status_name(completion.host_status).to_owned(),
                        driver_status: completion.driver_status,
                        microseconds: completion.elapsed_us,
                    };
                    (Some(answer), None)
                }
            };
            Self {
                title: exchange.title.clone(),
                line: exchange.line,
                cdb: exchange.sent.cdb.clone(),
                fields: cdb_fields(&exchange.sent.cdb.0),
                direction: direction.to_owned(),
                length,
                data_out,
                answer,
                not_sent,
                complaint: exchange.complaint.as_deref().map(visible),
            }
        }
    }
}

use super::ReportError;
use crate::matrix::Run;

/// A run as JSON, `slotwise.test/1`, with a line feed at the end.
///
/// # Errors
///
/// The serialiser failed.
pub fn json(run: &Run) -> Result<String, ReportError> {
    let mut text = serde_json::to_string_pretty(&v1::Document::from(run))
        .map_err(|source| ReportError::new("JSON", source))?;
    text.push('\n');
    Ok(text)
}
