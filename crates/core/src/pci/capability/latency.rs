//! Power against latency: latency tolerance reporting (PCIe Base 6.0 §7.8.2) and L1 substates (§7.8.3).

use super::super::bits::{bit, field};
use super::{Block, Body};

/// What the LTR registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyTolerance {
    /// Longest latency that snooped requests may be told to bear, in nanoseconds.
    pub max_snoop_ns: u64,
    /// The same for requests that are not snooped.
    pub max_no_snoop_ns: u64,
}

pub(super) fn decode_ltr(block: &mut Block<'_, '_>) -> Option<Body> {
    // Value in bits 9:0, scale in 12:10: 32 to the power of the scale.
    let nanoseconds = |value: u16| u64::from(field(value, 0, 10)) << (5 * field(value, 10, 3));
    Some(Body::LatencyTolerance(LatencyTolerance {
        max_snoop_ns: nanoseconds(block.u16(4)?),
        max_no_snoop_ns: nanoseconds(block.u16(6)?),
    }))
}

/// What the L1 substates registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Substates {
    /// Substates are supported at all.
    pub supported: bool,
    /// PCI-PM L1.2 and L1.1, ASPM L1.2 and L1.1 supported (bits 0 to 3).
    pub capable: u8,
    /// The same bits as enabled. None if the register could not be read.
    pub enabled: Option<u8>,
}

pub(super) fn decode_l1ss(block: &mut Block<'_, '_>) -> Option<Body> {
    let capability = block.u32(4)?;
    let states = |value: u32| super::super::bits::field8(value, 0, 4);
    Some(Body::L1Substates(L1Substates {
        supported: bit(capability, 4),
        capable: states(capability),
        enabled: block.u32(8).map(states),
    }))
}
