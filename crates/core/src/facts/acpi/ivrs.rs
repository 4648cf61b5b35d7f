//! The IVRS table: AMD I/O Virtualization (48882 rev 3.08) §5.2.

use super::{AcpiError, HEADER_BYTES, MOST_STRUCTURES, body, u16_at, u64_at};
use crate::facts::{ReservedKind, ReservedRegion};
use crate::pci::PciAddress;

/// An IVRS table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ivrs {
    /// What the table holds, in its order.
    pub blocks: Vec<IvrsBlock>,
    /// Offset, in bytes from the start of the table, of a block whose length cannot be: nothing after it was read.
    pub broken_at: Option<usize>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IvrsBlock {
    /// A hardware unit: IVHD (§5.2.2). Newer forms repeat what older ones say of the same unit.
    HardwareUnit {
        /// Form: 0x10, 0x11 or 0x40.
        form: u8,
        /// The IOMMU's own function.
        address: PciAddress,
        /// Address of its registers.
        base: u64,
    },
    /// Memory that must be mapped, or left alone: IVMD (§5.2.3).
    Memory(Ivmd),
    /// A block of another type.
    Other {
        /// Its type.
        kind: u8,
    },
}

/// A memory definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ivmd {
    /// Bit 0: unity map. Bit 1: readable. Bit 2: writable. Bit 3: exclusion range.
    pub flags: u8,
    /// First byte.
    pub start: u64,
    /// Size in bytes, at least 1.
    pub size: u64,
    /// Whom it concerns.
    pub scope: IvmdScope,
}

/// Whom a memory definition concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IvmdScope {
    /// All functions of a segment.
    All {
        /// PCI segment.
        segment: u16,
    },
    /// Functions from one to another, both included, by requester id.
    Range {
        /// The first.
        first: PciAddress,
        /// The last.
        last: PciAddress,
    },
}

impl IvmdScope {
    /// Whether `address` is concerned.
    #[must_use]
    pub fn holds(self, address: PciAddress) -> bool {
        match self {
            IvmdScope::All { segment } => address.domain() == u32::from(segment),
            IvmdScope::Range { first, last } => (first..=last).contains(&address),
        }
    }
}

impl Ivrs {
    /// Reads a table.
    ///
    /// # Errors
    /// If `bytes` is not an IVRS table; damage inside is told in [`Ivrs::broken_at`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AcpiError> {
        const FIXED: usize = HEADER_BYTES + 12;
        let table = body(bytes, "IVRS", FIXED)?;
        let mut ivrs = Self { blocks: Vec::new(), broken_at: None };
        let mut offset = FIXED;
        while let Some(rest) = table.get(offset..).filter(|rest| !rest.is_empty()) {
            match block(rest) {
                Some((block, length)) if ivrs.blocks.len() < MOST_STRUCTURES => {
                    ivrs.blocks.push(block);
                    offset += length;
                }
                _ => {
                    ivrs.broken_at = Some(offset);
                    break;
                }
            }
        }
        Ok(ivrs)
    }

    /// The reserved ranges, each with those of `functions` that it concerns.
    #[must_use]
    pub fn reserved(&self, functions: &[PciAddress]) -> Vec<ReservedRegion> {
        let region = |block: &IvrsBlock| match block {
            IvrsBlock::Memory(memory) => Some(ReservedRegion {
                kind: ReservedKind::Ivmd,
                start: memory.start,
                end: memory.start.checked_add(memory.size - 1)?,
                devices: functions.iter().copied().filter(|address| memory.scope.holds(*address)).collect(),
            }),
            _ => None,
        };
        self.blocks.iter().filter_map(region).collect()
    }
}

/// The first block of `rest` and its length in bytes.
fn block(rest: &[u8]) -> Option<(IvrsBlock, usize)> {
    let kind = *rest.first()?;
    let length = usize::from(u16_at(rest, 2)?);
    let bytes = if length < 4 { None } else { rest.get(..length) }?;
    let block = match kind {
        0x10 | 0x11 | 0x40 => IvrsBlock::HardwareUnit {
            form: kind,
            base: u64_at(bytes, 8)?,
            address: PciAddress::from_requester_id(u16_at(bytes, 16)?.into(), u16_at(bytes, 4)?),
        },
        0x20..=0x22 => memory(bytes)?,
        kind => IvrsBlock::Other { kind },
    };
    Some((block, length))
}

/// Type, flags, length, device id, last device id (type 0x22), segment, start, size. The segment was reserved, and zero, in
/// older revisions (`drivers/iommu/amd/init.c: struct ivmd_header`).
fn memory(bytes: &[u8]) -> Option<IvrsBlock> {
    let kind = *bytes.first()?;
    let segment = u16_at(bytes, 8)?;
    let function = |offset| Some(PciAddress::from_requester_id(segment.into(), u16_at(bytes, offset)?));
    let size = u64_at(bytes, 24)?;
    // Nothing to reserve, and no last byte to tell.
    if size == 0 {
        return Some(IvrsBlock::Other { kind });
    }
    let scope = match kind {
        0x20 => IvmdScope::All { segment },
        0x21 => IvmdScope::Range { first: function(4)?, last: function(4)? },
        _ => IvmdScope::Range { first: function(4)?, last: function(6)? },
    };
    Some(IvrsBlock::Memory(Ivmd { flags: *bytes.get(1)?, start: u64_at(bytes, 16)?, size, scope }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(blocks: &[u8]) -> Vec<u8> {
        let mut bytes = b"IVRS".to_vec();
        bytes.extend(u32::try_from(48 + blocks.len()).unwrap_or_default().to_le_bytes());
        bytes.resize(48, 0);
        bytes.extend_from_slice(blocks);
        bytes
    }

    fn ivmd(kind: u8, device: u16, last: u16, start: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![kind, 0x07, 32, 0];
        bytes.extend(device.to_le_bytes());
        bytes.extend(last.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(start.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    }

    #[test]
    fn range_names_the_functions_that_are_there() {
        let blocks = ivmd(0x22, 0x0300, 0x0307, 0x8000_0000, 0x10_0000);
        let ivrs = Ivrs::parse(&table(&blocks)).expect("a table");
        let there: Vec<PciAddress> =
            ["0000:03:00.0", "0000:03:00.1", "0000:03:01.0"].iter().filter_map(|a| a.parse().ok()).collect();
        let regions = ivrs.reserved(&there);
        let [region] = regions.as_slice() else { panic!("{regions:?}") };
        assert_eq!((region.start, region.end, region.devices.len()), (0x8000_0000, 0x800f_ffff, 2));
    }

    #[test]
    fn definition_for_all_devices_names_all() {
        let ivrs = Ivrs::parse(&table(&ivmd(0x20, 0, 0, 0, 0x1000))).expect("a table");
        let there: Vec<PciAddress> = "0000:03:00.0".parse().into_iter().collect();
        assert_eq!(ivrs.reserved(&there).first().map(|region| region.devices.len()), Some(1));
    }

    #[test]
    fn range_past_the_end_of_memory_is_none() {
        let ivrs = Ivrs::parse(&table(&ivmd(0x20, 0, 0, u64::MAX, 0x1000))).expect("a table");
        assert!(ivrs.reserved(&[]).is_empty());
    }

    /// A whole table, each byte from the layouts of AMD I/O Virtualization (48882 rev 3.08): header and IVinfo §5.2.1,
    /// IVHD §5.2.2 with its device entries of 4, 8 and 12 bytes, IVMD §5.2.3.
    #[rustfmt::skip]
    const WHOLE: &[u8] = &[
        b'I', b'V', b'R', b'S', 236, 0, 0, 0, 2, 0x4c,     // signature, length, revision, checksum
        b'A', b'M', b'D', b' ', b' ', b' ',                // OEM id
        b'S', b'L', b'O', b'T', b'W', b'I', b'S', b'E',    // OEM table id
        1, 0, 0, 0, b'A', b'M', b'D', b' ', 1, 0, 0, 0,    // OEM revision, creator, its revision
        0x43, 0x30, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0,       // IVinfo, reserved
        // IVHD type 10h: flags, length 44, device id 00:00.2, capability 40h, base, segment, info, features.
        0x10, 0xb0, 44, 0, 0x02, 0, 0x40, 0,
        0, 0, 0x20, 0xfd, 0, 0, 0, 0,
        0, 0, 0, 0, 0x6e, 0x8f, 0x04, 0x80,
        3, 0x08, 0, 0,                                     // start of range 00:01.0
        4, 0xfe, 0xff, 0,                                  // end of range ff:1f.6
        0x42, 0, 0xff, 0, 0, 0xa5, 0, 0,                   // alias select: ff:00.0 is seen as 00:14.5
        0, 0, 0, 0,                                        // padding
        // IVHD type 11h: the same, 16 bytes longer for the extended feature registers; segment 1.
        0x11, 0xb0, 44, 0, 0x02, 0, 0x40, 0,
        0, 0, 0x30, 0xfd, 0, 0, 0, 0,
        1, 0, 0, 0, 0, 0, 0, 0,
        0xde, 0x77, 0xef, 0xa2, 0x20, 0x54, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0,                                        // all devices
        // IVMD type 20h, all: unity map, readable, writable; length 32.
        0x20, 0x07, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0,
        // IVMD type 21h, select 03:00.1.
        0x21, 0x07, 32, 0, 0x01, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0x10, 0, 0x80, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0,
        // IVMD type 22h, range 03:00.0 to 03:00.7 of segment 0, excluded.
        0x22, 0x08, 32, 0, 0x00, 0x03, 0x07, 0x03, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0x9d, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0,
        // A type that is not known.
        0x7f, 0, 4, 0,
    ];

    #[test]
    fn whole_table_is_read_as_the_specification_lays_it_out() {
        let ivrs = Ivrs::parse(WHOLE).expect("a table");
        assert_eq!((ivrs.blocks.len(), ivrs.broken_at), (6, None), "{ivrs:#x?}");
        let units: Vec<String> = ivrs
            .blocks
            .iter()
            .filter_map(|block| match block {
                IvrsBlock::HardwareUnit { form, address, base } => {
                    Some(format!("{form:#x} {address} {base:#x}"))
                }
                _ => None,
            })
            .collect();
        assert_eq!(units, ["0x10 0000:00:00.2 0xfd200000", "0x11 0001:00:00.2 0xfd300000"]);
        let there: Vec<PciAddress> = ["0000:02:00.0", "0000:03:00.0", "0000:03:00.1", "0001:03:00.1"]
            .iter()
            .filter_map(|a| a.parse().ok())
            .collect();
        let regions: Vec<(u64, u64, usize)> =
            ivrs.reserved(&there).iter().map(|r| (r.start, r.end, r.devices.len())).collect();
        assert_eq!(
            regions,
            [(0xa_0000, 0xa_ffff, 3), (0x8000_1000, 0x8000_2fff, 1), (0x9d00_0000, 0x9d0f_ffff, 2)]
        );
        assert!(matches!(ivrs.blocks.last(), Some(IvrsBlock::Other { kind: 0x7f })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(blocks: Vec<u8>) {
            let _ = Ivrs::parse(&table(&blocks)).map(|ivrs| ivrs.reserved(&[]));
        }
    }
}
