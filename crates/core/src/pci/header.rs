//! The registers that every function has: identity, command, status, header type.
//!
//! Layout: PCI 3.0 §6.1 and §6.2, PCI-to-PCI Bridge 1.2 §3.2, PC Card standard 8 (CardBus bridges).

use std::fmt;

use super::bits::bit;
use super::config::Registers;
use super::id::{ClassCode, PciId};

/// Which registers follow the first 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderKind {
    /// Type 0: anything that is not a bridge to another bus.
    Endpoint,
    /// Type 1: a PCI-to-PCI bridge, among them PCI Express ports.
    Bridge,
    /// Type 2: a CardBus bridge.
    CardBus,
    /// Anything else; 0x7f is what a function reads that does not answer.
    Unknown(u8),
}

impl HeaderKind {
    pub(super) const fn from_register(value: u8) -> Self {
        match value & 0x7f {
            0 => Self::Endpoint,
            1 => Self::Bridge,
            2 => Self::CardBus,
            other => Self::Unknown(other),
        }
    }

    /// Where the pointer to the first capability is; CardBus bridges have it elsewhere.
    pub(super) const fn capability_pointer(self) -> Option<u16> {
        match self {
            Self::Endpoint | Self::Bridge => Some(0x34),
            Self::CardBus => Some(0x14),
            Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for HeaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint => f.write_str("0"),
            Self::Bridge => f.write_str("1"),
            Self::CardBus => f.write_str("2"),
            Self::Unknown(value) => write!(f, "{value:#04x}"),
        }
    }
}

/// The command register (PCI 3.0 §6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command(u16);

impl Command {
    /// The register's value.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The function answers I/O accesses.
    #[must_use]
    pub fn io(self) -> bool {
        bit(self.0, 0)
    }

    /// The function answers memory accesses.
    #[must_use]
    pub fn memory(self) -> bool {
        bit(self.0, 1)
    }

    /// The function may do DMA.
    #[must_use]
    pub fn bus_master(self) -> bool {
        bit(self.0, 2)
    }

    /// INTx is masked in the function (PCI 2.3 on).
    #[must_use]
    pub fn intx_disabled(self) -> bool {
        bit(self.0, 10)
    }
}

/// The status register (PCI 3.0 §6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// The register's value.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The function has a list of capabilities.
    #[must_use]
    pub fn capability_list(self) -> bool {
        bit(self.0, 4)
    }

    /// The function asserts INTx.
    #[must_use]
    pub fn intx_pending(self) -> bool {
        bit(self.0, 3)
    }
}

/// The interrupt pin register (PCI 3.0 §6.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterruptPin {
    /// The function has no INTx.
    None,
    /// INTA#.
    A,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
    /// A value above 4.
    Reserved(u8),
}

impl InterruptPin {
    const fn from_register(value: u8) -> Self {
        match value {
            0 => Self::None,
            1 => Self::A,
            2 => Self::B,
            3 => Self::C,
            4 => Self::D,
            other => Self::Reserved(other),
        }
    }

    /// `A` to `D`; none for a function without INTx or with a reserved value.
    #[must_use]
    pub const fn letter(self) -> Option<char> {
        match self {
            Self::A => Some('A'),
            Self::B => Some('B'),
            Self::C => Some('C'),
            Self::D => Some('D'),
            Self::None | Self::Reserved(_) => None,
        }
    }
}

/// What the header says of the function itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Layout of the rest of the header.
    pub kind: HeaderKind,
    /// The device has more than one function (bit 7 of the header type).
    pub multifunction: bool,
    /// Vendor and device id.
    pub id: PciId,
    /// Class code, 24 bits.
    pub class: ClassCode,
    /// Revision id.
    pub revision: u8,
    /// The command register.
    pub command: Command,
    /// The status register.
    pub status: Status,
    /// Cache line size, in units of four bytes.
    pub cache_line_size: u8,
    /// Latency timer, in PCI clocks.
    pub latency_timer: u8,
    /// Subsystem vendor and device id of header types 0 and 2. None if the header has none, says 0000 or ffff, or was
    /// not read; bridges say theirs in a capability: [`super::Function::subsystem`] knows both.
    pub subsystem: Option<PciId>,
    /// The interrupt line register: what firmware noted down, not what Linux uses. None if it was not read.
    pub interrupt_line: Option<u8>,
    /// The interrupt pin. None if it was not read.
    pub interrupt_pin: Option<InterruptPin>,
}

/// Reads the header; none if its first 16 bytes are not all there.
pub(super) fn decode(registers: &mut Registers<'_>) -> Option<Header> {
    let ids = registers.u32(0x00)?;
    let control = registers.u32(0x04)?;
    let class = registers.u32(0x08)?;
    let [cache_line_size, latency_timer, header_type, _bist] = registers.u32(0x0c)?.to_le_bytes();
    let [revision, ..] = class.to_le_bytes();
    let kind = HeaderKind::from_register(header_type);
    let known = !matches!(kind, HeaderKind::Unknown(_));
    let (line, pin) = if known { (registers.u8(0x3c), registers.u8(0x3d)) } else { (None, None) };
    Some(Header {
        kind,
        multifunction: bit(header_type, 7),
        id: split_id(ids),
        class: ClassCode::from_bits(class >> 8),
        revision,
        command: Command(low16(control)),
        status: Status(low16(control >> 16)),
        cache_line_size,
        latency_timer,
        subsystem: subsystem(registers, kind),
        interrupt_line: line,
        interrupt_pin: pin.map(InterruptPin::from_register),
    })
}

fn low16(value: u32) -> u16 {
    super::bits::field16(value, 0, 16)
}

pub(super) fn split_id(value: u32) -> PciId {
    PciId { vendor: low16(value), device: low16(value >> 16) }
}

fn subsystem(registers: &mut Registers<'_>, kind: HeaderKind) -> Option<PciId> {
    let offset = match kind {
        HeaderKind::Endpoint => 0x2c,
        HeaderKind::CardBus => 0x40,
        HeaderKind::Bridge | HeaderKind::Unknown(_) => return None,
    };
    let id = split_id(registers.u32(offset)?);
    (id.vendor != 0 && id.vendor != 0xffff).then_some(id)
}
