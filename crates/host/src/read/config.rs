//! Configuration space: the `config` file.
//!
//! Reading it reads the device: each double word is a bus access of about a microsecond, and there are devices that
//! hang when registers are read that nothing points at (`lspci(8)`, on `-xxx`). So the header is read, and then what
//! decoding asks for. Without privilege the kernel hands out 64 bytes (`drivers/pci/pci-sysfs.c: pci_read_config`; 128
//! for CardBus bridges).

use std::collections::BTreeMap;

use slotwise_core::facts::{Fact, FaultKind, FunctionFacts, ReadFault};
use slotwise_core::pci::{
    ConfigReader, ConfigSpace, EXTENDED_SIZE, Function, PciAddress, Space, decode_with,
};

use super::attributes::Attributes;
use super::{fault, malformed};
use crate::kernel::{OpenFile, ReadError};

/// The header that every function has (PCI 3.0 §6.1), in bytes.
const HEADER_BYTES: u16 = 64;

/// Reads the configuration space, and from it revision, interrupt pin and line. Where it cannot be read, the revision
/// is that of the attribute (Linux 4.10 and later). Returns what it says, as far as it says anything.
pub(super) fn configuration(attributes: &mut Attributes<'_>, facts: &mut FunctionFacts) -> Option<Function> {
    let mut function = None;
    facts.config = match attributes.open("config") {
        Fact::Known(file) => match space(&*file, &mut function) {
            // Nobody answers on the bus: pulled out, or without power (PCIe Base 6.0 §2.3.2).
            Ok(space) if is_silent(&space) => {
                Fact::Unreadable(ReadFault::new(attributes.place("config"), FaultKind::Vanished))
            }
            Ok(space) => Fact::Known(space),
            Err(error) => Fact::Unreadable(fault(&error)),
        },
        // Every live function has one, so its absence says that the source left it out.
        Fact::Absent => Fact::Unreadable(ReadFault::new(attributes.place("config"), FaultKind::NotInSource)),
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    };
    let byte = |offset| match &facts.config {
        Fact::Known(space) => match space.u8(offset) {
            Some(byte) => Fact::Known(byte),
            None => Fact::Unreadable(malformed(&attributes.place("config"), "expected 64 bytes or more")),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault.clone()),
    };
    let (revision, line, pin) = (byte(0x08), byte(0x3c), byte(0x3d));
    facts.interrupt_line = line;
    facts.interrupt_pin = match pin {
        Fact::Known(0) => Fact::Absent,
        Fact::Known(pin) if pin > 4 => {
            Fact::Unreadable(malformed(&attributes.place("config"), "expected an interrupt pin from 0 to 4"))
        }
        other => other,
    };
    facts.revision = match revision {
        Fact::Known(revision) => Fact::Known(revision),
        unknown => match attributes.hex("revision") {
            Fact::Absent => unknown,
            told => told,
        },
    };
    function
}

/// Whether the function has a capability, if its list was read to the end and is not empty: what has no list at all is
/// asked by its attributes, as a saved tree may have cut the space short.
pub(super) fn lists(function: &Function, space: Space, ids: &[u16]) -> Option<bool> {
    let mut listed = function.capabilities.iter().filter(|capability| capability.space == space).peekable();
    listed.peek()?;
    let found = listed.any(|capability| ids.contains(&capability.id));
    (found || function.complete(space)).then_some(found)
}

/// That the kernel gave no more than the headers, said once for all functions: it does so to whom it does not trust
/// with the rest.
pub(super) fn withheld(functions: &BTreeMap<PciAddress, FunctionFacts>) -> Option<ReadFault> {
    let count = functions.values().filter(|f| f.config.known().is_some_and(is_header_only)).count();
    let place = format!("configuration space beyond the header, of {count} functions");
    (count > 0).then_some(ReadFault::new(place, FaultKind::Denied))
}

/// Whether there is a list of capabilities (PCI 3.0 §6.7; of CardBus bridges at 0x14) of which not even the first was
/// read.
fn is_header_only(space: &ConfigSpace) -> bool {
    let card_bus = space.u8(0x0e).is_some_and(|kind| kind & 0x7f == 2);
    let pointer = space.u8(if card_bus { 0x14 } else { 0x34 }).map_or(0, |pointer| u16::from(pointer & !3));
    let listed = space.u8(0x06).is_some_and(|status| status & 0x10 != 0);
    listed && pointer >= HEADER_BYTES && space.u8(pointer).is_none()
}

/// Whether every byte of the header reads as ones, which no function's header does: not even that of a virtual function,
/// of which only the ids do (PCIe Base 6.0 §9.3.4.1.1).
fn is_silent(space: &ConfigSpace) -> bool {
    (0..HEADER_BYTES).all(|offset| space.u8(offset) == Some(0xff))
}

/// The header whole, and of the rest what decoding asks for.
fn space(file: &dyn OpenFile, function: &mut Option<Function>) -> Result<ConfigSpace, ReadError> {
    let mut header = [0; HEADER_BYTES as usize];
    let count = file.read_at(0, &mut header)?;
    let header = header.get(..count).unwrap_or_default();
    let mut reader = Reader { file, header: ConfigSpace::from_bytes(header), end: EXTENDED_SIZE as u64 };
    let mut space = match decode_with(&mut reader) {
        Ok((decoded, space)) => {
            *function = Some(decoded);
            space
        }
        // Not a function, or a header of an unknown kind: there is nothing more to ask for.
        Err(_) => ConfigSpace::empty(),
    };
    for (offset, byte) in (0u16..).zip(header) {
        space.set(offset, *byte);
    }
    space.shrink_to_fit();
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
