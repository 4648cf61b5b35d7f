//! What a cause is: a definition, the lines that speak for and against it, and what to do about it.
//!
//! Weights are in natural-log odds against "something else": a row of weight 3 alone makes its cause about twenty
//! times as likely as not, 4 about fifty times, 1.5 about four times. They were set from what the messages mean
//! in the source of the program that prints them and checked against collected cases (`testdata/diagnosis/cases`).

/// What kind of finding a cause makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something is wrong with the passthrough.
    Fault,
    /// Nothing is wrong: the lines belong to a working setup.
    Harmless,
    /// Something is wrong, but not with the passthrough.
    Unrelated,
}

/// How a line bears on a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The line alone makes the cause a candidate.
    Primary,
    /// The line makes a candidate likelier.
    Supporting,
    /// The line makes a candidate less likely.
    Contradicting,
}

/// One row of the catalogue as evidence for or against a cause.
#[derive(Clone, Copy, Debug)]
pub struct Clue {
    /// Row of the catalogue.
    pub row: &'static str,
    /// How it bears on the cause.
    pub role: Role,
    /// Natural-log odds; negative speaks against.
    pub weight: f32,
    /// Rows that must have been seen as well, all of them.
    pub with: &'static [&'static str],
    /// Rows none of which may have been seen.
    pub unless: &'static [&'static str],
    /// Rows that, seen later on the same device, show that the trouble went away.
    pub cured_by: &'static [&'static str],
    /// How many lines it takes.
    pub times: u64,
}

impl Clue {
    const fn new(row: &'static str, role: Role, weight: f32) -> Self {
        Self { row, role, weight, with: &[], unless: &[], cured_by: &[], times: 1 }
    }

    /// Only counts when all of `rows` were seen as well.
    pub(super) const fn with(mut self, rows: &'static [&'static str]) -> Self {
        self.with = rows;
        self
    }

    /// Only counts when none of `rows` was seen.
    pub(super) const fn unless(mut self, rows: &'static [&'static str]) -> Self {
        self.unless = rows;
        self
    }

    /// Hardly counts when one of `rows` follows.
    pub(super) const fn cured_by(mut self, rows: &'static [&'static str]) -> Self {
        self.cured_by = rows;
        self
    }

    /// Only counts from `times` lines on.
    pub(super) const fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

/// A line that makes its cause a candidate.
pub(super) const fn primary(row: &'static str, weight: f32) -> Clue {
    Clue::new(row, Role::Primary, weight)
}

/// A line that makes a candidate likelier.
pub(super) const fn supporting(row: &'static str, weight: f32) -> Clue {
    Clue::new(row, Role::Supporting, weight)
}

/// A line that makes a candidate less likely.
pub(super) const fn against(row: &'static str, weight: f32) -> Clue {
    Clue::new(row, Role::Contradicting, -weight)
}

/// Another cause with the same lines, and what tells the two apart.
#[derive(Clone, Copy, Debug)]
pub struct LookAlike {
    /// Id of the other cause.
    pub cause: &'static str,
    /// What would be there if it were that one.
    pub tell: &'static str,
}

/// A cause, as it stands in its file.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// Id, the same as that of the rule that means the same thing if there is one.
    pub id: &'static str,
    /// What is wrong, in one sentence.
    pub definition: &'static str,
    /// What kind of finding it makes.
    pub kind: Kind,
    /// The rule that would have predicted it, the foremost if there are several (see [`crate::rules::predicting`]).
    pub rule: Option<&'static str>,
    /// Lines that speak for and against it.
    pub clues: &'static [Clue],
    /// What else prints the same lines.
    pub look_alikes: &'static [LookAlike],
    /// Questions to answer or commands to run that settle it.
    pub settle: &'static [&'static str],
    /// What to do, least trouble first.
    pub remedies: &'static [&'static str],
    /// Where this comes from: source files with functions, documents, threads.
    pub sources: &'static [&'static str],
    /// One to three sentences about the case at hand. `{name|otherwise}` is the capture `name` of the evidence, or
    /// `otherwise` where no line gave it; `{name:shape|otherwise}` puts it in place of the `#` of `shape`.
    pub explanation: &'static str,
}
