//! This host, to be changed: one at a time, journalled, and taken back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use slotwise_backend::qemu::Sockets;
use slotwise_core::facts::Origin;
use slotwise_core::plan::Plan;
use slotwise_core::report::Role;
use slotwise_core::rules::Severity;
use slotwise_core::topology::Topology;
use slotwise_core::vm::VmName;
use slotwise_host::apply::{self, Applied, ApplyError, ApplyRequest, LeftWhy, UndoReport, UndoRequest};
use slotwise_host::journal::{ApplyId, JournalError, StateDir};
use slotwise_host::live::{LiveHost, NotLive};
use slotwise_host::lock::{HOST_LOCK, HostLock, Lender, LockError, Owner};

use crate::error::{Failure, Hint};
use crate::{paths, print};

/// The running host, locked for this process.
pub(crate) struct Host {
    live: LiveHost,
    lock: HostLock,
    state: StateDir,
    command: String,
    interrupted: Arc<AtomicBool>,
}

/// How long another may have the lock that is borrowed here: an attach waits for its guest.
const BORROW: Duration = Duration::from_secs(120);

/// Where the run of a VM lends its lock: in the machine's own folder, which is ours alone.
fn lender(vm: &VmName) -> PathBuf {
    Sockets::of(&paths::runtime().join("machines"), vm).folder().join("host-lock.sock")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Host {
    /// Locks the host. From here on signals are heard, not died of: what was begun is finished or taken back.
    pub(crate) fn lock() -> Result<Self, Failure> {
        Self::lock_or_borrow(None)
    }

    /// The same beside the run of a VM, which lends its lock.
    pub(crate) fn lock_beside(vm: &str) -> Result<Self, Failure> {
        match vm.parse() {
            Ok(name) => Self::lock_or_borrow(Some(&lender(&name))),
            // No VM has such a name, which the spec will tell.
            Err(_) => Self::lock(),
        }
    }

    fn lock_or_borrow(lender: Option<&Path>) -> Result<Self, Failure> {
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let live = LiveHost::running()?;
        let owner = Owner { pid: std::process::id(), command: command.clone(), since_unix_s: now() };
        let lock = match (HostLock::acquire(HOST_LOCK.as_ref(), &owner), lender) {
            (Err(held @ LockError::Held { .. }), Some(lender)) => {
                HostLock::borrow_at(lender, BORROW).map_err(|_| held)
            }
            (lock, _) => lock,
        };
        let lock = lock.map_err(Failure::hinted(LockError::hint))?;
        lock.share_with_children()?;
        let state =
            StateDir::create(&paths::state()).hint("run it as root: changing a host's drivers needs it")?;
        Ok(Self { live, lock, state, command, interrupted })
    }

    /// Lends the lock while a VM runs, to whoever changes what it has. Nothing is to be changed before it is ended.
    pub(crate) fn lend_beside(&self, vm: &VmName) -> Result<Lender, Failure> {
        Lender::start(&self.lock, &lender(vm)).map_err(Failure::hinted(LockError::hint))
    }

    /// Whether the user asked to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Set once the user asked to end.
    pub(crate) fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// The host as it is now.
    pub(crate) fn topology(&self) -> Topology {
        let boot_id = self.live.live().ok().map(|live| live.boot_id().to_string());
        Topology::new(slotwise_host::read(&self.live, Origin::Live { boot_id }))
    }

    /// Names this boot of the host.
    pub(crate) fn boot_id(&self) -> Result<String, Failure> {
        let live = self.live.live().map_err(Failure::hinted(NotLive::hint))?;
        Ok(live.boot_id().to_string())
    }

    /// Carries a plan out, if the host still is what it rests on.
    pub(crate) fn apply(&self, plan: &Plan) -> Result<Applied, Failure> {
        let live = self.live.live().map_err(Failure::hinted(NotLive::hint))?;
        let request = ApplyRequest {
            live: &live,
            lock: &self.lock,
            state: &self.state,
            steps: &plan.steps,
            rests_on: Some(&plan.fingerprint),
            command: &self.command,
            now_unix_s: now(),
        };
        apply::apply(request).map_err(Failure::hinted(ApplyError::hint))
    }

    /// Takes an apply back, and says what was done and left.
    pub(crate) fn undo(&self, id: ApplyId) -> Result<UndoReport, Failure> {
        let live = self.live.live().map_err(Failure::hinted(NotLive::hint))?;
        let request =
            UndoRequest { live: &live, lock: &self.lock, state: &self.state, id, now_unix_s: now() };
        let report = apply::undo(request).map_err(Failure::hinted(JournalError::hint))?;
        for action in &report.restored {
            print::progress(&format!("undone: {action}"));
        }
        if report.void > 0 {
            print::progress(&format!("{} changes had gone with the reboot", report.void));
        }
        for left in report.left.iter().filter(|left| matches!(left.why, LeftWhy::InUse { .. })) {
            print::progress(&format!("{} stays for now: {}", left.resource, left.why));
        }
        for action in apply::undo_modules(request).map_err(Failure::hinted(JournalError::hint))? {
            print::progress(&format!("undone: {action}"));
        }
        for left in report.left.iter().filter(|left| left.why.needs_care()) {
            print::note(Role::Caution, "left", &format!("{}: {}", left.resource, left.why));
            print::note(Role::Good, "hint", left.why.hint());
        }
        if let Some(error) = &report.unrecorded {
            print::note(Role::Caution, "the journal could not be written", &error.to_string());
        }
        Ok(report)
    }

    /// The journals of this host.
    pub(crate) const fn state(&self) -> &StateDir {
        &self.state
    }
}

/// Findings that stand against a plan and were not waved through; nothing if there are none.
pub(crate) fn standing_against(plan: &Plan, despite: &[String]) -> Vec<&'static str> {
    let mut rules: Vec<&'static str> = plan
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocks)
        .map(|finding| finding.rule)
        .filter(|rule| !despite.iter().any(|waved| waved == rule))
        .collect();
    rules.dedup();
    rules
}

/// Shows the plan and what stands against it. True if it may be carried out.
pub(crate) fn may_go_on(plan: &Plan, despite: &[String]) -> Result<bool, Failure> {
    let against = standing_against(plan, despite);
    if against.is_empty() {
        return Ok(true);
    }
    print::text(&slotwise_core::report::text::plan(plan))?;
    let list = against.join(", ");
    print::note(
        Role::Bad,
        "refused",
        &format!("the plan says that it will not work: {list}; nothing was changed"),
    );
    let flags: Vec<String> = against.iter().map(|rule| format!("--despite {rule}")).collect();
    print::note(Role::Good, "hint", &format!("to try all the same: {}", flags.join(" ")));
    Ok(false)
}

/// An apply that is taken back when its owner is done, unless the host was so already.
pub(crate) struct Loan<'h> {
    host: &'h Host,
    id: Option<ApplyId>,
}

impl<'h> Loan<'h> {
    /// Carries the steps out for a while.
    pub(crate) fn take(host: &'h Host, plan: &Plan) -> Result<Self, Failure> {
        let id = match host.apply(plan)? {
            Applied::Already => None,
            Applied::Done { id, steps } => {
                print::progress(&format!("{} changes made for this run", steps.len()));
                Some(id)
            }
        };
        Ok(Self { host, id })
    }

    /// Leaves everything as it is: another is at work on the host, and `slotwise undo` takes it back.
    pub(crate) fn leave(mut self) {
        self.id = None;
    }

    /// Gives everything back. An error, or what could not be restored, is the caller's to tell.
    pub(crate) fn give_back(mut self) -> Result<(), Failure> {
        match self.id.take() {
            None => Ok(()),
            Some(id) if self.host.undo(id)?.is_clean() => Ok(()),
            Some(id) => {
                Err(Failure::new("the host is not as it was")
                    .hint(format!("`slotwise undo {id}` tries again")))
            }
        }
    }
}

impl Drop for Loan<'_> {
    /// On the way out of an error: the device is given back all the same.
    fn drop(&mut self) {
        if let Some(id) = self.id.take()
            && let Err(failure) = self.host.undo(id)
        {
            failure.print();
        }
    }
}
