//! QMP, QEMU's machine protocol (QEMU `docs/interop/qmp-spec.rst`): one client, one connection.
//!
//! Every wait has a deadline, every line and queue a limit: the other side holds a guest, and a guest that broke
//! out must not take us along. Answers are matched by id, so one that comes after its deadline does no harm.
//! Events are queued in the order they came; beyond [`MAX_EVENTS`] the oldest go and are counted.
//!
//! Not here: out-of-band execution, and any choice of devices.

mod command;
mod error;
mod line;
mod migration;
mod wire;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

pub use command::RunState;
pub use error::{ErrorClass, QmpError};
use line::LineStream;

/// The longest line that is taken, in bytes. QEMU's longest answers (`query-qmp-schema`) are under 256 KiB.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// How many events wait at most to be asked for.
pub const MAX_EVENTS: usize = 1024;

/// Arguments of a command.
pub type Arguments = Map<String, Value>;

/// Something that happened in the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name, for example `DEVICE_DELETED` (QEMU `qapi/qdev.json`, `qapi/run-state.json`).
    pub name: String,
    /// What it says.
    pub data: Map<String, Value>,
}

impl Event {
    fn is_about(&self, name: &str, device: &str) -> bool {
        self.name == name && self.data.get("device").and_then(Value::as_str) == Some(device)
    }
}

/// A connection to a QMP server, past greeting and negotiation.
#[derive(Debug)]
pub struct Qmp {
    lines: LineStream,
    events: VecDeque<Event>,
    events_lost: u64,
    next_id: u64,
    version: (u32, u32, u32),
    usable: bool,
}

impl Qmp {
    /// Connects to the server's socket.
    ///
    /// # Errors
    /// No server there, or not one that speaks QMP within the time given.
    pub fn connect(path: &Path, within: Duration) -> Result<Self, QmpError> {
        let stream = UnixStream::connect(path)
            .map_err(|source| QmpError::Connect { path: path.display().to_string(), source })?;
        Self::over(stream, within)
    }

    /// Takes the greeting and negotiates over a connection that stands already.
    ///
    /// QEMU answers the negotiation only when it has built the whole machine, so success means that every device
    /// of the command line was accepted.
    ///
    /// # Errors
    /// No greeting, or no answer within the time given.
    pub fn over(stream: UnixStream, within: Duration) -> Result<Self, QmpError> {
        let deadline = Instant::now() + within;
        let mut lines = LineStream::new(stream);
        let late = || QmpError::CommandDeadline { command: "(greeting)".into(), within };
        let line = lines.read_line(deadline)?.ok_or_else(late)?;
        let greeting: wire::Greeting =
            serde_json::from_slice(&line).map_err(|_| QmpError::NoGreeting { line: shown(&line) })?;
        let wire::Numbers { major, minor, micro } = greeting.qmp.version.qemu;
        let mut qmp = Self {
            lines,
            events: VecDeque::new(),
            events_lost: 0,
            next_id: 1,
            version: (major, minor, micro),
            usable: true,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        qmp.execute("qmp_capabilities", &Arguments::new(), left)?;
        Ok(qmp)
    }

    /// The server's version: major, minor, micro.
    #[must_use]
    pub const fn version(&self) -> (u32, u32, u32) {
        self.version
    }

    /// How many events were dropped because nobody asked for them.
    #[must_use]
    pub const fn events_lost(&self) -> u64 {
        self.events_lost
    }

    /// Executes a command and waits for its answer.
    ///
    /// # Errors
    /// The server refuses, does not answer in time, or the connection fails.
    pub fn execute(&mut self, command: &str, args: &Arguments, within: Duration) -> Result<Value, QmpError> {
        self.exchange(command, args, None, within)
    }

    /// Executes a command with an open file attached (unix(7), `SCM_RIGHTS`).
    ///
    /// # Errors
    /// As for [`Self::execute`].
    pub fn execute_with_file(
        &mut self,
        command: &str,
        args: &Arguments,
        file: BorrowedFd<'_>,
        within: Duration,
    ) -> Result<Value, QmpError> {
        self.exchange(command, args, Some(file), within)
    }

    fn exchange(
        &mut self,
        command: &str,
        arguments: &Arguments,
        file: Option<BorrowedFd<'_>>,
        within: Duration,
    ) -> Result<Value, QmpError> {
        if !self.usable {
            return Err(QmpError::Unusable);
        }
        let deadline = Instant::now() + within;
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let message = wire::Command { execute: command, arguments, id };
        let mut bytes = serde_json::to_vec(&message)
            .map_err(|source| QmpError::NotQmp { line: command.to_owned(), source })?;
        bytes.push(b'\n');
        // A failed write may have sent half a command.
        self.lines.write(&bytes, file, within).inspect_err(|_| self.usable = false)?;
        loop {
            let late = || QmpError::CommandDeadline { command: command.to_owned(), within };
            match self.next_message(deadline)?.ok_or_else(late)? {
                wire::Message::Event { event, data } => self.queue(Event { name: event, data }),
                // An answer to a command that was given up. Errors in reading a command carry no id: ours.
                wire::Message::Return { id: answered, .. } | wire::Message::Error { id: answered, .. }
                    if answered.is_some_and(|answered| answered != id) => {}
                wire::Message::Return { value, .. } => return Ok(value),
                wire::Message::Error { error, .. } => {
                    return Err(QmpError::Refused {
                        command: command.to_owned(),
                        class: error.class.into(),
                        description: error.desc,
                    });
                }
            }
        }
    }

    /// The first event, queued or to come, that `wanted` accepts; those before it stay queued. `name` is for the
    /// error's text.
    ///
    /// # Errors
    /// It does not come within the time given, or the connection fails.
    pub fn wait_event(
        &mut self,
        name: &str,
        wanted: impl Fn(&Event) -> bool,
        within: Duration,
    ) -> Result<Event, QmpError> {
        if let Some(event) = self.events.iter().position(&wanted).and_then(|index| self.events.remove(index))
        {
            return Ok(event);
        }
        if !self.usable {
            return Err(QmpError::Unusable);
        }
        let deadline = Instant::now() + within;
        loop {
            let late = || QmpError::EventDeadline { event: name.to_owned(), within };
            // Answers that come now belong to commands that were given up.
            if let wire::Message::Event { event, data } = self.next_message(deadline)?.ok_or_else(late)? {
                let event = Event { name: event, data };
                if wanted(&event) {
                    return Ok(event);
                }
                self.queue(event);
            }
        }
    }

    /// Drops what is queued about a device: a new one of its name must not be taken for it.
    fn forget(&mut self, device: &str) {
        self.events.retain(|event| event.data.get("device").and_then(Value::as_str) != Some(device));
    }

    fn queue(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
            self.events_lost = self.events_lost.saturating_add(1);
        }
        self.events.push_back(event);
    }

    fn next_message(&mut self, deadline: Instant) -> Result<Option<wire::Message>, QmpError> {
        loop {
            // A server that never stops sending must not keep us past the deadline.
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let line = self.lines.read_line(deadline).inspect_err(|_| self.usable = false)?;
            let Some(line) = line else { return Ok(None) };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return serde_json::from_slice(&line).map(Some).map_err(|source| {
                self.usable = false;
                QmpError::NotQmp { line: shown(&line), source }
            });
        }
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(120).collect()
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
