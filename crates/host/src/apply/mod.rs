//! Carrying out the steps of a plan, and putting everything back if one fails.
//!
//! First everything is checked: if the host is not as the plan expects it, nothing is done. Then the steps are done
//! in the order of their phases, each written down on disk before it is done and after, and read back. The plan is
//! not changed, reordered or added to. What can be undone later is what the [journal](crate::journal) says.
//!
//! Only the running host can be changed: a [`Live`] takes proof.

mod act;
mod observe;
mod undo;

use std::collections::BTreeSet;

use slotwise_core::action::{Resource, State, Step, StepId, Steps};
use slotwise_core::facts::Origin;
use slotwise_core::plan::{Fingerprint, MovedFact};
use slotwise_core::topology::Topology;

pub use act::StepError;
use act::perform;
pub use observe::MAX_FILE_BYTES;
use observe::observe;
use undo::restore;
pub use undo::{Left, LeftWhy, UndoReport, UndoRequest, undo, undo_modules};

use crate::journal::{ApplyId, Begin, Cause, Entry, Intent, Journal, JournalError, Standing, StateDir};
use crate::kernel::{FileMode, Live, ReadError, ReadHost, WriteHost};
use crate::lock::HostLock;

/// Room in a journal for the entries of one step, apart from files' texts, in bytes.
const STEP_BYTES: u64 = 4096;

/// What to apply, and with what.
#[derive(Clone, Copy, Debug)]
pub struct ApplyRequest<'a> {
    /// The running host.
    pub live: &'a Live<'a>,
    /// The right to change it.
    pub lock: &'a HostLock,
    /// Where its journals lie.
    pub state: &'a StateDir,
    /// What to do.
    pub steps: &'a Steps,
    /// The facts that this rests on: the host is read again, and nothing is done if one of them moved.
    pub rests_on: Option<&'a Fingerprint>,
    /// What the user typed, for the journal.
    pub command: &'a str,
    /// The time, in seconds since 1970, UTC.
    pub now_unix_s: u64,
}

/// What an apply came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The host was as it should be. Nothing was written, on the host or in a journal.
    Already,
    /// These steps were done; the others had nothing to do.
    Done {
        /// What undo is given.
        id: ApplyId,
        /// The steps.
        steps: Vec<StepId>,
    },
}

/// Something that is not as the plan expects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What it is.
    pub resource: Resource,
    /// What the plan expects.
    pub expected: State,
    /// What was found.
    pub found: State,
}

/// Why a plan was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The host is not as the plan expects it. Nothing was done.
    #[error("the host has changed since the plan was made: {}", moved_text(.0))]
    Moved(Vec<Moved>),
    /// A fact that the plan rests on is another now, though no step changes it. Nothing was done.
    #[error("the host has changed since the plan was made: {}", facts_text(.0))]
    Shifted(Vec<MovedFact>),
    /// Something that the plan changes cannot be read, or is not there. Nothing was done.
    #[error("cannot check {resource} before changing it")]
    Unreadable {
        /// What it is.
        resource: Resource,
        /// What came in the way.
        #[source]
        source: ReadError,
    },
    /// An earlier apply was ended in the middle. Nothing was done.
    #[error("apply {0} was ended in the middle")]
    Unfinished(ApplyId),
    /// There is no journal to write to. Nothing was done.
    #[error("cannot keep a journal")]
    Journal(#[source] JournalError),
    /// A step failed, and everything is as it was before.
    #[error("step {at_step} failed; everything is as it was")]
    Undone {
        /// The apply.
        id: ApplyId,
        /// The step.
        at_step: StepId,
        /// What was wrong.
        #[source]
        source: Box<StepError>,
    },
    /// A step failed, and something could not be put back.
    #[error("step {at_step} failed, and not all could be put back: {}", left_text(.left))]
    Stuck {
        /// The apply.
        id: ApplyId,
        /// The step.
        at_step: StepId,
        /// What could not be put back.
        left: Vec<Left>,
        /// What was wrong with the step.
        #[source]
        source: Box<StepError>,
    },
}

fn moved_text(moved: &[Moved]) -> String {
    let one = |m: &Moved| format!("{} should be: {}; it is: {}", m.resource, m.expected, m.found);
    moved.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn facts_text(moved: &[MovedFact]) -> String {
    moved.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn left_text(left: &[Left]) -> String {
    let one = |left: &Left| format!("{}: {}", left.resource, left.why);
    left.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl ApplyError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Moved(_) | Self::Shifted(_) => "plan again; nothing was changed",
            Self::Unreadable { .. } => {
                "look with `slotwise inspect` whether the device is there, and plan again"
            }
            Self::Unfinished(_) => "run `slotwise undo` first, which puts back what was there before it",
            Self::Journal(error) => error.hint(),
            Self::Undone { source, .. } => source.hint(),
            Self::Stuck { .. } => "see to what is named, then run `slotwise undo` again",
        }
    }
}

/// Carries out `request.steps`. If one fails, what was done before it is undone.
///
/// # Errors
/// Before the first write if the host is not as the plan expects it, an earlier apply is unfinished, or the journal
/// cannot be kept; after that [`ApplyError::Undone`] or [`ApplyError::Stuck`].
pub fn apply(request: ApplyRequest<'_>) -> Result<Applied, ApplyError> {
    let ApplyRequest { live, lock: _, state, steps, rests_on, command, now_unix_s } = request;
    refuse_unfinished(live, state)?;
    let done = check(live.host(), steps)?;
    if let Some(fingerprint) = rests_on {
        refuse_shifted(live, fingerprint)?;
    }
    if steps.as_slice().iter().all(|step| done.contains(&step.action().resource())) {
        return Ok(Applied::Already);
    }
    let id = state.next_id().map_err(ApplyError::Journal)?;
    let journal = state.begin(id).map_err(ApplyError::Journal)?;
    let work = Work { live, state, steps, done, command, now_unix_s };
    carry_out(&work, work.open(journal)?)
}

/// What the steps change that is as they would leave it.
fn check(host: &dyn ReadHost, steps: &Steps) -> Result<BTreeSet<Resource>, ApplyError> {
    let after = steps.after();
    let mut done = BTreeSet::new();
    let mut moved = Vec::new();
    for (resource, expected) in steps.before() {
        let found = match observe(host, &resource) {
            Ok(found) => found,
            Err(source) => return Err(ApplyError::Unreadable { resource, source }),
        };
        if after.get(&resource) == Some(&found) {
            done.insert(resource);
        } else if found != expected {
            moved.push(Moved { resource, expected, found });
        }
    }
    if moved.is_empty() { Ok(done) } else { Err(ApplyError::Moved(moved)) }
}

/// Reads the host once more, right before it is written to.
fn refuse_shifted(live: &Live<'_>, fingerprint: &Fingerprint) -> Result<(), ApplyError> {
    let origin = Origin::Live { boot_id: Some(live.boot_id().to_string()) };
    let moved = fingerprint.moved(&Topology::new(crate::read(live.host(), origin)));
    if moved.is_empty() { Ok(()) } else { Err(ApplyError::Shifted(moved)) }
}

fn refuse_unfinished(live: &Live<'_>, state: &StateDir) -> Result<(), ApplyError> {
    for (id, record) in state.records().map_err(ApplyError::Journal)? {
        let record = record.map_err(ApplyError::Journal)?;
        if record.standing() == Standing::HalfDone && record.is_pending(live.boot_id()) {
            return Err(ApplyError::Unfinished(id));
        }
    }
    Ok(())
}

/// How much of a journal the steps and their undoing can fill, in bytes.
fn room(steps: &Steps) -> u64 {
    let text = |state: &State| match state {
        // A control character takes six bytes in JSON.
        State::File(Some(content)) => u64::try_from(content.len()).unwrap_or(u64::MAX).saturating_mul(6),
        _ => 0,
    };
    let one = |step: &Step| {
        let texts = text(step.before()).saturating_add(text(&step.action().after()));
        STEP_BYTES.saturating_add(texts.saturating_mul(2))
    };
    steps.as_slice().iter().map(one).fold(STEP_BYTES, u64::saturating_add)
}

/// Steps that were checked.
struct Work<'a> {
    live: &'a Live<'a>,
    state: &'a StateDir,
    steps: &'a Steps,
    /// What is as it should be.
    done: BTreeSet<Resource>,
    command: &'a str,
    now_unix_s: u64,
}

impl Work<'_> {
    /// Takes the room that the journal can need and writes its first entry; takes the journal back if that fails.
    fn open(&self, mut journal: Journal) -> Result<Journal, ApplyError> {
        let begin = Begin {
            id: journal.id(),
            boot_id: self.live.boot_id().clone(),
            command: self.command.chars().take(1024).collect(),
            started_unix_s: self.now_unix_s,
            steps: self.steps.as_slice().len(),
        };
        let ready = journal.reserve(room(self.steps)).and_then(|()| journal.append(&Entry::Begin(begin)));
        if let Err(error) = ready {
            // Nothing was done under this number, so that its file, if it stays, says nothing either.
            let _ = self.state.discard(journal);
            return Err(ApplyError::Journal(error));
        }
        Ok(journal)
    }
}

fn carry_out(work: &Work<'_>, mut journal: Journal) -> Result<Applied, ApplyError> {
    let id = journal.id();
    let mut intents = Vec::new();
    let mut did = Vec::new();
    let todo = |step: &&Step| !work.done.contains(&step.action().resource());
    for step in work.steps.as_slice().iter().filter(todo) {
        if let Err(source) = take_step(work.live.host(), &mut journal, step, &mut intents) {
            return Err(unwind(work, journal, &intents, step.id(), source));
        }
        did.push(step.id().clone());
    }
    match journal.append(&Entry::Applied) {
        Ok(()) => Ok(Applied::Done { id, steps: did }),
        Err(error) => {
            let last = did.last().cloned();
            let step = last.or_else(|| work.steps.as_slice().last().map(|step| step.id().clone()));
            match step {
                Some(step) => Err(unwind(work, journal, &intents, &step, StepError::Journal(error))),
                None => Err(ApplyError::Journal(error)),
            }
        }
    }
}

/// Writes down, does, checks and writes down one step.
fn take_step(
    host: &dyn WriteHost,
    journal: &mut Journal,
    step: &Step,
    intents: &mut Vec<Intent>,
) -> Result<(), StepError> {
    let action = step.action();
    let resource = action.resource();
    let found =
        observe(host, &resource).map_err(|source| StepError::Read { action: action.to_string(), source })?;
    let there_already = found == action.after();
    if found != *step.before() && !there_already {
        return Err(match (resource, found) {
            (Resource::Driver(device), State::Driver(Some(by))) => StepError::Grabbed { device, by },
            (resource, found) => StepError::NotTaken { resource, expected: step.before().clone(), found },
        });
    }
    // Also when it came about by itself (a new driver takes what matches it): undo must know of it.
    let intent = intent_of(host, step);
    journal.append(&Entry::Intent(intent.clone())).map_err(StepError::Journal)?;
    intents.push(intent.clone());
    if !there_already {
        for path in &intent.directories {
            host.create_dir(path)
                .map_err(|source| StepError::Write { action: action.to_string(), source })?;
        }
        perform(host, action, intent.mode.unwrap_or(FileMode::CONFIGURATION))?;
    }
    journal.append(&Entry::Done { step: step.id().clone() }).map_err(StepError::Journal)
}

fn intent_of(host: &dyn WriteHost, step: &Step) -> Intent {
    let (mode, directories) = match step.action().resource() {
        Resource::File(path) => (host.file_mode(path.as_str()).ok(), missing_parents(host, path.as_str())),
        _ => (None, Vec::new()),
    };
    Intent {
        step: step.id().clone(),
        action: step.action().clone(),
        prior: step.before().clone(),
        mode,
        directories,
    }
}

/// The directories above `path` that are not there, the outermost first.
fn missing_parents(host: &dyn ReadHost, path: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let mut path = path;
    while let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        if !host.list(parent).is_err_and(|error| error.is_not_found()) {
            break;
        }
        missing.push(parent.to_owned());
        path = parent;
    }
    missing.reverse();
    missing
}

/// Undoes the steps so far; says whether that worked.
fn unwind(
    work: &Work<'_>,
    mut journal: Journal,
    intents: &[Intent],
    at_step: &StepId,
    source: StepError,
) -> ApplyError {
    let id = journal.id();
    let at_step = at_step.clone();
    // If this finds no room, what follows does not depend on it.
    let _ = journal.append(&Entry::Failed { step: at_step.clone(), error: source.to_string() });
    let begin = Entry::UndoBegin {
        cause: Cause::Failure,
        boot_id: work.live.boot_id().clone(),
        started_unix_s: work.now_unix_s,
    };
    let report = restore(work.live.host(), &mut journal, &begin, intents);
    if report.is_clean() {
        return ApplyError::Undone { id, at_step, source: Box::new(source) };
    }
    let left = report.left.into_iter().filter(|left| left.why.needs_care()).collect();
    ApplyError::Stuck { id, at_step, left, source: Box::new(source) }
}

#[cfg(test)]
mod tests;
