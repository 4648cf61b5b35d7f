//! Cases: what to send, and what must come back.

use std::time::Duration;

use super::ask::Ask;
use super::command::CdbTemplate;
use super::expression::Expression;
use crate::capability::{Capabilities, Capability};
use crate::scsi::{SenseCode, Status};
use crate::sight::Observation;
use crate::transport::{Event, Route};

/// What a case may do to the device's contents, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Nothing.
    None,
    /// Writes blocks.
    Data,
    /// Changes stored settings.
    Settings,
    /// Writes the whole medium.
    All,
}

impl Harm {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::None, Self::Data, Self::Settings, Self::All];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no",
            Self::Data => "data",
            Self::Settings => "conf",
            Self::All => "all",
        }
    }
}

/// Which reading of the standard demands what a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Any.
    Plain,
    /// One that takes every reserved bit at its word; many shipped devices do not (X3.131-1994, 7.1.1).
    Strict,
}

/// One case of a suite.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) why: String,
    pub(super) clause: String,
    pub(super) clause_checked: bool,
    pub(super) reading: Reading,
    pub(super) harm: Harm,
    pub(super) needs: Capabilities,
    pub(super) when: Option<Expression>,
    pub(super) lacks: Option<String>,
    pub(super) setup: Vec<Step>,
    pub(super) steps: Vec<Step>,
    pub(super) clean_up: Vec<Step>,
    pub(super) observation: Option<Observation>,
}

impl Case {
    /// Its name within the suite.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is about.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What the standard says, and why it matters.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The clauses of the standard.
    pub fn clause(&self) -> &str {
        &self.clause
    }

    /// Whether the clauses were compared with the printed standard.
    pub fn clause_checked(&self) -> bool {
        self.clause_checked
    }

    /// Which reading of the standard demands it.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// What it does to the device's contents.
    pub fn harm(&self) -> Harm {
        self.harm
    }

    /// What it wants to know of the guest, if it is no case of commands.
    pub fn observation(&self) -> Option<&Observation> {
        self.observation.as_ref()
    }

    /// What a transport must be able to carry.
    pub fn needs(&self) -> &Capabilities {
        &self.needs
    }
}

/// A step of a case.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Box<Send>),
    Ask(Box<Ask>),
    Repeat(Box<Repeat>),
    /// Something done to the device.
    Event(Event),
}

impl Step {
    /// Adds what a transport must be able to carry for it.
    pub(super) fn needs(&self, needs: &mut Capabilities) {
        match self {
            Self::Send(_) | Self::Event(_) => needs.insert(Capability::Commands),
            Self::Ask(_) => needs.insert(Capability::Function),
            Self::Repeat(repeat) => repeat.steps.iter().for_each(|step| step.needs(needs)),
        }
    }
}

/// Steps done once for each value of a name.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) name: String,
    pub(crate) values: Values,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Values {
    List(Vec<Expression>),
    /// Both ends included.
    Range(Expression, Expression),
    /// Each byte of a byte string.
    Bytes(Expression),
}

/// One command with what it needs and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    /// Where it stands in its file, from 1.
    pub(crate) line: usize,
    /// What the command is called.
    pub(crate) title: String,
    pub(crate) route: Route,
    pub(crate) cdb: CdbTemplate,
    pub(crate) data: Data,
    /// Name for the data that come back.
    pub(crate) save: Option<String>,
    /// Names computed from the data that come back.
    pub(crate) lets: Vec<(String, Expression)>,
    /// Any one of these is right.
    pub(crate) answers: Vec<Answer>,
    pub(crate) timeout_ms: u32,
}

impl Send {
    /// Whether its answer gives this name a value.
    pub(crate) fn names_later(&self, name: &str) -> bool {
        self.save.as_deref() == Some(name) || self.lets.iter().any(|(own, _)| own == name)
    }
}

/// A command's data.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    None,
    /// The size of the buffer.
    In(Expression),
    Out {
        content: Content,
        /// Not given where the content has a length of its own.
        length: Option<Expression>,
        /// Name for the data that were sent.
        save: Option<String>,
    },
}

/// What is sent to the device.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A byte each.
    Bytes(Vec<Expression>),
    /// As it is.
    Text(String),
    /// In decimal digits.
    Number(Expression),
    /// One byte over and over.
    Fill(Expression),
    /// 00h, 01h … FFh, 00h …, each run of 256 one on from the run before, so that no two blocks are equal.
    Counting,
    /// 01h, 02h, 04h … 80h over and over.
    WalkingOnes,
    /// Pseudo-random, the same for the same seed.
    Random(Expression),
    /// What came back before, with bits of one byte flipped.
    Copy(Expression, Option<(Expression, u8)>),
}

/// An answer that is right.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) sense: Option<SenseCode>,
    pub(crate) checks: Vec<Expression>,
    pub(crate) within: Option<Duration>,
}
