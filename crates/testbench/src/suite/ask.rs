//! Steps that ask something of the device's PCI function, instead of sending it a command.
//!
//! What can be asked is listed in [`ASKS`]: its name in files, its parameters, whether it takes data. All but a few are
//! operations of the agent one to one ([`crate::wire::Operation`]); those of the network are made of frames.

use serde_spanned::Spanned;

use super::case::{Content, Data};
use super::expression::{Expression, Kind};
use super::read::Reader;
use super::wire;
use crate::source::FileError;
use crate::wire::Attribute;

/// A question to the function, and what may be answered.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Where it stands in its file, from 1.
    pub(crate) line: usize,
    pub(crate) what: What,
    /// Its parameters by name; those with a value of their own may be missing.
    pub(crate) with: Vec<(&'static str, Expression)>,
    pub(crate) attribute: Option<Attribute>,
    pub(crate) content: Option<Content>,
    /// Name for the data that come back.
    pub(crate) save: Option<String>,
    /// Names computed from what comes back.
    pub(crate) lets: Vec<(String, Expression)>,
    /// Any one of these is right.
    pub(crate) answers: Vec<AskAnswer>,
}

/// An answer that is right.
#[derive(Clone, Debug)]
pub(crate) struct AskAnswer {
    /// Whether the operation must fail; it must be done otherwise.
    pub(crate) fails: bool,
    pub(crate) checks: Vec<Expression>,
    pub(crate) within_ms: Option<u32>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    ConfigRead,
    ConfigWrite,
    AttributeRead,
    AttributeWrite,
    RegionRead,
    RomRead,
    Unbind,
    Bind,
    IntxCount,
    MessageCount,
    Vectors,
    Work,
    Pause,
    Arp,
    Ping,
}

/// What one kind of question is made of.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) what: What,
    /// Each with its kind and, where it need not be given, its value.
    with: &'static [(&'static str, Kind, Option<i64>)],
    takes_data: bool,
}

impl Form {
    /// Whether it is about a file of the kernel's.
    fn has_attribute(&self) -> bool {
        matches!(self.what, What::AttributeRead | What::AttributeWrite)
    }
}

const fn form(name: &'static str, what: What, with: &'static [(&'static str, Kind, Option<i64>)]) -> Form {
    Form { name, what, with, takes_data: matches!(what, What::ConfigWrite | What::AttributeWrite) }
}

use Kind::{Bytes, Number};

/// All that can be asked.
pub(crate) const ASKS: [Form; 15] = [
    form("config-read", What::ConfigRead, &[("offset", Number, Some(0)), ("length", Number, Some(4096))]),
    form("config-write", What::ConfigWrite, &[("offset", Number, None)]),
    form("attribute-read", What::AttributeRead, &[]),
    form("attribute-write", What::AttributeWrite, &[]),
    form(
        "region-read",
        What::RegionRead,
        &[("bar", Number, None), ("offset", Number, Some(0)), ("length", Number, None)],
    ),
    form("rom-read", What::RomRead, &[("length", Number, None)]),
    form("unbind", What::Unbind, &[]),
    form("bind", What::Bind, &[]),
    form("intx-count", What::IntxCount, &[]),
    form("message-count", What::MessageCount, &[]),
    form("vectors", What::Vectors, &[]),
    form("work", What::Work, &[("rounds", Number, Some(1))]),
    form("pause", What::Pause, &[("ms", Number, None)]),
    form(
        "arp",
        What::Arp,
        &[
            ("from", Bytes, None),
            ("own", Number, None),
            ("peer", Number, None),
            ("within", Number, Some(3000)),
        ],
    ),
    form(
        "ping",
        What::Ping,
        &[
            ("from", Bytes, None),
            ("to", Bytes, None),
            ("own", Number, None),
            ("peer", Number, None),
            ("size", Number, None),
            ("count", Number, Some(1)),
            ("within", Number, Some(5000)),
        ],
    ),
];

impl What {
    /// Its name in files.
    pub(crate) fn name(self) -> &'static str {
        ASKS.iter().find(|form| form.what == self).map_or("", |form| form.name)
    }
}

/// Names that checks of an answer may use.
pub(super) const ASK_NAMES: [(&str, Kind); 3] = [("data", Bytes), ("result", Number), ("elapsed_us", Number)];

impl Reader<'_> {
    /// Reads a step with `ask`.
    pub(super) fn ask(&mut self, name: &Spanned<String>, raw: &wire::Step) -> Result<Ask, FileError> {
        let form = ASKS.iter().find(|form| form.name == name.get_ref()).ok_or_else(|| {
            let names = ASKS.iter().map(|form| form.name).collect::<Vec<_>>().join(", ");
            let message = format!("nothing to ask is called `{}`", name.get_ref());
            self.source.error_with_hint(&name.span(), message, format!("one of {names}"))
        })?;
        self.only_what_belongs(name, raw)?;
        let with = self.parameters(form, name, raw)?;
        let attribute = self.attribute(form, name, raw)?;
        let content = match (form.takes_data, &raw.data) {
            (false, None) => None,
            (false, Some(data)) => {
                return Err(self.source.error(&data.span(), format!("{} takes no data", form.name)));
            }
            (true, None) => {
                return Err(self.source.error(&name.span(), format!("{} needs `data`", form.name)));
            }
            (true, Some(data)) => match self.content(data, None, raw)? {
                Data::Out { content, .. } => Some(content),
                Data::None | Data::In(_) => None,
            },
        };
        let save = raw.save.as_ref().map(|name| self.name(name, Kind::Bytes)).transpose()?;
        let before = self.scope.clone();
        self.scope.extend(ASK_NAMES.map(|(name, kind)| (name.to_owned(), kind)));
        let answers = self.ask_answers(raw);
        let lets = raw.lets.iter().map(|(name, text)| Ok((name, text, self.expression(text, Kind::Number)?)));
        let lets: Result<Vec<_>, FileError> = lets.collect();
        self.scope = before;
        let mut named = Vec::new();
        for (name, text, expression) in lets? {
            named.push((self.name(&Spanned::new(text.span(), name.clone()), Kind::Number)?, expression));
        }
        let line = self.source.error(&name.span(), "").line;
        Ok(Ask { line, what: form.what, with, attribute, content, save, lets: named, answers: answers? })
    }

    /// Keys that go with commands do not go with questions.
    fn only_what_belongs(&self, name: &Spanned<String>, raw: &wire::Step) -> Result<(), FileError> {
        let of_commands = raw.send.is_some()
            || raw.cdb.is_some()
            || raw.repeat.is_some()
            || raw.receive.is_some()
            || raw.initiator.is_some()
            || raw.identify.is_some()
            || raw.sense.is_some()
            || raw.timeout_ms.is_some()
            || raw.save_out.is_some()
            || raw.event.is_some();
        if of_commands {
            let hint = "`with`, `attribute`, `data`, `save`, `let`, `expect` and `or` go with `ask`";
            return Err(self.source.error_with_hint(
                &name.span(),
                "a step with `ask` sends no command",
                hint,
            ));
        }
        Ok(())
    }

    fn parameters(
        &self,
        form: &Form,
        name: &Spanned<String>,
        raw: &wire::Step,
    ) -> Result<Vec<(&'static str, Expression)>, FileError> {
        if let Some((stray, value)) =
            raw.with.iter().find(|(own, _)| !form.with.iter().any(|(n, ..)| n == own))
        {
            let names = form.with.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
            let message = format!("{} has no parameter `{stray}`", form.name);
            return Err(self.source.error_with_hint(&value.span(), message, format!("it has {names}")));
        }
        let mut with = Vec::new();
        for (parameter, kind, unsaid) in form.with {
            let value = match (raw.with.get(*parameter), unsaid) {
                (Some(value), _) => match value.get_ref() {
                    wire::Scalar::Text(text) => {
                        self.expression(&Spanned::new(value.span(), text.clone()), *kind)?
                    }
                    wire::Scalar::Number(number) if *kind == Kind::Number => Expression::number(*number),
                    wire::Scalar::Number(_) => {
                        return Err(self.source.error(&value.span(), format!("`{parameter}` is bytes")));
                    }
                },
                (None, Some(unsaid)) => Expression::number(*unsaid),
                (None, None) => {
                    let message = format!("{} needs `{parameter}`", form.name);
                    return Err(self.source.error(&name.span(), message));
                }
            };
            with.push((*parameter, value));
        }
        Ok(with)
    }

    fn attribute(
        &self,
        form: &Form,
        name: &Spanned<String>,
        raw: &wire::Step,
    ) -> Result<Option<Attribute>, FileError> {
        match (form.has_attribute(), &raw.attribute) {
            (false, None) => Ok(None),
            (false, Some(text)) => {
                Err(self.source.error(&text.span(), format!("{} is about no attribute", form.name)))
            }
            (true, None) => Err(self.source.error(&name.span(), format!("{} needs `attribute`", form.name))),
            (true, Some(text)) => {
                let writes = form.what == What::AttributeWrite;
                let fits = |own: &Attribute| own.name() == text.get_ref() && (!writes || own.is_writable());
                let found = Attribute::ALL.into_iter().find(fits);
                found.map(Some).ok_or_else(|| {
                    let able = Attribute::ALL.into_iter().filter(|own| !writes || own.is_writable());
                    let names = able.map(Attribute::name).collect::<Vec<_>>().join(", ");
                    let message = format!("no attribute `{}` for {}", text.get_ref(), form.name);
                    self.source.error_with_hint(&text.span(), message, format!("one of {names}"))
                })
            }
        }
    }

    fn ask_answers(&self, raw: &wire::Step) -> Result<Vec<AskAnswer>, FileError> {
        let answer = |own: &Spanned<wire::Expect>| {
            let expect = own.get_ref();
            if let Some(text) = expect.status.as_ref().or(expect.sense.as_ref()) {
                return Err(self.source.error(&text.span(), "status and sense are answers to commands"));
            }
            if let (true, Some(text)) = (expect.fails, expect.check.first()) {
                return Err(self.source.error(&text.span(), "what fails brings nothing to check"));
            }
            let checks = expect
                .check
                .iter()
                .map(|text| self.expression(text, Kind::Truth))
                .collect::<Result<_, _>>()?;
            Ok(AskAnswer { fails: expect.fails, checks, within_ms: expect.within_ms })
        };
        let mut answers: Vec<AskAnswer> =
            raw.expect.iter().chain(&raw.or).map(answer).collect::<Result<_, _>>()?;
        if raw.expect.is_none() {
            answers.insert(0, AskAnswer { fails: false, checks: Vec::new(), within_ms: None });
        }
        Ok(answers)
    }
}
