//! The JSON of a run. `v1` may get fields, and loses or changes none.

/// `slotwise.test/1`.
pub mod v1 {
    use serde::Serialize;

    use crate::matrix::{Outcome, Row, Run, Start};
    use crate::report::{one_line, visible};
    use crate::scsi::{SenseCode, Status, host_status_name, sense_key_name};
    use crate::suite::Exchange;
    use crate::wire::{CommandOutcome, Direction, HexBytes};

    /// The name of this contract.
    pub const SCHEMA: &str = "slotwise.test/1";

    /// Bytes of data kept from one command; its length is told whole.
    const DATA_LIMIT_BYTES: usize = 256;

    /// The whole document.
    #[derive(Clone, Debug, Serialize)]
    pub struct Document {
        /// [`SCHEMA`].
        pub schema: &'static str,
        /// The run as a whole.
        pub run: RunInfo,
        /// One for each suite × device × guest × case.
        pub rows: Vec<TestRow>,
    }

    /// The run as a whole.
    #[derive(Clone, Debug, Serialize)]
    pub struct RunInfo {
        /// From beginning to end.
        pub seconds: f64,
        /// How many rows ended so.
        pub counts: Counts,
        /// How each guest came up with each device.
        pub starts: Vec<GuestStart>,
    }

    /// How many rows ended so.
    #[derive(Clone, Copy, Debug, Serialize)]
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
    #[derive(Clone, Debug, Serialize)]
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
        /// Why it did not come up.
        pub fault: Option<String>,
        /// What to do about that.
        pub hint: Option<String>,
    }

    /// One case on one device in one guest.
    #[derive(Clone, Debug, Serialize)]
    pub struct TestRow {
        /// The suite.
        pub suite: String,
        /// The device.
        pub device: String,
        /// The guest.
        pub guest: String,
        /// The case.
        pub case: String,
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
        pub outcome: &'static str,
        /// How long it took.
        pub seconds: f64,
        /// Why it did not pass.
        pub reason: Option<String>,
        /// Line of the step at fault in the case's file.
        pub line: Option<usize>,
        /// How many commands were sent.
        pub commands_sent: usize,
        /// The first of them, and all with a complaint.
        pub commands: Vec<SentCommand>,
        /// What the guest's kernel logged.
        pub kernel_log: Vec<String>,
        /// The last lines of the guest's console, where it died.
        pub console: Option<String>,
    }

    /// A command, and what came back.
    #[derive(Clone, Debug, Serialize)]
    pub struct SentCommand {
        /// What it is called.
        pub title: String,
        /// Line of its step in the case's file.
        pub line: usize,
        /// Command descriptor block.
        pub cdb: HexBytes,
        /// `none`, `in` or `out`.
        pub direction: &'static str,
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
    #[derive(Clone, Debug, Serialize)]
    pub struct Answer {
        /// SCSI status byte.
        pub status: u8,
        /// Its name.
        pub status_name: String,
        /// Sense bytes.
        pub sense: HexBytes,
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
        pub host_status_name: &'static str,
        /// The kernel's driver byte.
        pub driver_status: u16,
        /// From handing over to getting back.
        pub microseconds: u64,
    }

    fn head(bytes: &[u8]) -> HexBytes {
        HexBytes(bytes.iter().copied().take(DATA_LIMIT_BYTES).collect())
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
            let run_info = RunInfo { seconds: run.elapsed.as_secs_f64(), counts, starts };
            Self { schema: SCHEMA, run: run_info, rows: run.rows.iter().map(TestRow::from).collect() }
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
                title: row.title.clone(),
                why: row.why.clone(),
                standard: row.standard.clone(),
                clause: row.clause.clone(),
                clause_checked: row.clause_checked,
                outcome: row.outcome.name(),
                seconds: row.elapsed.as_secs_f64(),
                reason: row.reason.as_deref().map(visible),
                line: row.line,
                commands_sent: row.sent,
                commands: row.exchanges.iter().map(SentCommand::from).collect(),
                kernel_log: row.kernel_log.iter().map(|line| one_line(line)).collect(),
                console: row.console.as_deref().map(visible),
            }
        }
    }

    impl From<&Exchange> for SentCommand {
        fn from(exchange: &Exchange) -> Self {
            let (direction, data_out) = match &exchange.command.direction {
                Direction::None => ("none", None),
                Direction::In { .. } => ("in", None),
                Direction::Out { data } => ("out", Some(head(&data.0))),
            };
            let (answer, not_sent) = match &exchange.outcome {
                None => (None, None),
                Some(CommandOutcome::NotSent { error }) => (None, Some(visible(error))),
                Some(CommandOutcome::Completed(completion)) => {
                    let code = SenseCode::from_sense(&completion.sense.0);
                    let answer = Answer {
                        status: completion.status,
                        status_name: Status(completion.status).to_string(),
                        sense: completion.sense.clone(),
                        sense_code: code.map(|code| format!("{code} {}", sense_key_name(code.key))),
                        data: head(&completion.data.0),
                        data_length: completion.data.0.len(),
                        residual: completion.residual,
                        host_status: completion.host_status,
                        host_status_name: host_status_name(completion.host_status),
                        driver_status: completion.driver_status,
                        microseconds: completion.elapsed_us,
                    };
                    (Some(answer), None)
                }
            };
            Self {
                title: exchange.title.clone(),
                line: exchange.line,
                cdb: exchange.command.cdb.clone(),
                direction,
                length: exchange.command.data_length(),
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
