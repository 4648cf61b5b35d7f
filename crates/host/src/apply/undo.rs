//! Putting back what a journal says was there.
//!
//! Undoing goes in phases over all that was changed, as doing does, and in this order: files, the devices off their
//! new drivers, the former overrides, the devices to their former drivers, the modules. An override goes back
//! before the probe that depends on it, which is why the steps are not simply turned round one by one.
//!
//! What is found changed by another hand is left as it is and told. Undoing what is as it was writes nothing, so
//! that undo can be repeated, and can be killed and repeated.

use std::collections::BTreeSet;

use slotwise_core::action::{Action, Phase, Resource, State};
use slotwise_core::facts::DriverName;
use slotwise_core::pci::PciAddress;

use super::act::{StepError, perform};
use super::observe::{observe, users};
use crate::journal::{ApplyId, Cause, Entry, Intent, Journal, JournalError, Standing, StateDir};
use crate::kernel::{FileMode, Live, ReadError, WriteHost};
use crate::lock::HostLock;

/// The order of undoing.
const PHASES: [Phase; 6] =
    [Phase::Files, Phase::Load, Phase::Unbind, Phase::Override, Phase::Probe, Phase::Unload];

/// What to undo, and with what.
#[derive(Clone, Copy, Debug)]
pub struct UndoRequest<'a> {
    /// The running host.
    pub live: &'a Live<'a>,
    /// The right to change it.
    pub lock: &'a HostLock,
    /// Where its journals lie.
    pub state: &'a StateDir,
    /// Which apply.
    pub id: ApplyId,
    /// The time, in seconds since 1970, UTC.
    pub now_unix_s: u64,
}

/// Something that was not put back.
#[derive(Debug)]
pub struct Left {
    /// What it is.
    pub resource: Resource,
    /// Why it was left.
    pub why: LeftWhy,
}

/// Why something was not put back.
#[derive(Debug, thiserror::Error)]
pub enum LeftWhy {
    /// The device is no longer there, and with it went what was changed.
    #[error("the device is gone")]
    Gone,
    /// Somebody has changed it since.
    #[error("it was changed by another hand and is now: {found}")]
    Changed {
        /// What it is now.
        found: State,
    },
    /// A module that others use by now.
    #[error("{} {} it", .by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), if .by.len() == 1 { "uses" } else { "use" })]
    InUse {
        /// The devices on its drivers.
        by: Vec<PciAddress>,
    },
    /// It cannot be seen how it is.
    #[error("it cannot be read")]
    Unreadable(#[source] ReadError),
    /// The former driver did not take the device back.
    #[error("its former driver {driver} did not take it back")]
    DriverStayedAway {
        /// The driver.
        driver: DriverName,
        /// What happened instead.
        #[source]
        source: StepError,
    },
    /// The change back failed.
    #[error("it could not be changed back")]
    Failed(#[source] StepError),
}

impl LeftWhy {
    /// Whether there is something to be put right. What went with its device needs nothing, and what others use now goes
    /// with them.
    #[must_use]
    pub fn needs_care(&self) -> bool {
        !matches!(self, Self::Gone | Self::InUse { .. })
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Gone => "nothing: a device that comes back is treated as new",
            Self::Changed { .. } => "if it should go back all the same, change it by hand",
            Self::InUse { .. } => "nothing: it goes when they are given back",
            Self::Unreadable(_) => "run it as root; then undo again",
            Self::DriverStayedAway { source, .. } | Self::Failed(source) => source.hint(),
        }
    }
}

/// What undoing came to.
#[derive(Debug, Default)]
pub struct UndoReport {
    /// What was put back, in that order.
    pub restored: Vec<Action>,
    /// What was not.
    pub left: Vec<Left>,
    /// How many changes a reboot had undone already.
    pub void: usize,
    /// Why the journal does not know of it, if it does not. Undoing again is then harmless and needed.
    pub unrecorded: Option<JournalError>,
}

impl UndoReport {
    /// Whether the host is as it was.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.left.iter().any(|left| left.why.needs_care())
    }
}

/// Undoes an apply, by what its journal says alone. Undoing it again does nothing.
///
/// # Errors
/// If there is no such journal, or it cannot be read.
pub fn undo(request: UndoRequest<'_>) -> Result<UndoReport, JournalError> {
    let UndoRequest { live, lock: _, state, id, now_unix_s } = request;
    let record = state.record(id)?;
    if matches!(record.standing(), Standing::Nothing | Standing::Undone) {
        return Ok(UndoReport::default());
    }
    // What was written to sysfs went with the boot that it was written in.
    let same_boot = record.boot_id() == Some(live.boot_id());
    let holds = |intent: &&Intent| same_boot || matches!(intent.action.resource(), Resource::File(_));
    let intents: Vec<Intent> = record.open_intents().filter(|intent| holds(intent)).cloned().collect();
    let mut journal = state.resume(id)?;
    let begin = Entry::UndoBegin {
        cause: Cause::Request,
        boot_id: live.boot_id().clone(),
        started_unix_s: now_unix_s,
    };
    let mut report = restore(live.host(), &mut journal, &begin, &intents);
    report.void = record.intents().iter().filter(|intent| !holds(intent)).count();
    Ok(report)
}

/// Unloads modules that earlier undoings left since other devices used them, as far as none does now; what was undone so.
///
/// # Errors
/// If a journal cannot be read.
pub fn undo_modules(request: UndoRequest<'_>) -> Result<Vec<Action>, JournalError> {
    let mut undone = Vec::new();
    for (id, record) in request.state.records()? {
        // One that cannot be read is told by whoever asks for it.
        if id != request.id && record.is_ok_and(|record| record.leaves_modules_only()) {
            undone.extend(undo(UndoRequest { id, ..request })?.restored);
        }
    }
    Ok(undone)
}

/// What to put back, and what it may be found as.
struct Target {
    resource: Resource,
    prior: State,
    mode: FileMode,
    /// The states that the apply itself gave it.
    ours: Vec<State>,
    directories: Vec<String>,
}

/// One target for each resource: its state before the first change to it is what counts.
fn targets(intents: &[Intent]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for intent in intents {
        let resource = intent.action.resource();
        if let Some(known) = targets.iter_mut().find(|target| target.resource == resource) {
            known.ours.push(intent.action.after());
            continue;
        }
        targets.push(Target {
            resource,
            prior: intent.prior.clone(),
            mode: intent.mode.unwrap_or(FileMode::CONFIGURATION),
            ours: vec![intent.action.after()],
            directories: intent.directories.clone(),
        });
    }
    targets
}

/// Puts back what `intents` found. A journal that cannot be written is no reason to stop: what entitles to these
/// writes is the intent, and that is on disk.
pub(super) fn restore(
    host: &dyn WriteHost,
    journal: &mut Journal,
    begin: &Entry,
    intents: &[Intent],
) -> UndoReport {
    let mut undoing = Undoing { host, journal, report: UndoReport::default(), closed: BTreeSet::new() };
    undoing.note(begin);
    let targets = targets(intents);
    for target in &targets {
        undoing.look(target);
    }
    for phase in PHASES {
        for target in targets.iter().rev() {
            undoing.put_back(phase, target);
        }
    }
    for target in targets.iter().rev() {
        undoing.remove_directories(target);
    }
    let left = undoing.report.left.iter().filter(|left| !matches!(left.why, LeftWhy::Gone)).count();
    undoing.note(&Entry::Undone { left });
    undoing.report
}

struct Undoing<'a> {
    host: &'a dyn WriteHost,
    journal: &'a mut Journal,
    report: UndoReport,
    /// Resources that are not to be touched any more.
    closed: BTreeSet<Resource>,
}

impl Undoing<'_> {
    fn note(&mut self, entry: &Entry) {
        if let Err(error) = self.journal.append(entry) {
            self.report.unrecorded.get_or_insert(error);
        }
    }

    fn leave(&mut self, target: &Target, why: LeftWhy) {
        self.note(&Entry::Left { resource: target.resource.to_string(), why: why.to_string() });
        self.closed.insert(target.resource.clone());
        self.report.left.push(Left { resource: target.resource.clone(), why });
    }

    /// Leaves alone what is neither as it was nor as the apply made it.
    fn look(&mut self, target: &Target) {
        match observe(self.host, &target.resource) {
            Ok(found) if found == target.prior || target.ours.contains(&found) => {}
            Ok(found) => self.leave(target, LeftWhy::Changed { found }),
            Err(error) => self.leave(target, unreadable(error)),
        }
    }

    fn put_back(&mut self, phase: Phase, target: &Target) {
        if self.closed.contains(&target.resource) {
            return;
        }
        let found = match observe(self.host, &target.resource) {
            Ok(found) => found,
            Err(error) => return self.leave(target, unreadable(error)),
        };
        let Some(action) = way_back(&target.resource, &found, &target.prior) else { return };
        if action.phase() != phase {
            return;
        }
        if let Action::UnloadModule { module } = &action {
            let by = users(self.host, module);
            if !by.is_empty() {
                return self.leave(target, LeftWhy::InUse { by });
            }
        }
        self.note(&Entry::Restore { action: action.clone() });
        match perform(self.host, &action, target.mode) {
            Ok(()) => self.report.restored.push(action),
            Err(source) => {
                let why = match (observe(self.host, &target.resource), action) {
                    (Err(error), _) if error.is_not_found() => LeftWhy::Gone,
                    (_, Action::Probe { driver, .. }) => LeftWhy::DriverStayedAway { driver, source },
                    _ => LeftWhy::Failed(source),
                };
                self.leave(target, why);
            }
        }
    }

    /// Removes the directories that were made for a file, if nobody else has put anything there.
    fn remove_directories(&mut self, target: &Target) {
        if self.closed.contains(&target.resource) {
            return;
        }
        for path in target.directories.iter().rev() {
            if self.host.list(path).is_ok_and(|names| names.is_empty()) {
                // Left over at worst is an empty directory.
                let _ = self.host.remove_dir(path);
            }
        }
    }
}

fn unreadable(error: ReadError) -> LeftWhy {
    // A file that is missing is a state; what is not found otherwise is a device.
    if error.is_not_found() { LeftWhy::Gone } else { LeftWhy::Unreadable(error) }
}

/// The next action on the way from `found` to `prior`; none if it is there.
fn way_back(resource: &Resource, found: &State, prior: &State) -> Option<Action> {
    if found == prior {
        return None;
    }
    Some(match (resource.clone(), found.clone(), prior.clone()) {
        (Resource::Module(module), _, State::ModuleAbsent) => Action::UnloadModule { module },
        (Resource::Module(module), _, State::ModuleLoaded) => {
            Action::LoadModule { module, parameters: Vec::new() }
        }
        (Resource::DriverOverride(device), _, State::DriverOverride(driver)) => {
            Action::SetDriverOverride { device, driver }
        }
        (Resource::Driver(device), State::Driver(Some(driver)), _) => Action::Unbind { device, driver },
        (Resource::Driver(device), _, State::Driver(Some(driver))) => Action::Probe { device, driver },
        (Resource::File(path), _, State::File(Some(content))) => Action::WriteFile { path, content },
        (Resource::File(path), _, State::File(None)) => Action::RemoveFile { path },
        _ => return None,
    })
}
