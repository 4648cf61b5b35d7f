//! SCSI commands to send, and what came back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::HexBytes;

/// Where a device sits, in the guest's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceAddress {
    /// SCSI host number.
    pub host: u32,
    /// Bus of a host with several.
    pub channel: u32,
    /// SCSI id.
    pub id: u32,
    /// Logical unit number.
    pub lun: u64,
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.host, self.channel, self.id, self.lun)
    }
}

/// Where to look for devices on a host; `None` is everywhere, at the price of a selection timeout an empty place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nexus {
    /// Bus of a host with several.
    pub channel: Option<u32>,
    /// SCSI id.
    pub id: Option<u32>,
    /// Logical unit number.
    pub lun: Option<u64>,
}

/// A SCSI device the guest's kernel found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundDevice {
    /// Where it sits.
    pub address: DeviceAddress,
    /// Vendor identification from INQUIRY, trailing spaces removed.
    pub vendor: String,
    /// Product identification from INQUIRY, trailing spaces removed.
    pub product: String,
    /// Product revision level from INQUIRY, trailing spaces removed.
    pub revision: String,
    /// Peripheral device type, 0 to 31: 0 direct access, 5 CD-ROM.
    pub kind: u8,
    /// The PCI function its host adapter is, `dddd:bb:dd.f`.
    pub pci: Option<String>,
    /// The drivers bound to it besides the generic one: commands of theirs may come between those of a test.
    pub driver: Option<String>,
}

/// Which way a command's data goes, and how much at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// No data.
    None,
    /// From the device.
    In {
        /// Size of the buffer offered, in bytes.
        length: u32,
    },
    /// To the device.
    Out {
        /// All of it.
        data: HexBytes,
    },
}

impl Direction {
    /// How many bytes the device may send, and what it is sent.
    pub fn parts(&self) -> (usize, &[u8]) {
        match self {
            Self::None => (0, &[]),
            Self::In { length } => (usize::try_from(*length).unwrap_or(usize::MAX), &[]),
            Self::Out { data } => (0, &data.0),
        }
    }
}

/// One SCSI command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Command descriptor block, 6 to 16 bytes.
    pub cdb: HexBytes,
    /// Data.
    pub direction: Direction,
    /// How long the kernel waits before it aborts the command.
    pub timeout_ms: u32,
}

impl Command {
    /// How many bytes of data this may move, for [`super::BATCH_DATA_LIMIT_BYTES`].
    pub fn data_length(&self) -> usize {
        match &self.direction {
            Direction::None => 0,
            Direction::In { length } => usize::try_from(*length).unwrap_or(usize::MAX),
            Direction::Out { data } => data.0.len(),
        }
    }
}

/// What came of one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandOutcome {
    /// The kernel took the command and gave it back.
    Completed(Completion),
    /// The command was never sent: the ioctl failed.
    NotSent {
        /// The operating system's error.
        error: String,
    },
}

/// A command that was given back, by the device or by the kernel in its stead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// SCSI status byte.
    pub status: u8,
    /// Sense bytes the adapter's driver fetched; empty if none.
    pub sense: HexBytes,
    /// Data from the device, without the residual.
    pub data: HexBytes,
    /// Bytes of the buffer not moved; negative where the adapter saw more than fit.
    pub residual: i32,
    /// The adapter driver's result (`DID_…`, `include/scsi/scsi_status.h`): 0 is fine.
    pub host_status: u16,
    /// The kernel's driver byte; bit 3 says that sense is there.
    pub driver_status: u16,
    /// From handing over to getting back.
    pub elapsed_us: u64,
}

impl Completion {
    /// Whether a device answered at all, whatever it said.
    pub fn reached_device(&self) -> bool {
        self.host_status == 0
    }
}
