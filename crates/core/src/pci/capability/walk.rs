//! Finding the capabilities: both lists, link by link.
//!
//! Which links are followed is exactly what lspci does (pciutils `ls-caps.c`, `ls-ecaps.c`), so that both name the
//! same capabilities: the low two bits of a pointer are ignored, id 0xff ends the standard list, a header of zero or
//! all ones ends the extended one, a second visit ends either, and the extended list is looked for where PCI Express
//! or PCI-X is. Reproduced on purpose: links into the header are followed (the kernel ends the list there), and named
//! as faults. Not reproduced: where a byte is missing in the middle of a dump, lspci reads 0xff and reports a broken
//! chain; here the chain is unreadable, because nothing is known of it.
//!
//! The walk reads one double word per capability plus what decoding its body needs.

use super::super::bits::{field8, field16};
use super::super::config::{CONVENTIONAL_SIZE, EXTENDED_SIZE, Registers};
use super::super::fault::Fault;
use super::super::header::{Header, HeaderKind};
use super::table::{Row, row};
use super::{Block, Body, Capability, Space};

/// Id of PCI-X in the standard list.
pub(in crate::pci) const PCI_X: u16 = 0x07;
/// Id of PCI Express in the standard list.
pub(in crate::pci) const EXPRESS: u16 = 0x10;

/// Finds and decodes every capability.
pub(in crate::pci) fn walk(
    registers: &mut Registers<'_>,
    header: &Header,
    faults: &mut Vec<Fault>,
) -> Vec<Capability> {
    let mut found = Vec::new();
    let mut walk = Walk { registers, kind: header.kind, faults, found: &mut found };
    if let (true, Some(pointer)) = (header.status.capability_list(), header.kind.capability_pointer()) {
        walk.standard(pointer);
    }
    if walk.found.iter().any(|c| c.id == PCI_X || c.id == EXPRESS) {
        walk.extended();
    }
    found
}

struct Walk<'r, 'a> {
    registers: &'r mut Registers<'a>,
    kind: HeaderKind,
    faults: &'r mut Vec<Fault>,
    found: &'r mut Vec<Capability>,
}

impl Walk<'_, '_> {
    fn standard(&mut self, pointer: u16) {
        let space = Space::Standard;
        let Some(first) = self.registers.u8(pointer) else {
            self.faults.push(Fault::ChainUnreadable { space, offset: pointer });
            return;
        };
        let mut offset = u16::from(first & !3);
        let mut visited = [false; CONVENTIONAL_SIZE / 4];
        while offset != 0 {
            let Some(head) = self.registers.u32(offset) else {
                self.faults.push(Fault::ChainUnreadable { space, offset });
                return;
            };
            if mark(&mut visited, offset) {
                self.faults.push(Fault::ChainLooped { space, offset });
                return;
            }
            let id = field8(head, 0, 8);
            if id == 0xff {
                self.faults.push(Fault::ChainBroken { space, offset });
                return;
            }
            if offset < 0x40 {
                self.faults.push(Fault::Misplaced { space, offset });
            }
            self.add(space, offset, u16::from(id), 0);
            offset = u16::from(field8(head, 8, 8) & !3);
        }
    }

    fn extended(&mut self) {
        let space = Space::Extended;
        let mut offset = 0x100;
        if !self.has_extended_space() && self.registers.u32(offset).is_none() {
            return;
        }
        let mut visited = [false; EXTENDED_SIZE / 4];
        while offset != 0 {
            let Some(head) = self.registers.u32(offset) else {
                self.faults.push(Fault::ChainUnreadable { space, offset });
                return;
            };
            if head == 0 || head == u32::MAX {
                return;
            }
            if mark(&mut visited, offset) {
                self.faults.push(Fault::ChainLooped { space, offset });
                return;
            }
            if offset < 0x100 {
                self.faults.push(Fault::Misplaced { space, offset });
            }
            self.add(space, offset, field16(head, 0, 16), field8(head, 16, 4));
            offset = field16(head, 20, 12) & !3;
        }
    }

    /// Whether there must be an extended space to read: the kernel's rule (`pci_cfg_space_size`, drivers/pci/probe.c).
    /// PCI-X has it in mode 2 only.
    fn has_extended_space(&self) -> bool {
        self.found.iter().any(|capability| match &capability.body {
            Body::PciX(pci_x) => pci_x.mhz266 || pci_x.mhz533,
            _ => capability.id == EXPRESS,
        })
    }

    fn add(&mut self, space: Space, offset: u16, id: u16, version: u8) {
        let Row { name, decode, .. } = row(space, id);
        let mut block = Block { registers: self.registers, faults: self.faults, offset, header: self.kind };
        let body = decode(&mut block).unwrap_or(Body::Unreadable);
        if body == Body::Unreadable {
            self.faults.push(Fault::CapabilityTruncated { space, offset });
        }
        self.found.push(Capability { offset, space, id, version, name, body });
    }
}

/// Marks the double word at `offset` and says whether it was marked before; what is past the list counts as marked.
fn mark(visited: &mut [bool], offset: u16) -> bool {
    visited.get_mut(usize::from(offset / 4)).is_none_or(|seen| std::mem::replace(seen, true))
}
