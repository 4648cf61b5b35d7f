//! Makes a step's command from the values of its names.

use crate::suite::case::{Content, Data, Send};
use std::sync::Arc;

use crate::suite::expression::{Environment, EvalError, Expression, SEED, Value, set};
use crate::suite::random;
use crate::wire::{BATCH_DATA_LIMIT_BYTES, Command, Direction, HexBytes};

/// Makes the command; the data it sends get their name at once.
pub(super) fn command(send: &Send, names: &mut Environment) -> Result<Command, String> {
    let cdb = send.cdb.build(names).map_err(EvalError::into_reason)?;
    let of_fields = |expression: &Expression, names: &Environment| {
        let value = expression.as_number(&send.cdb.numbers(&cdb, names)).map_err(EvalError::into_reason)?;
        length(value, expression.text())
    };
    let direction = match &send.data {
        Data::None => Direction::None,
        Data::In(size) => match of_fields(size, names)? {
            0 => Direction::None,
            length => Direction::In { length: u32::try_from(length).unwrap_or(u32::MAX) },
        },
        Data::Out { content, length, save } => {
            let length = length.as_ref().map(|length| of_fields(length, names)).transpose()?;
            let data = bytes(content, length, names)?;
            if let Some(name) = save {
                set(names, name, Value::bytes(data.clone()));
            }
            if data.is_empty() { Direction::None } else { Direction::Out { data: HexBytes(data) } }
        }
    };
    Ok(Command { cdb: HexBytes(cdb), direction, timeout_ms: send.timeout_ms })
}

/// The name a step gives to the data it sends.
pub(super) fn name_sent(send: &Send) -> Option<&str> {
    match &send.data {
        Data::Out { save, .. } => save.as_deref(),
        Data::None | Data::In(_) => None,
    }
}

/// The same with the data it has just got.
pub(super) fn data_sent<'a>(send: &'a Send, names: &Environment) -> Option<(&'a str, Value)> {
    let name = name_sent(send)?;
    Some((name, names.get(name)?.clone()))
}

fn length(value: i64, text: &str) -> Result<usize, String> {
    let length = usize::try_from(value).ok().filter(|length| *length <= BATCH_DATA_LIMIT_BYTES);
    length
        .ok_or_else(|| format!("{text} is {value} bytes, and a command moves 0 to {BATCH_DATA_LIMIT_BYTES}"))
}

pub(super) fn bytes(
    content: &Content,
    length: Option<usize>,
    names: &Environment,
) -> Result<Vec<u8>, String> {
    let byte = |expression: &Expression| {
        let value = expression.as_number(names).map_err(EvalError::into_reason)?;
        u8::try_from(value)
            .map_err(|_| format!("{} is {value}, and a byte holds 0 to 255", expression.text()))
    };
    let wanted = length.unwrap_or_default();
    let mut data = match content {
        Content::Bytes(parts) => parts.iter().map(byte).collect::<Result<Vec<_>, _>>()?,
        Content::Text(text) => text.as_bytes().to_vec(),
        Content::Number(value) => {
            value.as_number(names).map_err(EvalError::into_reason)?.to_string().into_bytes()
        }
        Content::Fill(value) => vec![byte(value)?; wanted],
        // Truncation to a byte is what makes it count over and over.
        Content::Counting => (0..wanted).map(|at| (at.wrapping_add(at / 256) & 0xff) as u8).collect(),
        Content::WalkingOnes => (0..wanted).map(|at| 1 << (at % 8)).collect(),
        Content::Random(seed) => {
            let seed = seed.as_number(names).map_err(EvalError::into_reason)?;
            let of_run = match names.get(SEED) {
                Some(Value::Number(of_run)) => *of_run,
                _ => 0,
            };
            random(seed ^ of_run).take(wanted).collect()
        }
        Content::Copy(source, flip) => {
            let Value::Bytes(data) = source.value(names).map_err(EvalError::into_reason)? else {
                return Err(format!("{} is no byte string", source.text()));
            };
            let mut data = Arc::unwrap_or_clone(data);
            if let Some((at, mask)) = flip {
                let at = at.as_number(names).map_err(EvalError::into_reason)?;
                let place = usize::try_from(at).ok().and_then(|at| data.get_mut(at));
                *place.ok_or_else(|| format!("no byte {at} to flip"))? ^= mask;
            }
            data
        }
    };
    data.resize(length.unwrap_or(data.len()), 0);
    Ok(data)
}

fn random(seed: i64) -> impl Iterator<Item = u8> {
    random::words(u64::from_ne_bytes(seed.to_ne_bytes())).flat_map(u64::to_le_bytes)
}

/// Calls `seen` with each name that making the command uses.
pub(super) fn each_name<'a>(send: &'a Send, seen: &mut dyn FnMut(&'a str)) {
    for (_, expression) in &send.cdb.set {
        expression.each_name(seen);
    }
    if let Some(turn) = &send.cdb.turn {
        turn.each_name(seen);
    }
    match &send.data {
        Data::None => {}
        Data::In(size) => size.each_name(seen),
        Data::Out { content, length, .. } => {
            if let Some(length) = length {
                length.each_name(seen);
            }
            match content {
                Content::Bytes(parts) => parts.iter().for_each(|part| part.each_name(seen)),
                Content::Fill(one) | Content::Random(one) | Content::Number(one) => one.each_name(seen),
                Content::Text(_) | Content::Counting | Content::WalkingOnes => {}
                Content::Copy(source, flip) => {
                    source.each_name(seen);
                    if let Some((at, _)) = flip {
                        at.each_name(seen);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fill_their_length_and_differ_from_block_to_block() {
        let names = Environment::new();
        let counting = bytes(&Content::Counting, Some(1024), &names).unwrap();
        assert_ne!(counting[..512], counting[512..]);
        let random = |seed| bytes(&Content::Random(Expression::number(seed)), Some(100), &names).unwrap();
        assert_eq!(random(1), random(1));
        assert_ne!(random(1), random(2));
        assert_eq!(bytes(&Content::WalkingOnes, Some(9), &names).unwrap(), [1, 2, 4, 8, 16, 32, 64, 128, 1]);
    }

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // First output for seed 0, as in the reference implementation (prng.di.unimi.it/splitmix64.c).
        let first: Vec<u8> = random(0).take(8).collect();
        assert_eq!(first, 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }
}
