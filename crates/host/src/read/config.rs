//! Configuration space: the `config` file.
//!
//! Reading it reads the device: each double word is a bus access of about a microsecond, and there are devices that
//! hang when registers are read that nothing points at (`lspci(8)`, on `-xxx`). So the header is read, and then what
//! decoding asks for. Without privilege the kernel hands out 64 bytes (`drivers/pci/pci-sysfs.c: pci_read_config`; 128
//! for CardBus bridges).

use slotwise_core::facts::{Fact, FaultKind, FunctionFacts, ReadFault};
use slotwise_core::pci::{ConfigReader, ConfigSpace, EXTENDED_SIZE, decode_with};

use super::attributes::Attributes;
use super::{fault, malformed};
use crate::kernel::{OpenFile, ReadError};

/// The header that every function has (PCI 3.0 §6.1), in bytes.
const HEADER_BYTES: u16 = 64;

/// Reads the configuration space, and from it interrupt pin and line, and the revision where the kernel has no
/// attribute for it (before 4.10).
pub(super) fn configuration(attributes: &Attributes<'_>, facts: &mut FunctionFacts) {
    let place = attributes.place("config");
    facts.config = match attributes.open("config") {
        Fact::Known(file) => match space(&*file) {
            Ok(space) => Fact::Known(space),
            Err(error) => Fact::Unreadable(fault(&error)),
        },
        // Every live function has one, so its absence says that the source left it out.
        Fact::Absent => Fact::Unreadable(ReadFault { place: place.clone(), kind: FaultKind::NotInSource }),
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    };
    let byte = |offset| match &facts.config {
        Fact::Known(space) => match space.u8(offset) {
            Some(byte) => Fact::Known(byte),
            None => Fact::Unreadable(malformed(&place, "expected 64 bytes or more")),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault.clone()),
    };
    let (revision, line, pin) = (byte(0x08), byte(0x3c), byte(0x3d));
    facts.interrupt_line = line;
    facts.interrupt_pin = match pin {
        Fact::Known(0) => Fact::Absent,
        Fact::Known(pin) if pin > 4 => {
            Fact::Unreadable(malformed(&place, "expected an interrupt pin from 0 to 4"))
        }
        other => other,
    };
    if matches!(facts.revision, Fact::Absent) {
        facts.revision = revision;
    }
}

/// The header whole, and of the rest what decoding asks for.
fn space(file: &dyn OpenFile) -> Result<ConfigSpace, ReadError> {
    let mut header = [0; HEADER_BYTES as usize];
    let count = file.read_at(0, &mut header)?;
    let header = header.get(..count).unwrap_or_default();
    let mut reader = Reader { file, header: ConfigSpace::from_bytes(header), end: EXTENDED_SIZE as u64 };
    let mut space = match decode_with(&mut reader) {
        Ok((_, space)) => space,
        // Not a function, or a header of an unknown kind: there is nothing more to ask for.
        Err(_) => ConfigSpace::empty(),
    };
    for (offset, byte) in (0u16..).zip(header) {
        space.set(offset, *byte);
    }
    Ok(space)
}

#[derive(Debug)]
struct Reader<'f> {
    file: &'f dyn OpenFile,
    header: ConfigSpace,
    /// Where the file is known to end.
    end: u64,
}

impl ConfigReader for Reader<'_> {
    fn read(&mut self, offset: u16) -> [Option<u8>; 4] {
        if offset < HEADER_BYTES {
            let mut header = &self.header;
            return header.read(offset);
        }
        let mut bytes = [0; 4];
        // Past its end there is nothing to ask a file for.
        if u64::from(offset) >= self.end {
            return [None; 4];
        }
        match self.file.read_at(offset.into(), &mut bytes) {
            Ok(4) => bytes.map(Some),
            Ok(count) => {
                self.end = self.end.min(u64::from(offset).saturating_add(count as u64));
                let mut known = bytes.map(Some);
                known.iter_mut().skip(count).for_each(|byte| *byte = None);
                known
            }
            Err(_) => [None; 4],
        }
    }
}
