//! Runs a case without doing I/O: gives batches of commands, takes what came of them, and in the end a verdict.
//!
//! Commands go into one batch as long as none of them needs what an earlier one of the batch brings back. The verdict is
//! a function of the case, the names known and the answers: the same answers always give the same verdict.

mod build;
mod exchange;
mod judge;
mod operation;
mod walk;

use std::time::Duration;

use super::Suite;
use super::case::{Case, Send, Step};
use super::expression::{Environment, SEED, Value, set};
use crate::transport::{Event, Route};
use crate::wire::{BATCH_COMMAND_LIMIT, BATCH_DATA_LIMIT_BYTES, Command, CommandOutcome, Operation};
pub use exchange::{Came, Exchange, Head, Sent, SentData};
use operation::Asked;
pub use operation::Performed;
use walk::{Next, Walk};

/// Values that a suite's setup has found out: the last block, the block's length.
#[derive(Clone, Debug, Default)]
pub struct Names(pub(super) Environment);

impl Names {
    /// The same with numbers that the bench knows of the device.
    #[must_use]
    pub fn with(mut self, known: &[(&str, i64)]) -> Self {
        self.0.extend(known.iter().map(|(name, value)| ((*name).to_owned(), Value::Number(*value))));
        self
    }

    /// The same with a seed that changes the random data that cases send.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.0.insert(SEED.to_owned(), Value::Number(i64::from_ne_bytes(seed.to_ne_bytes())));
        self
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every answer was right.
    Pass,
    /// The device answered wrongly.
    Fail,
    /// The case could not be carried out.
    Error,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose fault it is.
    pub kind: FindingKind,
    /// What was wrong, with what was expected.
    pub reason: String,
    /// Line of the step in the case's file.
    pub line: Option<usize>,
}

/// Whose fault a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The device's.
    Device,
    /// The case's own, or the way to the device.
    Bench,
}

/// Exchanges kept from one case; more are counted only. Those with a complaint are always kept.
const EXCHANGE_LIMIT: usize = 64;
/// Commands one case may send.
const COMMAND_LIMIT: usize = 50_000;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Commands to send, one after another; their outcomes go to [`CaseRun::answer`].
    Commands(Route, Vec<Command>),
    /// Something to do with the device's function; what comes of it goes to [`CaseRun::performed`].
    Operation(Operation),
    /// Something to do to the device; nothing is answered.
    Event(Event),
}

/// Which part of a run a step belongs to; in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Setup,
    Steps,
    CleanUp,
    After,
    Done,
}

struct Pending<'a> {
    send: &'a Send,
    phase: Phase,
    sent: Sent,
    /// Names that got their values when the command was made: those of repeats, and of data sent. Later steps of the same
    /// batch give them others, so they are set again when this one's answer is judged.
    set: Vec<(&'a str, Value)>,
}

/// A case on its way.
pub struct CaseRun<'a> {
    parts: [&'a [Step]; 4],
    phase: Phase,
    walk: Walk<'a>,
    names: Environment,
    pending: Vec<Pending<'a>>,
    /// Values that names of data sent had before the pending commands were made: what stands before those commands in
    /// the batch, and belongs to data of an earlier one, is judged with them.
    before: Environment,
    findings: Vec<Finding>,
    exchanges: Vec<Exchange>,
    /// An operation on its way.
    asked: Option<Asked<'a>>,
    operations: Vec<Performed>,
    sent: usize,
}

impl std::fmt::Debug for CaseRun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaseRun")
            .field("phase", &self.phase)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl<'a> CaseRun<'a> {
    /// Begins a case of a suite.
    pub fn new(suite: &'a Suite, case: &'a Case, names: &Names) -> Self {
        Self::of([&case.setup, &case.steps, &case.clean_up, &suite.after], names)
    }

    /// Begins a suite's own setup, with what was known before.
    pub fn setup(suite: &'a Suite, known: &Names) -> Self {
        Self::of([&suite.setup, &[], &[], &suite.after], known)
    }

    fn of(parts: [&'a [Step]; 4], names: &Names) -> Self {
        let [setup, ..] = parts;
        Self {
            parts,
            phase: Phase::Setup,
            walk: Walk::new(setup),
            names: names.0.clone(),
            pending: Vec::new(),
            before: Environment::new(),
            findings: Vec::new(),
            exchanges: Vec::new(),
            asked: None,
            operations: Vec::new(),
            sent: 0,
        }
    }

    /// Whether the case applies to the device, as far as its own condition says; the reason if not.
    ///
    /// # Errors
    ///
    /// Why it does not apply.
    pub fn applies(case: &Case, names: &Names) -> Result<(), String> {
        case.when.as_ref().map_or(Ok(()), |when| {
            when.holds(&names.0).map_err(|error| match &case.lacks {
                Some(lacks) => lacks.clone(),
                None => format!("only where {} ({})", when.text(), error.into_reason()),
            })
        })
    }

    /// What to do next, or `None` at the end. Commands must be answered before the next batch is asked for.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let (mut data, mut commands) = (0_usize, Vec::new());
        while self.phase != Phase::Done && self.pending.len() < BATCH_COMMAND_LIMIT {
            let (pending, names) = (&self.pending, &mut self.names);
            let is_pending = |name: &str| pending.iter().any(|pending| pending.send.names_later(name));
            let step = match self.walk.peek(names, &is_pending) {
                Ok(Some(Next::Send(send))) => send,
                Ok(Some(Next::Event(event))) if self.pending.is_empty() => {
                    self.walk.advance();
                    return Some(Batch::Event(event));
                }
                Ok(Some(Next::Ask(ask))) if self.pending.is_empty() => match self.begin(ask) {
                    Some(operation) => return Some(Batch::Operation(operation)),
                    None => continue,
                },
                Ok(Some(Next::Event(_) | Next::Ask(_))) => break,
                Ok(None) if self.pending.is_empty() => {
                    self.enter(self.phase_after());
                    continue;
                }
                // What follows depends on whether this part goes well.
                Ok(None) => break,
                // A repeat over what is still to come.
                Err(_) if !self.pending.is_empty() => break,
                Err(reason) => {
                    self.fault(reason, None);
                    continue;
                }
            };
            let other_way = self.pending.first().is_some_and(|first| first.send.route != step.route);
            if other_way || self.waits_for_pending(step) {
                break;
            }
            if let Some(name) = build::name_sent(step)
                && let Some(value) = self.names.get(name)
            {
                self.before.entry(name.to_owned()).or_insert_with(|| value.clone());
            }
            match build::command(step, &mut self.names) {
                Ok(command) => {
                    data = data.saturating_add(command.data_length());
                    if data > BATCH_DATA_LIMIT_BYTES && !self.pending.is_empty() {
                        break;
                    }
                    let repeats =
                        self.walk.advance().into_iter().map(|(name, value)| (name, Value::Number(value)));
                    let set = repeats.chain(build::data_sent(step, &self.names)).collect();
                    let sent = Sent::from(&command);
                    self.pending.push(Pending { send: step, phase: self.phase, sent, set });
                    commands.push(command);
                }
                Err(_) if !self.pending.is_empty() => break,
                Err(reason) => self.fault(reason, Some(step.line)),
            }
        }
        let route = self.pending.first()?.send.route;
        self.sent += self.pending.len();
        Some(Batch::Commands(route, commands))
    }

    /// Takes what came of the batch; fewer outcomes than commands mean that the last of them was not answered.
    pub fn answer(&mut self, outcomes: Vec<CommandOutcome>) {
        let mut outcomes = outcomes.into_iter();
        let mut failed = false;
        self.names.append(&mut self.before);
        for pending in std::mem::take(&mut self.pending) {
            let Some(outcome) = outcomes.next() else {
                // The one before was not answered, and that is a finding already, or the transport lost outcomes.
                if !failed {
                    self.fault("fewer answers than commands".into(), Some(pending.send.line));
                }
                break;
            };
            if failed {
                // One finding tells the fault; what was sent behind it is kept for the report and not judged.
                self.keep(pending, Some(outcome), None);
                continue;
            }
            for (name, value) in &pending.set {
                set(&mut self.names, name, value.clone());
            }
            let complaint = judge::judge(pending.send, &outcome, &mut self.names).err();
            if let Some(complaint) = &complaint {
                failed = true;
                self.complain(&pending, complaint);
            }
            self.keep(pending, Some(outcome), complaint);
        }
        if self.sent > COMMAND_LIMIT {
            self.fault(format!("more than {COMMAND_LIMIT} commands"), None);
        }
    }

    /// The transport failed while the batch was on its way: keeps its commands as not answered and ends the run.
    pub fn lost(&mut self, reason: String) {
        for pending in std::mem::take(&mut self.pending) {
            self.keep(pending, None, None);
        }
        self.unanswered();
        self.findings.push(Finding { kind: FindingKind::Bench, reason, line: None });
        self.phase = Phase::Done;
    }

    /// The run took too long: nothing more is sent.
    pub fn out_of_time(&mut self, limit: Duration) {
        let reason = format!("took longer than {} s", limit.as_secs());
        self.findings.push(Finding { kind: FindingKind::Device, reason, line: None });
        self.pending.clear();
        self.phase = Phase::Done;
    }

    /// How it ended so far.
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().map(|finding| finding.kind).next() {
            None => Verdict::Pass,
            Some(FindingKind::Device) => Verdict::Fail,
            Some(FindingKind::Bench) => Verdict::Error,
        }
    }

    /// What went wrong, first things first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many commands were sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// What was sent and came back: the first ones, and all with a complaint.
    pub fn into_exchanges(self) -> Vec<Exchange> {
        self.exchanges
    }

    /// What was done with the function: the first operations, and all with a complaint.
    pub fn take_operations(&mut self) -> Vec<Performed> {
        std::mem::take(&mut self.operations)
    }

    /// What was found out, for the cases after a setup.
    pub fn into_names(self) -> Names {
        Names(self.names)
    }

    /// Whether building this step needs what a pending one brings back.
    fn waits_for_pending(&self, step: &Send) -> bool {
        let mut waits = false;
        build::each_name(step, &mut |name| {
            waits |= self.pending.iter().any(|pending| pending.send.names_later(name));
        });
        waits
    }

    fn keep(&mut self, pending: Pending<'a>, outcome: Option<CommandOutcome>, complaint: Option<String>) {
        if self.exchanges.len() >= EXCHANGE_LIMIT && complaint.is_none() {
            return;
        }
        let Pending { send, sent, .. } = pending;
        self.exchanges.push(Exchange {
            title: send.title.clone(),
            line: send.line,
            sent,
            outcome: outcome.map(Came::from),
            complaint,
        });
    }

    fn complain(&mut self, pending: &Pending<'_>, complaint: &str) {
        self.blame(pending.phase, &pending.send.title, pending.send.line, complaint);
    }

    /// A wrong answer: the device's fault, but in a case's setup or clean-up the case could not be carried out.
    fn blame(&mut self, phase: Phase, title: &str, line: usize, complaint: &str) {
        let (kind, reason) = match phase {
            Phase::Setup => (FindingKind::Bench, format!("in the setup: {title}: {complaint}")),
            Phase::CleanUp => (FindingKind::Bench, format!("in the clean-up: {title}: {complaint}")),
            Phase::After => (FindingKind::Device, format!("after the case: {title}: {complaint}")),
            Phase::Steps | Phase::Done => (FindingKind::Device, format!("{title}: {complaint}")),
        };
        self.findings.push(Finding { kind, reason, line: Some(line) });
        self.abandon(phase);
    }

    /// The case cannot go on, by no fault of the device.
    fn fault(&mut self, reason: String, line: Option<usize>) {
        self.findings.push(Finding { kind: FindingKind::Bench, reason, line });
        self.abandon(self.phase);
    }

    /// Leaves a part at its first finding; what cleans up is done all the same.
    fn abandon(&mut self, phase: Phase) {
        match phase {
            Phase::Setup | Phase::Steps => self.enter(Phase::CleanUp),
            Phase::CleanUp => self.enter(Phase::After),
            Phase::After | Phase::Done => self.enter(Phase::Done),
        }
    }

    fn phase_after(&self) -> Phase {
        match self.phase {
            Phase::Setup => Phase::Steps,
            Phase::Steps => Phase::CleanUp,
            Phase::CleanUp => Phase::After,
            Phase::After | Phase::Done => Phase::Done,
        }
    }

    fn enter(&mut self, phase: Phase) {
        // Several findings of one batch must not take a run back to a part it has left.
        if phase <= self.phase {
            return;
        }
        self.phase = phase;
        let [_, steps, clean_up, after] = self.parts;
        self.walk = Walk::new(match phase {
            Phase::Steps => steps,
            Phase::CleanUp => clean_up,
            Phase::After => after,
            Phase::Setup | Phase::Done => &[],
        });
    }
}
