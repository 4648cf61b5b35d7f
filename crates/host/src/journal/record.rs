//! A journal that is read: what was done, and where it stands.

use std::collections::BTreeSet;
use std::path::Path;

use slotwise_core::action::{Action, Resource};

use super::medium::whole_lines;
use super::wire::v1;
use super::{ApplyId, Begin, Entry, Intent, JournalError};
use crate::kernel::BootId;

/// Where an apply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was begun; the program ended before its first step.
    Nothing,
    /// It was ended in the middle, of doing or of undoing.
    HalfDone,
    /// All of it was done.
    Applied,
    /// It was undone.
    Undone,
    /// It was undone but for so many things.
    PartlyUndone {
        /// How many things could not be restored.
        left: usize,
    },
}

/// What one journal says.
#[derive(Clone, Debug)]
pub struct Record {
    id: ApplyId,
    begin: Option<Begin>,
    intents: Vec<Intent>,
    left: Vec<(String, String)>,
    /// Resources that an undoing which left others has put back: what is with them since is not this apply's.
    settled: BTreeSet<String>,
    standing: Standing,
}

impl Record {
    /// The apply's number.
    #[must_use]
    pub fn id(&self) -> ApplyId {
        self.id
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The boot in which it was applied; none if it was ended before it could say so.
    #[must_use]
    pub fn boot_id(&self) -> Option<&BootId> {
        self.begin.as_ref().map(|begin| &begin.boot_id)
    }

    /// What the user typed.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.begin.as_ref().map(|begin| begin.command.as_str())
    }

    /// When it was begun, in seconds since 1970, UTC.
    #[must_use]
    pub fn started_unix_s(&self) -> Option<u64> {
        self.begin.as_ref().map(|begin| begin.started_unix_s)
    }

    /// How many steps it was to have, and how many were begun.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.begin.as_ref().map_or(0, |begin| begin.steps), self.intents.len())
    }

    /// What it did or was about to do, in that order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.intents.iter().map(|intent| &intent.action)
    }

    /// What the last undoing left, and why.
    #[must_use]
    pub fn left(&self) -> &[(String, String)] {
        &self.left
    }

    /// Whether something of it is to be undone, in the boot `now`: after a reboot, only files are left of it.
    #[must_use]
    pub fn is_pending(&self, now: &BootId) -> bool {
        let file = |intent: &Intent| matches!(intent.action.resource(), Resource::File(_));
        let open = !matches!(self.standing, Standing::Nothing | Standing::Undone);
        open && (self.boot_id() == Some(now) || self.intents.iter().any(file))
    }

    /// Whether all that the last undoing left are modules: they go when nothing uses them any more.
    #[must_use]
    pub fn leaves_modules_only(&self) -> bool {
        let is_module = |name: &str| {
            let mut resources = self.intents.iter().map(|intent| intent.action.resource());
            resources.any(|it| matches!(it, Resource::Module(_)) && it.to_string() == name)
        };
        matches!(self.standing, Standing::PartlyUndone { .. })
            && self.left.iter().all(|(resource, _)| is_module(resource))
    }

    /// What is still to be undone.
    pub(crate) fn open_intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.iter().filter(|intent| !self.settled.contains(&intent.action.resource().to_string()))
    }

    pub(crate) fn intents(&self) -> &[Intent] {
        &self.intents
    }
}

/// Reads a journal. A last line without its newline counts as not there.
pub(super) fn parse(id: ApplyId, path: &Path, content: &[u8]) -> Result<Record, JournalError> {
    let mut record = Record {
        id,
        begin: None,
        intents: Vec::new(),
        left: Vec::new(),
        settled: BTreeSet::new(),
        standing: Standing::Nothing,
    };
    let whole = whole_lines(content);
    for (index, line) in
        whole.strip_suffix(b"\n").unwrap_or_default().split(|byte| *byte == b'\n').enumerate()
    {
        if whole.is_empty() {
            break;
        }
        let fail = |fault: String| JournalError::Line { path: path.to_owned(), line: index + 1, fault };
        let line: v1::Line = serde_json::from_slice(line).map_err(|error| fail(error.to_string()))?;
        let entry = Entry::from_wire(line).map_err(fail)?;
        if matches!(entry, Entry::Begin(_)) != (index == 0) {
            return Err(fail("an apply begins in the first line and nowhere else".to_owned()));
        }
        record.take(entry);
    }
    Ok(record)
}

impl Record {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Begin(begin) => self.begin = Some(begin),
            Entry::Intent(intent) => {
                self.intents.push(intent);
                self.standing = Standing::HalfDone;
            }
            Entry::Applied => self.standing = Standing::Applied,
            Entry::UndoBegin { .. } => {
                self.left.clear();
                self.standing = Standing::HalfDone;
            }
            Entry::Left { resource, why } => self.left.push((resource, why)),
            Entry::Undone { left: 0 } => self.standing = Standing::Undone,
            Entry::Undone { left } => {
                let resources = self.intents.iter().map(|intent| intent.action.resource().to_string());
                let is_left = |name: &String| self.left.iter().any(|(resource, _)| resource == name);
                self.settled = resources.filter(|name| !is_left(name)).collect();
                self.standing = Standing::PartlyUndone { left };
            }
            Entry::Done { .. } | Entry::Failed { .. } | Entry::Restore { .. } => {}
        }
    }
}
