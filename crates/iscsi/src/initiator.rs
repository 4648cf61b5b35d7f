//! One session with a target, one command at a time.
//!
//! Sense comes with the status, as in every iSCSI session, so it never stays in the device. A command that is not
//! answered in time is aborted; if that is not answered either, the session is of no use any more.

mod login;
mod transfer;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub use login::Credentials;
pub use transfer::{Completed, Direction};

use crate::frame::{Frame, FrameError, FrameReader};
use crate::request::{Function, Order, Request};
use crate::response::{self, Response};
use crate::text::{Keys, TextError};
use crate::{Lun, NO_TAG};

/// How long a target may take for what is no command.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a read gives up to look at its deadline.
const POLL: Duration = Duration::from_millis(50);
/// Units of other kinds that may come before the one waited for: more is a flood.
const STRAY_LIMIT: usize = 10_000;

/// Why a target could not be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum InitiatorError {
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The connection failed or ended.
    #[error("the target cannot be heard")]
    Frame(#[from] FrameError),
    /// Nothing could be sent.
    #[error("nothing can be sent to the target")]
    Send(#[source] io::Error),
    /// Login was refused (RFC 7143, 11.13.5).
    #[error("the target refuses login with status {class:02x}{detail:02x}")]
    Refused {
        /// Status class.
        class: u8,
        /// Status detail.
        detail: u8,
    },
    /// A unit was rejected (11.17.1).
    #[error("the target rejects what it was sent, reason {reason:#04x}")]
    Rejected {
        /// The reason.
        reason: u8,
    },
    /// The target said something that it must not.
    #[error("the target breaks the protocol: {what}")]
    Protocol {
        /// What.
        what: &'static str,
    },
    /// Text that is none.
    #[error("the target's text is not understood")]
    Text(#[from] TextError),
    /// The target could not carry the command out at all (11.4.3).
    #[error("the target failed, response {response:#04x}")]
    Failed {
        /// The response code.
        response: u8,
    },
}

/// A session.
#[derive(Debug)]
pub struct Initiator {
    stream: TcpStream,
    reader: FrameReader,
    command: u32,
    expected_status: u32,
    next_task: u32,
    limits: login::Limits,
}

/// A target as discovery tells it: its name, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Its name.
    pub name: String,
    /// Addresses as `host:port,group`.
    pub addresses: Vec<String>,
}

impl Initiator {
    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// There is no connection, or the target refuses or breaks the protocol.
    pub fn connect(address: SocketAddr, credentials: &Credentials) -> Result<Self, InitiatorError> {
        let connect = |source| InitiatorError::Connect { address, source };
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        stream.set_read_timeout(Some(POLL)).map_err(connect)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(connect)?;
        let mut own = Self {
            stream,
            reader: FrameReader::default(),
            command: 1,
            expected_status: 0,
            next_task: 1,
            limits: login::Limits::default(),
        };
        own.login(credentials)?;
        Ok(own)
    }

    /// The targets there are (RFC 7143, Appendix C).
    ///
    /// # Errors
    ///
    /// The target does not answer as it must.
    pub fn discover(&mut self) -> Result<Vec<Discovered>, InitiatorError> {
        let (order, task) = (self.order(), self.tag());
        let text = Keys::default().with("SendTargets", "All").bytes();
        self.send(Request::Text { order, continues: false, task, transfer: NO_TAG, text })?;
        let text = self.wait(PATIENCE, |response| match response {
            Response::Text { task: own, text, .. } if own == task => Ok(text),
            other => Err(other),
        })?;
        let mut targets: Vec<Discovered> = Vec::new();
        for (key, value) in Keys::parse(&text)?.iter() {
            match (key, targets.last_mut()) {
                ("TargetName", _) => {
                    targets.push(Discovered { name: value.to_owned(), addresses: Vec::new() });
                }
                ("TargetAddress", Some(last)) => last.addresses.push(value.to_owned()),
                _ => {}
            }
        }
        Ok(targets)
    }

    /// Asks for a task management function; gives the response code, 0 where it was carried out (11.6.1).
    ///
    /// # Errors
    ///
    /// The target does not answer as it must.
    pub fn manage(&mut self, function: Function, lun: Lun, referenced: u32) -> Result<u8, InitiatorError> {
        let task = self.tag();
        // Immediate, so that a full queue does not hold it back.
        let order = Order { immediate: true, command: self.command, expected_status: self.expected_status };
        self.send(Request::Manage { order, function, lun, task, referenced })?;
        self.wait(PATIENCE, |response| match response {
            Response::Manage { task: own, response } if own == task => Ok(response),
            other => Err(other),
        })
    }

    /// Asks whether the target is there; it must give the data back.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn ping(&mut self, data: &[u8]) -> Result<(), InitiatorError> {
        let (order, task) = (self.order(), self.tag());
        let nop = Request::NopOut { order, lun: Lun::default(), task, transfer: NO_TAG, data: data.to_vec() };
        self.send(nop)?;
        let back = self.wait(PATIENCE, |response| match response {
            Response::NopIn { task: own, data, .. } if own == task => Ok(data),
            other => Err(other),
        })?;
        if back == data { Ok(()) } else { Err(InitiatorError::Protocol { what: "other data than sent" }) }
    }

    /// The connection of the session, for whoever wants to send what this initiator would not.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// The target does not answer as it must; the session is over all the same.
    pub fn logout(mut self) -> Result<(), InitiatorError> {
        let (order, task) = (self.order(), self.tag());
        self.send(Request::Logout { order, reason: 0, task })?;
        let response = self.wait(PATIENCE, |response| match response {
            Response::Logout { task: own, response } if own == task => Ok(response),
            other => Err(other),
        })?;
        if response == 0 { Ok(()) } else { Err(InitiatorError::Failed { response }) }
    }

    /// Numbers for a request that takes its turn.
    fn order(&mut self) -> Order {
        let command = self.command;
        self.command = command.wrapping_add(1);
        Order { immediate: false, command, expected_status: self.expected_status }
    }

    fn tag(&mut self) -> u32 {
        let tag = self.next_task;
        // The last one means none.
        self.next_task = if tag == NO_TAG - 1 { 1 } else { tag + 1 };
        tag
    }

    fn send(&mut self, request: Request) -> Result<(), InitiatorError> {
        request.encode().write(&mut self.stream).map_err(InitiatorError::Send)
    }

    /// The next unit, with its numbers taken.
    fn hear(&mut self, deadline: Instant) -> Result<Response, InitiatorError> {
        let frame: Frame = self.reader.next(&mut self.stream, Some(deadline))?;
        let (response, order): (Response, response::Order) = Response::decode(frame);
        if response.takes_status_number() {
            self.expected_status = order.status.wrapping_add(1);
        }
        match response {
            Response::NopIn { task: NO_TAG, transfer, .. } if transfer != NO_TAG => {
                let order =
                    Order { immediate: true, command: self.command, expected_status: self.expected_status };
                let lun = Lun::default();
                self.send(Request::NopOut { order, lun, task: NO_TAG, transfer, data: Vec::new() })?;
                Ok(Response::NopIn { task: NO_TAG, transfer, data: Vec::new() })
            }
            Response::Reject { reason, .. } => Err(InitiatorError::Rejected { reason }),
            response => Ok(response),
        }
    }

    /// Waits for one unit; others are passed over.
    fn wait<T>(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(Response) -> Result<T, Response>,
    ) -> Result<T, InitiatorError> {
        let deadline = Instant::now() + limit;
        for _ in 0..STRAY_LIMIT {
            if let Ok(found) = wanted(self.hear(deadline)?) {
                return Ok(found);
            }
        }
        Err(InitiatorError::Protocol { what: "a flood of units that nobody asked for" })
    }
}
