//! What was done to a host, on disk before it was done.
//!
//! One file for each apply, JSON lines, in a directory of the caller's choice (`/var/lib/slotwise` by default of the
//! command line). The intent of a step, with the value that was there before, is synced before the step's write; its
//! result after. So whatever kills the program, the journal knows at least as much as the host. A line without its
//! newline was being written when that happened, and nothing had been done upon it: it counts as not there.
//!
//! This room keeps no state in memory only, and neither acts nor decides what to undo. The format is [`wire::v1`];
//! sizes are in bytes.

mod medium;
mod record;
mod wire;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{self, Mode, OFlags};
use slotwise_core::action::{Action, State, StepId};

use crate::kernel::{BootId, FileMode};
pub use medium::MAX_JOURNAL_BYTES;
#[cfg(test)]
pub(crate) use medium::Medium as JournalMedium;
use medium::{FileMedium, Medium};
pub use record::{Record, Standing};
use wire::v1;

/// The number of an apply on its host, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplyId(u32);

impl fmt::Display for ApplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for ApplyId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Why a journal could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or directory of the journal could not be used.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// What was to be done, as a verb.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What came in the way.
        #[source]
        source: std::io::Error,
    },
    /// A line is not what this version writes.
    #[error("line {line} of {} is no journal entry: {fault}", .path.display())]
    Line {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: String,
    },
    /// The file is larger than any journal.
    #[error("{} is larger than {MAX_JOURNAL_BYTES} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is no journal of that number.
    #[error("there is no apply {0}")]
    Unknown(ApplyId),
}

impl JournalError {
    fn file(doing: &'static str, path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::File { doing, path: path.to_owned(), source: source.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "make room on that file system; nothing is changed without a journal"
            }
            Self::File { .. } => {
                "the journal's directory must be writable; nothing is changed without a journal"
            }
            Self::Line { .. } | Self::TooLarge { .. } => {
                "a later version may have written it; use that one, or restore by hand what the file names"
            }
            Self::Unknown(_) => "`slotwise status` lists what was applied",
        }
    }
}

/// Why something is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A step failed.
    Failure,
    /// Somebody asked for it.
    Request,
}

/// An entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The first entry.
    Begin(Begin),
    /// A step is about to be done.
    Intent(Intent),
    /// It was done.
    Done { step: StepId },
    /// It was not, or not as it should.
    Failed { step: StepId, error: String },
    /// All steps were done.
    Applied,
    /// From here on, undoing.
    UndoBegin { cause: Cause, boot_id: BootId, started_unix_s: u64 },
    /// About to be done to restore what was before.
    Restore { action: Action },
    /// Something could not be restored.
    Left { resource: String, why: String },
    /// Undoing has ended; so many things could not be restored.
    Undone { left: usize },
}

/// How an apply begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) id: ApplyId,
    pub(crate) boot_id: BootId,
    pub(crate) command: String,
    pub(crate) started_unix_s: u64,
    pub(crate) steps: usize,
}

/// What is about to be done, and what it takes to undo it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) step: StepId,
    pub(crate) action: Action,
    /// What was there before.
    pub(crate) prior: State,
    /// The permission bits of the file that was there before.
    pub(crate) mode: Option<FileMode>,
    /// Directories that are made for it, the outermost first.
    pub(crate) directories: Vec<String>,
}

impl Entry {
    fn to_wire(&self) -> v1::Line {
        match self.clone() {
            Self::Begin(begin) => v1::Line::Begin {
                schema: v1::SCHEMA.to_owned(),
                id: begin.id.0,
                boot_id: begin.boot_id.to_string(),
                command: begin.command,
                started_unix_s: begin.started_unix_s,
                steps: begin.steps,
            },
            Self::Intent(intent) => v1::Line::Intent {
                step: intent.step.to_string(),
                action: (&intent.action).into(),
                prior: (&intent.prior).into(),
                mode: intent.mode.map(FileMode::bits),
                directories: intent.directories,
            },
            Self::Done { step } => v1::Line::Done { step: step.to_string() },
            Self::Failed { step, error } => v1::Line::Failed { step: step.to_string(), error },
            Self::Applied => v1::Line::Applied {},
            Self::UndoBegin { cause, boot_id, started_unix_s } => v1::Line::UndoBegin {
                cause: match cause {
                    Cause::Failure => v1::Cause::Failure,
                    Cause::Request => v1::Cause::Request,
                },
                boot_id: boot_id.to_string(),
                started_unix_s,
            },
            Self::Restore { action } => v1::Line::Restore { action: (&action).into() },
            Self::Left { resource, why } => v1::Line::Left { resource, why },
            Self::Undone { left } => v1::Line::Undone { left },
        }
    }

    fn from_wire(line: v1::Line) -> Result<Self, String> {
        let step = |text: String| StepId::new(&text).map_err(|error| error.to_string());
        let boot = |text: String| BootId::parse(&text).map_err(|error| error.to_string());
        Ok(match line {
            v1::Line::Begin { schema, id, boot_id, command, started_unix_s, steps } => {
                if schema != v1::SCHEMA {
                    return Err(format!("unknown format {schema:?}"));
                }
                Self::Begin(Begin {
                    id: ApplyId(id),
                    boot_id: boot(boot_id)?,
                    command,
                    started_unix_s,
                    steps,
                })
            }
            v1::Line::Intent { step: name, action, prior, mode, directories } => Self::Intent(Intent {
                step: step(name)?,
                action: action.try_into()?,
                prior: prior.try_into()?,
                mode: mode.map(FileMode::from_bits),
                directories,
            }),
            v1::Line::Done { step: name } => Self::Done { step: step(name)? },
            v1::Line::Failed { step: name, error } => Self::Failed { step: step(name)?, error },
            v1::Line::Applied {} => Self::Applied,
            v1::Line::UndoBegin { cause, boot_id, started_unix_s } => Self::UndoBegin {
                cause: match cause {
                    v1::Cause::Failure => Cause::Failure,
                    v1::Cause::Request => Cause::Request,
                },
                boot_id: boot(boot_id)?,
                started_unix_s,
            },
            v1::Line::Restore { action } => Self::Restore { action: action.try_into()? },
            v1::Line::Left { resource, why } => Self::Left { resource, why },
            v1::Line::Undone { left } => Self::Undone { left },
        })
    }
}

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    id: ApplyId,
    path: PathBuf,
    medium: Box<dyn Medium>,
}

impl Journal {
    pub(crate) fn new(id: ApplyId, path: PathBuf, medium: Box<dyn Medium>) -> Self {
        Self { id, path, medium }
    }

    pub(crate) fn id(&self) -> ApplyId {
        self.id
    }

    /// Takes the room for `bytes` more, so that a full disk shows before anything is changed.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Result<(), JournalError> {
        self.medium.reserve(bytes).map_err(|source| JournalError::file("make room in", &self.path, source))
    }

    /// Puts an entry at the end and waits until it is on disk.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let fail = |source| JournalError::file("write to", &self.path, source);
        let mut line = serde_json::to_vec(&entry.to_wire()).map_err(|error| fail(error.into()))?;
        line.push(b'\n');
        self.medium.append(&line).map_err(fail)
    }
}

/// A journal's number, and what it says if it can be read.
pub type NumberedRecord = (ApplyId, Result<Record, JournalError>);

/// The directory in which a host's journals lie.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The directory at `path`, made if need be; for the owner's eyes only, since journals hold files' texts.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(|source| JournalError::file("make", path, source))?;
        sync_dir(path.parent().unwrap_or(path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The directory at `path`, which need not be there; then it holds no journals.
    #[must_use]
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn path_of(&self, id: ApplyId) -> PathBuf {
        self.path.join(format!("{:06}.journal", id.0))
    }

    /// The numbers of all journals, the oldest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn ids(&self) -> Result<Vec<ApplyId>, JournalError> {
        let fail = |source| JournalError::file("list", &self.path, source);
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            answer => answer.map_err(fail)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".journal"));
            ids.extend(number.and_then(|number| number.parse().ok()).map(ApplyId));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// What the journal `id` says.
    ///
    /// # Errors
    /// If there is none, or it cannot be read, or it holds what this version does not know.
    pub fn record(&self, id: ApplyId) -> Result<Record, JournalError> {
        let path = self.path_of(id);
        let content = medium::read(&path)?.ok_or(JournalError::Unknown(id))?;
        record::parse(id, &path, &content)
    }

    /// What each journal says, the oldest first; one that cannot be read hides no other.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn records(&self) -> Result<Vec<NumberedRecord>, JournalError> {
        Ok(self.ids()?.into_iter().map(|id| (id, self.record(id))).collect())
    }

    /// The number that the next apply gets.
    pub(crate) fn next_id(&self) -> Result<ApplyId, JournalError> {
        let last = self.ids()?.last().map_or(0, |id| id.0);
        Ok(ApplyId(last.saturating_add(1)))
    }

    /// A new journal; its file and its name are on disk.
    pub(crate) fn begin(&self, id: ApplyId) -> Result<Journal, JournalError> {
        let path = self.path_of(id);
        let medium = FileMedium::create(&path)?;
        sync_dir(&self.path)?;
        Ok(Journal::new(id, path, Box::new(medium)))
    }

    /// The journal `id`, to be continued after its last whole line.
    pub(crate) fn resume(&self, id: ApplyId) -> Result<Journal, JournalError> {
        let path = self.path_of(id);
        let medium = FileMedium::resume(&path)?;
        Ok(Journal::new(id, path, Box::new(medium)))
    }

    /// Takes back a journal in which nothing was begun.
    pub(crate) fn discard(&self, journal: Journal) -> Result<(), JournalError> {
        let path = self.path_of(journal.id());
        drop(journal);
        std::fs::remove_file(&path).map_err(|source| JournalError::file("remove", &path, source))?;
        sync_dir(&self.path)
    }
}

fn sync_dir(path: &Path) -> Result<(), JournalError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::empty())
        .and_then(|dir| fs::fsync(&dir))
        .map_err(|errno| JournalError::file("sync", path, errno))
}

#[cfg(test)]
mod tests;
