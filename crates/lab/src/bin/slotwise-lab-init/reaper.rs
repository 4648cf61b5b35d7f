//! Collects ended children: the first process inherits every orphan of the host.
//!
//! Nothing else may wait for children while the reaper runs. The standard library waits for a child whose `exec`
//! failed, so a child is started with the table locked, and the reaper only collects with the table locked.

use std::collections::HashMap;
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, wait, waitid};
use slotwise_lab::channel::wire::ExitStatus;

/// The table of children somebody waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reaper(Arc<Mutex<HashMap<i32, Sender<ExitStatus>>>>);

impl Reaper {
    /// Starts collecting.
    pub(crate) fn start() -> Self {
        let reaper = Self::default();
        let table = reaper.clone();
        std::thread::spawn(move || table.collect());
        reaper
    }

    /// Starts a child; its end arrives in the receiver.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(Child, Pid, Receiver<ExitStatus>)> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, receiver) = channel();
        table.insert(pid.as_raw_nonzero().get(), sender);
        Ok((child, pid, receiver))
    }

    fn collect(&self) {
        loop {
            // Look without collecting, so that the table's lock is not held while nothing ends.
            if waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).is_err() {
                // ECHILD: no children at all. There is no event for the next one, so look again soon.
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Not `waitpid(None, ...)`, which asks for children of this process group alone.
            if let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                let ended = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => ExitStatus::Code(code),
                    (None, signal) => ExitStatus::Signal(signal.unwrap_or(0)),
                };
                if let Some(sender) = table.remove(&pid.as_raw_nonzero().get()) {
                    // Whoever waited may have gone; then nobody wants to know.
                    let _ = sender.send(ended);
                }
            }
        }
    }
}
