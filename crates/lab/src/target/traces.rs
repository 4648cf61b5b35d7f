//! What the firmware remembers for the sake of its defects alone: a sound one has no use for any of it.

use super::Initiator;

/// What was done since power-on, as far as a defect wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traces {
    /// Whether there was no INQUIRY since a bus reset.
    pub(super) just_reset: bool,
    /// Write commands.
    pub(super) writes: u32,
    /// Who stopped the unit last.
    pub(super) stopped_by: Option<Initiator>,
    /// Commands at the time of the reservation.
    pub(super) reserved_at: u64,
}
