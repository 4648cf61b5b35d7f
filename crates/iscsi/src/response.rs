//! What targets send (RFC 7143, 11.4, 11.6 to 11.9, 11.11, 11.13, 11.15, 11.17, 11.19).

use crate::frame::{Frame, Header};
use crate::request::Stage;
use crate::{Lun, NO_TAG};

const FINAL: u8 = 0x80;
const CONTINUE: u8 = 0x40;

/// Numbers that are in every response (4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// `StatSN`; without a meaning where the response takes none of its own.
    pub status: u32,
    /// `ExpCmdSN`.
    pub expected_command: u32,
    /// `MaxCmdSN`.
    pub max_command: u32,
}

/// How far the moved data were from the expected (11.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// As many as expected.
    None,
    /// So many were not moved.
    Under(u32),
    /// So many did not fit.
    Over(u32),
}

impl Residual {
    fn from_wire(flags: u8, count: u32) -> Self {
        match flags & 0x06 {
            0x02 => Self::Under(count),
            0x04 => Self::Over(count),
            _ => Self::None,
        }
    }

    const fn to_wire(self) -> (u8, u32) {
        match self {
            Self::None => (0, 0),
            Self::Under(count) => (0x02, count),
            Self::Over(count) => (0x04, count),
        }
    }
}

/// The end of a command (11.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScsiResponse {
    /// 0: carried out or refused by the target; else it failed (11.4.3).
    pub response: u8,
    /// The SCSI status byte.
    pub status: u8,
    /// The command.
    pub task: u32,
    /// How many data units went before.
    pub data_units: u32,
    /// What was not moved.
    pub residual: Residual,
    /// Sense data; empty where there are none.
    pub sense: Vec<u8>,
}

/// Data of a command (11.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataIn {
    /// Whether the sequence ends with it.
    pub last: bool,
    /// The SCSI status byte and what was not moved, where no response follows.
    pub status: Option<(u8, Residual)>,
    /// The logical unit.
    pub lun: Lun,
    /// The command.
    pub task: u32,
    /// Place in its sequence, from 0.
    pub number: u32,
    /// Place of the data in the transfer, in bytes.
    pub offset: u32,
    /// The data.
    pub data: Vec<u8>,
}

/// A request for data (11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyToTransfer {
    /// The logical unit.
    pub lun: Lun,
    /// The command.
    pub task: u32,
    /// The target's name for the transfer.
    pub transfer: u32,
    /// How many went before, of this command.
    pub number: u32,
    /// Place of the data in the transfer, in bytes.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
}

/// An answer to a login request (11.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginResponse {
    /// The stage this belongs to.
    pub stage: Stage,
    /// The stage that begins now, if so.
    pub next: Option<Stage>,
    /// Whether more text of this answer follows.
    pub continues: bool,
    /// The initiator's part of the session's name.
    pub isid: [u8; 6],
    /// The target's part.
    pub tsih: u16,
    /// The request.
    pub task: u32,
    /// Class and detail; class 0 is fine (11.13.5).
    pub status: (u8, u8),
    /// Keys and values.
    pub text: Vec<u8>,
}

/// What a target sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Are you there, or the answer to such.
    NopIn {
        /// The request's, or [`NO_TAG`].
        task: u32,
        /// Not [`NO_TAG`] where an answer is wanted.
        transfer: u32,
        /// What was sent.
        data: Vec<u8>,
    },
    /// The end of a command.
    Command(ScsiResponse),
    /// Of task management.
    Manage {
        /// The request.
        task: u32,
        /// 0 done, 1 no such task, 2 no such logical unit, 5 not supported, 255 refused (11.6.1).
        response: u8,
    },
    /// Of login.
    Login(LoginResponse),
    /// Of text negotiation.
    Text {
        /// The request.
        task: u32,
        /// Whether more text of this answer follows.
        continues: bool,
        /// The tag to ask for more with.
        transfer: u32,
        /// Keys and values.
        text: Vec<u8>,
    },
    /// Data of a command.
    Data(DataIn),
    /// Of logout: 0 is fine (11.15.1).
    Logout {
        /// The request.
        task: u32,
        /// What came of it.
        response: u8,
    },
    /// A request for data.
    Ready(ReadyToTransfer),
    /// A message nobody asked for (11.9).
    Async {
        /// What happened.
        event: u8,
    },
    /// A unit was not understood (11.17).
    Reject {
        /// Why.
        reason: u8,
        /// Its header.
        header: Vec<u8>,
    },
    /// None of these.
    Unknown {
        /// Its code.
        opcode: u8,
    },
}

impl Response {
    /// Reads a unit.
    pub fn decode(frame: Frame) -> (Self, Order) {
        let Frame { header, mut data } = frame;
        let order = Order {
            status: header.be32(24),
            expected_command: header.be32(28),
            max_command: header.be32(32),
        };
        let flags = header.byte(1);
        let (lun, task) = (Lun::from_wire(header.be64(8)), header.be32(16));
        let opcode = header.byte(0) & 0x3f;
        let response = match opcode {
            0x20 => Self::NopIn { task, transfer: header.be32(20), data },
            0x21 => Self::Command(ScsiResponse {
                response: header.byte(2),
                status: header.byte(3),
                task,
                data_units: header.be32(36),
                residual: Residual::from_wire(flags, header.be32(44)),
                sense: without_length(&data),
            }),
            0x22 => Self::Manage { task, response: header.byte(2) },
            0x23 => LoginResponse::decode(&header, data).map_or(Self::Unknown { opcode }, Self::Login),
            0x24 => {
                Self::Text { task, continues: flags & CONTINUE != 0, transfer: header.be32(20), text: data }
            }
            0x25 => Self::Data(DataIn {
                last: flags & FINAL != 0,
                status: (flags & 1 != 0)
                    .then(|| (header.byte(3), Residual::from_wire(flags, header.be32(44)))),
                lun,
                task,
                number: header.be32(36),
                offset: header.be32(40),
                data,
            }),
            0x26 => Self::Logout { task, response: header.byte(2) },
            0x31 => Self::Ready(ReadyToTransfer {
                lun,
                task,
                transfer: header.be32(20),
                number: header.be32(36),
                offset: header.be32(40),
                length: header.be32(44),
            }),
            0x32 => Self::Async { event: header.byte(36) },
            0x3f => {
                data.truncate(crate::frame::HEADER_BYTES);
                Self::Reject { reason: header.byte(2), header: data }
            }
            opcode => Self::Unknown { opcode },
        };
        (response, order)
    }

    /// The unit.
    pub fn encode(self, order: Order) -> Frame {
        let head = |opcode: u8, flags: u8, task: u32| {
            Header::new(opcode)
                .with(1, &[flags])
                .with32(16, task)
                .with32(24, order.status)
                .with32(28, order.expected_command)
                .with32(32, order.max_command)
        };
        match self {
            Self::NopIn { task, transfer, data } => {
                Frame { header: head(0x20, FINAL, task).with32(20, transfer), data }
            }
            Self::Command(end) => {
                let (flags, count) = end.residual.to_wire();
                let header = head(0x21, FINAL | flags, end.task)
                    .with(2, &[end.response, end.status])
                    .with32(36, end.data_units)
                    .with32(44, count);
                Frame { header, data: with_length(end.sense) }
            }
            Self::Manage { task, response } => {
                Frame { header: head(0x22, FINAL, task).with(2, &[response]), data: Vec::new() }
            }
            Self::Login(login) => {
                let header = head(0x23, 0, login.task);
                login.encode(header)
            }
            Self::Text { task, continues, transfer, text } => {
                let flags = if continues { CONTINUE } else { FINAL };
                Frame { header: head(0x24, flags, task).with32(20, transfer), data: text }
            }
            Self::Data(part) => part.encode(head),
            Self::Logout { task, response } => {
                Frame { header: head(0x26, FINAL, task).with(2, &[response]), data: Vec::new() }
            }
            Self::Ready(ready) => {
                let header = head(0x31, FINAL, ready.task)
                    .with(8, &ready.lun.to_wire().to_be_bytes())
                    .with32(20, ready.transfer)
                    .with32(36, ready.number)
                    .with32(40, ready.offset)
                    .with32(44, ready.length);
                Frame { header, data: Vec::new() }
            }
            Self::Async { event } => {
                Frame { header: head(0x32, FINAL, NO_TAG).with(36, &[event]), data: Vec::new() }
            }
            Self::Reject { reason, header } => {
                Frame { header: head(0x3f, FINAL, NO_TAG).with(2, &[reason]), data: header }
            }
            Self::Unknown { opcode } => Frame { header: head(opcode, FINAL, NO_TAG), data: Vec::new() },
        }
    }

    /// Whether it takes a number of its own (11.7.3, 11.8.2, 11.19.1).
    pub fn takes_status_number(&self) -> bool {
        match self {
            Self::Ready(_) | Self::Unknown { .. } => false,
            Self::Data(data) => data.status.is_some(),
            Self::NopIn { task, .. } => *task != NO_TAG,
            _ => true,
        }
    }
}

/// Sense, no longer than the length before it says, nor than what came.
fn without_length(data: &[u8]) -> Vec<u8> {
    let length = data.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
    data.get(2..).unwrap_or_default().iter().copied().take(length).collect()
}

/// Sense with the length before it; nothing where there is none (11.4.7).
fn with_length(sense: Vec<u8>) -> Vec<u8> {
    match u16::try_from(sense.len()) {
        Ok(length) if length > 0 => [length.to_be_bytes().to_vec(), sense].concat(),
        _ => Vec::new(),
    }
}

impl LoginResponse {
    /// `None` where the stage is none.
    fn decode(header: &Header, text: Vec<u8>) -> Option<Self> {
        let flags = header.byte(1);
        Some(Self {
            stage: Stage::from_wire(flags >> 2)?,
            next: Some(flags).filter(|flags| flags & FINAL != 0).and_then(Stage::from_wire),
            continues: flags & CONTINUE != 0,
            isid: header.array(8),
            tsih: header.be16(14),
            task: header.be32(16),
            status: (header.byte(36), header.byte(37)),
            text,
        })
    }

    fn encode(self, head: Header) -> Frame {
        let next = self.next.map_or(0, |next| FINAL | next.to_wire());
        let continues = if self.continues { CONTINUE } else { 0 };
        let header = head
            .with(1, &[next | continues | self.stage.to_wire() << 2])
            .with(8, &self.isid)
            .with(14, &self.tsih.to_be_bytes())
            .with(36, &[self.status.0, self.status.1]);
        Frame { header, data: self.text }
    }
}

impl DataIn {
    fn encode(self, head: impl Fn(u8, u8, u32) -> Header) -> Frame {
        let (status, (flags, count)) = match self.status {
            Some((status, residual)) => (status, residual.to_wire()),
            None => (0, (0, 0)),
        };
        let ends = if self.status.is_some() { 1 } else { 0 };
        let last = if self.last { FINAL } else { 0 };
        let header = head(0x25, last | ends | flags, self.task)
            .with(3, &[status])
            .with(8, &self.lun.to_wire().to_be_bytes())
            .with32(20, NO_TAG)
            .with32(36, self.number)
            .with32(40, self.offset)
            .with32(44, count);
        Frame { header, data: self.data }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::HEADER_BYTES;

    proptest! {
        #[test]
        fn any_header_is_read_and_a_known_one_reads_the_same_again(
            bytes in proptest::collection::vec(any::<u8>(), HEADER_BYTES),
            data in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let header = Header::from_bytes(bytes.try_into().unwrap());
            let (first, order) = Response::decode(Frame { header, data });
            if !matches!(first, Response::Unknown { .. }) {
                prop_assert_eq!(Response::decode(first.clone().encode(order)), (first, order));
            }
        }
    }

    #[test]
    fn sense_is_no_longer_than_it_says_nor_than_what_came() {
        let header = Header::new(0x21).with(3, &[2]);
        for (data, expected) in [
            (vec![0, 2, 0x70, 0, 9, 9], vec![0x70, 0]),
            (vec![0xff, 0xff, 0x70], vec![0x70]),
            (vec![0], vec![]),
        ] {
            let (response, _) = Response::decode(Frame { header, data });
            assert!(matches!(response, Response::Command(end) if end.sense == expected));
        }
    }
}
