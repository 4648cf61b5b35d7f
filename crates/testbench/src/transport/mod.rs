//! Ways to a device: send commands, get back what came of them.
//!
//! A transport does not judge. It says with its [`Capabilities`] what it can carry beyond plain commands, so that a case
//! that needs more is skipped with that reason instead of failing.

mod agent;
mod iscsi;
mod route;

use std::io;
use std::time::Duration;

pub use agent::{AgentTransport, Link};
pub use iscsi::{IscsiTransport, IscsiUrl, UrlError};
pub use route::{Event, Initiator, Route, SenseFetch};

use crate::capability::Capabilities;
use crate::sight::{Look, Sight};
use crate::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, FoundDevice, LogRecord, Nexus, Operation,
    OperationOutcome, PciFunction,
};

/// A way to the SCSI devices of one guest, or to a device without any guest.
pub trait Transport {
    /// What this way can carry.
    fn capabilities(&self) -> &Capabilities;

    /// Looks for devices at one place. Nothing to do where they are known.
    ///
    /// # Errors
    ///
    /// The other end does not answer, refuses, or breaks the protocol.
    fn scan(&mut self, _nexus: Nexus, _limit: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    /// The SCSI devices there are.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        Ok(Vec::new())
    }

    /// Sends commands one after another, up to the first that no device answered. Gives one outcome for each sent. Refused
    /// by a transport without SCSI devices.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan); no answer within `limit` counts as none.
    fn execute(
        &mut self,
        _device: DeviceAddress,
        _commands: &[Command],
        _limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        Err(TransportError::Refused { reason: "no SCSI device".into() })
    }

    /// Sends commands by another way than the plain one. A transport that knows only the plain one refuses the others.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn execute_by(
        &mut self,
        route: Route,
        device: DeviceAddress,
        commands: &[Command],
        limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        if route == Route::default() {
            return self.execute(device, commands, limit);
        }
        Err(TransportError::Refused { reason: "no choice of initiator, LUN or sense".into() })
    }

    /// Does something to the device itself. Refused by a transport that cannot.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        Err(TransportError::Refused { reason: format!("no way to do {}", event.name()) })
    }

    /// What the guest's own drivers make of the device. Refused by a transport whose guest is asked by commands.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn look(&mut self, what: Look) -> Result<Sight, TransportError> {
        Err(TransportError::Refused { reason: format!("no way to look at {what:?}") })
    }

    /// The functions on the guest's PCI bus. Refused by a transport that has no guest.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn functions(&mut self) -> Result<Vec<PciFunction>, TransportError> {
        Err(TransportError::Refused { reason: "no guest whose PCI functions could be listed".into() })
    }

    /// Does something with one PCI function of the guest, `dddd:bb:dd.f`. Refused by a transport that has no guest with an
    /// agent.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn perform(&mut self, function: &str, operation: &Operation) -> Result<OperationOutcome, TransportError> {
        Err(TransportError::Refused { reason: format!("no way to do `{operation}` with {function}") })
    }

    /// What the guest's kernel logged from record `since` on, and the number to go on from. Empty without a guest.
    ///
    /// # Errors
    ///
    /// As for [`scan`](Self::scan).
    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError>;
}

/// Sends commands one after another, up to the first that no device answered: what [`Transport::execute`] does where
/// commands go one by one.
///
/// # Errors
///
/// The first of `send`.
pub fn in_order(
    commands: &[Command],
    mut send: impl FnMut(&Command) -> Result<Completion, TransportError>,
) -> Result<Vec<CommandOutcome>, TransportError> {
    let mut outcomes = Vec::new();
    for command in commands {
        let completion = send(command)?;
        let reached = completion.reached_device();
        outcomes.push(CommandOutcome::Completed(completion));
        if !reached {
            break;
        }
    }
    Ok(outcomes)
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No answer in time. The transport is of no use any more.
    #[error("no answer within {:.0} s", limit.as_secs_f64())]
    TimedOut {
        /// How long it was waited.
        limit: Duration,
    },
    /// The other end has gone.
    #[error("the guest closed the connection")]
    Closed,
    /// The connection failed.
    #[error("the connection to the guest failed")]
    Io(#[source] io::Error),
    /// The other end said something that is not in the protocol.
    #[error("the guest's answer is not understood: {what}")]
    Protocol {
        /// What was wrong with it.
        what: String,
    },
    /// The other end would not do it. The transport still works.
    #[error("the guest refused: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
}

impl TransportError {
    /// Whether the guest must be started anew before anything else is asked.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}
