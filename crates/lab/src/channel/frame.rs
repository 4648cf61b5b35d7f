//! Frames: the byte layout of the control channel.
//!
//! ```text
//! offset  size  field
//! 0       4     payload length, little endian, at most MAX_PAYLOAD
//! 4       4     exchange number, little endian; 0 is the lab host itself
//! 8       1     kind
//! 9       n     payload: raw bytes, four bytes of credit, or JSON (module `wire`)
//! ```
//!
//! Decoding trusts nothing: an unknown kind, an oversized length or a body that does not parse is an error, after
//! which the stream is of no more use.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{ExitStatus, Failed, Fetch, Hello, Put, Ready, Run, Setup, TerminalSize};

/// Largest payload of a frame, in bytes.
pub const MAX_PAYLOAD: usize = 64 * 1024;

const HEADER: usize = 9;

/// Number of an exchange; the side that starts it chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);

impl ExchangeId {
    /// What concerns the lab host as a whole.
    pub const HOST: Self = Self(0);
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From the lab host: it listens.
    Hello(Hello),
    /// From the lab host: it is set up.
    Ready(Ready),
    /// From the lab host: what it is doing while it sets itself up.
    Progress(String),
    /// From the lab host: standard output, terminal output, or bytes of a fetched file.
    Output(Vec<u8>),
    /// From the lab host: standard error.
    ErrorOutput(Vec<u8>),
    /// From the lab host: the exchange is over; for a file, code 0.
    Exit(ExitStatus),
    /// From the lab host: the exchange is over, and failed.
    Failed(Failed),
    /// To the lab host: what to set up.
    Setup(Setup),
    /// To the lab host: run a command.
    Run(Run),
    /// To the lab host: send a file back.
    Fetch(Fetch),
    /// To the lab host: write a file.
    Put(Put),
    /// To the lab host: standard input, or bytes of a file to write.
    Input(Vec<u8>),
    /// To the lab host: end of the input.
    InputEnd,
    /// To the lab host: send this signal to the command's process group.
    Signal(i32),
    /// To the lab host: the terminal changed its size.
    Resize(TerminalSize),
    /// To the lab host: sync and power off.
    PowerOff,
    /// Either way: so many more bytes may be sent in this exchange.
    Credit(u32),
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The exchange it belongs to.
    pub id: ExchangeId,
    /// What it says.
    pub message: Message,
}

/// Why a stream is not a stream of frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The payload is longer than the format allows.
    #[error("control frame of {bytes} bytes exceeds the limit of {MAX_PAYLOAD}")]
    TooLong {
        /// Length it claims, or would have, in bytes.
        bytes: usize,
    },
    /// No message has this number.
    #[error("control frame of unknown kind {0}")]
    UnknownKind(u8),
    /// The payload is not what the kind needs.
    #[error("control frame of kind {kind} has a malformed payload")]
    Malformed {
        /// Kind of the frame.
        kind: u8,
        /// What the JSON reader says, where the payload is JSON.
        source: Option<serde_json::Error>,
    },
    /// The stream ended or failed.
    #[error("cannot read from or write to the control channel")]
    Io(#[from] io::Error),
}

impl FrameError {
    /// Whether the other side closed the channel between two frames or within one.
    #[must_use]
    pub fn is_end(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(self, Self::Io(error) if matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset))
    }
}

impl Message {
    fn encode(&self) -> Result<(u8, Vec<u8>), FrameError> {
        Ok(match self {
            Self::Hello(body) => (1, json(1, body)?),
            Self::Ready(body) => (2, json(2, body)?),
            Self::Progress(text) => (3, text.clone().into_bytes()),
            Self::Output(bytes) => (4, bytes.clone()),
            Self::ErrorOutput(bytes) => (5, bytes.clone()),
            Self::Exit(body) => (6, json(6, body)?),
            Self::Failed(body) => (7, json(7, body)?),
            Self::Setup(body) => (16, json(16, body)?),
            Self::Run(body) => (17, json(17, body)?),
            Self::Fetch(body) => (18, json(18, body)?),
            Self::Put(body) => (19, json(19, body)?),
            Self::Input(bytes) => (20, bytes.clone()),
            Self::InputEnd => (21, Vec::new()),
            Self::Signal(number) => (22, number.to_le_bytes().to_vec()),
            Self::Resize(body) => (23, json(23, body)?),
            Self::PowerOff => (24, Vec::new()),
            Self::Credit(bytes) => (32, bytes.to_le_bytes().to_vec()),
        })
    }

    fn decode(kind: u8, payload: Vec<u8>) -> Result<Self, FrameError> {
        Ok(match kind {
            1 => Self::Hello(parse(kind, &payload)?),
            2 => Self::Ready(parse(kind, &payload)?),
            3 => Self::Progress(
                String::from_utf8(payload).map_err(|_| FrameError::Malformed { kind, source: None })?,
            ),
            4 => Self::Output(payload),
            5 => Self::ErrorOutput(payload),
            6 => Self::Exit(parse(kind, &payload)?),
            7 => Self::Failed(parse(kind, &payload)?),
            16 => Self::Setup(parse(kind, &payload)?),
            17 => Self::Run(parse(kind, &payload)?),
            18 => Self::Fetch(parse(kind, &payload)?),
            19 => Self::Put(parse(kind, &payload)?),
            20 => Self::Input(payload),
            21 => empty(kind, &payload, Self::InputEnd)?,
            22 => Self::Signal(i32::from_le_bytes(four(kind, &payload)?)),
            23 => Self::Resize(parse(kind, &payload)?),
            24 => empty(kind, &payload, Self::PowerOff)?,
            32 => Self::Credit(u32::from_le_bytes(four(kind, &payload)?)),
            _ => return Err(FrameError::UnknownKind(kind)),
        })
    }
}

fn json<T: Serialize>(kind: u8, body: &T) -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(body).map_err(|source| FrameError::Malformed { kind, source: Some(source) })
}

fn parse<T: DeserializeOwned>(kind: u8, payload: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(payload).map_err(|source| FrameError::Malformed { kind, source: Some(source) })
}

fn empty(kind: u8, payload: &[u8], message: Message) -> Result<Message, FrameError> {
    if payload.is_empty() { Ok(message) } else { Err(FrameError::Malformed { kind, source: None }) }
}

fn four(kind: u8, payload: &[u8]) -> Result<[u8; 4], FrameError> {
    payload.try_into().map_err(|_| FrameError::Malformed { kind, source: None })
}

impl Frame {
    /// A frame of an exchange.
    #[must_use]
    pub const fn new(id: ExchangeId, message: Message) -> Self {
        Self { id, message }
    }

    /// The frame's bytes.
    ///
    /// # Errors
    /// The payload would exceed [`MAX_PAYLOAD`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let (kind, payload) = self.message.encode()?;
        let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD);
        let length = length.ok_or(FrameError::TooLong { bytes: payload.len() })?;
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.id.0.to_le_bytes());
        bytes.push(kind);
        bytes.extend(payload);
        Ok(bytes)
    }

    /// Writes the frame in one piece.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and what the stream says.
    pub fn write(&self, mut stream: impl Write) -> Result<(), FrameError> {
        stream.write_all(&self.encode()?)?;
        stream.flush()?;
        Ok(())
    }

    /// Reads one frame; waits for all of it.
    ///
    /// # Errors
    /// See [`FrameError`]; the end of the stream is an error that [`FrameError::is_end`] knows.
    pub fn read(mut stream: impl Read) -> Result<Self, FrameError> {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header)?;
        let [l0, l1, l2, l3, i0, i1, i2, i3, kind] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if bytes > MAX_PAYLOAD {
            return Err(FrameError::TooLong { bytes });
        }
        let mut payload = vec![0; bytes];
        stream.read_exact(&mut payload)?;
        Ok(Self {
            id: ExchangeId(u32::from_le_bytes([i0, i1, i2, i3])),
            message: Message::decode(kind, payload)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages() -> impl Strategy<Value = Message> {
        let bytes = prop::collection::vec(any::<u8>(), 0..2000);
        let size = (any::<u16>(), any::<u16>()).prop_map(|(rows, columns)| TerminalSize { rows, columns });
        prop_oneof![
            bytes.clone().prop_map(Message::Output),
            bytes.prop_map(Message::Input),
            any::<i32>().prop_map(|code| Message::Exit(ExitStatus::Code(code))),
            any::<i32>().prop_map(Message::Signal),
            any::<u32>().prop_map(Message::Credit),
            ".*".prop_map(|message| Message::Failed(Failed { message })),
            (prop::collection::vec(".*", 0..5), prop::option::of(size)).prop_map(|(argv, terminal)| {
                Message::Run(Run { argv, env: vec![("A".into(), "b\"=".into())], cwd: None, terminal })
            }),
            Just(Message::PowerOff),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in prop::collection::vec((any::<u32>(), messages()), 0..6)) {
            let frames: Vec<Frame> =
                frames.into_iter().map(|(id, message)| Frame::new(ExchangeId(id), message)).collect();
            let mut stream = Vec::new();
            for frame in &frames {
                frame.write(&mut stream).map_err(|error| TestCaseError::fail(error.to_string()))?;
            }
            let mut rest = stream.as_slice();
            for frame in &frames {
                let read = Frame::read(&mut rest).map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(&read, frame);
            }
            prop_assert!(Frame::read(&mut rest).is_err_and(|error| error.is_end()));
        }

        #[test]
        fn any_bytes_end_in_a_frame_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut rest = bytes.as_slice();
            while Frame::read(&mut rest).is_ok() {}
        }
    }

    #[test]
    fn a_length_past_the_limit_is_refused_before_memory_is_taken() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 4];
        assert!(matches!(Frame::read(bytes.as_slice()), Err(FrameError::TooLong { bytes: 0xffff_ffff })));
        let frame = Frame::new(ExchangeId(1), Message::Output(vec![0; MAX_PAYLOAD + 1]));
        assert!(matches!(frame.encode(), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn a_kind_from_nowhere_is_refused() {
        assert!(matches!(
            Frame::read([0u8, 0, 0, 0, 1, 0, 0, 0, 99].as_slice()),
            Err(FrameError::UnknownKind(99))
        ));
    }
}
