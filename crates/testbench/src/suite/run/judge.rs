//! Compares what came back with what may come back.

use crate::scsi::{SenseCode, Status, host_status_name, sense_key_name};
use crate::suite::case::{Answer, Send};
use crate::suite::expression::{Environment, EvalError, Value, set};
use crate::wire::{CommandOutcome, Completion};

/// Judges one answer; what it brings gets its names.
pub(super) fn judge(send: &Send, outcome: &CommandOutcome, names: &mut Environment) -> Result<(), String> {
    let completion = match outcome {
        CommandOutcome::NotSent { error } => return Err(format!("the guest could not send it: {error}")),
        CommandOutcome::Completed(completion) if !completion.reached_device() => {
            let code = completion.host_status;
            return Err(format!("no device answered: {} ({code:#04x})", host_status_name(code)));
        }
        CommandOutcome::Completed(completion) => completion,
    };
    let data = Value::bytes(completion.data.0.clone());
    if let Some(name) = &send.save {
        set(names, name, data.clone());
    }
    let elapsed = i64::try_from(completion.elapsed_us).unwrap_or(i64::MAX);
    let answer_names = [
        ("data", data),
        ("sense", Value::bytes(completion.sense.0.clone())),
        ("residual", Value::Number(completion.residual.into())),
        ("elapsed_us", Value::Number(elapsed)),
    ];
    answer_names.into_iter().for_each(|(name, value)| set(names, name, value));
    let complaints: Vec<_> =
        send.answers.iter().map_while(|answer| fits(answer, completion, names).err()).collect();
    if complaints.len() == send.answers.len() {
        return Err(complaints.join("; nor is it the other answer allowed: "));
    }
    for (name, expression) in &send.lets {
        let value = expression.value(names).map_err(EvalError::into_reason)?;
        set(names, name, value);
    }
    Ok(())
}

/// Whether the answer is this one.
fn fits(answer: &Answer, completion: &Completion, names: &Environment) -> Result<(), String> {
    let status = Status(completion.status);
    let sense = SenseCode::from_sense(&completion.sense.0);
    if status != answer.status || (answer.sense.is_some() && sense != answer.sense) {
        return Err(format!("{} expected, got {}", wanted(answer), got(status, sense, completion)));
    }
    for check in &answer.checks {
        check.holds(names).map_err(EvalError::into_reason)?;
    }
    if let Some(limit) = answer.within
        && u128::from(completion.elapsed_us) > limit.as_micros()
    {
        return Err(format!("took {} ms, {} ms allowed", completion.elapsed_us / 1000, limit.as_millis()));
    }
    Ok(())
}

fn wanted(answer: &Answer) -> String {
    match answer.sense {
        Some(sense) => format!("{} with {}", answer.status, described(sense)),
        None => answer.status.to_string(),
    }
}

fn got(status: Status, sense: Option<SenseCode>, completion: &Completion) -> String {
    match sense {
        Some(sense) => format!("{status} with {}", described(sense)),
        None if completion.sense.0.is_empty() && status != Status::CHECK_CONDITION => status.to_string(),
        None if completion.sense.0.is_empty() => format!("{status} without sense"),
        None => format!("{status} with sense of an unknown format ({})", completion.sense),
    }
}

fn described(sense: SenseCode) -> String {
    format!("{sense} {}", sense_key_name(sense.key))
}
