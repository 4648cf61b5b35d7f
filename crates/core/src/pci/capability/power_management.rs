//! Power management (PCI Bus Power Management 1.2 §3.2; PCIe Base 6.0 §7.5.2).

use super::super::bits::{bit, field8};
use super::{Block, Body};

/// A power state of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerState {
    /// Working.
    D0,
    /// Light sleep, optional.
    D1,
    /// Deeper sleep, optional.
    D2,
    /// Off as far as software is concerned; configuration space still answers.
    D3Hot,
}

/// What the power management registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerManagement {
    /// Version of the specification, 1 to 3.
    pub version: u8,
    /// State D1 is supported.
    pub d1: bool,
    /// State D2 is supported.
    pub d2: bool,
    /// PME# can be raised from D0, D1, D2, D3hot, D3cold (bits 0 to 4).
    pub pme_support: u8,
    /// The state that the function is in. None if the control register could not be read.
    pub state: Option<PowerState>,
    /// `NoSoftRst+`: going from D3hot to D0 does *not* reset the function, so it cannot serve as a reset.
    pub no_soft_reset: Option<bool>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let capabilities = block.u16(2)?;
    let control = block.u16(4);
    Some(Body::PowerManagement(PowerManagement {
        version: field8(capabilities, 0, 3),
        d1: bit(capabilities, 9),
        d2: bit(capabilities, 10),
        pme_support: field8(capabilities, 11, 5),
        state: control.map(|control| match field8(control, 0, 2) {
            0 => PowerState::D0,
            1 => PowerState::D1,
            2 => PowerState::D2,
            _ => PowerState::D3Hot,
        }),
        no_soft_reset: control.map(|control| bit(control, 3)),
    }))
}
