//! Goes through steps and their repeats, one command at a time.

use crate::suite::ask::Ask;
use crate::suite::case::{Send, Step, Values};
use crate::suite::expression::{Environment, Value, set};
use crate::transport::Event;

/// Values one repeat may take.
const VALUE_LIMIT: i64 = 65_536;

struct Frame<'a> {
    steps: &'a [Step],
    next: usize,
    /// The repeat these steps belong to: its name, its value now, and those to come in reverse.
    repeat: Option<(&'a str, i64, Vec<i64>)>,
}

/// What comes next.
#[derive(Clone, Copy)]
pub(super) enum Next<'a> {
    Send(&'a Send),
    Ask(&'a Ask),
    Event(Event),
}

/// A place among steps.
pub(super) struct Walk<'a> {
    frames: Vec<Frame<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(steps: &'a [Step]) -> Self {
        Self { frames: vec![Frame { steps, next: 0, repeat: None }] }
    }

    /// The next command or event without going past it; the names of repeats get their values. `None` at the end.
    /// `is_pending` says of a name whether an answer still to come gives it a value: a repeat over that one has to wait,
    /// also where the name has a value from before.
    pub(super) fn peek(
        &mut self,
        names: &mut Environment,
        is_pending: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Next<'a>>, String> {
        // Judging what was sent before has given the repeats' names older values; repeats within may be over these, too.
        self.name_repeats(names);
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            match frame.steps.get(frame.next) {
                Some(Step::Send(send)) => return Ok(Some(Next::Send(send))),
                Some(Step::Ask(ask)) => return Ok(Some(Next::Ask(ask))),
                Some(Step::Event(event)) => return Ok(Some(Next::Event(*event))),
                Some(Step::Repeat(repeat)) => {
                    if let Some(name) = first_name(&repeat.values, is_pending) {
                        return Err(format!("{name}: not known yet"));
                    }
                    let mut values = values(&repeat.values, names)?;
                    frame.next += 1;
                    values.reverse();
                    if let Some(first) = values.pop() {
                        set(names, &repeat.name, Value::Number(first));
                        let repeat_state = Some((repeat.name.as_str(), first, values));
                        self.frames.push(Frame { steps: &repeat.steps, next: 0, repeat: repeat_state });
                    }
                }
                None => {
                    match frame.repeat.as_mut().and_then(|(name, now, left)| Some((name, now, left.pop()?))) {
                        Some((name, now, value)) => {
                            *now = value;
                            set(names, name, Value::Number(value));
                            frame.next = 0;
                        }
                        None => drop(self.frames.pop()),
                    }
                }
            }
        }
    }

    fn name_repeats(&self, names: &mut Environment) {
        for (name, now, _) in self.frames.iter().filter_map(|frame| frame.repeat.as_ref()) {
            set(names, name, Value::Number(*now));
        }
    }

    /// Goes past it and gives the values of the repeats it stands in.
    pub(super) fn advance(&mut self) -> Vec<(&'a str, i64)> {
        if let Some(frame) = self.frames.last_mut() {
            frame.next += 1;
        }
        self.frames
            .iter()
            .filter_map(|frame| frame.repeat.as_ref().map(|(name, now, _)| (*name, *now)))
            .collect()
    }
}

/// The first of the names that the values need and that is wanted.
fn first_name<'v>(values: &'v Values, is_wanted: &dyn Fn(&str) -> bool) -> Option<&'v str> {
    let mut found = None;
    let mut look = |name: &'v str| found = found.or_else(|| is_wanted(name).then_some(name));
    match values {
        Values::List(list) => list.iter().for_each(|value| value.each_name(&mut look)),
        Values::Range(from, to) => [from, to].into_iter().for_each(|end| end.each_name(&mut look)),
        Values::Bytes(bytes) => bytes.each_name(&mut look),
    }
    found
}

fn values(values: &Values, names: &Environment) -> Result<Vec<i64>, String> {
    let number = |expression: &crate::suite::expression::Expression| {
        expression.as_number(names).map_err(crate::suite::expression::EvalError::into_reason)
    };
    match values {
        Values::List(list) => list.iter().map(number).collect(),
        Values::Range(from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            match to.checked_sub(from) {
                Some(count) if count < VALUE_LIMIT => Ok((from..=to).collect()),
                _ => Err(format!("a repeat from {from} to {to} is too long")),
            }
        }
        Values::Bytes(bytes) => match bytes.value(names) {
            Ok(Value::Bytes(bytes)) => Ok(bytes.iter().copied().map(i64::from).collect()),
            Ok(_) => Err(format!("{} is no byte string", bytes.text())),
            Err(error) => Err(error.into_reason()),
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::source::Source;
    use crate::suite::Suite;
    use crate::suite::run::{Batch, CaseRun, Names, Verdict};
    use crate::wire::{CommandOutcome, Completion, HexBytes};

    const SUITE: &str = "title = 'T'\nstandard = 'S'\ncase-limit-seconds = 1\ncommand-timeout-ms = 1\n";

    const GOOD: Completion = Completion {
        status: 0,
        sense: HexBytes(Vec::new()),
        data: HexBytes(Vec::new()),
        residual: 0,
        host_status: 0,
        driver_status: 0,
        elapsed_us: 1,
    };

    /// How many commands a case sends whose `step` this is, to a device that has nothing to say.
    fn sent(step: &str) -> usize {
        let commands = Source { file: "commands.toml", text: "" };
        let head = "title = 'T'\nwhy = 'W'\nclause = '1'\nclause-checked = false\nharm = 'no'\n";
        let case = format!("{head}{step}\n");
        let suite = Source { file: "suite.toml", text: SUITE };
        let cases = [("x", Source { file: "x.toml", text: &case })];
        let suite = Suite::read("s", suite, commands, cases.into_iter()).unwrap();
        let mut run = CaseRun::new(&suite, &suite.cases()[0], &Names::default());
        while let Some(batch) = run.next_batch() {
            if let Batch::Commands(_, commands) = batch {
                run.answer(commands.iter().map(|_| CommandOutcome::Completed(GOOD)).collect());
            }
        }
        assert_eq!(run.verdict(), Verdict::Pass, "{:?}", run.findings());
        run.sent()
    }

    #[test]
    fn a_repeat_over_the_name_of_the_one_around_it_has_the_value_of_now() {
        let inner = "{ repeat = { name = 'j', from = 1, to = 'i' }, step = [{ cdb = '00 00 00 00 00 00' }] }";
        for first in ["", "{ event = 'bus-reset' },", "{ cdb = '00 00 00 00 00 00' },"] {
            let others = if first.contains("cdb") { 3 } else { 0 };
            let step = format!(
                "step = [{{ repeat = {{ name = 'i', from = 1, to = 3 }}, step = [{first} {inner}] }}]"
            );
            assert_eq!(sent(&step), 6 + others, "{step}");
        }
    }
}
