//! QEMU's process, tied to this one.
//!
//! `setpriv --pdeathsig` (util-linux 2.33) asks the kernel to kill QEMU when its parent goes (prctl(2),
//! `PR_SET_PDEATHSIG`). The parent, to the kernel, is the thread that started it, so a thread of its own starts QEMU
//! and waits for its end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A running QEMU; dropped, it is killed.
#[derive(Debug)]
pub(super) struct Qemu {
    process: OwnedFd,
    /// For /proc alone; signals go by the descriptor.
    number: u32,
    end: Arc<End>,
}

#[derive(Debug, Default)]
struct End {
    reached: Mutex<bool>,
    changed: Condvar,
}

impl Qemu {
    /// Starts it; what it says goes to `log`.
    pub(super) fn start(program: &Path, arguments: Vec<OsString>, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let end = Arc::new(End::default());
        let started = keep(command, Arc::clone(&end));
        let (process, number) =
            started.recv().map_err(|_| io::Error::other("the thread that starts QEMU ended"))??;
        Ok(Self { process, number, end })
    }

    /// Processor time that it has used, its threads included: what passes for it only while it runs (proc(5), `stat`,
    /// fields 14 and 15, in ticks of 1/100 s). None once it has ended.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.number)).ok()?;
        // The second field is the program's name in parentheses, which may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Duration::from_millis(user.saturating_add(system).saturating_mul(10)))
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.end.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its end, at most this long.
    pub(super) fn wait(&self, limit: Duration) {
        let reached = self.end.reached.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether the end or the limit came first does not matter: dropping kills what is left.
        drop(self.end.changed.wait_timeout_while(reached, limit, |reached| !*reached));
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // ESRCH: it has ended.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        self.wait(Duration::from_secs(5));
    }
}

/// Starts the command on a thread of its own, which stays until the command ends.
fn keep(mut command: Command, end: Arc<End>) -> Receiver<io::Result<(OwnedFd, u32)>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        match command.spawn() {
            Err(error) => drop(sender.send(Err(error))),
            Ok(mut child) => {
                // Opened before the child is waited for, so the number cannot be another process's.
                let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
                if process.is_err() {
                    // Without the descriptor nobody could end it.
                    let _ = child.kill();
                }
                let number = child.id();
                let _ = sender.send(process.map(|process| (process, number)).map_err(io::Error::from));
                let _ = child.wait();
            }
        }
        *end.reached.lock().unwrap_or_else(PoisonError::into_inner) = true;
        end.changed.notify_all();
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(script: &str) -> Qemu {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["-c", script].map(OsString::from).to_vec();
        Qemu::start(Path::new("/bin/sh"), arguments, &directory.path().join("log")).unwrap()
    }

    #[test]
    fn the_end_of_the_process_is_noticed() {
        let process = running("exit 0");
        process.wait(Duration::from_secs(10));
        assert!(process.has_ended());
    }

    #[test]
    fn only_work_counts_as_processor_time() {
        let idle = running("sleep 1000");
        let busy = running("while :; do :; done");
        let used = |process: &Qemu| process.processor_time().unwrap();
        while used(&busy) < Duration::from_millis(100) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(used(&idle) < Duration::from_millis(100));
    }

    #[test]
    fn dropping_kills_it() {
        let process = running("sleep 1000");
        assert!(!process.has_ended());
        let end = Arc::clone(&process.end);
        drop(process);
        assert!(*end.reached.lock().unwrap());
    }
}
