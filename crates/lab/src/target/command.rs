//! The commands this firmware has: one table, with the bits that mean something.

use super::defect::Defect;
use super::sense::Sense;
use super::{Initiator, Refusal, Reply, Target};

pub(crate) const REQUEST_SENSE: u8 = 0x03;
pub(crate) const INQUIRY: u8 = 0x12;

/// A command as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) initiator: Initiator,
    pub(crate) cdb: &'a [u8],
    /// What the initiator has to send.
    pub(crate) out: &'a [u8],
}

impl Task<'_> {
    /// A byte of the block; those past its end are zero.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.cdb.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn bit(&self, at: usize, bit: u8) -> bool {
        self.byte(at) >> bit & 1 == 1
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.byte(0)
    }

    pub(crate) fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    pub(crate) fn be24(&self, at: usize) -> u32 {
        u32::from_be_bytes([0, self.byte(at), self.byte(at + 1), self.byte(at + 2)])
    }

    pub(crate) fn be32(&self, at: usize) -> u32 {
        u32::from(self.be16(at)) << 16 | u32::from(self.be16(at + 2))
    }

    /// The first `length` bytes the initiator sends; what it does not have comes as zeros.
    pub(crate) fn data_out(&self, length: usize) -> Vec<u8> {
        let mut data = self.out.get(..length).unwrap_or(self.out).to_vec();
        data.resize(length, 0);
        data
    }
}

/// Who may send a command, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whatever is reserved (9.2.12).
    Always,
    /// Not against a reservation.
    Exclusive,
    /// Not against a reservation, and only when the unit is ready.
    Medium,
}

/// A command of a device `D`.
pub(crate) struct Row<D> {
    pub(crate) opcode: u8,
    /// Bits with a meaning, from byte 1 on, without the control byte. Bits 7 to 5 of byte 1 are the LUN's (7.2.2).
    pub(crate) meaning: &'static [u8],
    pub(crate) access: Access,
    pub(crate) run: fn(&mut D, &Task<'_>) -> Reply,
}

macro_rules! rows {
    ($device:ident $($opcode:literal [$($mask:literal)*] $access:ident $run:ident;)*) => {
        &[$($crate::target::command::Row {
            opcode: $opcode,
            meaning: &[$($mask),*],
            access: $crate::target::command::Access::$access,
            run: $device::$run,
        },)*]
    };
}
pub(crate) use rows;

const ROWS: &[Row<Target>] = rows! {
    Target
    0x00 [0x00 0x00 0x00 0x00] Medium test_unit_ready;
    0x01 [0x00 0x00 0x00 0x00] Medium rezero_unit;
    0x03 [0x00 0x00 0x00 0xff] Always request_sense;
    0x04 [0x1f 0xff 0xff 0xff] Exclusive format_unit;
    0x07 [0x00 0x00 0x00 0x00] Medium reassign_blocks;
    0x08 [0x1f 0xff 0xff 0xff] Medium read_6;
    0x0a [0x1f 0xff 0xff 0xff] Medium write_6;
    0x0b [0x1f 0xff 0xff 0x00] Medium seek_6;
    0x12 [0x01 0xff 0x00 0xff] Always inquiry;
    0x15 [0x11 0x00 0x00 0xff] Exclusive mode_select_6;
    0x16 [0x1f 0xff 0xff 0xff] Exclusive reserve;
    0x17 [0x1f 0xff 0x00 0x00] Always release;
    0x1a [0x08 0xff 0x00 0xff] Exclusive mode_sense_6;
    0x1b [0x01 0x00 0x00 0x03] Exclusive start_stop_unit;
    0x1c [0x00 0x00 0xff 0xff] Exclusive receive_diagnostic;
    0x1d [0x17 0x00 0xff 0xff] Exclusive send_diagnostic;
    0x1e [0x00 0x00 0x00 0x01] Always prevent_allow;
    0x25 [0x01 0xff 0xff 0xff 0xff 0x00 0x00 0x01] Medium read_capacity;
    0x28 [0x19 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium read_10;
    0x2a [0x19 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium write_10;
    0x2b [0x00 0xff 0xff 0xff 0xff 0x00 0x00 0x00] Medium seek_10;
    0x2e [0x13 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium write_and_verify;
    0x2f [0x13 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium verify;
    0x34 [0x03 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium pre_fetch;
    0x35 [0x03 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium synchronize_cache;
    0x37 [0x00 0x1f 0x00 0x00 0x00 0x00 0xff 0xff] Medium read_defect_data;
    0x3b [0x07 0xff 0xff 0xff 0xff 0xff 0xff 0xff] Exclusive write_buffer;
    0x3c [0x07 0xff 0xff 0xff 0xff 0xff 0xff 0xff] Exclusive read_buffer;
    0x41 [0x07 0xff 0xff 0xff 0xff 0x00 0xff 0xff] Medium write_same;
    0x55 [0x11 0x00 0x00 0x00 0x00 0x00 0xff 0xff] Exclusive mode_select_10;
    0x5a [0x08 0xff 0x00 0x00 0x00 0x00 0xff 0xff] Exclusive mode_sense_10;
};

pub(crate) fn find(opcode: u8) -> Option<&'static Row<Target>> {
    ROWS.iter().find(|row| row.opcode == opcode)
}

impl<D> Row<D> {
    /// Bytes of the block: opcode, what has a meaning, control.
    pub(crate) fn length(&self) -> usize {
        self.meaning.len() + 2
    }

    /// Reserved bits are zero (7.1.1), and so is the control byte: no vendor bits, no linked commands (7.2.7). Bytes that
    /// `is_ignored` and bits of the control byte that are `ignored_control` are not looked at: for defects.
    pub(crate) fn check_bits(
        &self,
        task: &Task<'_>,
        is_ignored: impl Fn(u8) -> bool,
        ignored_control: u8,
    ) -> Result<(), Refusal> {
        for (at, meaning) in (1_u8..).zip(self.meaning) {
            let lun = if at == 1 { 0xe0 } else { 0x00 };
            if task.byte(at.into()) & !(meaning | lun) != 0 && !is_ignored(at) {
                return Err(Sense::field(at).into());
            }
        }
        // A longer command of the same kind has its control byte elsewhere.
        let control = self.length() - 1;
        if task.byte(control) & !ignored_control != 0 {
            return Err(Sense::field(u8::try_from(control).unwrap_or(u8::MAX)).into());
        }
        Ok(())
    }
}

impl Row<Target> {
    /// What [`check_bits`](Self::check_bits) finds, less what a firmware with this defect does not look at.
    pub(crate) fn check(&self, task: &Task<'_>, defect: Option<Defect>) -> Result<(), Refusal> {
        let is_ignored = |at| {
            let ignored = match (task.opcode(), at) {
                (INQUIRY, 3) => defect == Some(Defect::InquiryWideLength),
                (0x1a, 3) => defect == Some(Defect::ModeReservedIgnored),
                (0x2f, _) if defect == Some(Defect::VerifyReservedIgnored) => true,
                (0x00, _) if defect == Some(Defect::ReadyReservedIgnored) => true,
                (0x1b, 4) if defect == Some(Defect::StartReserved) => true,
                (INQUIRY, 1) if defect == Some(Defect::InquiryReservedIgnored) => true,
                (0x3c, 1) if defect == Some(Defect::BufferReserved) => true,
                (0x1e, _) if defect == Some(Defect::PreventReserved) => true,
                (0x2b, _) if defect == Some(Defect::SeekReservedIgnored) => true,
                (0x15 | 0x55, _) if defect == Some(Defect::SelectReservedIgnored) => true,
                (0x25, _) if defect == Some(Defect::CapacityReservedIgnored) => true,
                (_, 6) if defect == Some(Defect::ReservedByteSix) => true,
                (_, 1) => defect == Some(Defect::ReservedInByteOneIgnored),
                _ => false,
            };
            ignored || defect == Some(Defect::ReservedIgnored)
        };
        let ignored_control = match defect {
            Some(Defect::LinkIgnored) => 0x01,
            Some(Defect::LinkWriteIgnored) if task.opcode() == 0x2a => 0x01,
            Some(Defect::LinkRead6Ignored) if task.opcode() == 0x08 => 0x01,
            Some(Defect::FlagWriteSame) if task.opcode() == 0x41 => 0x02,
            Some(Defect::FlagIgnored) => 0x02,
            Some(Defect::SenseControlIgnored) if task.opcode() == REQUEST_SENSE => 0xff,
            Some(Defect::ReserveControlIgnored) if matches!(task.opcode(), 0x16 | 0x17) => 0xff,
            Some(Defect::FormatControlIgnored) if task.opcode() == 0x04 => 0xff,
            Some(Defect::ControlOfSix) if task.opcode() < 0x20 => 0xff,
            Some(Defect::VendorIgnored) => 0xc0,
            Some(Defect::ControlBit2) => 0x04,
            Some(Defect::ReservedIgnored) => 0x3c,
            _ => 0x00,
        };
        self.check_bits(task, is_ignored, ignored_control)
    }
}
