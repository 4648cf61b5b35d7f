//! A SCSI-2 disk in memory, for tests of the bench itself: sound, or with one of several defects that a suite must catch.

pub(crate) mod function;
mod nic;
mod stuck;

use std::time::Duration;

pub(crate) use stuck::{Cure, StuckRig};

use crate::capability::Capabilities;
use crate::guest::GuestDefinition;
use crate::matrix::{Outcome, Row};
use crate::rig::{DeviceUnderTest, FunctionUnderTest, Identity, PlugError, Rig, RigError, RunningGuest};
use crate::scsi::SenseCode;
use crate::suite::{Came, Exchange, Harm, Head, Sent, SentData};
use crate::transport::{Transport, TransportError};
use crate::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, FoundDevice, HexBytes, LogRecord, Nexus,
};

/// What is wrong with a fake disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    /// The additional sense code stays when sense is read.
    StaleSense,
    /// INQUIRY pads its reply to the allocation length.
    InquiryPads,
    /// READ CAPACITY gives the number of blocks.
    CapacityIsCount,
    /// VERIFY with BytChk writes.
    VerifyWrites,
    /// WRITE(6) with length 0 writes nothing.
    Write6ZeroIsNone,
    /// A read past the end is carried out as far as it goes.
    NoRangeCheck,
    /// The adapter reports no residual.
    NoResidual,
    /// From this command on it says that it is another disk.
    Swapped(usize),
    /// Taken out of its guest, it does not come in again.
    StaysOut,
    /// The guest hangs at this opcode.
    Hangs(u8),
}

const BLOCK: usize = 512;
const BLOCKS: usize = 4096;
/// DPO and FUA are understood (device-specific parameter of MODE SENSE).
const DPOFUA: u8 = 0x10;

pub(crate) struct FakeDisk {
    blocks: Vec<u8>,
    sense: SenseCode,
    /// The address that goes with the sense.
    information: Option<u32>,
    attention: bool,
    defect: Defect,
    capabilities: Capabilities,
    commands: usize,
}

/// A device's reply: data, or the sense of a refusal.
type Reply = Result<Vec<u8>, SenseCode>;

fn refuse(key: u8, code: u8) -> SenseCode {
    SenseCode { key, code, qualifier: 0 }
}

fn byte(bytes: &[u8], at: usize) -> usize {
    bytes.get(at).copied().unwrap_or_default().into()
}

fn big_endian(bytes: &[u8], at: usize, width: usize) -> usize {
    (at..at + width).fold(0, |value, at| value << 8 | byte(bytes, at))
}

/// Whether one of the bits is set that this version reserves, as far as the suite looks.
fn reserved(cdb: &[u8]) -> bool {
    let beside_lun = match byte(cdb, 0) {
        0x00 | 0x03 | 0x12 | 0x25 => 0x1e,
        0x1a => 0x17,
        0x28 => 0x06,
        _ => 0x00,
    };
    if byte(cdb, 1) & beside_lun != 0 {
        return true;
    }
    match byte(cdb, 0) {
        0x00 => big_endian(cdb, 1, 4) & 0x1fff_ffff != 0,
        0x03 => big_endian(cdb, 2, 2) != 0,
        0x16 | 0x1d => byte(cdb, 1) & 0x11 != 0,
        0x1a => byte(cdb, 3) != 0,
        0x25 | 0x28 | 0x2a | 0x2f => byte(cdb, 6) != 0,
        _ => false,
    }
}

fn cut(mut data: Vec<u8>, allocation: usize) -> Vec<u8> {
    data.truncate(allocation);
    data
}

impl FakeDisk {
    pub(crate) fn new(defect: Defect) -> Self {
        let sense = SenseCode::NONE;
        let blocks = vec![0; BLOCK * BLOCKS];
        Self {
            blocks,
            sense,
            information: None,
            attention: true,
            defect,
            capabilities: Capabilities::none(),
            commands: 0,
        }
    }

    fn run(&mut self, cdb: &[u8], out: &[u8]) -> Reply {
        let opcode = byte(cdb, 0);
        if std::mem::take(&mut self.attention) && !matches!(opcode, 0x03 | 0x12) {
            return Err(refuse(6, 0x29));
        }
        let six = (big_endian(cdb, 1, 3) & 0x1f_ffff, byte(cdb, 4));
        let ten = (big_endian(cdb, 2, 4), big_endian(cdb, 7, 2));
        // By the opcode's group (7.2.1).
        let control = byte(cdb, [5, 9, 9, 9, 9, 11, 9, 9].get(opcode >> 5).copied().unwrap_or(9));
        let relative = matches!(opcode, 0x25 | 0x28 | 0x2a | 0x2f | 0x35) && byte(cdb, 1) & 1 == 1;
        if control & 0xc3 != 0 || relative || reserved(cdb) {
            return Err(refuse(5, 0x24));
        }
        match opcode {
            0x00 | 0x01 | 0x16 | 0x17 | 0x1d => Ok(Vec::new()),
            0x03 => Ok(cut(self.sense_data(), byte(cdb, 4))),
            0x08 | 0x0a => {
                let blocks = if six.1 == 0 { 256 } else { six.1 };
                let nothing = opcode == 0x0a && six.1 == 0 && self.defect == Defect::Write6ZeroIsNone;
                if nothing {
                    Ok(Vec::new())
                } else {
                    self.transfer((six.0, blocks), (opcode == 0x0a).then_some(out))
                }
            }
            0x0b => self.range((six.0, 1)).map(|_| Vec::new()),
            0x12 => self.inquiry(cdb),
            0x1a | 0x5a => self.mode_sense(cdb),
            0x25 if ten.0 != 0 && byte(cdb, 8) & 1 == 0 => Err(refuse(5, 0x24)),
            0x25 if ten.0 >= BLOCKS => Err(refuse(5, 0x21)),
            0x25 => {
                let last = BLOCKS - usize::from(self.defect != Defect::CapacityIsCount);
                let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
                Ok([number(last), number(BLOCK)].concat())
            }
            0x28 => self.transfer(ten, None),
            0x2a => self.transfer(ten, Some(out)),
            0x2b => self.range((ten.0, 1)).map(|_| Vec::new()),
            0x2f if byte(cdb, 1) & 2 == 2 => self.verify(ten, out),
            0x2f | 0x35 => self.range(ten).map(|_| Vec::new()),
            _ => Err(refuse(5, 0x20)),
        }
    }

    fn sense_data(&mut self) -> Vec<u8> {
        let mut data = vec![0; 18];
        (data[0], data[2], data[7]) = (0x70, self.sense.key, 10);
        (data[12], data[13]) = (self.sense.code, self.sense.qualifier);
        if let Some(address) = self.information.take() {
            data[0] |= 0x80;
            data[3..7].copy_from_slice(&address.to_be_bytes());
        }
        self.sense.key = 0;
        if self.defect != Defect::StaleSense {
            self.sense = SenseCode::NONE;
        }
        data
    }

    fn inquiry(&self, cdb: &[u8]) -> Reply {
        let allocation = byte(cdb, 4);
        let data = match (byte(cdb, 1) & 1, byte(cdb, 2)) {
            (0, 0) if matches!(self.defect, Defect::Swapped(from) if self.commands > from) => {
                b"\0\0\x02\x02\x1f\0\0\0SOMEBODYOTHER DISK      0001".to_vec()
            }
            (0, 0) => b"\0\0\x02\x02\x1f\0\0\0SLOTWISEFAKE DISK       0001".to_vec(),
            (1, 0x00) => vec![0, 0, 0, 2, 0x00, 0x80],
            (1, 0x80) => b"\0\x80\0\x04F001".to_vec(),
            _ => return Err(refuse(5, 0x24)),
        };
        let mut data = cut(data, allocation);
        if self.defect == Defect::InquiryPads {
            data.resize(allocation, 0);
        }
        Ok(data)
    }

    fn mode_sense(&self, cdb: &[u8]) -> Reply {
        let long = byte(cdb, 0) == 0x5a;
        let page = byte(cdb, 2);
        if page >> 6 == 3 {
            return Err(refuse(5, 0x39));
        }
        let recovery = [0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let caching = [0x08, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let pages = match page & 0x3f {
            0x01 => recovery.to_vec(),
            0x08 => caching.to_vec(),
            0x3f => [recovery, caching].concat(),
            _ => return Err(refuse(5, 0x24)),
        };
        let descriptor: &[u8] = if byte(cdb, 1) & 8 == 0 { &[0, 0, 0, 0, 0, 0, 2, 0] } else { &[] };
        let length = descriptor.len() + pages.len();
        let small = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
        let header = match long {
            false => vec![small(length + 3), 0, DPOFUA, small(descriptor.len())],
            true => vec![0, small(length + 6), 0, DPOFUA, 0, 0, 0, small(descriptor.len())],
        };
        let allocation = if long { big_endian(cdb, 7, 2) } else { byte(cdb, 4) };
        Ok(cut([&header, descriptor, &pages].concat(), allocation))
    }

    fn range(&self, (lba, count): (usize, usize)) -> Result<std::ops::Range<usize>, SenseCode> {
        let end = lba + count;
        let start = if self.defect == Defect::NoRangeCheck { lba.min(BLOCKS) } else { lba };
        let end = if self.defect == Defect::NoRangeCheck { end.min(BLOCKS) } else { end };
        if end > BLOCKS || start > BLOCKS { Err(refuse(5, 0x21)) } else { Ok(start * BLOCK..end * BLOCK) }
    }

    fn transfer(&mut self, place: (usize, usize), out: Option<&[u8]>) -> Reply {
        let range = self.range(place)?;
        let blocks = self.blocks.get_mut(range).ok_or(refuse(5, 0x21))?;
        match out {
            None => Ok(blocks.to_vec()),
            Some(out) => {
                blocks.iter_mut().zip(out).for_each(|(block, byte)| *block = *byte);
                Ok(Vec::new())
            }
        }
    }

    fn verify(&mut self, place: (usize, usize), out: &[u8]) -> Reply {
        if self.defect == Defect::VerifyWrites {
            return self.transfer(place, Some(out));
        }
        let stored = self.blocks.get(self.range(place)?).unwrap_or_default();
        match stored.chunks(BLOCK).zip(out.chunks(BLOCK)).position(|(stored, sent)| stored != sent) {
            None => Ok(Vec::new()),
            Some(at) => {
                self.information = u32::try_from(place.0 + at).ok();
                Err(refuse(0xe, 0x1d))
            }
        }
    }

    fn complete(&mut self, command: &Command) -> Completion {
        let (length, out) = command.direction.parts();
        let cdb = &command.cdb.0;
        self.commands += 1;
        if byte(cdb, 0) != 0x03 && self.defect != Defect::StaleSense {
            self.sense = SenseCode::NONE;
        }
        let reply = self.run(cdb, out);
        let (status, sense, data) = match reply {
            Ok(data) => (0, Vec::new(), cut(data, length)),
            Err(code) => {
                self.sense = code;
                // The adapter's driver fetches sense at once.
                (2, self.sense_data(), Vec::new())
            }
        };
        let mut data = data;
        if self.defect == Defect::NoResidual {
            data.resize(length, 0);
        }
        let residual = i32::try_from(length - data.len()).unwrap_or(i32::MAX);
        let (sense, data) = (HexBytes(sense), HexBytes(data));
        Completion { status, sense, data, residual, host_status: 0, driver_status: 0, elapsed_us: 10 }
    }
}

impl Transport for FakeDisk {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        Ok(vec![FoundDevice {
            address: DeviceAddress { host: 0, channel: 0, id: 2, lun: 0 },
            vendor: "SLOTWISE".into(),
            product: "FAKE DISK".into(),
            revision: "0001".into(),
            kind: 0,
            pci: None,
            driver: None,
        }])
    }

    fn execute(
        &mut self,
        _: DeviceAddress,
        commands: &[Command],
        limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        let hangs =
            |command: &&Command| Defect::Hangs(u8::try_from(byte(&command.cdb.0, 0)).unwrap()) == self.defect;
        if commands.iter().find(hangs).is_some() {
            return Err(TransportError::TimedOut { limit });
        }
        Ok(commands.iter().map(|command| CommandOutcome::Completed(self.complete(command))).collect())
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        let record = LogRecord { sequence: since, time_us: 0, level: 6, text: format!("line {since}") };
        Ok((vec![record], since + 1))
    }
}

struct FakeGuest(FakeDisk);

impl RunningGuest for FakeGuest {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.0
    }

    fn console_tail(&mut self) -> String {
        "Kernel panic - not syncing <&>".into()
    }

    fn reattach(&mut self) -> Result<(), PlugError> {
        if self.0.defect == Defect::StaysOut {
            return Err(PlugError::NotTaken);
        }
        // As a reset leaves it.
        self.0.attention = true;
        Ok(())
    }

    fn stop(self: Box<Self>) {}
}

/// A rig whose guests have a fake disk, or that starts none.
pub(crate) struct FakeRig {
    pub(crate) defect: Option<Defect>,
    pub(crate) starts: usize,
}

impl Rig for FakeRig {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError> {
        self.starts += 1;
        match self.defect {
            Some(defect) => Ok(Box::new(FakeGuest(FakeDisk::new(defect)))),
            None => Err(RigError {
                guest: guest.id().into(),
                device: device.name.clone(),
                source: "group 14 is not viable".into(),
                console: String::new(),
                hint: Some("bind the whole group".into()),
            }),
        }
    }
}

/// The fake disk as a device under test, with all declared.
pub(crate) fn device() -> DeviceUnderTest {
    DeviceUnderTest {
        name: "disk".into(),
        nexus: Nexus { channel: Some(0), id: Some(2), lun: Some(0) },
        identity: Some(Identity {
            vendor: "SLOTWISE".into(),
            product: "FAKE DISK".into(),
            serial: Some("F001".into()),
        }),
        harm_limit: Harm::Data,
        function: FunctionUnderTest::default(),
    }
}

/// A row of a case that ended so.
pub(crate) fn row(case: &str, outcome: Outcome) -> Row {
    Row {
        suite: "s".into(),
        device: "disk".into(),
        guest: "debian-12".into(),
        case: case.into(),
        attempt: 1,
        title: "A case".into(),
        why: "Because.".into(),
        standard: "X3.131-1994".into(),
        clause: "8.2".into(),
        clause_checked: false,
        outcome,
        elapsed: Duration::from_millis(20),
        in_guest: Duration::from_millis(19),
        prepared_in: Duration::ZERO,
        reason: outcome.is_bad().then(|| "wrong".into()),
        line: None,
        sent: 0,
        exchanges: Vec::new(),
        operations: Vec::new(),
        kernel_log: Vec::new(),
        console: None,
        recovery: Vec::new(),
        quarantined: None,
    }
}

/// An INQUIRY that brought these data.
pub(crate) fn exchange(data: &[u8]) -> Exchange {
    let cdb = HexBytes(vec![0x12, 0, 0, 0, 36, 0]);
    let completion = Completion {
        status: 0,
        sense: HexBytes(Vec::new()),
        data: HexBytes(Vec::new()),
        residual: 0,
        host_status: 0,
        driver_status: 0,
        elapsed_us: 10,
    };
    Exchange {
        title: "INQUIRY".into(),
        line: 1,
        sent: Sent { cdb, data: SentData::In { length: data.len() } },
        outcome: Some(Came::Completed { completion, data: Head::of(data) }),
        complaint: None,
    }
}
