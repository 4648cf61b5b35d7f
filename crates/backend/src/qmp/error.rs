//! What can go wrong between us and a QMP server.

use std::io;
use std::time::Duration;

/// A QMP exchange that failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The connection could not be made.
    #[error("cannot connect to QMP socket {path}")]
    Connect {
        /// The socket.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection failed while in use.
    #[error("QMP connection failed while {doing}")]
    Io {
        /// What we were at.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The other side closed the connection.
    #[error("QMP connection closed by the other side")]
    Closed,
    /// An earlier failure left the stream at an unknown place.
    #[error("QMP connection is unusable after an earlier failure")]
    Unusable,
    /// A line that is longer than [`super::MAX_LINE_BYTES`].
    #[error("QMP line is longer than {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A line that is not a QMP message.
    #[error("line is not a QMP message: {line:?}")]
    NotQmp {
        /// The first characters of the line.
        line: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Something other than a greeting came first.
    #[error("QMP server did not greet, it sent {line:?}")]
    NoGreeting {
        /// The first characters of the line.
        line: String,
    },
    /// No answer in time.
    #[error("no answer to QMP command {command} within {} s", within.as_secs_f32())]
    CommandDeadline {
        /// The command.
        command: String,
        /// How long we waited.
        within: Duration,
    },
    /// An event did not come in time.
    #[error("QMP event {event} did not come within {} s", within.as_secs_f32())]
    EventDeadline {
        /// What was waited for.
        event: String,
        /// How long.
        within: Duration,
    },
    /// The server refused a command.
    #[error("QMP command {command} refused: {description}")]
    Refused {
        /// The command.
        command: String,
        /// The error's class; `GenericError` nearly always (QEMU `qapi/error.json`).
        class: ErrorClass,
        /// QEMU's own words.
        description: String,
    },
    /// An answer without what it should hold.
    #[error("answer to QMP command {command} has no {missing}")]
    Answer {
        /// The command.
        command: String,
        /// The member that is missing or of another type.
        missing: &'static str,
    },
    /// The guest did not let go of a device.
    #[error("guest did not release device {id} within {} s", within.as_secs_f32())]
    NotReleased {
        /// The device's id.
        id: String,
        /// How long we waited.
        within: Duration,
    },
    /// The guest said no.
    #[error("guest refused to release device {id}")]
    ReleaseRefused {
        /// The device's id.
        id: String,
    },
}

impl QmpError {
    /// What to do next, where we know.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotReleased { .. } | Self::ReleaseRefused { .. } => Some(
                "the guest has to take part: it needs ACPI hot-plug, and no program of it may hold the device; \
                 a reset or shutdown of the guest completes the release",
            ),
            _ => None,
        }
    }

    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// The class of a QMP error (QEMU `qapi/error.json`, `QapiErrorClass`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Anything that has no class of its own.
    Generic,
    /// No such command, or not now.
    CommandNotFound,
    /// No such device.
    DeviceNotFound,
    /// The device cannot do it.
    DeviceNotActive,
    /// A class that is not in the list.
    Other(String),
}

impl From<String> for ErrorClass {
    fn from(name: String) -> Self {
        match name.as_str() {
            "GenericError" => Self::Generic,
            "CommandNotFound" => Self::CommandNotFound,
            "DeviceNotFound" => Self::DeviceNotFound,
            "DeviceNotActive" => Self::DeviceNotActive,
            _ => Self::Other(name),
        }
    }
}
