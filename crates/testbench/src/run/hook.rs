//! Runs a command of the user's: what installs a firmware, what switches a device off and on.
//!
//! It is given no shell, no input, and a deadline; what it says is kept for the error, up to a bound.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use slotwise_core::vm::{HookCommand, HookWord};

/// How long a command may take: a large flash at a slow programmer's speed.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// How long its output is waited for when it has ended: something it left running may hold it open.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes of its output that are kept, of each stream: the end.
const KEPT_BYTES: usize = 16 * 1024;

/// A command that did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It could not be started.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended with another status than 0.
    #[error("{program} ended with {status}")]
    Status {
        /// The program.
        program: String,
        /// Its exit status, or the signal.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// It did not end.
    #[error("{program} did not end within {} s", limit.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
        /// The end of what it said.
        said: String,
    },
}

impl HookError {
    /// The error with its cause and what the command said, on one line.
    pub fn told(&self) -> String {
        match self {
            Self::Start { source, .. } => format!("{self}: {source}"),
            Self::Status { said, .. } | Self::TimedOut { said, .. } if !said.is_empty() => {
                format!("{self}: {}", said.replace('\n', " "))
            }
            Self::Status { .. } | Self::TimedOut { .. } => self.to_string(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { .. } => {
                Some("the command is run as it stands in the spec's [test], without a shell".to_owned())
            }
            Self::Status { said, .. } | Self::TimedOut { said, .. } => {
                Some(format!("it said: {said}")).filter(|_| !said.is_empty())
            }
        }
    }
}

/// Runs a command to its end; gives the end of what it said.
///
/// # Errors
///
/// It cannot be started, fails, or takes too long; then it is ended with all that it started.
pub fn run_hook(hook: &HookCommand, values: &[(HookWord, &str)]) -> Result<String, HookError> {
    run_within(hook, values, LIMIT)
}

fn run_within(hook: &HookCommand, values: &[(HookWord, &str)], limit: Duration) -> Result<String, HookError> {
    let program = || hook.program().to_owned();
    let mut command = Command::new(hook.program());
    command.args(hook.arguments(values)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it starts can be ended with it, and Ctrl-C reaches the bench alone.
    command.process_group(0);
    let mut child = command.spawn().map_err(|source| HookError::Start { program: program(), source })?;
    let said = listen(&mut child);
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(collect(&said)),
            Ok(Some(status)) => {
                return Err(HookError::Status { program: program(), status, said: collect(&said) });
            }
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            Ok(None) => {
                end(&mut child);
                return Err(HookError::TimedOut { program: program(), limit, said: collect(&said) });
            }
            Err(source) => {
                end(&mut child);
                return Err(HookError::Start { program: program(), source });
            }
        }
    }
}

/// Ends the command and all that it started.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// Reads both streams, so that the command never waits for a reader.
fn listen(child: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as _),
        child.stderr.take().map(|stream| Box::new(stream) as _),
    ];
    for mut stream in streams.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let surplus = kept.len().saturating_sub(KEPT_BYTES);
                kept.drain(..surplus);
            }
            // Nobody may be left to hear it.
            let _ = sender.send(kept);
        });
    }
    receiver
}

fn collect(said: &Receiver<Vec<u8>>) -> String {
    let deadline = Instant::now() + DRAIN;
    let mut texts = Vec::new();
    while let Ok(bytes) = said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        texts.extend(Some(text).filter(|text| !text.is_empty()));
    }
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> HookCommand {
        HookCommand::new(["sh", "-c", script, "{firmware}"].map(str::to_owned).to_vec()).unwrap()
    }

    #[test]
    fn a_word_is_put_in_place_as_one_argument() {
        let said = run_hook(&sh("printf %s \"$0\""), &[(HookWord::Firmware, "a b;$(id).bin")]);
        assert_eq!(said.unwrap(), "a b;$(id).bin");
    }

    #[test]
    fn a_command_that_fails_tells_its_status_and_what_it_said() {
        let error = run_hook(&sh("echo no programmer >&2; exit 3"), &[]).unwrap_err();
        assert_eq!(error.told(), "sh ended with exit status: 3: no programmer");
        let missing = HookCommand::new(vec!["/nonexistent/fw".to_owned()]).unwrap();
        assert!(
            run_hook(&missing, &[])
                .unwrap_err()
                .told()
                .starts_with("cannot run /nonexistent/fw: No such file")
        );
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_what_it_started() {
        let begin = Instant::now();
        let error = run_within(&sh("echo began; sleep 600 & sleep 600"), &[], Duration::from_millis(300))
            .unwrap_err();
        assert!(matches!(&error, HookError::TimedOut { said, .. } if said == "began"), "{error:?}");
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_flood_of_output_is_kept_to_its_end() {
        let said = run_hook(&sh("head -c 1000000 /dev/zero | tr '\\0' x; echo end"), &[]).unwrap();
        assert!(said.len() <= KEPT_BYTES && said.ends_with("end"));
    }
}
