//! One exchange as the side sees it that began it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::link::Link;
use super::{ExitStatus, SessionError, TerminalSize};
use crate::channel::credit::Window;
use crate::channel::frame::{ExchangeId, MAX_PAYLOAD, Message};

/// SIGKILL on every Linux architecture (signal(7)).
const SIGKILL: i32 = 9;

/// Which of a command's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or all output with a terminal.
    Output,
    /// Standard error.
    Error,
}

/// A command that runs, or a transfer under way. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    control: Control,
    receiver: Receiver<Message>,
    what: String,
    limit: Option<(Instant, Duration)>,
    ended: bool,
}

/// What can be told to a running command, from any thread.
#[derive(Clone, Debug)]
pub struct Control {
    id: ExchangeId,
    link: Arc<Link>,
    window: Arc<Window>,
}

impl Control {
    /// Gives the command input; waits until the lab host takes it. Input for a command that has ended is dropped.
    ///
    /// # Errors
    /// The lab host is gone.
    pub fn input(&self, mut bytes: &[u8]) -> Result<(), SessionError> {
        while !bytes.is_empty() {
            let Some(taken) = self.window.take(bytes.len().min(MAX_PAYLOAD)) else { return Ok(()) };
            let (now, later) = bytes.split_at(taken.min(bytes.len()));
            self.link.send(self.id, Message::Input(now.to_vec()))?;
            bytes = later;
        }
        Ok(())
    }

    /// Ends the command's input.
    ///
    /// # Errors
    /// The lab host is gone.
    pub fn end_input(&self) -> Result<(), SessionError> {
        self.link.send(self.id, Message::InputEnd)
    }

    /// Sends a signal to the command's process group.
    ///
    /// # Errors
    /// The lab host is gone.
    pub fn signal(&self, number: i32) -> Result<(), SessionError> {
        self.link.send(self.id, Message::Signal(number))
    }

    /// Changes the size of the command's terminal.
    ///
    /// # Errors
    /// The lab host is gone.
    pub fn resize(&self, size: TerminalSize) -> Result<(), SessionError> {
        self.link.send(self.id, Message::Resize(size))
    }
}

impl Running {
    pub(super) fn start(
        link: &Arc<Link>,
        message: Message,
        what: String,
        deadline: Option<Duration>,
    ) -> Result<Self, SessionError> {
        let window = Arc::new(Window::default());
        let (id, receiver) = link.open(message, Some(Arc::clone(&window)))?;
        let limit = deadline.and_then(|after| Some((Instant::now().checked_add(after)?, after)));
        let control = Control { id, link: Arc::clone(link), window };
        Ok(Self { control, receiver, what, limit, ended: false })
    }

    /// What can be told to the command meanwhile.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Hands the output on as it comes, until the end.
    ///
    /// # Errors
    /// The command could not be run, ran past its deadline (and was killed), or the lab host is gone.
    pub fn wait(mut self, mut output: impl FnMut(Stream, &[u8])) -> Result<ExitStatus, SessionError> {
        loop {
            let (stream, bytes) = match self.next()? {
                Message::Output(bytes) => (Stream::Output, bytes),
                Message::ErrorOutput(bytes) => (Stream::Error, bytes),
                Message::Exit(status) => {
                    self.ended = true;
                    return Ok(status);
                }
                Message::Failed(failed) => {
                    self.ended = true;
                    return Err(SessionError::Refused(failed.message));
                }
                _ => continue,
            };
            output(stream, &bytes);
            let credit = Message::Credit(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            self.control.link.send(self.control.id, credit)?;
        }
    }

    fn next(&self) -> Result<Message, SessionError> {
        let Some((instant, after)) = self.limit else {
            return self.receiver.recv().map_err(|_| SessionError::Gone);
        };
        let left = instant.saturating_duration_since(Instant::now());
        self.receiver.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => SessionError::Deadline { what: self.what.clone(), after },
            RecvTimeoutError::Disconnected => SessionError::Gone,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.link.forget(self.control.id);
        if !self.ended {
            // Where the lab host is gone, so is the command.
            let _ = self.control.signal(SIGKILL);
            let _ = self.control.end_input();
        }
    }
}
