//! Steps that ask something of the function: made into operations, one at a time, and their outcomes judged.

use super::{CaseRun, EXCHANGE_LIMIT, Phase, build};
use crate::frames;
use crate::suite::ask::{Ask, AskAnswer, What};
use crate::suite::expression::{Environment, EvalError, Value, set};
use crate::wire::{HexBytes, InterruptKind, Nexus, Operation, OperationOutcome};

/// An operation that was done, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    /// What it is called.
    pub title: String,
    /// Line of the step in its file.
    pub line: usize,
    /// The operation with all it was given.
    pub operation: Operation,
    /// `None` if the transport failed first.
    pub outcome: Option<OperationOutcome>,
    /// What was wrong with the outcome.
    pub complaint: Option<String>,
}

/// An operation on its way.
pub(super) struct Asked<'a> {
    ask: &'a Ask,
    phase: Phase,
    operation: Operation,
    /// What the replies must be, where it sends frames.
    ping: Option<frames::Ping>,
}

impl<'a> CaseRun<'a> {
    /// Makes the operation of a step and goes past it; `None` if it cannot be made, which is a finding.
    pub(super) fn begin(&mut self, ask: &'a Ask) -> Option<Operation> {
        let made = make(ask, &self.names);
        match made {
            Ok((operation, ping)) => {
                self.walk.advance();
                self.sent += 1;
                self.asked = Some(Asked { ask, phase: self.phase, operation: operation.clone(), ping });
                Some(operation)
            }
            Err(reason) => {
                self.fault(reason, Some(ask.line));
                None
            }
        }
    }

    /// Takes what came of the operation.
    pub fn performed(&mut self, outcome: OperationOutcome) {
        let Some(asked) = self.asked.take() else { return };
        let complaint = judge(&asked, &outcome, &mut self.names).err();
        if let Some(complaint) = &complaint {
            self.blame(asked.phase, asked.ask.what.name(), asked.ask.line, complaint);
        }
        self.note(asked, Some(outcome), complaint);
        if self.sent > super::COMMAND_LIMIT {
            self.fault(format!("more than {} operations", super::COMMAND_LIMIT), None);
        }
    }

    /// The transport failed while an operation was on its way.
    pub(super) fn unanswered(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.note(asked, None, None);
        }
    }

    fn note(&mut self, asked: Asked<'a>, outcome: Option<OperationOutcome>, complaint: Option<String>) {
        if self.operations.len() >= EXCHANGE_LIMIT && complaint.is_none() {
            return;
        }
        let Asked { ask, operation, .. } = asked;
        self.operations.push(Performed {
            title: ask.what.name().to_owned(),
            line: ask.line,
            operation,
            outcome,
            complaint,
        });
    }
}

/// Values of a question's parameters.
struct Parameters<'a> {
    ask: &'a Ask,
    names: &'a Environment,
}

impl Parameters<'_> {
    fn value(&self, name: &str) -> Result<Value, String> {
        let found = self.ask.with.iter().find(|(own, _)| *own == name);
        let (_, expression) = found.ok_or_else(|| format!("{} has no {name}", self.ask.what.name()))?;
        expression.value(self.names).map_err(EvalError::into_reason)
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T, String> {
        match self.value(name)? {
            Value::Number(value) => {
                T::try_from(value).map_err(|_| format!("{name} is {value}, which is out of range"))
            }
            _ => Err(format!("{name} is no number")),
        }
    }

    fn address(&self, name: &str) -> Result<frames::Mac, String> {
        match self.value(name)? {
            Value::Bytes(bytes) => frames::Mac::read(&bytes)
                .ok_or_else(|| format!("{name} is no hardware address: {}", HexBytes(bytes.to_vec()))),
            _ => Err(format!("{name} is no hardware address")),
        }
    }

    fn content(&self) -> Result<Vec<u8>, String> {
        let content = self.ask.content.as_ref().ok_or("no data")?;
        build::bytes(content, None, self.names)
    }
}

fn make(ask: &Ask, names: &Environment) -> Result<(Operation, Option<frames::Ping>), String> {
    let given = Parameters { ask, names };
    let attribute = || ask.attribute.ok_or_else(|| "no attribute".to_owned());
    let operation = match ask.what {
        What::ConfigRead => {
            Operation::ConfigRead { offset: given.number("offset")?, length: given.number("length")? }
        }
        What::ConfigWrite => {
            Operation::ConfigWrite { offset: given.number("offset")?, data: HexBytes(given.content()?) }
        }
        What::AttributeRead => Operation::AttributeRead { attribute: attribute()? },
        What::AttributeWrite => {
            Operation::AttributeWrite { attribute: attribute()?, text: HexBytes(given.content()?) }
        }
        What::RegionRead => Operation::RegionRead {
            bar: given.number("bar")?,
            offset: given.number("offset")?,
            length: given.number("length")?,
        },
        What::RomRead => Operation::RomRead { length: given.number("length")? },
        What::Unbind => Operation::Unbind,
        What::Bind => Operation::Bind,
        What::IntxCount => Operation::Interrupts { kind: InterruptKind::Intx },
        What::MessageCount => Operation::Interrupts { kind: InterruptKind::Message },
        What::Vectors => Operation::Vectors,
        What::Work => {
            // Where a SCSI adapter's device is, the session knows.
            let nexus = Nexus { channel: None, id: None, lun: None };
            Operation::Work { rounds: given.number("rounds")?, nexus }
        }
        What::Pause => Operation::Pause { ms: given.number("ms")? },
        What::Arp => Operation::Frames(frames::arp(
            given.address("from")?,
            given.number("own")?,
            given.number("peer")?,
            given.number("within")?,
        )),
        What::Ping => {
            let ping = frames::Ping {
                from: given.address("from")?,
                to: given.address("to")?,
                own: given.number("own")?,
                peer: given.number("peer")?,
                size: given.number("size")?,
                count: given.number("count")?,
                within_ms: given.number("within")?,
            };
            return Ok((Operation::Frames(ping.exchange()?), Some(ping)));
        }
    };
    Ok((operation, None))
}

/// Judges one outcome; what it brings gets its names.
fn judge(asked: &Asked<'_>, outcome: &OperationOutcome, names: &mut Environment) -> Result<(), String> {
    let ask = asked.ask;
    let (data, result, elapsed_us) = match outcome {
        // What cannot be done, and need not be, brings nothing; that it brings nothing is known.
        OperationOutcome::Failed { .. } if ask.answers.iter().any(|answer| answer.fails) => {
            return names_of(ask, (Vec::new(), 0, 0), names);
        }
        OperationOutcome::Failed { reason } => return Err(reason.clone()),
        OperationOutcome::Done { data, result, frames, elapsed_us } => {
            let (data, result) = match (ask.what, &asked.ping) {
                (_, Some(ping)) => ping.judge(frames),
                (What::Arp, None) => (frames.first().map(frames::arp_sender).unwrap_or_default(), *result),
                _ => (data.0.clone(), *result),
            };
            (data, i64::try_from(result).unwrap_or(i64::MAX), *elapsed_us)
        }
    };
    name_answer((data.clone(), result, elapsed_us), names);
    let complaints: Vec<_> =
        ask.answers.iter().map_while(|answer| fits(answer, elapsed_us, names).err()).collect();
    if complaints.len() == ask.answers.len() {
        return Err(complaints.join("; nor is it the other answer allowed: "));
    }
    names_of(ask, (data, result, elapsed_us), names)
}

/// What an answer brings, for its own checks.
fn name_answer((data, result, elapsed_us): (Vec<u8>, i64, u64), names: &mut Environment) {
    let elapsed = i64::try_from(elapsed_us).unwrap_or(i64::MAX);
    let answer_names = [
        ("data", Value::bytes(data)),
        ("result", Value::Number(result)),
        ("elapsed_us", Value::Number(elapsed)),
    ];
    answer_names.into_iter().for_each(|(name, value)| set(names, name, value));
}

/// What an answer brings, for the steps after it.
fn names_of(ask: &Ask, brought: (Vec<u8>, i64, u64), names: &mut Environment) -> Result<(), String> {
    if let Some(name) = &ask.save {
        set(names, name, Value::bytes(brought.0.clone()));
    }
    name_answer(brought, names);
    for (name, expression) in &ask.lets {
        let value = expression.as_number(names).map_err(EvalError::into_reason)?;
        set(names, name, Value::Number(value));
    }
    Ok(())
}

fn fits(answer: &AskAnswer, elapsed_us: u64, names: &Environment) -> Result<(), String> {
    if answer.fails {
        return Err("it can be done, and should not".to_owned());
    }
    for check in &answer.checks {
        check.holds(names).map_err(EvalError::into_reason)?;
    }
    match answer.within_ms {
        Some(limit) if elapsed_us / 1000 > u64::from(limit) => {
            Err(format!("took {} ms, {limit} ms allowed", elapsed_us / 1000))
        }
        _ => Ok(()),
    }
}
