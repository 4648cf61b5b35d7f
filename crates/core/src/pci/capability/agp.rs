//! Accelerated graphics port (AGP 3.0 §6.1.9).

use super::super::bits::field8;
use super::{Block, Body};

/// What the AGP registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agp {
    /// Major and minor version.
    pub version: (u8, u8),
    /// The status register. None if it could not be read.
    pub status: Option<u32>,
    /// The command register. None if it could not be read.
    pub command: Option<u32>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let version = block.u16(2)?;
    Some(Body::Agp(Agp {
        version: (field8(version, 4, 4), field8(version, 0, 4)),
        status: block.u32(4),
        command: block.u32(8),
    }))
}
