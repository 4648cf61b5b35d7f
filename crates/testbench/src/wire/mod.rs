//! What the bench and the agent in a guest say to each other: one JSON object a line, over a byte stream.
//!
//! The bench asks with a [`RequestLine`], the agent answers each with one [`AnswerLine`] of the same `id`. The agent
//! carries out and reports; it never judges. Both sides refuse lines longer than [`LINE_LIMIT_BYTES`], and a batch whose
//! data would not fit in one ([`BATCH_DATA_LIMIT_BYTES`]).
//!
//! Units: times in the names (`_us` microseconds, `_ms` milliseconds), lengths in bytes, byte strings as hexadecimal
//! text. The protocol is versioned by [`PROTOCOL_VERSION`]; fields may be added, and unknown ones are passed over, so
//! that an older agent in a cached guest image still answers `hello`.

mod boot;
mod function;
mod hex;
mod scsi;

use serde::{Deserialize, Serialize};

pub use boot::{BootConfig, IoRead, Module, PrepareStep};
pub use function::{
    Attribute, AttributePlace, FRAME_COUNT_LIMIT, FRAME_LIMIT_BYTES, FrameBytes, FrameExchange,
    InterruptKind, OPERATION_DATA_LIMIT_BYTES, OPERATION_WAIT_LIMIT_MS, OPERATIONS_VERSION, Operation,
    OperationOutcome,
};
pub use hex::{HexBytes, HexError};
pub use scsi::{Command, CommandOutcome, Completion, DeviceAddress, Direction, FoundDevice, Nexus};

/// Version of this protocol. A change that an older peer would misread raises it.
pub const PROTOCOL_VERSION: u32 = 1;

/// Name of the virtio-serial port the agent listens on, as it stands in `/sys/class/virtio-ports/*/name`.
pub const AGENT_PORT: &str = "org.slotwise.agent.0";

/// The longest line either side accepts, in bytes, its line feed included.
pub const LINE_LIMIT_BYTES: usize = 4 << 20;

/// The most data one batch may send and receive, in bytes: as hexadecimal text it takes twice that, and stays below
/// [`LINE_LIMIT_BYTES`] with room for the rest.
pub const BATCH_DATA_LIMIT_BYTES: usize = 1 << 20;

/// The most commands in one batch.
pub const BATCH_COMMAND_LIMIT: usize = 512;

/// A request with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLine {
    /// Comes back in the answer.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// What the bench can ask of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Who are you; answered with [`Answer::Hello`].
    Hello {
        /// The protocol version the bench speaks.
        version: u32,
    },
    /// Look for devices at one place on every SCSI host; answered with [`Answer::Scanned`].
    Scan(Nexus),
    /// The SCSI devices the guest has; answered with [`Answer::Devices`].
    Devices,
    /// Send commands to one device, one after another; answered with [`Answer::Executed`]. The agent stops after the
    /// first command that no device answered, so the answer may be shorter than the batch.
    Execute {
        /// The device.
        device: DeviceAddress,
        /// At most [`BATCH_COMMAND_LIMIT`].
        commands: Vec<Command>,
    },
    /// The kernel log; answered with [`Answer::KernelLog`].
    KernelLog {
        /// Records with this sequence number and later ones.
        since: u64,
    },
    /// The PCI functions the guest has; answered with [`Answer::Pci`].
    Pci,
    /// Do something with one PCI function; answered with [`Answer::Performed`]. Asked only of an agent whose hello tells
    /// a version of the operations.
    Perform {
        /// The function, `dddd:bb:dd.f`.
        function: String,
        /// What.
        operation: Operation,
    },
    /// Switch the guest off; answered with [`Answer::Bye`].
    PowerOff,
}

/// An answer with the number of its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLine {
    /// The request's number.
    pub id: u64,
    /// What came of it.
    pub answer: Answer,
}

/// What an agent can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::Hello`].
    Hello {
        /// The protocol version the agent speaks.
        version: u32,
        /// The kernel's release, `uname -r`.
        kernel: String,
        /// Time since the guest's kernel started.
        uptime_us: u64,
        /// What went wrong while the agent set up the guest, a line each; it goes on all the same.
        #[serde(default)]
        complaints: Vec<String>,
        /// Which version of the operations on PCI functions it has; 0 for none.
        #[serde(default)]
        operations: u32,
    },
    /// To [`Request::Scan`].
    Scanned {
        /// Numbers of the SCSI hosts that were told to scan.
        hosts: Vec<u32>,
    },
    /// To [`Request::Devices`].
    Devices {
        /// In the order of their addresses.
        devices: Vec<FoundDevice>,
    },
    /// To [`Request::Execute`].
    Executed {
        /// One for each command sent, in order.
        outcomes: Vec<CommandOutcome>,
    },
    /// To [`Request::KernelLog`].
    KernelLog {
        /// In order.
        records: Vec<LogRecord>,
        /// Ask with this number next time.
        next: u64,
    },
    /// To [`Request::Pci`].
    Pci {
        /// In the order of their addresses.
        functions: Vec<PciFunction>,
    },
    /// To [`Request::Perform`].
    Performed {
        /// What came of it.
        outcome: OperationOutcome,
    },
    /// To [`Request::PowerOff`].
    Bye,
    /// The request could not be carried out at all.
    Refused {
        /// Why, as a sentence without full stop.
        reason: String,
    },
}

/// A record of the guest's kernel log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its sequence number.
    pub sequence: u64,
    /// Time since the guest's kernel started.
    pub time_us: u64,
    /// 0 emergency to 7 debug.
    pub level: u8,
    /// One line.
    pub text: String,
}

/// A PCI function as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciFunction {
    /// `dddd:bb:dd.f`
    pub address: String,
    /// Four hexadecimal digits.
    pub vendor: String,
    /// Four hexadecimal digits.
    pub device: String,
    /// Class, subclass and programming interface: six hexadecimal digits.
    pub class: String,
    /// The driver bound to it.
    pub driver: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(value: &T, line: &str) {
        assert_eq!(serde_json::to_string(value).unwrap(), line);
        assert_eq!(&serde_json::from_str::<T>(line).unwrap(), value);
    }

    #[test]
    fn lines_of_version_1_stay_as_they_are() {
        let request = |request| RequestLine { id: 7, request };
        same(&request(Request::Hello { version: 1 }), r#"{"id":7,"request":{"hello":{"version":1}}}"#);
        same(&request(Request::PowerOff), r#"{"id":7,"request":"power-off"}"#);
        let nexus = Nexus { channel: None, id: Some(2), lun: Some(0) };
        same(
            &request(Request::Scan(nexus)),
            r#"{"id":7,"request":{"scan":{"channel":null,"id":2,"lun":0}}}"#,
        );
        let inquiry = Command {
            cdb: HexBytes(vec![0x12, 0, 0, 0, 36, 0]),
            direction: Direction::In { length: 36 },
            timeout_ms: 5000,
        };
        let device = DeviceAddress { host: 0, channel: 0, id: 2, lun: 0 };
        same(
            &request(Request::Execute { device, commands: vec![inquiry] }),
            concat!(
                r#"{"id":7,"request":{"execute":{"device":{"host":0,"channel":0,"id":2,"lun":0},"#,
                r#""commands":[{"cdb":"120000002400","direction":{"in":{"length":36}},"timeout_ms":5000}]}}}"#
            ),
        );
        let completion = Completion {
            status: 2,
            sense: HexBytes(vec![0x70]),
            data: HexBytes(Vec::new()),
            residual: 36,
            host_status: 0,
            driver_status: 8,
            elapsed_us: 125,
        };
        let outcomes = vec![
            CommandOutcome::Completed(completion),
            CommandOutcome::NotSent { error: "Invalid argument".into() },
        ];
        same(
            &AnswerLine { id: 7, answer: Answer::Executed { outcomes } },
            concat!(
                r#"{"id":7,"answer":{"executed":{"outcomes":[{"completed":{"status":2,"sense":"70","data":"","#,
                r#""residual":36,"host_status":0,"driver_status":8,"elapsed_us":125}},"#,
                r#"{"not-sent":{"error":"Invalid argument"}}]}}}"#
            ),
        );
    }

    #[test]
    fn the_largest_batch_fits_in_a_line() {
        let batch = HexBytes(vec![0; BATCH_DATA_LIMIT_BYTES]).to_string().len();
        // 600 bytes are more than an outcome takes besides its data: its names, its numbers and 96 bytes of sense.
        assert!(batch + BATCH_COMMAND_LIMIT * 600 < LINE_LIMIT_BYTES);
    }

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        let line = r#"{"id":1,"answer":{"hello":{"version":1,"kernel":"6.1","uptime_us":5,"mood":"good"}}}"#;
        assert!(serde_json::from_str::<AnswerLine>(line).is_ok());
    }
}
