//! Defects that have no place of their own in the sound firmware: what they do to a command that was let through, instead of
//! carrying it out, or to what came of it. A sound firmware passes through without a trace.

mod areas;
mod blocks;
mod corners;
mod counts;
mod cousins;
mod events;
mod likely;
mod likely_after;
mod newcomers;
mod options;
mod outsiders;
mod pairs;
mod refused;
mod settings;
mod siblings;
mod strays;
mod unit;
mod veterans;

use super::command::{REQUEST_SENSE, Task};
use super::defect::Defect;
use super::unit::Spindle;
use super::{BLOCK_BYTES, Initiator, Refusal, Reply, Target};

/// A command that was carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    opcode: u8,
    lba: u32,
    count: u32,
}

impl Done {
    const fn end(self) -> u32 {
        self.lba.saturating_add(self.count)
    }

    const fn reads(self) -> bool {
        matches!(self.opcode, 0x08 | 0x28)
    }

    const fn writes(self) -> bool {
        matches!(self.opcode, 0x0a | 0x2a | 0x2e)
    }
}

/// What these defects remember.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The command before, if it was let through.
    last: Option<Done>,
    /// Whether the last VERIFY found a difference.
    miscompared: bool,
    /// Whether the unit was started, and not written since.
    unwritten_since_start: bool,
    /// Whether the unit was started, and not read since.
    unread_since_start: bool,
    /// Whether the unit was stopped when the command came.
    was_stopped: bool,
    /// Whether nothing was written since RESERVE.
    unwritten_since_reserve: bool,
    /// Whether the second initiator has not written since a reset.
    pub(super) second_unwritten: bool,
    /// Whether BUS DEVICE RESET was the last reset.
    pub(super) device_reset: bool,
    /// FORMAT UNIT commands.
    formats: u32,
    /// Reads in a row of the same block.
    reads_same: u32,
    /// What PRE-FETCH has fetched.
    fetched: Vec<(u32, [u8; BLOCK_BYTES])>,
    /// INQUIRY commands since power-on.
    inquiries: u32,
    /// START commands since power-on.
    starts: u32,
    /// SYNCHRONIZE CACHE commands since power-on.
    syncs: u32,
    /// MODE SELECT commands with SP since power-on.
    saves: u32,
    /// Whether writes are cached whatever the page says.
    pub(super) still_caches: bool,
    /// Commands of the kind that a defect counts.
    of_kind: u32,
    /// First block of the last VERIFY.
    compared: u32,
    /// The last list of MODE SELECT(6).
    list: Vec<u8>,
    /// What the last write of one block has replaced, and where.
    replaced: Option<(u32, Vec<u8>)>,
    /// Whether mode parameters were told since power-on.
    has_sensed_modes: bool,
    /// Whether the second initiator was told the capacity since power-on.
    second_told: bool,
    /// Whether the next command is the first after BUS DEVICE RESET.
    pub(super) slow_once: bool,
    /// Operation code of the command under way.
    pub(super) opcode: u8,
    /// Errors since power-on.
    pub(super) errors: u32,
    /// The field pointer that was told last.
    pub(super) pointer: Option<u8>,
    /// Whether the command before was RELEASE, and nothing was reserved.
    released_nothing: bool,
    /// RELEASE commands since power-on.
    releases: u32,
    /// Write commands since power-on.
    writes: u32,
    /// Whether nothing was written since FORMAT UNIT.
    unwritten_since_format: bool,
    /// Whether there was a FORMAT UNIT since power-on.
    pub(super) has_formatted: bool,
    /// What is cached of the second block of a range.
    under_same: Option<(u32, [u8; BLOCK_BYTES])>,
    /// Whether the first command after a reset is slow.
    slow_start: bool,
    /// Whether there was no error since a RESERVATION CONFLICT.
    conflicted: bool,
    /// Of the defects that an engineer would seed first.
    likely: likely::Likely,
    /// Of their siblings.
    siblings: siblings::Siblings,
    /// The blocks of a write as they were before it, for the siblings.
    siblings_before: Vec<[u8; BLOCK_BYTES]>,
    /// Of the third list.
    cousins: cousins::Cousins,
    /// Of the lists by area.
    areas: areas::Areas,
    corners: corners::Corners,
    strays: strays::Strays,
    refused: refused::Refused,
    outsiders: outsiders::Outsiders,
    pub(super) newcomers: newcomers::Newcomers,
    veterans: veterans::Veterans,
}

/// First block and number of blocks of a command that has them.
fn extent_of(task: &Task<'_>) -> Done {
    let (lba, count) = match task.opcode() {
        0x08 | 0x0a => (task.be24(1) & 0x1f_ffff, if task.byte(4) == 0 { 256 } else { task.byte(4).into() }),
        0x28 | 0x2a | 0x2e | 0x2f | 0x34 | 0x35 | 0x41 => (task.be32(2), task.be16(7).into()),
        _ => (0, 0),
    };
    Done { opcode: task.opcode(), lba, count }
}

impl Target {
    /// What a firmware with a defect answers in the place of carrying a command out.
    pub(super) fn instead(&mut self, task: &Task<'_>) -> Option<Reply> {
        self.defect?;
        let now = extent_of(task);
        if now.opcode == 0x2f {
            self.memory.compared = now.lba;
        }
        self.memory.was_stopped = self.spindle == Spindle::Stopped;
        self.dawdle(task);
        self.remember_blocks(now);
        self.dawdle_again(task, now);
        let reply = self
            .instead_of_blocks(task, now)
            .or_else(|| self.instead_of_unit(task))
            .or_else(|| self.instead_of_settings(task, now))
            .or_else(|| self.instead_of_counted(task, now))
            .or_else(|| self.instead_of_options(task, now))
            .or_else(|| self.instead_of_pairs(task, now))
            .or_else(|| self.instead_of_likely(task, now))
            .or_else(|| self.instead_of_sibling(task, now))
            .or_else(|| self.instead_of_cousin(task, now))
            .or_else(|| self.instead_of_area(task, now))
            .or_else(|| self.instead_of_corner(task, now))
            .or_else(|| self.instead_of_stray(task, now))
            .or_else(|| self.instead_of_refused(task, now))
            .or_else(|| self.instead_of_outsider(task, now))
            .or_else(|| self.instead_of_newcomer(task, now))
            .or_else(|| self.instead_of_veteran(task, now));
        let second = task.initiator == Initiator::B;
        if now.writes() {
            self.memory.unwritten_since_start = false;
            self.memory.unwritten_since_reserve = false;
            self.memory.second_unwritten &= !second;
        }
        if reply.is_some() {
            self.memory.last = Some(now);
        }
        reply
    }

    /// What a firmware with a defect makes of a reply.
    pub(super) fn spoiled(&mut self, task: &Task<'_>, reply: Reply) -> Reply {
        // Sense is fetched behind each error, and is no command of its own here.
        if self.defect.is_none() || task.opcode() == REQUEST_SENSE {
            return reply;
        }
        let now = extent_of(task);
        let same = self.memory.last.is_some_and(|last| last.reads() && now.reads() && last.lba == now.lba);
        self.memory.reads_same = if same { self.memory.reads_same + 1 } else { 0 };
        self.memory.miscompared = now.opcode == 0x2f && reply.is_err();
        let reply = match reply {
            Ok(data) => {
                let data = self.spoiled_unit(task, data);
                data.map(|data| self.spoiled_blocks(now, data))
                    .map(|data| self.spoiled_settings(task, now, data))
                    .map(|data| self.spoiled_counted(now, data))
                    .map(|data| self.spoiled_options(task, now, data))
                    .map(|data| self.spoiled_pairs(task, now, data))
                    .map(|data| self.spoiled_likely(task, now, data))
                    .map(|data| self.spoiled_sibling(task, now, data))
                    .map(|data| self.spoiled_cousin(task, now, data))
                    .map(|data| self.spoiled_area(task, now, data))
                    .map(|data| self.spoiled_corner(task, now, data))
                    .map(|data| self.spoiled_stray(task, now, data))
                    .map(|data| self.spoiled_refused(task, now, data))
                    .map(|data| self.spoiled_outsider(task, now, data))
                    .map(|data| self.spoiled_newcomer(task, now, data))
                    .map(|data| self.spoiled_veteran(task, now, data))
            }
            Err(refusal) => {
                self.refused(task);
                Err(refusal)
            }
        };
        if now.reads() {
            self.memory.unread_since_start = false;
        }
        self.memory.last = Some(now);
        reply
    }

    /// A command that is checked, and then forgotten.
    fn forgotten(&self, now: Done) -> Reply {
        self.writable()?;
        self.range((now.lba, now.count))?;
        super::nothing()
    }

    fn hung() -> Option<Reply> {
        Some(Err(Refusal::Silence))
    }
}
