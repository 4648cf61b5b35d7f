//! A monitor as a child process: started apart from the terminal, heard, and never left behind.
//!
//! - It gets a process group of its own, so that Ctrl-C at the terminal reaches us and not it: we end it in order.
//! - Standard input is empty; output and error share one pipe, captured within bounds.
//! - Dropping the [`Process`] kills the whole group and reaps it.
//! - If we are killed ourselves, the kernel kills it: `setpriv --pdeathsig KILL` (util-linux 2.33) sets the
//!   parent-death signal (prctl(2), `PR_SET_PDEATHSIG`) between fork and exec, which safe Rust cannot. The signal
//!   comes when the *thread* that forked ends (`kernel/exit.c`, `forget_original_parent`), hence a keeper thread
//!   that starts the child and lives until it is reaped. Remaining gap: our death in the moment before setpriv has
//!   made its system call.
//!
//! Times are wall-clock durations.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use rustix::thread::{CpuSet, sched_setaffinity};
use slotwise_core::facts::CpuList;

use crate::capture::{Limits, Recorder, Tee};

/// How long the pipe may stay open after the process is gone: the time to read what is still in it.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a killed process is waited for: giving back a device's memory and interrupts takes a while.
const KILLED: Duration = Duration::from_secs(10);

/// Why a process could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program did not start.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It was asked a question and gave no answer in time.
    #[error("{} did not finish within {} s", program.display(), within.as_secs())]
    Deadline {
        /// The program.
        program: PathBuf,
        /// How long it was given.
        within: Duration,
    },
}

/// What ties a child's life to ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tether {
    /// This `setpriv` program makes the kernel kill the child when we die.
    Setpriv(PathBuf),
    /// Nothing does: if we are killed, the child lives on.
    None,
}

impl Tether {
    /// Looks for a `setpriv` that knows `--pdeathsig` in the folders of `search_path` (as in `PATH`).
    #[must_use]
    pub fn detect(search_path: &OsStr) -> Self {
        let Some(program) = find_program("setpriv", search_path) else { return Tether::None };
        match output_within(&program, &["--help"], Duration::from_secs(5)) {
            Ok(output) if output.text.contains("--pdeathsig") => Tether::Setpriv(program),
            _ => Tether::None,
        }
    }
}

/// The first executable file called `name` in the folders of `search_path`.
#[must_use]
pub fn find_program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    // A relative folder in PATH is the classic way to run something unexpected as root.
    let folders = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|path| is_executable(path))
}

/// Whether `path` is a regular file that we may execute.
#[must_use]
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// What a short-lived program printed, both streams together, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed, within [`Limits::MESSAGES`].
    pub text: String,
}

/// Runs a program that answers and ends by itself.
///
/// # Errors
/// It does not start, or does not end within the time given; then it is killed.
pub fn output_within(program: &Path, arguments: &[&str], within: Duration) -> Result<Output, ProcessError> {
    let arguments = arguments.iter().map(OsString::from).collect();
    let process = Process::spawn(Launch {
        program: program.to_owned(),
        arguments,
        processors: None,
        tether: Tether::None,
        messages: None,
    })?;
    let status =
        process.wait(within).ok_or_else(|| ProcessError::Deadline { program: program.to_owned(), within })?;
    Ok(Output { status, text: process.messages_to_end() })
}

/// What to start, and how.
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Processors that it may run on; none for those that we may.
    pub processors: Option<CpuList>,
    /// What ties its life to ours.
    pub tether: Tether,
    /// Where its messages are copied to as they come.
    pub messages: Option<Tee>,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut launch = f.debug_struct("Launch");
        launch.field("program", &self.program).field("arguments", &self.arguments);
        launch.field("processors", &self.processors).field("tether", &self.tether).finish_non_exhaustive()
    }
}

/// A child process and its messages. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    state: Arc<Shared>,
    messages: Recorder,
}

#[derive(Debug, Default)]
struct Shared {
    /// None until the child is reaped. While the lock is held and this is none, the pid cannot be reused.
    exit: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts a child.
    ///
    /// # Errors
    /// The program, the pipe or the threads cannot be had.
    pub fn spawn(launch: Launch) -> Result<Self, ProcessError> {
        let Launch { program, arguments, processors, tether, messages } = launch;
        let failed = |source| ProcessError::Start { program: program.clone(), source };
        let (reader, writer) = io::pipe().map_err(failed)?;
        let mut command = match tether {
            Tether::Setpriv(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&program);
                command
            }
            Tether::None => Command::new(&program),
        };
        command.args(arguments).stdin(Stdio::null());
        command.stdout(writer.try_clone().map_err(failed)?).stderr(writer).process_group(0);
        let messages = Recorder::start(reader, Limits::MESSAGES, messages).map_err(failed)?;

        let state = Arc::new(Shared::default());
        let (sender, started) = mpsc::channel();
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("keeper".into())
            .spawn(move || keep(command, processors.as_ref(), &shared, &sender))
            .map_err(failed)?;
        let pid = started.recv().unwrap_or_else(|_| Err(io::Error::other("keeper thread ended")));
        Ok(Self { pid: pid.map_err(failed)?, state, messages })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exited(&self) -> Option<ExitStatus> {
        *self.state.lock()
    }

    /// Waits for its end; none if it is still there after `within`.
    #[must_use]
    pub fn wait(&self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        let mut exit = self.state.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if exit.is_some() || left.is_zero() {
                return *exit;
            }
            let waited = self.state.changed.wait_timeout(exit, left);
            exit = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Kills it and all of its group; nothing happens if it has ended.
    pub fn kill(&self) {
        let exit = self.state.lock();
        if exit.is_none() {
            // Not reaped while we hold the lock, so the number is still its own. It fails only if there is
            // nobody left to kill.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// What it has printed so far.
    #[must_use]
    pub fn messages(&self) -> &Recorder {
        &self.messages
    }

    /// What it printed, to the end: waits a moment for what is still in the pipe. For a process that has ended.
    #[must_use]
    pub fn messages_to_end(&self) -> String {
        self.messages.wait_end(DRAIN);
        self.messages.capture().text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // SIGKILL cannot be refused, but a process stuck in the kernel (a device that does not reset) ends when
        // the kernel lets go. It is not waited for without end; the keeper reaps it whenever that is.
        let _ = self.wait(KILLED);
    }
}

/// Starts the child, reports its pid, waits for its end. Runs on a thread that does nothing else, so that the processors which
/// the child is to inherit (sched_setaffinity(2)) can be the thread's own.
fn keep(
    mut command: Command,
    processors: Option<&CpuList>,
    shared: &Shared,
    sender: &mpsc::Sender<io::Result<Pid>>,
) {
    let spawned = processors.map_or(Ok(()), run_on).and_then(|()| command.spawn());
    // The command holds our copies of the pipe's writing end.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            // The receiver waits for exactly this.
            let _ = sender.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    let _ = sender.send(Ok(pid));
    // Learn of the end without reaping, so that the pid stays taken until the lock is held.
    while let Err(error) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        if error != rustix::io::Errno::INTR {
            break;
        }
    }
    let mut exit = shared.lock();
    // What the child left running in its group goes with it; the zombie keeps the group's number taken.
    let _ = kill_process_group(pid, Signal::KILL);
    *exit = Some(reap(&mut child));
    shared.changed.notify_all();
}

/// Keeps this thread, and what it starts, to some processors.
fn run_on(processors: &CpuList) -> io::Result<()> {
    let mut set = CpuSet::new();
    let numbers = processors.numbers().filter_map(|number| usize::try_from(number).ok());
    // Beyond that the set of the C library has no place; a node of a host that large still has most of its processors.
    numbers.filter(|number| *number < CpuSet::MAX_CPU).for_each(|number| set.set(number));
    sched_setaffinity(None, &set).map_err(io::Error::from)
}

fn reap(child: &mut Child) -> ExitStatus {
    use std::os::unix::process::ExitStatusExt;
    // It fails only if somebody else in this process reaped our child; then the status is lost, not the end.
    child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0xff00))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str, tether: Tether) -> Process {
        Process::spawn(Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            processors: None,
            tether,
            messages: None,
        })
        .expect("sh starts")
    }

    fn alive(pid: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
    }

    #[test]
    fn status_and_messages_are_kept() {
        let process = shell("echo out; echo err >&2; exit 3", Tether::None);
        assert_eq!(process.wait(LONG).and_then(|s| s.code()), Some(3));
        assert_eq!(process.messages_to_end(), "out\nerr\n");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Process::spawn(Launch {
            program: "/nonexistent/qemu".into(),
            arguments: Vec::new(),
            processors: None,
            tether: Tether::None,
            messages: None,
        })
        .expect_err("there is none");
        assert_eq!(error.to_string(), "cannot start /nonexistent/qemu");
    }

    #[test]
    fn a_child_runs_on_the_processors_that_it_is_given_and_we_on_ours() {
        let ours = rustix::thread::sched_getaffinity(None).expect("a mask");
        let last = (0..CpuSet::MAX_CPU).rev().find(|number| ours.is_set(*number)).expect("a processor");
        let process = Process::spawn(Launch {
            program: "/bin/grep".into(),
            arguments: vec!["Cpus_allowed_list".into(), "/proc/self/status".into()],
            processors: CpuList::parse(&last.to_string()),
            tether: Tether::detect(OsStr::new("/usr/bin:/bin")),
            messages: None,
        })
        .expect("grep starts");
        assert!(process.wait(LONG).is_some_and(|status| status.success()));
        assert_eq!(process.messages_to_end(), format!("Cpus_allowed_list:\t{last}\n"));
        assert_eq!(rustix::thread::sched_getaffinity(None), Ok(ours));
    }

    #[test]
    fn processors_that_the_host_does_not_have_are_no_place_to_start_on() {
        let error = Process::spawn(Launch {
            program: "/bin/true".into(),
            arguments: Vec::new(),
            processors: CpuList::parse("1023"),
            tether: Tether::None,
            messages: None,
        })
        .expect_err("no host of tests has so many");
        assert_eq!(error.to_string(), "cannot start /bin/true");
    }

    #[test]
    fn a_kill_reaches_the_whole_group() {
        let process = shell("sleep 1000 & echo $!; wait", Tether::None);
        let grandchild = process
            .messages()
            .wait_for(LONG, |c| c.text().strip_suffix('\n').and_then(|t| t.parse::<u32>().ok()))
            .expect("a pid");
        assert!(alive(grandchild));
        process.kill();
        assert_eq!(process.wait(LONG).and_then(|s| s.signal()), Some(9));
        // Its death follows the signal, but not at once.
        let deadline = Instant::now() + LONG;
        while alive(grandchild) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!alive(grandchild));
    }

    #[test]
    fn the_child_is_out_of_reach_of_the_terminals_keys() {
        let process = shell("exec sleep 1000", Tether::None);
        assert_eq!(rustix::process::getpgid(Some(process.pid)), Ok(process.pid));
    }

    #[test]
    fn dropping_ends_the_child() {
        let process = shell("exec sleep 1000", Tether::None);
        let pid = process.pid();
        assert!(alive(pid));
        drop(process);
        assert!(!alive(pid));
    }

    #[test]
    fn the_child_outlives_the_thread_that_asked_for_it() {
        let tether = Tether::detect(OsStr::new("/usr/bin:/bin"));
        let process = thread::spawn(|| shell("exec sleep 1000", tether)).join().expect("no panic");
        assert_eq!(process.wait(Duration::from_millis(300)), None);
    }

    #[test]
    fn relative_folders_of_the_search_path_are_passed_over() {
        assert_eq!(find_program("sh", OsStr::new("bin:.:")), None);
        assert!(find_program("sh", OsStr::new("bin:/bin")).is_some());
    }

    #[test]
    fn a_program_that_does_not_answer_is_given_up() {
        let error = output_within(Path::new("/bin/sleep"), &["1000"], Duration::from_millis(100));
        assert!(matches!(error, Err(ProcessError::Deadline { .. })));
    }
}
