//! A SCSI-2 processor device whose firmware is this program: it gives back what it was sent, sound (X3.131-1994, clause 12)
//! or with one defect switched on.
//!
//! Like the disk in [`target`](crate::target) it has no bus: a command goes in, status and data come out. It knows one
//! initiator, fetches nothing by itself, and has no time of its own.

use std::collections::VecDeque;

use crate::target::{COMMAND_TIME, Response};

macro_rules! defects {
    ($($name:ident $fault:literal;)*) => {
        /// One thing the firmware does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProcessorDefect { $(#[doc = $fault] $name,)* }

        /// All there are, each with what it does.
        pub const PROCESSOR_DEFECTS: &[(ProcessorDefect, &str)] = &[$((ProcessorDefect::$name, $fault),)*];
    };
}

defects! {
    Disk "INQUIRY says that it is a disk";
    ZeroIs256 "a length of 0 means 256";
    ZeroRefused "a length of 0 is refused";
    LengthOneByte "only the last byte of a length counts";
    EmptyHangs "RECEIVE hangs where nothing was sent";
    EmptyInvents "RECEIVE gives zeros where nothing was sent";
    OddCut "the last byte of a message of odd length is lost";
    LastFirst "of several messages the last is received first";
    KeepsMessage "a message that was received is received again";
    TailLost "what RECEIVE had no room for is gone though none of it was asked for";
    ReservedTaken "reserved bits of RECEIVE are ignored";
    SenseStays "sense is still there after it was read";
    OpcodeSilent "an unknown command is carried out as if it did nothing";
    FirstByteFlipped "the first byte is received with a bit flipped";
    ResetKeeps "a reset leaves messages that were not received";
    AttentionMissing "no attention after power-on or reset";
    InquiryLength "INQUIRY counts its whole reply as additional";
    InquiryEvpd "EVPD is ignored";
    InquiryWhole "INQUIRY sends all to any allocation length";
    Padded "RECEIVE pads a shorter message with zeros";
    SendReserved "reserved bits of SEND are ignored";
    LunAnswered "logical unit 1 is logical unit 0";
    ControlTaken "the control byte is not looked at";
    TailBack "what RECEIVE had no room for goes behind the other messages";
    LongCut "messages of more than 4096 bytes are cut there";
    Exact512 "a message of exactly 512 bytes loses the last";
    AttentionTwice "attention is told twice";
    AttentionInquiry "INQUIRY is refused under attention";
    AttentionExecutes "SEND under attention is refused and carried out";
    SenseLong "sense has twenty bytes";
    ReadyRefused "TEST UNIT READY is an unknown command";
    ErrorDrops "an error drops the messages";
    Swapped "messages of more than 256 bytes have their bytes swapped in pairs";
}

/// Messages that are kept; a further one finds the device busy.
const MESSAGE_LIMIT: usize = 16;
/// The longest message, in bytes.
const MESSAGE_BYTES: usize = 64 << 10;
const SENSE_BYTES: usize = 18;
/// Peripheral device type (8.2.5.1, table 47).
const PROCESSOR: u8 = 3;
/// Qualifier 011b and type 1Fh: no logical unit can be here.
const NO_UNIT: u8 = 0x7f;

/// How a command ends that was not carried out: key and additional code.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Sense(u8, u8),
    Busy,
    Silence,
}

const OPCODE: Refusal = Refusal::Sense(5, 0x20);
const FIELD: Refusal = Refusal::Sense(5, 0x24);

/// The device.
#[derive(Debug)]
pub struct Processor {
    defect: Option<ProcessorDefect>,
    messages: VecDeque<Vec<u8>>,
    sense: (u8, u8),
    attention: bool,
    /// Whether attention was told once: for a defect.
    told: bool,
}

fn byte(cdb: &[u8], at: usize) -> u8 {
    cdb.get(at).copied().unwrap_or_default()
}

impl Processor {
    /// One that was just switched on.
    #[must_use]
    pub fn new(defect: Option<ProcessorDefect>) -> Self {
        let attention = defect != Some(ProcessorDefect::AttentionMissing);
        Self { defect, messages: VecDeque::new(), sense: (0, 0), attention, told: false }
    }

    fn has(&self, defect: ProcessorDefect) -> bool {
        self.defect == Some(defect)
    }

    /// Power off and on, or a hard reset (6.2.2.1): the same to a device that keeps nothing.
    pub fn reset(&mut self) {
        if !self.has(ProcessorDefect::ResetKeeps) {
            self.messages.clear();
        }
        self.sense = (0, 0);
        self.attention = !self.has(ProcessorDefect::AttentionMissing);
    }

    /// Carries out one command: `out` is what the initiator has to send, `expected` how many bytes it can take.
    pub fn execute(&mut self, cdb: &[u8], out: &[u8], expected: usize) -> Response {
        // Sense lasts until the next command (7.6).
        if byte(cdb, 0) != 0x03 && !self.has(ProcessorDefect::SenseStays) {
            self.sense = (0, 0);
        }
        let (status, data) = match self.run(cdb, out) {
            Ok(data) => (Some(0x00), data),
            Err(Refusal::Sense(key, code)) => {
                self.sense = (key, code);
                if key == 5 && self.has(ProcessorDefect::ErrorDrops) {
                    self.messages.clear();
                }
                (Some(0x02), Vec::new())
            }
            Err(Refusal::Busy) => (Some(0x08), Vec::new()),
            Err(Refusal::Silence) => (None, Vec::new()),
        };
        Response::seen(status, data, out, expected, COMMAND_TIME)
    }

    fn run(&mut self, cdb: &[u8], out: &[u8]) -> Result<Vec<u8>, Refusal> {
        let opcode = byte(cdb, 0);
        // Without IDENTIFY the LUN of the command counts; an absent unit tells INQUIRY and REQUEST SENSE so (7.5.3).
        let lun = byte(cdb, 1) >> 5;
        if lun != 0 && !(lun == 1 && self.has(ProcessorDefect::LunAnswered)) {
            let allocation = usize::from(byte(cdb, 4));
            return match opcode {
                0x12 => Ok(self.inquiry(NO_UNIT, allocation)),
                0x03 => Ok(self.sense_bytes((5, 0x25), allocation)),
                _ => Err(Refusal::Sense(5, 0x25)),
            };
        }
        let passes = opcode == 0x03 || opcode == 0x12 && !self.has(ProcessorDefect::AttentionInquiry);
        if self.attention && !passes {
            (self.attention, self.told) = (false, true);
            if opcode == 0x0a && self.has(ProcessorDefect::AttentionExecutes) {
                drop(self.send(self.length(cdb)?, out));
            }
            return Err(Refusal::Sense(6, 0x29));
        }
        if opcode == 0x00 && std::mem::take(&mut self.told) && self.has(ProcessorDefect::AttentionTwice) {
            return Err(Refusal::Sense(6, 0x29));
        }
        let byte_1 = byte(cdb, 1) & 0x1f;
        let reserved = match opcode {
            0x00 if self.has(ProcessorDefect::ReadyRefused) => return Err(OPCODE),
            0x00 => byte_1 != 0 || cdb.iter().take(5).skip(2).any(|byte| *byte != 0),
            0x03 => byte_1 | byte(cdb, 2) | byte(cdb, 3) != 0,
            // Vital product data there are none.
            0x12 if self.has(ProcessorDefect::InquiryEvpd) => false,
            0x12 => byte_1 | byte(cdb, 2) | byte(cdb, 3) != 0,
            0x08 => byte_1 != 0 && !self.has(ProcessorDefect::ReservedTaken),
            // AEN is the lowest bit of byte 1; the rest is reserved (12.2.2).
            0x0a => byte_1 & 0xfe != 0 && !self.has(ProcessorDefect::SendReserved),
            _ if self.has(ProcessorDefect::OpcodeSilent) => return Ok(Vec::new()),
            _ => return Err(OPCODE),
        };
        // The control byte: neither link nor flag (7.2.7).
        let control = byte(cdb, 5) != 0 && !self.has(ProcessorDefect::ControlTaken);
        if reserved || control {
            return Err(FIELD);
        }
        match opcode {
            0x03 => Ok(self.sense_data(usize::from(byte(cdb, 4)))),
            0x12 => Ok(self.inquiry(PROCESSOR, usize::from(byte(cdb, 4)))),
            0x08 => self.receive(self.length(cdb)?),
            0x0a => self.send(self.length(cdb)?, out),
            _ => Ok(Vec::new()),
        }
    }

    /// The length of SEND and RECEIVE: bytes 2 to 4 (12.2.1, 12.2.2).
    fn length(&self, cdb: &[u8]) -> Result<usize, Refusal> {
        let wide = !self.has(ProcessorDefect::LengthOneByte);
        let bytes =
            [0, if wide { byte(cdb, 2) } else { 0 }, if wide { byte(cdb, 3) } else { 0 }, byte(cdb, 4)];
        match usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX) {
            0 if self.has(ProcessorDefect::ZeroIs256) => Ok(256),
            0 if self.has(ProcessorDefect::ZeroRefused) => Err(FIELD),
            length => Ok(length),
        }
    }

    fn send(&mut self, length: usize, out: &[u8]) -> Result<Vec<u8>, Refusal> {
        if length == 0 {
            return Ok(Vec::new());
        }
        if length > MESSAGE_BYTES {
            return Err(FIELD);
        }
        if self.messages.len() >= MESSAGE_LIMIT {
            return Err(Refusal::Busy);
        }
        let mut message: Vec<u8> = out.iter().take(length).copied().collect();
        message.resize(length, 0);
        if self.has(ProcessorDefect::OddCut) && message.len() % 2 == 1 {
            message.pop();
        }
        if let (true, Some(first)) = (self.has(ProcessorDefect::FirstByteFlipped), message.first_mut()) {
            *first ^= 0x01;
        }
        match self.defect {
            Some(ProcessorDefect::LongCut) => message.truncate(4096),
            Some(ProcessorDefect::Exact512) if message.len() == 512 => message.truncate(511),
            Some(ProcessorDefect::Swapped) if message.len() > 256 => {
                message.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            }
            _ => {}
        }
        self.messages.push_back(message);
        Ok(Vec::new())
    }

    /// The oldest message; what does not fit is kept for the next RECEIVE.
    fn receive(&mut self, allocation: usize) -> Result<Vec<u8>, Refusal> {
        if allocation == 0 {
            if self.has(ProcessorDefect::TailLost) {
                self.messages.pop_front();
            }
            return Ok(Vec::new());
        }
        let taken = match self.defect {
            Some(ProcessorDefect::LastFirst) => self.messages.pop_back(),
            Some(ProcessorDefect::KeepsMessage) => self.messages.front().cloned(),
            _ => self.messages.pop_front(),
        };
        match taken {
            Some(mut message) => {
                let rest = message.split_off(allocation.min(message.len()));
                match self.defect {
                    _ if rest.is_empty() => {}
                    Some(ProcessorDefect::KeepsMessage) => {}
                    Some(ProcessorDefect::TailBack) => self.messages.push_back(rest),
                    _ => self.messages.push_front(rest),
                }
                if self.has(ProcessorDefect::Padded) {
                    message.resize(allocation, 0);
                }
                Ok(message)
            }
            None if self.has(ProcessorDefect::EmptyHangs) => Err(Refusal::Silence),
            None if self.has(ProcessorDefect::EmptyInvents) => Ok(vec![0; allocation]),
            None => Ok(Vec::new()),
        }
    }

    fn sense_data(&mut self, allocation: usize) -> Vec<u8> {
        let (key, code) = if self.attention { (6, 0x29) } else { self.sense };
        self.attention = false;
        if !self.has(ProcessorDefect::SenseStays) {
            self.sense = (0, 0);
        }
        self.sense_bytes((key, code), allocation)
    }

    fn sense_bytes(&self, (key, code): (u8, u8), allocation: usize) -> Vec<u8> {
        let mut data = vec![0; SENSE_BYTES];
        for (at, value) in [(0, 0x70), (2, key), (7, 10), (12, code)] {
            if let Some(place) = data.get_mut(at) {
                *place = value;
            }
        }
        if self.has(ProcessorDefect::SenseLong) {
            data.resize(SENSE_BYTES + 2, 0);
        }
        data.truncate(allocation);
        data
    }

    fn inquiry(&self, kind: u8, allocation: usize) -> Vec<u8> {
        let kind = if self.has(ProcessorDefect::Disk) { 0 } else { kind };
        let length = if self.has(ProcessorDefect::InquiryLength) { 36 } else { 31 };
        let mut data = vec![kind, 0, 2, 2, length, 0, 0, 0];
        data.extend(b"SLOTWISEPROCESSOR       0001");
        if !self.has(ProcessorDefect::InquiryWhole) {
            data.truncate(allocation);
        }
        data
    }
}
