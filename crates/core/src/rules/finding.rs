//! What a rule says.

use std::fmt;

use super::Rule;
use crate::pci::PciAddress;
use crate::vm::VmName;

/// How grave a finding is. Ordered, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will not work, or would do harm.
    Blocks,
    /// It may not work, or works with a disadvantage.
    Warns,
    /// Good to know; also what could not be known.
    Notes,
}

impl Severity {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Blocks => "blocks",
            Severity::Warns => "warns",
            Severity::Notes => "notes",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The host as a whole.
    Host,
    /// One VM.
    Vm(VmName),
    /// One function.
    Device(PciAddress),
}

impl From<PciAddress> for Subject {
    fn from(address: PciAddress) -> Self {
        Subject::Device(address)
    }
}

impl From<&VmName> for Subject {
    fn from(name: &VmName) -> Self {
        Subject::Vm(name.clone())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Host => f.write_str("host"),
            Subject::Vm(name) => write!(f, "{name}"),
            Subject::Device(address) => write!(f, "{address}"),
        }
    }
}

/// A fact that a finding rests on, in the host's own words where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// File or other place where it was read.
    pub source: String,
    /// What it says.
    pub text: String,
}

impl Evidence {
    /// Evidence from a place and its words.
    #[must_use]
    pub fn new(source: impl Into<String>, text: impl Into<String>) -> Self {
        Self { source: source.into(), text: text.into() }
    }
}

/// What has to be touched for a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemedyKind {
    /// Software of the host.
    HostChange,
    /// The user's spec.
    SpecChange,
    /// A firmware setting.
    Firmware,
    /// A card, slot or cable.
    Hardware,
}

impl RemedyKind {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RemedyKind::HostChange => "host-change",
            RemedyKind::SpecChange => "spec-change",
            RemedyKind::Firmware => "firmware",
            RemedyKind::Hardware => "hardware",
        }
    }
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What has to be touched.
    pub kind: RemedyKind,
    /// What to do, in a sentence.
    pub text: String,
    /// The same in single steps, where there is more than one.
    pub steps: Vec<String>,
}

impl Remedy {
    /// A remedy that is one sentence.
    #[must_use]
    pub fn new(kind: RemedyKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), steps: Vec::new() }
    }

    /// The same remedy with its steps.
    #[must_use]
    pub fn with_steps(self, steps: Vec<String>) -> Self {
        Self { steps, ..self }
    }
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What will happen, in one line.
    pub summary: String,
    /// Why, in a few sentences.
    pub why: String,
    /// The facts it rests on.
    pub evidence: Vec<Evidence>,
    /// Ways out, the least trouble first.
    pub remedies: Vec<Remedy>,
}

impl Finding {
    /// What a rule says, for the reason on its page.
    pub(super) fn new(
        rule: &Rule,
        severity: Severity,
        subject: impl Into<Subject>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            rule: rule.id,
            severity,
            subject: subject.into(),
            summary: summary.into(),
            why: rule.page.why.to_owned(),
            evidence: Vec::new(),
            remedies: Vec::new(),
        }
    }

    /// Whether it says that a fact is lacking.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.summary.starts_with(super::UNKNOWN)
    }

    /// The same for another reason than the page's.
    pub(super) fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// The same with a fact that it rests on.
    pub(super) fn shown(mut self, source: impl Into<String>, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence::new(source, text));
        self
    }

    /// The same with a way out.
    pub(super) fn remedy(mut self, kind: RemedyKind, text: impl Into<String>) -> Self {
        self.remedies.push(Remedy::new(kind, text));
        self
    }
}

/// Why a rule said nothing of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is not about such a subject, or not about such a host.
    DoesNotApply(String),
    /// It looked, and all is well: what it saw.
    Fine(String),
}

/// Where a rule puts what it finds, and, where it wants to, why it finds nothing.
#[derive(Debug)]
pub struct Findings {
    rule: &'static str,
    list: Vec<Finding>,
    silences: Vec<(Subject, Silence)>,
}

impl Findings {
    pub(super) const fn of(rule: &'static str) -> Self {
        Self { rule, list: Vec::new(), silences: Vec::new() }
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.list.push(Finding { rule: self.rule, ..finding });
    }

    pub(super) fn push_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }

    /// Says that the rule is not about this subject, and why: the end of `does not apply: …`.
    pub(super) fn skip(&mut self, subject: impl Into<Subject>, why: impl Into<String>) {
        self.silences.push((subject.into(), Silence::DoesNotApply(why.into())));
    }

    /// Says that the rule looked at this subject and all is well, and what it saw.
    pub(super) fn fine(&mut self, subject: impl Into<Subject>, saw: impl Into<String>) {
        self.silences.push((subject.into(), Silence::Fine(saw.into())));
    }

    pub(super) fn into_inner(self) -> Vec<Finding> {
        self.list
    }

    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<(Subject, Silence)>) {
        (self.list, self.silences)
    }
}
