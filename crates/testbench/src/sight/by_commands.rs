//! Looks by SCSI commands, for guests that carry them.

use std::time::Duration;

use slotwise_core::pci::PciId;

use super::{Look, SeenDisk, SeenSize, Sight, marks};
use crate::transport::{Transport, TransportError};
use crate::wire::{Command, CommandOutcome, Completion, DeviceAddress, Direction, HexBytes, PciFunction};

const TIMEOUT_MS: u32 = 10_000;
const LIMIT: Duration = Duration::from_secs(60);

/// Looks with what a transport carries; what a device does not carry out shows nothing.
pub(crate) fn look(
    transport: &mut dyn Transport,
    device: DeviceAddress,
    what: Look,
) -> Result<Sight, TransportError> {
    match what {
        Look::Functions => functions(transport),
        Look::Disks => {
            let inquiry = send(transport, device, &[0x12, 0, 0, 0, 36, 0], Direction::In { length: 36 })?;
            let size = capacity(transport, device)?;
            Ok(inquiry.map_or(Sight::Nothing, |reply| {
                // Vendor and product: bytes 8 and 16 (X3.131-1994, 8.2.5.1, table 44).
                let text = |range| {
                    reply.data.0.get(range).map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
                };
                let size = size.map(|(last, block)| SeenSize { bytes: (last + 1) * block, unit_bytes: 1 });
                Sight::Disks(vec![SeenDisk { vendor: text(8..16), product: text(16..32), size }])
            }))
        }
        Look::Sector(lba) => {
            let Some(cdb) = ten(0x28, lba) else { return Ok(Sight::Nothing) };
            let reply = send(transport, device, &cdb, Direction::In { length: 512 })?;
            Ok(reply.map_or(Sight::Nothing, |reply| {
                Sight::Sector(String::from_utf8_lossy(&reply.data.0).into_owned())
            }))
        }
        Look::Boot => Ok(Sight::Nothing),
    }
}

/// Last logical block address and length of a block in bytes: READ CAPACITY (9.2.7).
pub(crate) fn capacity(
    transport: &mut dyn Transport,
    device: DeviceAddress,
) -> Result<Option<(u64, u64)>, TransportError> {
    let cdb = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let reply = send(transport, device, &cdb, Direction::In { length: 8 })?;
    let number = |reply: &Completion, range| {
        let bytes: [u8; 4] = reply.data.0.get::<std::ops::Range<usize>>(range)?.try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(bytes)))
    };
    Ok(reply.and_then(|reply| Some((number(&reply, 0..4)?, number(&reply, 4..8)?))))
}

/// Writes boot record and marks. Says why not, if so.
pub(crate) fn write_marks(
    transport: &mut dyn Transport,
    device: DeviceAddress,
) -> Result<Result<(), String>, TransportError> {
    let Some((last, block_bytes)) = capacity(transport, device)? else {
        return Ok(Err("READ CAPACITY gives no size".into()));
    };
    if block_bytes != marks::BLOCK_BYTES {
        return Ok(Err(format!("blocks of {block_bytes} bytes cannot be marked")));
    }
    let fitting = marks::MARKED.into_iter().filter(|lba| *lba < last).chain([last]);
    let marks = fitting.map(|lba| (lba, marks::mark(lba).into_bytes()));
    for (lba, content) in [(0, marks::BOOT_RECORD.to_vec())].into_iter().chain(marks) {
        let Some(cdb) = ten(0x2a, lba) else { return Ok(Err(format!("sector {lba} is out of reach"))) };
        if send(transport, device, &cdb, Direction::Out { data: HexBytes(content) })?.is_none() {
            return Ok(Err(format!("sector {lba} cannot be written")));
        }
    }
    Ok(Ok(()))
}

/// READ(10) or WRITE(10) of one block (9.2.6, 9.2.21).
fn ten(opcode: u8, lba: u64) -> Option<[u8; 10]> {
    let [a, b, c, d] = u32::try_from(lba).ok()?.to_be_bytes();
    Some([opcode, 0, a, b, c, d, 0, 0, 1, 0])
}

/// The answer to a command that ended well.
fn send(
    transport: &mut dyn Transport,
    device: DeviceAddress,
    cdb: &[u8],
    direction: Direction,
) -> Result<Option<Completion>, TransportError> {
    let command = Command { cdb: HexBytes(cdb.to_vec()), direction, timeout_ms: TIMEOUT_MS };
    // Twice where the first meets a unit attention.
    for _ in 0..2 {
        let outcomes = transport.execute(device, std::slice::from_ref(&command), LIMIT)?;
        if let Some(CommandOutcome::Completed(reply)) = outcomes.into_iter().next()
            && reply.reached_device()
            && reply.status == 0
        {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

fn functions(transport: &mut dyn Transport) -> Result<Sight, TransportError> {
    Ok(Sight::Functions(transport.functions()?.iter().filter_map(id_of).collect()))
}

fn id_of(function: &PciFunction) -> Option<PciId> {
    let id = |text: &str| u16::from_str_radix(text, 16).ok();
    Some(PciId { vendor: id(&function.vendor)?, device: id(&function.device)? })
}

/// The function a device's adapter is, if the guest tells.
pub(crate) fn function_of(
    transport: &mut dyn Transport,
    device: DeviceAddress,
) -> Result<Option<PciId>, TransportError> {
    let devices = transport.devices()?;
    let Some(place) = devices.into_iter().find(|own| own.address == device).and_then(|own| own.pci) else {
        return Ok(None);
    };
    let functions = transport.functions()?;
    Ok(functions.iter().find(|own| own.address == place).and_then(id_of))
}
