//! A guest on a console as a way to a device: it carries no commands, it tells what it sees.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use slotwise_backend::Machine;
use slotwise_backend::console::Console;

use super::{Dialogue, DialogueError, Script, Values};
use crate::capability::Capabilities;
use crate::sight::{Look, Sight};
use crate::transport::{Transport, TransportError};
use crate::wire::{Command, CommandOutcome, DeviceAddress, FoundDevice, LogRecord, Nexus};

/// The end of what a guest printed that goes into a report, in bytes.
const TAIL_BYTES: usize = 2048;

/// How a guest is talked to.
#[derive(Clone, Debug)]
pub struct Talk<'a> {
    /// Its script.
    pub script: &'a Script,
    /// What the script's places stand for.
    pub names: Names,
    /// How long it may take until it is ready.
    pub within: Duration,
    /// Set when the run is to end at once: every wait is then over.
    pub stop: Arc<AtomicBool>,
}

/// Something with a console.
pub trait Terminal {
    /// Its console, if it has one.
    fn terminal(&self) -> Option<&Console>;
}

impl Terminal for Box<dyn Machine> {
    fn terminal(&self) -> Option<&Console> {
        self.console()
    }
}

/// A talk with a guest that is ready.
#[derive(Debug)]
pub struct ConsoleTransport<T> {
    terminal: T,
    dialogue: Dialogue,
    capabilities: Capabilities,
}

impl<T: Terminal> ConsoleTransport<T> {
    /// Does what the guest's script does until the guest is ready.
    ///
    /// # Errors
    ///
    /// The guest does not print what the script waits for, or has no console. It is given back, to be ended.
    pub fn connect(terminal: T, talk: &Talk<'_>) -> Result<Self, (T, TransportError)> {
        let values = Values { names: talk.names.clone(), lba: None };
        let mut dialogue = Dialogue::new(talk.script.clone(), values, Arc::clone(&talk.stop));
        let started = match terminal.terminal() {
            Some(console) => dialogue.start(console, talk.within).map_err(|error| failed(&error)),
            None => Err(TransportError::Closed),
        };
        match started {
            Ok(()) => Ok(Self { terminal, dialogue, capabilities: talk.script.capabilities() }),
            Err(error) => Err((terminal, error)),
        }
    }

    /// What is talked to.
    pub fn terminal_mut(&mut self) -> &mut T {
        &mut self.terminal
    }

    /// The last of what it printed.
    pub fn tail(&self) -> String {
        self.dialogue.tail(TAIL_BYTES).to_owned()
    }
}

/// What a script's places `{name}` stand for.
pub type Names = std::collections::BTreeMap<String, String>;

fn failed(error: &DialogueError) -> TransportError {
    match error {
        DialogueError::Ended { .. } => TransportError::Closed,
        DialogueError::NotScripted => TransportError::Refused { reason: error.to_string() },
        other => TransportError::Protocol { what: other.to_string() },
    }
}

fn no_commands<T>() -> Result<T, TransportError> {
    Err(TransportError::Refused { reason: "it carries no SCSI commands".into() })
}

impl<T: Terminal> Transport for ConsoleTransport<T> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn scan(&mut self, _: Nexus, _: Duration) -> Result<(), TransportError> {
        no_commands()
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        no_commands()
    }

    fn execute(
        &mut self,
        _: DeviceAddress,
        _: &[Command],
        _: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        no_commands()
    }

    fn look(&mut self, what: Look) -> Result<Sight, TransportError> {
        let console = self.terminal.terminal().ok_or(TransportError::Closed)?;
        self.dialogue.look(console, what).map_err(|error| failed(&error))
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}
