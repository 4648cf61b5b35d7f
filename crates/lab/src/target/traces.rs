//! What the firmware remembers for the sake of its defects alone: a sound one has no use for any of it.

use super::Initiator;
use super::sense::Sense;

/// What was done since power-on, as far as a defect wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traces {
    /// Whether there was no INQUIRY since a bus reset.
    pub(super) just_reset: bool,
    /// Who sent the command.
    pub(super) sender: Option<Initiator>,
    /// Write commands.
    pub(super) writes: u32,
    /// Who stopped the unit last.
    pub(super) stopped_by: Option<Initiator>,
    /// Commands at the time of the reservation.
    pub(super) reserved_at: u64,
    /// Whether the command before was an error, sense aside.
    pub(super) after_error: bool,
    /// The sense of the error before.
    pub(super) error_before: Option<Sense>,
    /// How often the holder has reserved and not released.
    pub(super) reserved_times: u32,
    /// How often removal was prevented and not allowed, for each initiator.
    pub(super) prevented_times: [u32; 2],
    /// Whether a MODE SELECT had a descriptor.
    pub(super) described: bool,
    /// Write commands since the last read.
    pub(super) writes_in_row: u32,
    /// Whether the command before was a VERIFY.
    pub(super) has_verified: bool,
    /// Whether the write under way is WRITE AND VERIFY.
    pub(super) verifies_write: bool,
    /// Whether the command under way is WRITE(6).
    pub(super) writes_six: bool,
    /// STARTs since STOP.
    pub(super) starts: u32,
    /// Whether nothing was read since a reset.
    pub(super) unread_since_reset: bool,
    /// Whether READ CAPACITY was carried out since power-on.
    pub(super) told_capacity: bool,
    /// Whether the medium was ever protected when asked.
    pub(super) was_protected: bool,
    /// Whether the last INQUIRY was for a page.
    pub(super) inquired_page: bool,
    /// Whether the last INQUIRY was to an absent LUN.
    pub(super) inquired_absent: bool,
    /// Whether the last MODE SENSE was for changeable values.
    pub(super) sensed_changeable: bool,
    /// Whether there was no read since an address out of range.
    pub(super) was_out_of_range: bool,
    /// Whether there was no write since MODE SENSE.
    pub(super) has_sensed: bool,
    /// The same, for the write under way.
    pub(super) senses_before_write: bool,
    /// What the first initiator read last, if one block.
    pub(super) read_by_first: Option<u32>,
    /// Conflicts since the reservation.
    pub(super) conflicts: u32,
    /// Commands at the time an attention was told.
    pub(super) told_at: u64,
    /// Whether the last block was written.
    pub(super) wrote_last_block: bool,
    /// Whether the unit was started after it was stopped.
    pub(super) was_restarted: bool,
    /// How often in a row the initiators wrote in turn.
    pub(super) turns: u32,
    /// Behind the last write.
    pub(super) written_to: u32,
    /// First block and number of the last write.
    pub(super) extent_written: (u32, u32),
    /// Whether no command came since a reset.
    pub(super) idle_since_reset: bool,
    /// Who wrote last, and where.
    pub(super) writer: Option<(Initiator, u32)>,
    /// MODE SELECT commands.
    pub(super) selects: u32,
    /// How often it was switched on.
    pub(super) power_cycles: u32,
    /// Read commands.
    pub(super) reads: u32,
    /// Where the heads were sent last.
    pub(super) heads: u32,
    /// The attention that was told last.
    pub(super) told: Option<Sense>,
    /// Whether the last command that moves the heads was SEEK(6).
    pub(super) has_sought: bool,
}
