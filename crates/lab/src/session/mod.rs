//! Commands and files in a lab host.
//!
//! A [`Session`] is one end of a control channel: the owner's, straight into the lab host, or a client's, by way of
//! the socket that the owner of a shared lab listens on ([`share`]). Many commands may run at once; each is an
//! exchange with its own number and its own windows of credit.

mod exchange;
mod link;
pub mod share;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

pub use crate::channel::wire::{ExitStatus, TerminalSize};
pub use exchange::{Control, Running, Stream};

use crate::channel::frame::{FrameError, Message};
use crate::channel::wire;
use link::Link;

/// How long a file transfer may stand still. A lab host under load answers within a second.
const TRANSFER_STALL: Duration = Duration::from_secs(60);

/// A command for a lab host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables added to the lab host's environment.
    pub env: Vec<(String, String)>,
    /// Working directory; `/root` when absent.
    pub cwd: Option<String>,
    /// A controlling terminal of this size, instead of pipes.
    pub terminal: Option<TerminalSize>,
    /// Ends the command after this time.
    pub deadline: Option<Duration>,
}

impl Command {
    /// A command with pipes, without a deadline.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// What a command said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Why a lab host did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The lab host says so.
    #[error("{0}")]
    Refused(String),
    /// The channel closed: the lab host, or its owner, is gone.
    #[error("the lab host is gone")]
    Gone,
    /// It took too long.
    #[error("{what} did not end within {} s", .after.as_secs())]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// More came than may be kept.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The other side speaks another version.
    #[error(
        "the lab host speaks version {found} of the control channel, this program version {}",
        crate::channel::VERSION
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// The channel failed.
    #[error("cannot talk to the lab host")]
    Channel(#[from] FrameError),
}

/// A way to run commands in a lab host and to move files. Clones share it.
#[derive(Clone, Debug)]
pub struct Session {
    link: Arc<Link>,
}

impl Session {
    /// A session over a channel whose greeting is done.
    pub(crate) fn over(stream: UnixStream) -> Result<Self, SessionError> {
        Ok(Self { link: Link::start(stream).map_err(FrameError::Io)? })
    }

    /// Starts a command.
    ///
    /// # Errors
    /// The lab host is gone, or the command does not fit a frame. That it cannot be run comes from
    /// [`Running::wait`].
    pub fn start(&self, command: &Command) -> Result<Running, SessionError> {
        let what = command.argv.first().cloned().unwrap_or_default();
        let message = Message::Run(wire::Run {
            argv: command.argv.clone(),
            env: command.env.clone(),
            cwd: command.cwd.clone(),
            terminal: command.terminal,
        });
        Running::start(&self.link, message, what, command.deadline)
    }

    /// Runs a command without input and keeps what it says, up to `limit` bytes.
    ///
    /// # Errors
    /// It cannot be run, does not end in time, says more than `limit`, or the lab host is gone. A command that ends
    /// with another code than 0 is not an error.
    pub fn output(&self, command: &Command, limit: usize) -> Result<Output, SessionError> {
        let running = self.start(command)?;
        running.control().end_input()?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut over = false;
        let status = running.wait(|stream, bytes| {
            let kept = match stream {
                Stream::Output => &mut stdout,
                Stream::Error => &mut stderr,
            };
            over |= kept.len() + bytes.len() > limit;
            if !over {
                kept.extend_from_slice(bytes);
            }
        })?;
        if over {
            return Err(SessionError::TooLarge { what: "the output".to_owned(), limit });
        }
        Ok(Output { status, stdout, stderr })
    }

    /// Reads a file of the lab host, of at most `limit` bytes.
    ///
    /// # Errors
    /// It cannot be read, is larger, or the lab host is gone.
    pub fn fetch(&self, path: &str, limit: usize) -> Result<Vec<u8>, SessionError> {
        let message = Message::Fetch(wire::Fetch { path: path.to_owned() });
        let running = Running::start(&self.link, message, format!("reading {path}"), Some(TRANSFER_STALL))?;
        let (mut bytes, mut over) = (Vec::new(), false);
        running.wait(|_, part| {
            over |= bytes.len() + part.len() > limit;
            if !over {
                bytes.extend_from_slice(part);
            }
        })?;
        if over {
            return Err(SessionError::TooLarge { what: path.to_owned(), limit });
        }
        Ok(bytes)
    }

    /// Writes a file of the lab host with these permission bits; missing folders are made.
    ///
    /// # Errors
    /// It cannot be written, or the lab host is gone.
    pub fn put(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), SessionError> {
        let message = Message::Put(wire::Put { path: path.to_owned(), mode });
        let running = Running::start(&self.link, message, format!("writing {path}"), Some(TRANSFER_STALL))?;
        let control = running.control();
        std::thread::scope(|scope| {
            // A failure ends the exchange, which ends a sender that waits for credit.
            scope.spawn(|| control.input(bytes).and_then(|()| control.end_input()));
            running.wait(|_, _| {})
        })?;
        Ok(())
    }

    /// Asks the lab host to sync and power off.
    ///
    /// # Errors
    /// The lab host is gone already.
    pub fn power_off(&self) -> Result<(), SessionError> {
        self.link.send(crate::channel::frame::ExchangeId::HOST, Message::PowerOff)
    }

    /// Whether the channel is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }
}
