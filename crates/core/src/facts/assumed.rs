//! What among the facts is not the host's word but somebody's assumption.

use crate::pci::PciAddress;

/// An assumption that facts were made to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumedFact {
    /// Functions that it is about; empty where it is about the host.
    pub devices: Vec<PciAddress>,
    /// What was assumed, as the user wrote it.
    pub text: String,
}

/// A line that a function was seen on before it was assumed away: what it taught of the board's routing still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenLine {
    /// Function 0 of the device on the root bus whose pin it is.
    pub root: PciAddress,
    /// Interrupt pin there, 1–4 for A–D.
    pub pin: u8,
    /// Linux interrupt number.
    pub irq: u32,
    /// Who was seen on it.
    pub by: PciAddress,
}

/// Everything assumed of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// The assumptions, in the order in which they were made.
    pub facts: Vec<AssumedFact>,
    /// Lines seen before.
    pub lines: Vec<SeenLine>,
}
