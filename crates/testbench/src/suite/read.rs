//! From files to suites: every name, kind, field and size is checked here, before anything boots.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_spanned::Spanned;

use super::ask::ASK_NAMES;
use super::case::{Answer, Case, Content, Data, Harm, Reading, Repeat, Send, Step, Values};
use super::command::{CdbTemplate, CommandDefinition, Field, Length};
use super::expression::{Expression, Kind, Scope};
use super::{observe, wire};
use crate::capability::{Capabilities, Capability};
use crate::scsi::{SenseCode, Status};
use crate::source::{FileError, Source};
use crate::transport::{Event, Initiator, Route, SenseFetch};

pub(super) type Commands = BTreeMap<String, CommandDefinition>;

/// Repeats inside repeats inside repeats, and no more.
const REPEAT_DEPTH_LIMIT: usize = 3;
/// A command may take this long at most.
const TIMEOUT_LIMIT_MS: u32 = 3_600_000;

/// Reads one file, with the names known so far.
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) commands: &'a Commands,
    pub(super) scope: Scope,
    pub(super) timeout_ms: u32,
    /// The command that `send = "each"` means.
    pub(super) each: Option<Spanned<String>>,
}

/// How a step chooses its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    ByName,
    /// It is the one of the `each` around it.
    ByEach,
}

/// The place of one byte string's first byte in a file: behind its opening quote.
fn inside(text: &Spanned<String>) -> usize {
    let span = text.span();
    // A quoted text is longer in the file than its content.
    if span.len() > text.get_ref().len() { span.start + 1 } else { span.start }
}

pub(super) fn commands(source: Source<'_>, suite_names: &Scope) -> Result<Commands, FileError> {
    let file: wire::CommandsFile = source.read()?;
    let mut commands = Commands::new();
    for (name, raw) in file {
        let cdb = plain_bytes(&source, &raw.cdb)?;
        if !matches!(cdb.len(), 6 | 10 | 12) {
            let message = format!("a command descriptor block has 6, 10 or 12 bytes, not {}", cdb.len());
            return Err(source.error(&raw.cdb.span(), message));
        }
        let mut fields = BTreeMap::new();
        let mut scope = suite_names.clone();
        for (name, field) in &raw.field {
            let wire::Field { byte, msb, width } = *field.get_ref();
            let field = Field::new(byte, msb, width, cdb.len()).ok_or_else(|| {
                source.error(
                    &field.span(),
                    format!("field `{name}` does not fit in a block of {} bytes", cdb.len()),
                )
            })?;
            fields.insert(name.clone(), field);
            scope.insert(name.clone(), Kind::Number);
        }
        fields.insert("lun".to_owned(), Field::LUN);
        let reserved = raw.reserved.as_ref().map(|text| reserved(&source, text, cdb.len())).transpose()?;
        let size = |text: &Spanned<String>| expression(&source, text, &scope, Kind::Number);
        let length = match (&raw.data_in, &raw.data_out) {
            (None, None) => Length::None,
            (Some(text), None) => Length::In(size(text)?),
            (None, Some(text)) => Length::Out(size(text)?),
            (Some(_), Some(text)) => {
                return Err(source.error(&text.span(), "a command has data in or data out, not both"));
            }
        };
        commands.insert(
            name,
            CommandDefinition {
                title: raw.title,
                cdb,
                fields,
                reserved: reserved.unwrap_or_default(),
                length,
            },
        );
    }
    Ok(commands)
}

/// The bits of a mask as long as the block, counted from bit 0 of byte 0.
fn reserved(source: &Source<'_>, text: &Spanned<String>, length: usize) -> Result<Vec<i64>, FileError> {
    let mask = plain_bytes(source, text)?;
    if mask.len() != length {
        return Err(source.error(&text.span(), format!("the block has {length} bytes, this {}", mask.len())));
    }
    let bits = (0_i64..).zip(mask.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)));
    Ok(bits.filter(|(_, is_reserved)| *is_reserved).map(|(bit, _)| bit).collect())
}

fn plain_bytes(source: &Source<'_>, text: &Spanned<String>) -> Result<Vec<u8>, FileError> {
    let byte = |word: &str| u8::from_str_radix(word, 16).ok().filter(|_| word.len() == 2);
    text.get_ref().split_whitespace().map(byte).collect::<Option<_>>().ok_or_else(|| {
        source.error_with_hint(
            &text.span(),
            "these are no bytes",
            "two hexadecimal digits each, as in \"12 00 ff\"",
        )
    })
}

fn expression(
    source: &Source<'_>,
    text: &Spanned<String>,
    scope: &Scope,
    kind: Kind,
) -> Result<Expression, FileError> {
    Expression::parse(text.get_ref(), scope, kind).map_err(|error| {
        let at = inside(text) + error.at;
        FileError { hint: error.hint, ..source.error(&(at..at), error.message) }
    })
}

impl Reader<'_> {
    pub(super) fn expression(&self, text: &Spanned<String>, kind: Kind) -> Result<Expression, FileError> {
        expression(&self.source, text, &self.scope, kind)
    }

    /// An expression that gives a number or bytes.
    fn computed(&self, text: &Spanned<String>) -> Result<Expression, FileError> {
        let number = self.expression(text, Kind::Number);
        number.or_else(|error| self.expression(text, Kind::Bytes).map_err(|_| error))
    }

    fn scalar(&self, scalar: &Spanned<wire::Scalar>) -> Result<Expression, FileError> {
        match scalar.get_ref() {
            wire::Scalar::Number(number) => Ok(Expression::number(*number)),
            wire::Scalar::Text(text) => {
                self.expression(&Spanned::new(scalar.span(), text.clone()), Kind::Number)
            }
        }
    }

    pub(super) fn name(&mut self, name: &Spanned<String>, kind: Kind) -> Result<String, FileError> {
        let text = name.get_ref();
        let fits = text.starts_with(|letter: char| letter.is_ascii_lowercase())
            && text
                .bytes()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
        if !fits || ANSWER_NAMES.iter().chain(&ASK_NAMES).any(|(own, _)| own == text) {
            let hint = "small letters, digits and `_`, but not data, sense, residual, result, elapsed_us";
            return Err(self.source.error_with_hint(
                &name.span(),
                format!("`{text}` cannot be a name"),
                hint,
            ));
        }
        self.scope.insert(text.clone(), kind);
        Ok(text.clone())
    }

    pub(super) fn case(mut self, id: &str) -> Result<Case, FileError> {
        let raw: wire::CaseFile = self.source.read()?;
        let harm = Harm::ALL.into_iter().find(|harm| harm.name() == raw.harm.get_ref()).ok_or_else(|| {
            let message = format!("no harm `{}`", raw.harm.get_ref());
            let hint = "no; data (writes blocks); conf (changes stored settings); all (the whole medium)";
            self.source.error_with_hint(&raw.harm.span(), message, hint)
        })?;
        let mut needs: Capabilities =
            raw.needs.iter().map(|name| Capability::read(name, &self.source)).collect::<Result<_, _>>()?;
        let observation = observe::read(&self.source, &raw)?;
        let when = raw.when.as_ref().map(|text| self.expression(text, Kind::Truth)).transpose()?;
        let setup = self.steps(raw.setup, 0)?;
        let steps = match raw.step {
            None => Vec::new(),
            Some(steps) => {
                let span = steps.span();
                let steps = self.steps(steps.into_inner(), 0)?;
                if steps.is_empty() {
                    return Err(self.source.error(&span, "a case has at least one step"));
                }
                steps
            }
        };
        let clean_up = self.steps(raw.clean_up, 0)?;
        match &observation {
            Some(observation) => needs.insert(observation.needs()),
            None => [&setup, &steps, &clean_up].into_iter().flatten().for_each(|step| step.needs(&mut needs)),
        }
        Ok(Case {
            id: id.to_owned(),
            title: raw.title,
            why: raw.why,
            clause: raw.clause,
            clause_checked: raw.clause_checked,
            reading: if raw.strict { Reading::Strict } else { Reading::Plain },
            harm,
            needs,
            when,
            lacks: raw.lacks,
            setup,
            steps,
            clean_up,
            observation,
        })
    }

    pub(super) fn steps(&mut self, raw: Vec<wire::Step>, depth: usize) -> Result<Vec<Step>, FileError> {
        let mut steps = Vec::new();
        for mut step in raw {
            match step.each.take() {
                Some(each) => steps.extend(self.each(&step, each, depth)?),
                None => steps.push(self.step(step, depth)?),
            }
        }
        Ok(steps)
    }

    /// The steps within, once for each command.
    fn each(
        &mut self,
        raw: &wire::Step,
        each: Spanned<Vec<Spanned<String>>>,
        depth: usize,
    ) -> Result<Vec<Step>, FileError> {
        let alone = raw.send.is_none() && raw.cdb.is_none() && raw.repeat.is_none() && raw.event.is_none();
        if !alone || raw.step.is_empty() || self.each.is_some() {
            let message = "a step with `each` has steps within and nothing else, and no other `each`";
            return Err(self.source.error(&each.span(), message));
        }
        let mut steps = Vec::new();
        for name in each.into_inner() {
            self.each = Some(name);
            steps.extend(self.steps(raw.step.clone(), depth)?);
        }
        self.each = None;
        Ok(steps)
    }

    /// A command's name as a step gives it, and whether it stands for those of an `each`.
    fn meant<'n>(&'n self, name: &'n Spanned<String>) -> (&'n Spanned<String>, Chosen) {
        match &self.each {
            Some(each) if name.get_ref() == "each" => (each, Chosen::ByEach),
            _ => (name, Chosen::ByName),
        }
    }

    fn step(&mut self, raw: wire::Step, depth: usize) -> Result<Step, FileError> {
        if let Some(name) = &raw.ask {
            return Ok(Step::Ask(Box::new(self.ask(name, &raw)?)));
        }
        if let Some(text) = &raw.attribute {
            return Err(self.source.error(&text.span(), "`attribute` goes with `ask`"));
        }
        if let Some(name) = &raw.event {
            return event(
                &self.source,
                name,
                raw.send.is_none() && raw.cdb.is_none() && raw.repeat.is_none(),
            );
        }
        match (&raw.send, &raw.cdb, &raw.repeat) {
            (Some(_), None, None) | (None, Some(_), None) if raw.step.is_empty() => {
                Ok(Step::Send(Box::new(self.send(&raw)?)))
            }
            (None, None, Some(_)) if depth < REPEAT_DEPTH_LIMIT => self.repeat(raw, depth),
            (None, None, Some(repeat)) => {
                let message = format!("repeats are nested {REPEAT_DEPTH_LIMIT} deep at most");
                Err(self.source.error(&repeat.span(), message))
            }
            (send, cdb, repeat) => {
                let spans = [send.as_ref().map(Spanned::span), cdb.as_ref().map(Spanned::span)];
                let span = spans.into_iter().flatten().next().or_else(|| repeat.as_ref().map(Spanned::span));
                let message =
                    "a step has exactly one of `send`, `cdb` and `repeat`; `step` only with `repeat`";
                Err(self.source.error(&span.unwrap_or(0..0), message))
            }
        }
    }

    fn repeat(&mut self, raw: wire::Step, depth: usize) -> Result<Step, FileError> {
        let Some(repeat) = raw.repeat else { return Err(self.source.error(&(0..0), "no repeat")) };
        let span = repeat.span();
        let repeat = repeat.into_inner();
        let given = (&repeat.from, &repeat.to, &repeat.values, &repeat.bytes, &repeat.reserved_of);
        let values = match given {
            (Some(from), Some(to), None, None, None) => Values::Range(self.scalar(from)?, self.scalar(to)?),
            (None, None, Some(list), None, None) => {
                Values::List(list.iter().map(|value| self.scalar(value)).collect::<Result<_, _>>()?)
            }
            (None, None, None, Some(bytes), None) => Values::Bytes(self.expression(bytes, Kind::Bytes)?),
            (None, None, None, None, Some(name)) => {
                let bits = &self.command(self.meant(name).0)?.reserved;
                Values::List(bits.iter().map(|bit| Expression::number(*bit)).collect())
            }
            _ => {
                return Err(self.source.error(
                    &span,
                    "a repeat has `from` and `to`, or `values`, or `bytes`, or `reserved-of`",
                ));
            }
        };
        let name = self.name(&repeat.name, Kind::Number)?;
        Ok(Step::Repeat(Box::new(Repeat { name, values, steps: self.steps(raw.step, depth + 1)? })))
    }

    fn send(&mut self, raw: &wire::Step) -> Result<Send, FileError> {
        let (title, mut cdb, length, place) = match (&raw.send, &raw.cdb) {
            (Some(name), _) => self.named(name, &raw.with)?,
            (None, Some(text)) => self.literal(text, &raw.with)?,
            (None, None) => return Err(self.source.error(&(0..0), "neither `send` nor `cdb`")),
        };
        cdb.turn = raw.turn.as_ref().map(|bit| self.scalar(bit)).transpose()?;
        let route = self.route(raw)?;
        let data = self.data(raw, length)?;
        // What comes back may be named by this very step's own checks.
        let save = raw.save.as_ref().map(|name| self.name(name, Kind::Bytes)).transpose()?;
        let before = self.scope.clone();
        self.scope.extend(ANSWER_NAMES.map(|(name, kind)| (name.to_owned(), kind)));
        let expected =
            raw.expect.iter().chain(&raw.or).map(|answer| self.answer(answer)).collect::<Result<_, _>>();
        let lets = raw.lets.iter().map(|(name, text)| Ok((name, text, self.computed(text)?)));
        let lets: Result<Vec<_>, FileError> = lets.collect();
        self.scope = before;
        let mut named = Vec::new();
        for (name, text, expression) in lets? {
            let kind = expression.kind();
            named.push((self.name(&Spanned::new(text.span(), name.clone()), kind)?, expression));
        }
        let mut answers: Vec<Answer> = expected?;
        if raw.expect.is_none() {
            answers.insert(0, Answer { status: Status::GOOD, sense: None, checks: Vec::new(), within: None });
        }
        let timeout_ms = match &raw.timeout_ms {
            None => self.timeout_ms,
            Some(timeout) => limited(&self.source, timeout)?,
        };
        let line = self.source.error(&place, "").line;
        Ok(Send { line, title, route, cdb, data, save, lets: named, answers, timeout_ms })
    }

    fn route(&self, raw: &wire::Step) -> Result<Route, FileError> {
        let initiator = match raw.initiator {
            None | Some(wire::Initiator::First) => Initiator::First,
            Some(wire::Initiator::Second) => Initiator::Second,
        };
        let sense = match raw.sense {
            None | Some(wire::SenseFetch::Automatic) => SenseFetch::Automatic,
            Some(wire::SenseFetch::Left) => SenseFetch::Left,
        };
        let identify = raw.identify.as_ref().map(|lun| match lun.get_ref() {
            value @ 0..=7 => Ok(*value),
            value => Err(self.source.error(&lun.span(), format!("a LUN is 0 to 7, not {value}"))),
        });
        Ok(Route { initiator, identify: identify.transpose()?, sense })
    }

    fn command(&self, name: &Spanned<String>) -> Result<&CommandDefinition, FileError> {
        self.commands.get(name.get_ref()).ok_or_else(|| {
            let names = self.commands.keys().cloned().collect::<Vec<_>>().join(", ");
            let message = format!("no command `{}`", name.get_ref());
            self.source.error_with_hint(&name.span(), message, format!("there are {names}"))
        })
    }

    /// A command by name.
    fn named(
        &self,
        name: &Spanned<String>,
        with: &BTreeMap<String, Spanned<wire::Scalar>>,
    ) -> Result<(String, CdbTemplate, Length, std::ops::Range<usize>), FileError> {
        let (name, chosen) = self.meant(name);
        let command = self.command(name)?;
        let mut set = Vec::new();
        for (field, value) in with {
            // Of an `each`, the commands that have the field take it.
            if chosen == Chosen::ByEach && !command.fields.contains_key(field) {
                continue;
            }
            let place = command.fields.get(field).copied().ok_or_else(|| {
                let names = command.fields.keys().cloned().collect::<Vec<_>>().join(", ");
                let message = format!("{} has no field `{field}`", command.title);
                self.source.error_with_hint(&value.span(), message, format!("it has {names}"))
            })?;
            set.push((place, self.scalar(value)?));
        }
        let cdb = CdbTemplate { bytes: command.cdb.clone(), set, turn: None, fields: command.fields.clone() };
        Ok((command.title.clone(), cdb, command.length.clone(), name.span()))
    }

    /// A command by its bytes, some of which may be expressions in braces.
    fn literal(
        &self,
        text: &Spanned<String>,
        with: &BTreeMap<String, Spanned<wire::Scalar>>,
    ) -> Result<(String, CdbTemplate, Length, std::ops::Range<usize>), FileError> {
        if let Some(value) = with.values().next() {
            return Err(self.source.error(&value.span(), "fields go with `send`; in `cdb` write the bytes"));
        }
        let parts = self.bytes(text)?;
        if !matches!(parts.len(), 6 | 10 | 12 | 16) {
            let message =
                format!("a command descriptor block has 6, 10, 12 or 16 bytes, not {}", parts.len());
            return Err(self.source.error(&text.span(), message));
        }
        let mut set = Vec::new();
        for (at, value) in (0_u8..).zip(&parts) {
            set.extend(Field::new(at, 7, 8, parts.len()).map(|field| (field, value.clone())));
        }
        let title = format!("CDB {}", text.get_ref());
        let cdb = CdbTemplate { bytes: vec![0; parts.len()], set, turn: None, fields: BTreeMap::new() };
        Ok((title, cdb, Length::None, text.span()))
    }

    /// Bytes in hexadecimal, some of which may be expressions in braces.
    fn bytes(&self, text: &Spanned<String>) -> Result<Vec<Expression>, FileError> {
        let mut parts = Vec::new();
        let mut rest = text.get_ref().as_str();
        while let Some(start) = rest.find(|letter: char| !letter.is_whitespace()) {
            let at = inside(text) + text.get_ref().len() - rest.len() + start;
            let word = rest.get(start..).unwrap_or_default();
            if let Some(body) = word.strip_prefix('{') {
                let (inner, after) = body
                    .split_once('}')
                    .ok_or_else(|| self.source.error(&(at..at), "this brace is not closed"))?;
                let place = at + 1..at + 1 + inner.len();
                parts.push(self.expression(&Spanned::new(place, inner.to_owned()), Kind::Number)?);
                rest = after;
            } else {
                let end =
                    word.find(|letter: char| letter.is_whitespace() || letter == '{').unwrap_or(word.len());
                let (digits, after) = word.split_at(end);
                let value = u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2);
                let value = value.ok_or_else(|| {
                    let message = format!("`{digits}` is no byte");
                    let hint = "two hexadecimal digits, or an expression in braces";
                    self.source.error_with_hint(&(at..at), message, hint)
                })?;
                parts.push(Expression::number(value.into()));
                rest = after;
            }
        }
        Ok(parts)
    }

    fn data(&mut self, raw: &wire::Step, length: Length) -> Result<Data, FileError> {
        let receive = raw.receive.as_ref().map(|size| Ok((self.scalar(size)?, size.span()))).transpose()?;
        let by_each = raw.send.as_ref().is_some_and(|name| self.meant(name).1 == Chosen::ByEach);
        // Of an `each`, the commands that take data get them.
        let given = raw.data.as_ref().filter(|_| !by_each || matches!(length, Length::Out(_)));
        match (length, receive, &given) {
            (Length::Out(_) | Length::None, None, Some(data)) if raw.send.is_none() => {
                self.content(data, None, raw)
            }
            (Length::Out(length), None, Some(data)) => self.content(data, Some(length), raw),
            (Length::In(_) | Length::None, Some((size, _)), None) => Ok(Data::In(size)),
            (Length::In(size), None, None) => Ok(Data::In(size)),
            (Length::None, None, None) => Ok(Data::None),
            (Length::Out(_), None, None) => {
                let span = raw.send.as_ref().map(Spanned::span).unwrap_or_default();
                Err(self.source.error_with_hint(
                    &span,
                    "this command sends data, and none are given",
                    DATA_HINT,
                ))
            }
            (_, Some((_, span)), _) => {
                Err(self.source.error(&span, "this step sends data and cannot receive"))
            }
            (_, None, Some(data)) => Err(self.source.error(&data.span(), "this command takes no data")),
        }
    }

    pub(super) fn content(
        &mut self,
        data: &Spanned<wire::Data>,
        length: Option<Expression>,
        raw: &wire::Step,
    ) -> Result<Data, FileError> {
        let wire::Data { hex, text, number, fill, pattern, seed, copy, flip, length: own } = data.get_ref();
        let content = match (hex, fill, pattern, copy) {
            (None, None, None, None) if text.is_some() != number.is_some() => match (text, number) {
                (_, Some(number)) => Content::Number(self.scalar(number)?),
                (text, None) => Content::Text(text.clone().unwrap_or_default()),
            },
            _ if text.is_some() || number.is_some() => {
                return Err(self.source.error_with_hint(&data.span(), "data are one thing", DATA_HINT));
            }
            (Some(text), None, None, None) => Content::Bytes(self.bytes(text)?),
            (None, Some(value), None, None) => Content::Fill(self.scalar(value)?),
            (None, None, Some(name), None) => match (name.get_ref().as_str(), seed) {
                ("counting", None) => Content::Counting,
                ("walking-ones", None) => Content::WalkingOnes,
                ("random", Some(seed)) => Content::Random(self.scalar(seed)?),
                _ => {
                    let hint = "\"counting\", \"walking-ones\", or \"random\" with a `seed`";
                    let message = format!("no pattern `{}` like this", name.get_ref());
                    return Err(self.source.error_with_hint(&name.span(), message, hint));
                }
            },
            (None, None, None, Some(bytes)) => {
                let flip = flip.as_ref().map(|flip| Ok((self.scalar(&flip.byte)?, flip.mask))).transpose()?;
                Content::Copy(self.expression(bytes, Kind::Bytes)?, flip)
            }
            _ => return Err(self.source.error_with_hint(&data.span(), "data are one thing", DATA_HINT)),
        };
        let length = match own {
            Some(own) => Some(self.scalar(own)?),
            None if has_length(&content) => None,
            None => Some(length.ok_or_else(|| {
                self.source.error_with_hint(&data.span(), "these data have no length", "add `length`")
            })?),
        };
        let save = raw.save_out.as_ref().map(|name| self.name(name, Kind::Bytes)).transpose()?;
        Ok(Data::Out { content, length, save })
    }

    fn answer(&self, raw: &Spanned<wire::Expect>) -> Result<Answer, FileError> {
        let expect = raw.get_ref();
        if expect.fails {
            return Err(self.source.error(&raw.span(), "`fails` goes with `ask`; a command has a status"));
        }
        let sense = expect.sense.as_ref().map(|text| {
            text.get_ref().parse::<SenseCode>().map_err(|_| {
                let message = format!("`{}` is no sense code", text.get_ref());
                let hint = "key, ASC and ASCQ in hexadecimal, as in \"5/24/00\"";
                self.source.error_with_hint(&text.span(), message, hint)
            })
        });
        let sense = sense.transpose()?;
        let status = match &expect.status {
            None if sense.is_some() => Status::CHECK_CONDITION,
            None => Status::GOOD,
            Some(name) => Status::from_name(name.get_ref()).ok_or_else(|| {
                let message = format!("no status `{}`", name.get_ref());
                self.source.error_with_hint(&name.span(), message, format!("one of {}", Status::names()))
            })?,
        };
        let checks =
            expect.check.iter().map(|text| self.expression(text, Kind::Truth)).collect::<Result<_, _>>()?;
        let within = expect.within_ms.map(|time| Duration::from_millis(time.into()));
        Ok(Answer { status, sense, checks, within })
    }
}

fn event(source: &Source<'_>, name: &Spanned<String>, alone: bool) -> Result<Step, FileError> {
    if !alone {
        return Err(source.error(&name.span(), "a step with `event` has nothing else"));
    }
    let event = Event::ALL.into_iter().find(|event| event.name() == name.get_ref());
    event.map(Step::Event).ok_or_else(|| {
        let names = Event::ALL.map(Event::name).join(", ");
        let message = format!("no event `{}`", name.get_ref());
        source.error_with_hint(&name.span(), message, format!("one of {names}"))
    })
}

const DATA_HINT: &str = "data = { hex = \"…\" }, { fill = 0x55 }, { pattern = \"…\" } or { copy = \"name\" }";

/// Whether what is sent has a length of its own.
fn has_length(content: &Content) -> bool {
    matches!(content, Content::Bytes(_) | Content::Text(_) | Content::Number(_) | Content::Copy(..))
}

/// Names that every check may use.
const ANSWER_NAMES: [(&str, Kind); 4] =
    [("data", Kind::Bytes), ("sense", Kind::Bytes), ("residual", Kind::Number), ("elapsed_us", Kind::Number)];

/// A time a command may take.
pub(super) fn limited(source: &Source<'_>, timeout: &Spanned<u32>) -> Result<u32, FileError> {
    let value = *timeout.get_ref();
    if (1..=TIMEOUT_LIMIT_MS).contains(&value) {
        return Ok(value);
    }
    Err(source.error(&timeout.span(), format!("a time limit is 1 to {TIMEOUT_LIMIT_MS}")))
}
