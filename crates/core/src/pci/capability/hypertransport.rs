//! HyperTransport (HyperTransport I/O Link 3.10 §7): which of its capabilities this is.

use super::super::bits::{bit, field8};
use super::{Block, Body};

/// Which HyperTransport capability, from bits 15:11 of its command register (of the first two, bits 15:13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HyperTransportKind {
    /// Slave or primary interface.
    Slave,
    /// Host or secondary interface.
    Host,
    /// Switch.
    Switch,
    /// Interrupt discovery and configuration.
    InterruptDiscovery,
    /// Revision id: major and minor.
    Revision(u8, u8),
    /// Unit id clumping.
    UnitIdClumping,
    /// Extended configuration space access.
    ExtendedConfiguration,
    /// Address mapping.
    AddressMapping,
    /// MSI mapping: whether it is enabled, and whether it maps the fixed address 0xfee00000.
    MsiMapping {
        /// Messages are turned into interrupts.
        enabled: bool,
        /// The address is 0xfee00000 and no register says it.
        fixed: bool,
    },
    /// Direct route.
    DirectRoute,
    /// Virtual channel set.
    VcSet,
    /// Retry mode.
    RetryMode,
    /// Reserved for x86.
    X86,
    /// A type that has no name, bits 15:11.
    Unknown(u8),
}

/// What the HyperTransport registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HyperTransport {
    /// Which of the capabilities.
    pub kind: HyperTransportKind,
    /// Where messages are taken, for an MSI mapping that is not fixed; none if it could not be read.
    pub msi_address: Option<u64>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    use HyperTransportKind as Kind;
    let command = block.u16(2)?;
    let kind = match field8(command, 11, 5) {
        0x00..=0x03 => Kind::Slave,
        0x04..=0x07 => Kind::Host,
        0x08 => Kind::Switch,
        0x10 => Kind::InterruptDiscovery,
        0x11 => Kind::Revision(field8(command, 5, 3), field8(command, 0, 5)),
        0x12 => Kind::UnitIdClumping,
        0x13 => Kind::ExtendedConfiguration,
        0x14 => Kind::AddressMapping,
        0x15 => Kind::MsiMapping { enabled: bit(command, 0), fixed: bit(command, 1) },
        0x16 => Kind::DirectRoute,
        0x17 => Kind::VcSet,
        0x18 => Kind::RetryMode,
        0x19 => Kind::X86,
        other => Kind::Unknown(other),
    };
    let msi_address = match kind {
        Kind::MsiMapping { fixed: true, .. } => Some(0xfee0_0000),
        Kind::MsiMapping { fixed: false, .. } => block
            .u32(4)
            .zip(block.u32(8))
            .map(|(low, high)| u64::from(high) << 32 | u64::from(low & !0xf_ffff)),
        _ => None,
    };
    Some(Body::HyperTransport(HyperTransport { kind, msi_address }))
}
