//! What the bench can ask of one PCI function of a guest: registers, the kernel's files about it, its driver at work.
//!
//! The vocabulary is closed and small. It has a version of its own ([`OPERATIONS_VERSION`]), which the agent tells with its
//! hello: an agent that is older than an operation is not asked for it. Every size and time in it has a limit, which the
//! agent enforces, whoever asks.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{HexBytes, Nexus};

/// Version of this vocabulary. An operation that is added raises it. 0 is an agent that has none of it.
pub const OPERATIONS_VERSION: u32 = 1;

/// The most data one operation may bring or take, in bytes.
pub const OPERATION_DATA_LIMIT_BYTES: usize = 256 << 10;
/// The longest an operation may wait, in milliseconds, beyond what the kernel itself takes.
pub const OPERATION_WAIT_LIMIT_MS: u32 = 30_000;
/// The most frames of one exchange.
pub const FRAME_COUNT_LIMIT: usize = 512;
/// The longest frame, in bytes: the largest jumbo frame that is common, without its check sequence.
pub const FRAME_LIMIT_BYTES: usize = 9018;

/// Something to do with one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Read configuration space; gives what is there, which is less than asked at its end.
    ConfigRead {
        /// In bytes.
        offset: u16,
        /// In bytes, 4096 at most.
        length: u16,
    },
    /// Write configuration space, in one access for 1, 2 or 4 bytes that are aligned.
    ConfigWrite {
        /// In bytes.
        offset: u16,
        /// 64 bytes at most.
        data: HexBytes,
    },
    /// What a file of the kernel's says about the function; nothing where there is no such file.
    AttributeRead {
        /// Which.
        attribute: Attribute,
    },
    /// Write such a file; only those that [`Attribute::is_writable`] says.
    AttributeWrite {
        /// Which.
        attribute: Attribute,
        /// What, 64 bytes at most.
        text: HexBytes,
    },
    /// Read a region that a base address register decodes, in accesses of four bytes.
    RegionRead {
        /// The register, 0 to 5.
        bar: u8,
        /// In bytes, a multiple of four.
        offset: u32,
        /// In bytes, a multiple of four, 4096 at most.
        length: u16,
    },
    /// Read the start of the expansion ROM; nothing where there is none.
    RomRead {
        /// In bytes.
        length: u32,
    },
    /// Take the function from its driver.
    Unbind,
    /// Let the kernel look for a driver.
    Bind,
    /// How many interrupts of one kind the function's handlers were called for.
    Interrupts {
        /// Which kind.
        kind: InterruptKind,
    },
    /// How many message-signalled vectors its driver has.
    Vectors,
    /// Let its driver work, by whatever it serves: reads of a disk, commands to a SCSI device, frames of a network card.
    /// Gives how many were done, and what the last brought.
    Work {
        /// How many, 256 at most; with 0, nothing is done and the answer says what there is to work with: `disk`, `scsi`,
        /// `network`, or nothing.
        rounds: u16,
        /// Where a SCSI adapter is to look for its device.
        nexus: Nexus,
    },
    /// Wait.
    Pause {
        /// In milliseconds.
        ms: u32,
    },
    /// Send frames from the function's network interface, and take what comes.
    Frames(FrameExchange),
}

/// Frames to send, and how long to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameExchange {
    /// From the destination address on, without check sequence; [`FRAME_COUNT_LIMIT`] at most.
    pub frames: Vec<HexBytes>,
    /// Which `EtherType` is listened for.
    pub protocol: u16,
    /// What a frame must have to count, all of it.
    #[serde(default)]
    pub having: Vec<FrameBytes>,
    /// Listening ends when so many have come.
    pub wanted: u16,
    /// Or when this time has passed since the last was sent, in milliseconds.
    pub within_ms: u32,
}

/// Bytes at a place in a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameBytes {
    /// From the frame's first byte on.
    pub offset: u16,
    /// What is there.
    pub bytes: HexBytes,
}

impl FrameBytes {
    /// Whether a frame has them.
    #[must_use]
    pub fn are_in(&self, frame: &[u8]) -> bool {
        let offset = usize::from(self.offset);
        frame.get(offset..).is_some_and(|rest| rest.starts_with(&self.bytes.0))
    }
}

/// A kind of interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterruptKind {
    /// The wire.
    Intx,
    /// MSI and MSI-X.
    Message,
}

/// A file of the kernel's about a function (`Documentation/ABI/testing/sysfs-bus-pci`, `sysfs-class-net`, Linux 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The driver's name.
    Driver,
    /// Starts a reset.
    Reset,
    /// The ways of reset, the preferred first.
    ResetMethod,
    /// `D0`, `D3hot`, ….
    PowerState,
    /// Whether message-signalled interrupts are allowed.
    MsiBus,
    /// Address and size of each region.
    Resource,
    /// Of its network interface: the hardware address.
    NetAddress,
    /// Of its network interface: whether there is a link.
    NetCarrier,
    /// Of its network interface: the largest payload of a frame, in bytes.
    NetMtu,
    /// Of its network interface: up, promiscuous, … (`include/uapi/linux/if.h`).
    NetFlags,
    /// Frames received.
    NetRxPackets,
    /// Frames sent.
    NetTxPackets,
    /// Bytes received.
    NetRxBytes,
    /// Bytes sent.
    NetTxBytes,
    /// Frames received damaged.
    NetRxErrors,
    /// Frames that could not be sent.
    NetTxErrors,
}

impl Attribute {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::Driver,
        Self::Reset,
        Self::ResetMethod,
        Self::PowerState,
        Self::MsiBus,
        Self::Resource,
        Self::NetAddress,
        Self::NetCarrier,
        Self::NetMtu,
        Self::NetFlags,
        Self::NetRxPackets,
        Self::NetTxPackets,
        Self::NetRxBytes,
        Self::NetTxBytes,
        Self::NetRxErrors,
        Self::NetTxErrors,
    ];

    /// Its name in suites.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Reset => "reset",
            Self::ResetMethod => "reset-method",
            Self::PowerState => "power-state",
            Self::MsiBus => "msi-bus",
            Self::Resource => "resource",
            Self::NetAddress => "net-address",
            Self::NetCarrier => "net-carrier",
            Self::NetMtu => "net-mtu",
            Self::NetFlags => "net-flags",
            Self::NetRxPackets => "net-rx-packets",
            Self::NetTxPackets => "net-tx-packets",
            Self::NetRxBytes => "net-rx-bytes",
            Self::NetTxBytes => "net-tx-bytes",
            Self::NetRxErrors => "net-rx-errors",
            Self::NetTxErrors => "net-tx-errors",
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn place(self) -> AttributePlace {
        match self {
            Self::Driver => AttributePlace::Driver,
            Self::Reset => AttributePlace::Function("reset"),
            Self::ResetMethod => AttributePlace::Function("reset_method"),
            Self::PowerState => AttributePlace::Function("power_state"),
            Self::MsiBus => AttributePlace::Function("msi_bus"),
            Self::Resource => AttributePlace::Function("resource"),
            Self::NetAddress => AttributePlace::Interface("address"),
            Self::NetCarrier => AttributePlace::Interface("carrier"),
            Self::NetMtu => AttributePlace::Interface("mtu"),
            Self::NetFlags => AttributePlace::Interface("flags"),
            Self::NetRxPackets => AttributePlace::Interface("statistics/rx_packets"),
            Self::NetTxPackets => AttributePlace::Interface("statistics/tx_packets"),
            Self::NetRxBytes => AttributePlace::Interface("statistics/rx_bytes"),
            Self::NetTxBytes => AttributePlace::Interface("statistics/tx_bytes"),
            Self::NetRxErrors => AttributePlace::Interface("statistics/rx_errors"),
            Self::NetTxErrors => AttributePlace::Interface("statistics/tx_errors"),
        }
    }

    /// Whether an agent writes it.
    #[must_use]
    pub fn is_writable(self) -> bool {
        matches!(self, Self::Reset | Self::ResetMethod | Self::MsiBus | Self::NetFlags)
    }
}

/// Where a file about a function lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributePlace {
    /// It is where the link `driver` leads.
    Driver,
    /// In the function's own directory.
    Function(&'static str),
    /// In the directory of its network interface.
    Interface(&'static str),
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationOutcome {
    /// It was done.
    Done {
        /// What it brought, if it brings bytes.
        #[serde(default)]
        data: HexBytes,
        /// How many, if it counts.
        #[serde(default)]
        result: u64,
        /// Frames that came, if it listens.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        frames: Vec<HexBytes>,
        /// How long it took.
        elapsed_us: u64,
    },
    /// The kernel, or the agent's own limits, did not let it.
    Failed {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigRead { offset, length } => write!(f, "config-read {offset:#x}, {length} bytes"),
            Self::ConfigWrite { offset, data } => write!(f, "config-write {offset:#x}: {data}"),
            Self::AttributeRead { attribute } => write!(f, "attribute-read {}", attribute.name()),
            Self::AttributeWrite { attribute, text } => {
                write!(
                    f,
                    "attribute-write {}: {}",
                    attribute.name(),
                    String::from_utf8_lossy(&text.0).trim_end()
                )
            }
            Self::RegionRead { bar, offset, length } => {
                write!(f, "region-read BAR {bar} {offset:#x}, {length} bytes")
            }
            Self::RomRead { length } => write!(f, "rom-read {length} bytes"),
            Self::Unbind => f.write_str("unbind"),
            Self::Bind => f.write_str("bind"),
            Self::Interrupts { kind: InterruptKind::Intx } => f.write_str("intx-count"),
            Self::Interrupts { kind: InterruptKind::Message } => f.write_str("message-count"),
            Self::Vectors => f.write_str("vectors"),
            Self::Work { rounds, .. } => write!(f, "work {rounds} rounds"),
            Self::Pause { ms } => write!(f, "pause {ms} ms"),
            Self::Frames(exchange) => {
                write!(f, "frames: {} of type {:#06x}", exchange.frames.len(), exchange.protocol)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_of_version_1_stay_as_they_are() {
        for (operation, line) in [
            (Operation::Unbind, r#""unbind""#),
            (Operation::ConfigRead { offset: 0, length: 64 }, r#"{"config-read":{"offset":0,"length":64}}"#),
            (
                Operation::AttributeWrite {
                    attribute: Attribute::ResetMethod,
                    text: HexBytes(b"flr".to_vec()),
                },
                r#"{"attribute-write":{"attribute":"reset-method","text":"666c72"}}"#,
            ),
            (Operation::Interrupts { kind: InterruptKind::Intx }, r#"{"interrupts":{"kind":"intx"}}"#),
        ] {
            assert_eq!(serde_json::to_string(&operation).unwrap(), line);
            assert_eq!(serde_json::from_str::<Operation>(line).unwrap(), operation);
        }
        assert!(
            serde_json::from_str::<Operation>(r#"{"attribute-read":{"attribute":"../../uevent"}}"#).is_err()
        );
    }

    #[test]
    fn names_in_suites_are_those_on_the_wire() {
        for attribute in Attribute::ALL {
            assert_eq!(serde_json::to_string(&attribute).unwrap(), format!("\"{}\"", attribute.name()));
        }
    }
}
