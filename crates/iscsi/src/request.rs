//! What initiators send (RFC 7143, 11.3, 11.5, 11.7, 11.10, 11.12, 11.14, 11.18).

use crate::frame::{Frame, Header};
use crate::{Lun, NO_TAG};

const IMMEDIATE: u8 = 0x40;
const FINAL: u8 = 0x80;
const CONTINUE: u8 = 0x40;

/// Numbers that are in every request but one: they order commands, and acknowledge answers (4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Whether the request jumps the queue, and takes no number of its own.
    pub immediate: bool,
    /// `CmdSN`.
    pub command: u32,
    /// `ExpStatSN`.
    pub expected_status: u32,
}

/// A stage of login (11.12.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Security negotiation.
    Security,
    /// Operational negotiation.
    Operational,
    /// The session works.
    FullFeature,
}

impl Stage {
    pub(crate) const fn from_wire(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Security),
            1 => Some(Self::Operational),
            3 => Some(Self::FullFeature),
            _ => None,
        }
    }

    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Security => 0,
            Self::Operational => 1,
            Self::FullFeature => 3,
        }
    }
}

/// A SCSI command (11.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScsiCommand {
    /// Its numbers.
    pub order: Order,
    /// Whether no unsolicited data follow.
    pub last: bool,
    /// Whether data are to come from the target.
    pub reads: bool,
    /// Whether data go to the target.
    pub writes: bool,
    /// The logical unit.
    pub lun: Lun,
    /// The initiator's name for it.
    pub task: u32,
    /// Bytes the initiator expects to move.
    pub expected: u32,
    /// Command descriptor block, zeros behind it.
    pub cdb: [u8; 16],
    /// Immediate data.
    pub data: Vec<u8>,
}

/// Data for a command (11.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataOut {
    /// Whether the sequence ends with it.
    pub last: bool,
    /// The command.
    pub task: u32,
    /// The target's name for the transfer, or [`NO_TAG`] for unsolicited data.
    pub transfer: u32,
    /// Place in its sequence, from 0.
    pub number: u32,
    /// Place of the data in the transfer, in bytes.
    pub offset: u32,
    /// The data.
    pub data: Vec<u8>,
}

/// A task management function (11.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// One task.
    AbortTask,
    /// All of this initiator's.
    AbortTaskSet,
    /// All of all initiators'.
    ClearTaskSet,
    /// The logical unit.
    LunReset,
    /// The target, its connections stay.
    WarmReset,
    /// The target, as if switched off and on.
    ColdReset,
    /// One of the others.
    Other(u8),
}

impl Function {
    const fn from_wire(code: u8) -> Self {
        match code {
            1 => Self::AbortTask,
            2 => Self::AbortTaskSet,
            4 => Self::ClearTaskSet,
            5 => Self::LunReset,
            6 => Self::WarmReset,
            7 => Self::ColdReset,
            other => Self::Other(other),
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::AbortTask => 1,
            Self::AbortTaskSet => 2,
            Self::ClearTaskSet => 4,
            Self::LunReset => 5,
            Self::WarmReset => 6,
            Self::ColdReset => 7,
            Self::Other(code) => code,
        }
    }
}

/// A login request (11.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The stage this belongs to.
    pub stage: Stage,
    /// The stage wanted next, if the initiator is ready for it.
    pub next: Option<Stage>,
    /// Whether more text of this request follows.
    pub continues: bool,
    /// Lowest protocol version that the initiator speaks.
    pub version_min: u8,
    /// The initiator's part of the session's name.
    pub isid: [u8; 6],
    /// The target's part; 0 for a new session.
    pub tsih: u16,
    /// The initiator's name for the request.
    pub task: u32,
    /// The connection's number.
    pub connection: u16,
    /// Its numbers.
    pub order: Order,
    /// Keys and values.
    pub text: Vec<u8>,
}

impl Login {
    /// `None` where the stage is none.
    fn decode(header: &Header, order: Order, text: Vec<u8>) -> Option<Self> {
        let flags = header.byte(1);
        Some(Self {
            stage: Stage::from_wire(flags >> 2)?,
            next: Some(flags).filter(|flags| flags & FINAL != 0).and_then(Stage::from_wire),
            continues: flags & CONTINUE != 0,
            version_min: header.byte(3),
            isid: header.array(8),
            tsih: header.be16(14),
            task: header.be32(16),
            connection: header.be16(20),
            order,
            text,
        })
    }

    fn flags(&self) -> u8 {
        let next = self.next.map_or(0, |next| FINAL | next.to_wire());
        next | if self.continues { CONTINUE } else { 0 } | self.stage.to_wire() << 2
    }

    fn encode(self, head: Header) -> Frame {
        let header = head
            .with(3, &[self.version_min])
            .with(8, &self.isid)
            .with(14, &self.tsih.to_be_bytes())
            .with32(16, self.task)
            .with(20, &self.connection.to_be_bytes());
        Frame { header, data: self.text }
    }
}

/// What an initiator sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Are you there, or the answer to such.
    NopOut {
        /// Its numbers.
        order: Order,
        /// The logical unit.
        lun: Lun,
        /// [`NO_TAG`] where no answer is wanted.
        task: u32,
        /// The target's tag, where this is an answer.
        transfer: u32,
        /// Comes back.
        data: Vec<u8>,
    },
    /// A SCSI command.
    Command(ScsiCommand),
    /// Task management.
    Manage {
        /// Its numbers.
        order: Order,
        /// What to do.
        function: Function,
        /// The logical unit.
        lun: Lun,
        /// The initiator's name for the request.
        task: u32,
        /// The task meant.
        referenced: u32,
    },
    /// Login.
    Login(Login),
    /// Text negotiation.
    Text {
        /// Its numbers.
        order: Order,
        /// Whether more text of this request follows.
        continues: bool,
        /// The initiator's name for the request.
        task: u32,
        /// The target's tag of a negotiation that goes on.
        transfer: u32,
        /// Keys and values.
        text: Vec<u8>,
    },
    /// Data for a command.
    Data(DataOut),
    /// The end of a session or a connection.
    Logout {
        /// Its numbers.
        order: Order,
        /// 0 closes the session, 1 a connection (11.14.1).
        reason: u8,
        /// The initiator's name for the request.
        task: u32,
    },
    /// A request for repetition, or one that there is not (11.16).
    Unknown {
        /// Its code.
        opcode: u8,
        /// Its header, for the rejection.
        header: Header,
    },
}

impl Request {
    /// Reads a unit.
    pub fn decode(frame: Frame) -> Self {
        let Frame { header, data } = frame;
        let flags = header.byte(1);
        let order = Order {
            immediate: header.byte(0) & IMMEDIATE != 0,
            command: header.be32(24),
            expected_status: header.be32(28),
        };
        let (lun, task) = (Lun::from_wire(header.be64(8)), header.be32(16));
        let opcode = header.byte(0) & 0x3f;
        match opcode {
            0x00 => Self::NopOut { order, lun, task, transfer: header.be32(20), data },
            0x01 => Self::Command(ScsiCommand {
                order,
                last: flags & FINAL != 0,
                reads: flags & 0x40 != 0,
                writes: flags & 0x20 != 0,
                lun,
                task,
                expected: header.be32(20),
                cdb: header.array(32),
                data,
            }),
            0x02 => Self::Manage {
                order,
                function: Function::from_wire(flags & 0x7f),
                lun,
                task,
                referenced: header.be32(20),
            },
            0x03 => match Login::decode(&header, order, data) {
                Some(login) => Self::Login(login),
                None => Self::Unknown { opcode, header },
            },
            0x04 => Self::Text {
                order,
                continues: flags & CONTINUE != 0,
                task,
                transfer: header.be32(20),
                text: data,
            },
            0x05 => Self::Data(DataOut {
                last: flags & FINAL != 0,
                task,
                transfer: header.be32(20),
                number: header.be32(36),
                offset: header.be32(40),
                data,
            }),
            0x06 => Self::Logout { order, reason: flags & 0x7f, task },
            opcode => Self::Unknown { opcode, header },
        }
    }

    /// The unit.
    pub fn encode(self) -> Frame {
        let head = |opcode: u8, order: Order, flags: u8| {
            Header::new(opcode | if order.immediate { IMMEDIATE } else { 0 })
                .with(1, &[flags])
                .with32(24, order.command)
                .with32(28, order.expected_status)
        };
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        match self {
            Self::NopOut { order, lun, task, transfer, data } => {
                let header = head(0x00, order, FINAL).with(8, &lun.to_wire().to_be_bytes());
                Frame { header: header.with32(16, task).with32(20, transfer), data }
            }
            Self::Command(command) => {
                // Attribute 1 is a simple task (11.3.1).
                let flags =
                    bit(command.last, FINAL) | bit(command.reads, 0x40) | bit(command.writes, 0x20) | 1;
                let header = head(0x01, command.order, flags)
                    .with(8, &command.lun.to_wire().to_be_bytes())
                    .with32(16, command.task)
                    .with32(20, command.expected)
                    .with(32, &command.cdb);
                Frame { header, data: command.data }
            }
            Self::Manage { order, function, lun, task, referenced } => {
                let header = head(0x02, order, FINAL | function.to_wire())
                    .with(8, &lun.to_wire().to_be_bytes())
                    .with32(16, task)
                    .with32(20, referenced);
                Frame { header, data: Vec::new() }
            }
            Self::Login(login) => {
                let header = head(0x03, login.order, login.flags());
                login.encode(header)
            }
            Self::Text { order, continues, task, transfer, text } => {
                let flags = if continues { CONTINUE } else { FINAL };
                let header = head(0x04, order, flags).with32(16, task).with32(20, transfer);
                Frame { header, data: text }
            }
            Self::Data(out) => {
                let header = Header::new(0x05)
                    .with(1, &[bit(out.last, FINAL)])
                    .with32(16, out.task)
                    .with32(20, out.transfer)
                    .with32(36, out.number)
                    .with32(40, out.offset);
                Frame { header, data: out.data }
            }
            Self::Logout { order, reason, task } => {
                Frame { header: head(0x06, order, FINAL | reason).with32(16, task), data: Vec::new() }
            }
            Self::Unknown { header, .. } => Frame { header, data: Vec::new() },
        }
    }

    /// The numbers of a request that has them, where it takes one of its own.
    pub fn order(&self) -> Option<Order> {
        match self {
            Self::NopOut { order, .. }
            | Self::Manage { order, .. }
            | Self::Text { order, .. }
            | Self::Logout { order, .. } => Some(*order),
            Self::Command(command) => Some(command.order),
            Self::Login(login) => Some(login.order),
            Self::Data(_) | Self::Unknown { .. } => None,
        }
    }

    /// Whether it asks for nothing: a NOP-Out without a task.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::NopOut { task: NO_TAG, .. })
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
        ) {
            let header = Header::from_bytes(bytes.try_into().unwrap());
            let first = Request::decode(Frame { header, data: Vec::new() });
            let again = Request::decode(first.clone().encode());
            // The length field of an unknown one is kept as it came.
            prop_assert_eq!(first, again);
        }
    }

    #[test]
    fn fields_stand_where_the_rfc_has_them() {
        let command = Request::Command(ScsiCommand {
            order: Order { immediate: false, command: 0x0102_0304, expected_status: 0x0506_0708 },
            last: true,
            reads: true,
            writes: false,
            lun: Lun::new(5).unwrap(),
            task: 0x1122_3344,
            expected: 36,
            cdb: [0x12; 16],
            data: Vec::new(),
        });
        let header = command.encode().header;
        assert_eq!(header.bytes()[..2], [0x01, 0xc1]);
        assert_eq!(header.bytes()[8..12], [0, 5, 0, 0]);
        assert_eq!((header.be32(16), header.be32(20)), (0x1122_3344, 36));
        assert_eq!((header.be32(24), header.be32(28)), (0x0102_0304, 0x0506_0708));
        assert_eq!(header.byte(47), 0x12);
    }
}
