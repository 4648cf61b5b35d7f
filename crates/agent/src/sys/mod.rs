//! What needs `unsafe`: SG_IO here, reads of mapped regions and the address of packet sockets beside.
//!
//! Structure, constants and meaning: `include/scsi/sg.h` (`sg_io_hdr_t`, interface version 3), Linux 6.1. Byte order is
//! the machine's own.

#![allow(
    unsafe_code,
    reason = "system calls that take pointers; this module and those below are the only places that make them"
)]

pub(crate) mod packet;
pub(crate) mod region;

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ptr;
use std::time::Instant;

use rustix::ioctl::{Opcode, Updater, ioctl};
use slotwise_testbench::wire::{Command, Completion, Direction, HexBytes};

const SG_IO: Opcode = 0x2285;
const SG_DXFER_NONE: i32 = -1;
const SG_DXFER_TO_DEV: i32 = -2;
const SG_DXFER_FROM_DEV: i32 = -3;

/// The most sense the kernel keeps is 96 bytes (`SCSI_SENSE_BUFFERSIZE`, `include/scsi/scsi_cmnd.h`).
const SENSE_BYTES: u8 = 96;

/// `sg_io_hdr_t`.
#[repr(C)]
struct SgIoHeader {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: *mut c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

/// Sends one command through an `sg` node and waits for its end.
///
/// # Errors
///
/// The kernel did not take the command: it is too large for the adapter, or the device is gone.
pub(crate) fn send(node: &File, command: &Command) -> io::Result<Completion> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let cdb = command.cdb.0.as_slice();
    let cmd_len = u8::try_from(cdb.len()).ok().filter(|length| (6..=16).contains(length));
    let cmd_len = cmd_len.ok_or_else(|| invalid("a command descriptor block has 6 to 16 bytes"))?;
    let (dxfer_direction, mut data) = match &command.direction {
        Direction::None => (SG_DXFER_NONE, Vec::new()),
        Direction::In { length } => {
            let length = usize::try_from(*length).map_err(|_| invalid("the data is too long"))?;
            (SG_DXFER_FROM_DEV, vec![0; length])
        }
        Direction::Out { data } => (SG_DXFER_TO_DEV, data.0.clone()),
    };
    // The kernel refuses a direction without data.
    let dxfer_direction = if data.is_empty() { SG_DXFER_NONE } else { dxfer_direction };
    let mut sense = [0_u8; SENSE_BYTES as usize];
    let mut header = SgIoHeader {
        interface_id: i32::from(b'S'),
        dxfer_direction,
        cmd_len,
        mx_sb_len: SENSE_BYTES,
        iovec_count: 0,
        dxfer_len: u32::try_from(data.len()).map_err(|_| invalid("the data is too long"))?,
        dxferp: if data.is_empty() { ptr::null_mut() } else { data.as_mut_ptr().cast() },
        cmdp: cdb.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: command.timeout_ms,
        flags: 0,
        pack_id: 0,
        usr_ptr: ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    let start = Instant::now();
    // SAFETY: `SG_IO` takes a pointer to an `sg_io_hdr_t`, which `SgIoHeader` is byte for byte (tested below). `cmdp`,
    // `sbp` and `dxferp` point into `cdb`, `sense` and `data`, which live past the call, are not touched during it, and
    // are exactly `cmd_len`, `mx_sb_len` and `dxfer_len` bytes long; the kernel writes at most that many into the latter
    // two, and with this interface version the call returns only when it has done with them.
    unsafe { ioctl(node, Updater::<{ SG_IO }, SgIoHeader>::new(&mut header)) }?;
    let elapsed_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);

    let moved = data.len().saturating_sub(usize::try_from(header.resid).unwrap_or(0));
    let is_in = dxfer_direction == SG_DXFER_FROM_DEV;
    data.truncate(if is_in { moved } else { 0 });
    Ok(Completion {
        status: header.status,
        sense: HexBytes(sense.iter().copied().take(usize::from(header.sb_len_wr)).collect()),
        data: HexBytes(data),
        residual: header.resid,
        host_status: header.host_status,
        driver_status: header.driver_status,
        elapsed_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// Offsets as `offsetof` gives them for `<scsi/sg.h>` on x86-64.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_header_lies_as_the_kernel_reads_it() {
        assert_eq!(size_of::<SgIoHeader>(), 88);
        assert_eq!(offset_of!(SgIoHeader, cmd_len), 8);
        assert_eq!(offset_of!(SgIoHeader, dxfer_len), 12);
        assert_eq!(offset_of!(SgIoHeader, dxferp), 16);
        assert_eq!(offset_of!(SgIoHeader, cmdp), 24);
        assert_eq!(offset_of!(SgIoHeader, sbp), 32);
        assert_eq!(offset_of!(SgIoHeader, timeout), 40);
        assert_eq!(offset_of!(SgIoHeader, usr_ptr), 56);
        assert_eq!(offset_of!(SgIoHeader, status), 64);
        assert_eq!(offset_of!(SgIoHeader, sb_len_wr), 67);
        assert_eq!(offset_of!(SgIoHeader, host_status), 68);
        assert_eq!(offset_of!(SgIoHeader, resid), 72);
        assert_eq!(offset_of!(SgIoHeader, info), 80);
    }

    #[test]
    fn a_block_of_another_length_is_refused_before_any_ioctl() {
        let node = File::open("/dev/null").unwrap();
        let command = Command { cdb: HexBytes(vec![0; 5]), direction: Direction::None, timeout_ms: 1 };
        assert_eq!(send(&node, &command).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_node_without_the_ioctl_gives_its_error() {
        let node = File::open("/dev/null").unwrap();
        let command =
            Command { cdb: HexBytes(vec![0; 6]), direction: Direction::In { length: 36 }, timeout_ms: 1 };
        assert!(send(&node, &command).is_err());
    }
}
