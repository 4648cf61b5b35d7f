//! Computes expressions. What cannot be computed is an error with the part of the text it is in, never a panic.

use std::sync::Arc;

use slotwise_core::pci::Space;

use super::{Expression, Function, Lookup, Node, Operator, SEED, Term, Value, function, pci};

/// Why an expression does not hold, or gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EvalError {
    /// It is false; both sides are told.
    False(String),
    /// It cannot be computed: an answer was too short, a number out of range.
    Impossible(String),
}

impl EvalError {
    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::False(reason) | Self::Impossible(reason) => reason,
        }
    }
}

struct Evaluator<'a> {
    text: &'a str,
    names: &'a dyn Lookup,
}

type Evaluated = Result<Value, EvalError>;

impl Expression {
    pub(crate) fn value(&self, names: &dyn Lookup) -> Evaluated {
        Evaluator { text: &self.text, names }.value(&self.root)
    }

    pub(crate) fn as_number(&self, names: &dyn Lookup) -> Result<i64, EvalError> {
        Evaluator { text: &self.text, names }.number(&self.root)
    }

    /// Whether it is true; if not, why.
    pub(crate) fn holds(&self, names: &dyn Lookup) -> Result<(), EvalError> {
        let evaluator = Evaluator { text: &self.text, names };
        if evaluator.truth(&self.root)? {
            Ok(())
        } else {
            Err(EvalError::False(evaluator.explain(&self.root)))
        }
    }
}

impl Evaluator<'_> {
    fn shown(&self, node: &Node) -> &str {
        self.text.get(node.span.clone()).unwrap_or_default()
    }

    fn impossible(&self, node: &Node, why: &str) -> EvalError {
        EvalError::Impossible(format!("{}: {why}", self.shown(node)))
    }

    fn value(&self, node: &Node) -> Evaluated {
        match &node.term {
            Term::Number(value) => Ok(Value::Number(*value)),
            Term::Text(text) => Ok(Value::bytes(text.as_bytes().to_vec())),
            Term::Name(name) => {
                self.names.value_of(name).ok_or_else(|| self.impossible(node, "not known yet"))
            }
            Term::Index(bytes, at) => {
                let bytes = self.bytes(bytes)?;
                let at = usize::try_from(self.number(at)?).ok();
                let byte = at.and_then(|at| bytes.get(at)).ok_or_else(|| self.too_short(node, &bytes))?;
                Ok(Value::Number(i64::from(*byte)))
            }
            Term::Slice(bytes, start, end) => {
                let bytes = self.bytes(bytes)?;
                let (start, end) = (self.number(start)?, self.number(end)?);
                let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                let part = range.and_then(|(start, end)| bytes.get(start..end));
                Ok(Value::bytes(part.ok_or_else(|| self.too_short(node, &bytes))?.to_vec()))
            }
            Term::Call(function, arguments) => self.call(node, *function, arguments),
            Term::Binary(operator, left, right) => self.binary(node, *operator, left, right),
        }
    }

    fn too_short(&self, node: &Node, bytes: &[u8]) -> EvalError {
        self.impossible(node, &format!("only {} bytes are there", bytes.len()))
    }

    // The parser has checked the kinds, so the other kinds never come; if one did, it would be told, not panicked over.
    fn number(&self, node: &Node) -> Result<i64, EvalError> {
        match self.value(node)? {
            Value::Number(number) => Ok(number),
            _ => Err(self.impossible(node, "not a number")),
        }
    }

    fn bytes(&self, node: &Node) -> Result<Arc<Vec<u8>>, EvalError> {
        match self.value(node)? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.impossible(node, "not bytes")),
        }
    }

    fn truth(&self, node: &Node) -> Result<bool, EvalError> {
        match self.value(node)? {
            Value::Truth(truth) => Ok(truth),
            _ => Err(self.impossible(node, "not a truth value")),
        }
    }

    fn call(&self, node: &Node, function: Function, arguments: &[Node]) -> Evaluated {
        let argument = |at: usize| arguments.get(at).ok_or_else(|| self.impossible(node, "too few values"));
        let part = |width: usize| {
            let bytes = self.bytes(argument(0)?)?;
            let at = usize::try_from(self.number(argument(1)?)?).ok();
            let part = at.and_then(|at| bytes.get(at..at.checked_add(width)?));
            part.map(<[u8]>::to_vec).ok_or_else(|| self.too_short(node, &bytes))
        };
        let push = |value: i64, byte: &u8| value << 8 | i64::from(*byte);
        let big_endian = |width: usize| Ok(Value::Number(part(width)?.iter().fold(0, push)));
        let little_endian = |width: usize| Ok(Value::Number(part(width)?.iter().rev().fold(0, push)));
        Ok(match function {
            Function::Len => {
                Value::Number(i64::try_from(self.bytes(argument(0)?)?.len()).unwrap_or(i64::MAX))
            }
            Function::Be16 => big_endian(2)?,
            Function::Be24 => big_endian(3)?,
            Function::Be32 => big_endian(4)?,
            Function::Min => Value::Number(self.number(argument(0)?)?.min(self.number(argument(1)?)?)),
            Function::Max => Value::Number(self.number(argument(0)?)?.max(self.number(argument(1)?)?)),
            Function::NonZero => match self.number(argument(0)?)? {
                0 => Value::Number(self.number(argument(1)?)?),
                other => Value::Number(other),
            },
            Function::Ascii => {
                Value::Truth(self.bytes(argument(0)?)?.iter().all(|byte| (0x20..=0x7e).contains(byte)))
            }
            Function::Zero => Value::Truth(self.bytes(argument(0)?)?.iter().all(|byte| *byte == 0)),
            Function::Le16 => little_endian(2)?,
            Function::Le32 => little_endian(4)?,
            Function::Ones => {
                let ones = self.bytes(argument(0)?)?.iter().filter(|byte| **byte == 0xff).count();
                Value::Number(i64::try_from(ones).unwrap_or(i64::MAX))
            }
            Function::Word => {
                let (text, word) = (self.bytes(argument(0)?)?, self.bytes(argument(1)?)?);
                Value::Truth(text.split(u8::is_ascii_whitespace).any(|own| own == word.as_slice()))
            }
            Function::Capability | Function::Extended => {
                let space = if function == Function::Capability { Space::Standard } else { Space::Extended };
                Value::Number(pci::capability(&self.bytes(argument(0)?)?, space, self.number(argument(1)?)?))
            }
            Function::Chains => Value::Truth(pci::chains(&self.bytes(argument(0)?)?)),
            Function::Bars => Value::bytes(pci::bars(&self.bytes(argument(0)?)?)),
            Function::Agree => Value::Truth(function::agree(
                &self.bytes(argument(0)?)?,
                &self.bytes(argument(1)?)?,
                &self.bytes(argument(2)?)?,
            )),
            Function::Contains => {
                Value::Truth(function::contains(&self.bytes(argument(0)?)?, &self.bytes(argument(1)?)?))
            }
            Function::Xor => Value::Number(self.number(argument(0)?)? ^ self.number(argument(1)?)?),
            Function::Pow2 | Function::Random | Function::Set | Function::Patched | Function::Tagged => {
                return self.made(node, function, arguments);
            }
            Function::Prefix => {
                Value::Truth(self.bytes(argument(1)?)?.starts_with(self.bytes(argument(0)?)?.as_slice()))
            }
        })
    }

    /// Numbers and bytes that are made from others, where that can be.
    fn made(&self, node: &Node, function: Function, arguments: &[Node]) -> Evaluated {
        let argument = |at: usize| arguments.get(at).ok_or_else(|| self.impossible(node, "too few values"));
        let number = |at: usize| self.number(argument(at)?);
        let value = match function {
            Function::Pow2 => {
                let power = u32::try_from(number(0)?).ok();
                power.and_then(|power| 1_i64.checked_shl(power).filter(|_| power < 63)).map(Value::Number)
            }
            Function::Random => {
                let of_run = match self.names.value_of(SEED) {
                    Some(Value::Number(of_run)) => of_run,
                    _ => 0,
                };
                function::below(number(0)? ^ of_run, number(1)?).map(Value::Number)
            }
            Function::Set => {
                let byte = u8::try_from(number(2)?).ok();
                let bytes = self.bytes(argument(0)?)?;
                let at = number(1)?;
                byte.and_then(|byte| function::patched(Arc::unwrap_or_clone(bytes), at, &[byte]))
                    .map(Value::bytes)
            }
            Function::Patched => {
                let (bytes, at) = (self.bytes(argument(0)?)?, number(1)?);
                function::patched(Arc::unwrap_or_clone(bytes), at, &self.bytes(argument(2)?)?)
                    .map(Value::bytes)
            }
            _ => function::tagged(number(0)?, number(1)?, number(2)?, number(3)?).map(Value::bytes),
        };
        value.ok_or_else(|| self.impossible(node, "out of range"))
    }

    fn binary(&self, node: &Node, operator: Operator, left: &Node, right: &Node) -> Evaluated {
        let numbers = || Ok::<_, EvalError>((self.number(left)?, self.number(right)?));
        let computed = |value: Option<i64>| {
            value.map(Value::Number).ok_or_else(|| self.impossible(node, "out of range"))
        };
        Ok(match operator {
            // The right side is looked at only where it matters, so that `len(data) > 4 and data[4] == 0` works.
            Operator::Or => Value::Truth(self.truth(left)? || self.truth(right)?),
            Operator::And => Value::Truth(self.truth(left)? && self.truth(right)?),
            Operator::Equal => Value::Truth(self.value(left)? == self.value(right)?),
            Operator::NotEqual => Value::Truth(self.value(left)? != self.value(right)?),
            Operator::Less => numbers().map(|(left, right)| Value::Truth(left < right))?,
            Operator::LessOrEqual => numbers().map(|(left, right)| Value::Truth(left <= right))?,
            Operator::Greater => numbers().map(|(left, right)| Value::Truth(left > right))?,
            Operator::GreaterOrEqual => numbers().map(|(left, right)| Value::Truth(left >= right))?,
            Operator::BitOr => numbers().map(|(left, right)| Value::Number(left | right))?,
            Operator::BitAnd => numbers().map(|(left, right)| Value::Number(left & right))?,
            Operator::Add => numbers().and_then(|(left, right)| computed(left.checked_add(right)))?,
            Operator::Subtract => numbers().and_then(|(left, right)| computed(left.checked_sub(right)))?,
            Operator::Multiply => numbers().and_then(|(left, right)| computed(left.checked_mul(right)))?,
            Operator::Divide => numbers().and_then(|(left, right)| computed(left.checked_div(right)))?,
            Operator::Remainder => numbers().and_then(|(left, right)| computed(left.checked_rem(right)))?,
        })
    }

    /// Why something is false: the first part of an `and` that is, with both sides of a comparison.
    fn explain(&self, node: &Node) -> String {
        match &node.term {
            Term::Binary(Operator::And, left, right) => {
                let left_fails = matches!(self.truth(left), Ok(false));
                self.explain(if left_fails { left } else { right })
            }
            Term::Binary(operator, left, right) if !matches!(operator, Operator::Or) => {
                let (one, other) = (self.value(left), self.value(right));
                let sides = match (&one, &other) {
                    (Ok(Value::Bytes(one)), Ok(Value::Bytes(other))) => difference(one, other),
                    _ => format!("left is {}, right is {}", told(&one), told(&other)),
                };
                format!("{}: {sides}", self.shown(node))
            }
            _ => format!("{} does not hold", self.shown(node)),
        }
    }
}

fn told(value: &Evaluated) -> String {
    match value {
        Ok(Value::Number(number)) => format!("{number} ({number:02X}h)"),
        Ok(Value::Bytes(bytes)) => format!("{} bytes", bytes.len()),
        Ok(Value::Truth(truth)) => truth.to_string(),
        Err(error) => format!("impossible ({})", error.clone().into_reason()),
    }
}

/// Where two byte strings differ first.
fn difference(one: &[u8], other: &[u8]) -> String {
    match one.iter().zip(other).position(|(left, right)| left != right) {
        Some(at) => {
            let byte = |bytes: &[u8]| bytes.get(at).copied().unwrap_or_default();
            format!("byte {at} is {:02X}h on the left, {:02X}h on the right", byte(one), byte(other))
        }
        None => format!("left has {} bytes, right has {}", one.len(), other.len()),
    }
}
