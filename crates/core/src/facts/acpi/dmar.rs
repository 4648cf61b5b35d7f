//! The DMAR table: Intel VT-d 4.1 §8.

use super::{AcpiError, HEADER_BYTES, MOST_STRUCTURES, body, u16_at, u32_at, u64_at};
use crate::facts::{ReservedKind, ReservedRegion};
use crate::pci::PciAddress;

/// A DMAR table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmar {
    /// Width of DMA addresses that the platform can have, in bits (the table holds one less).
    pub host_address_bits: u16,
    /// Bit 0: interrupt remapping supported. Bit 1: firmware asks not to enable x2APIC. Bit 2: firmware asks that DMA be
    /// controlled from the start (§8.1).
    pub flags: u8,
    /// What the table holds, in its order.
    pub structures: Vec<DmarStructure>,
    /// Offset, in bytes from the start of the table, of a structure whose length cannot be: nothing after it was read.
    pub broken_at: Option<usize>,
}

/// One remapping structure (§8.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DmarStructure {
    /// A hardware unit and the devices behind it (§8.3).
    HardwareUnit {
        /// Bit 0: all devices of the segment that no other unit names.
        flags: u8,
        /// PCI segment.
        segment: u16,
        /// Address of its registers.
        base: u64,
        /// Devices behind it.
        scope: Vec<DeviceScope>,
    },
    /// Memory that firmware's devices use: RMRR (§8.4).
    ReservedMemory {
        /// PCI segment.
        segment: u16,
        /// First byte.
        start: u64,
        /// Last byte, inclusive.
        end: u64,
        /// Devices that use it.
        scope: Vec<DeviceScope>,
    },
    /// Root ports that support ATS: ATSR (§8.5).
    RootPortAts {
        /// Bit 0: all root ports.
        flags: u8,
        /// PCI segment.
        segment: u16,
        /// Root ports.
        scope: Vec<DeviceScope>,
    },
    /// Proximity domain of a unit: RHSA (§8.6).
    Affinity {
        /// Address of the unit's registers.
        base: u64,
        /// ACPI proximity domain.
        proximity_domain: u32,
    },
    /// An ACPI device named in a scope: ANDD (§8.7).
    AcpiDevice {
        /// Enumeration id that scopes use.
        number: u8,
        /// Path in the ACPI name space.
        name: String,
    },
    /// SoC-integrated devices with an address translation cache: SATC (§8.8).
    IntegratedAts {
        /// Bit 0: ATS is required.
        flags: u8,
        /// PCI segment.
        segment: u16,
        /// Devices.
        scope: Vec<DeviceScope>,
    },
    /// A structure of another type.
    Other {
        /// Its type.
        kind: u16,
    },
}

/// What a scope entry names (§8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// A PCI endpoint.
    Endpoint,
    /// A PCI bridge and everything below it.
    Bridge,
    /// An I/O APIC; the path is its requester id.
    IoApic,
    /// A timer that sends messages.
    Hpet,
    /// A device of the ACPI name space.
    Acpi,
    /// Another type.
    Other(u8),
}

impl ScopeKind {
    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ScopeKind::Endpoint => "endpoint",
            ScopeKind::Bridge => "bridge",
            ScopeKind::IoApic => "ioapic",
            ScopeKind::Hpet => "hpet",
            ScopeKind::Acpi => "acpi",
            ScopeKind::Other(_) => "other",
        }
    }
}

/// A device by its path from a root bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceScope {
    /// What it is.
    pub kind: ScopeKind,
    /// I/O APIC id, HPET number or number of an ACPI device; 0 for others.
    pub enumeration_id: u8,
    /// Bus that the path starts on.
    pub start_bus: u8,
    /// Device and function at each hop; all but the last are bridges. At least one.
    pub path: Vec<(u8, u8)>,
}

impl DeviceScope {
    /// The function's address. `secondary_bus` tells the bus below a bridge; it is asked for each hop but the last.
    #[must_use]
    pub fn address(
        &self,
        segment: u16,
        secondary_bus: &dyn Fn(PciAddress) -> Option<u8>,
    ) -> Option<PciAddress> {
        let (last, bridges) = self.path.split_last()?;
        let mut bus = self.start_bus;
        for (device, function) in bridges {
            bus = secondary_bus(PciAddress::new(segment.into(), bus, *device, *function).ok()?)?;
        }
        PciAddress::new(segment.into(), bus, last.0, last.1).ok()
    }
}

impl Dmar {
    /// Reads a table.
    ///
    /// # Errors
    /// If `bytes` is not a DMAR table; damage inside is told in [`Dmar::broken_at`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AcpiError> {
        const FIXED: usize = HEADER_BYTES + 12;
        let table = body(bytes, "DMAR", FIXED)?;
        let byte = |offset: usize| table.get(offset).copied().ok_or(AcpiError::Short);
        let mut dmar = Self {
            host_address_bits: u16::from(byte(36)?) + 1,
            flags: byte(37)?,
            structures: Vec::new(),
            broken_at: None,
        };
        let mut offset = FIXED;
        while let Some(rest) = table.get(offset..).filter(|rest| !rest.is_empty()) {
            match structure(rest) {
                Some((structure, length)) if dmar.structures.len() < MOST_STRUCTURES => {
                    dmar.structures.push(structure);
                    offset += length;
                }
                _ => {
                    dmar.broken_at = Some(offset);
                    break;
                }
            }
        }
        Ok(dmar)
    }

    /// Whether firmware says that interrupts can be remapped.
    #[must_use]
    pub const fn interrupt_remapping(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The reserved ranges with the functions that they concern, as far as `secondary_bus` can resolve their paths.
    #[must_use]
    pub fn reserved(&self, secondary_bus: &dyn Fn(PciAddress) -> Option<u8>) -> Vec<ReservedRegion> {
        let region = |structure: &DmarStructure| match structure {
            DmarStructure::ReservedMemory { segment, start, end, scope } if start <= end => {
                let devices =
                    scope.iter().filter_map(|entry| entry.address(*segment, secondary_bus)).collect();
                Some(ReservedRegion { kind: ReservedKind::Rmrr, start: *start, end: *end, devices })
            }
            _ => None,
        };
        self.structures.iter().filter_map(region).collect()
    }
}

/// The first structure of `rest` and its length in bytes.
fn structure(rest: &[u8]) -> Option<(DmarStructure, usize)> {
    let kind = u16_at(rest, 0)?;
    let length = usize::from(u16_at(rest, 2)?);
    // Type and length themselves; a shorter one would not move on.
    let bytes = if length < 4 { None } else { rest.get(..length) }?;
    let structure = match kind {
        0 => DmarStructure::HardwareUnit {
            flags: *bytes.get(4)?,
            segment: u16_at(bytes, 6)?,
            base: u64_at(bytes, 8)?,
            scope: scopes(bytes, 16)?,
        },
        1 => DmarStructure::ReservedMemory {
            segment: u16_at(bytes, 6)?,
            start: u64_at(bytes, 8)?,
            end: u64_at(bytes, 16)?,
            scope: scopes(bytes, 24)?,
        },
        2 => DmarStructure::RootPortAts {
            flags: *bytes.get(4)?,
            segment: u16_at(bytes, 6)?,
            scope: scopes(bytes, 8)?,
        },
        3 => DmarStructure::Affinity { base: u64_at(bytes, 8)?, proximity_domain: u32_at(bytes, 16)? },
        4 => DmarStructure::AcpiDevice {
            number: *bytes.get(7)?,
            name: bytes
                .get(8..)?
                .iter()
                .take_while(|byte| **byte != 0)
                .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' })
                .collect(),
        },
        5 => DmarStructure::IntegratedAts {
            flags: *bytes.get(4)?,
            segment: u16_at(bytes, 6)?,
            scope: scopes(bytes, 8)?,
        },
        kind => DmarStructure::Other { kind },
    };
    Some((structure, length))
}

/// Scope entries from `offset` to the end: type, length, flags (2 bytes), enumeration id, start bus, path.
fn scopes(bytes: &[u8], offset: usize) -> Option<Vec<DeviceScope>> {
    let mut rest = bytes.get(offset..)?;
    let mut scopes = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(*rest.get(1)?);
        // Six bytes of head and one hop of two.
        let entry = if length < 8 { None } else { rest.get(..length) }?;
        scopes.push(DeviceScope {
            kind: match entry.first()? {
                1 => ScopeKind::Endpoint,
                2 => ScopeKind::Bridge,
                3 => ScopeKind::IoApic,
                4 => ScopeKind::Hpet,
                5 => ScopeKind::Acpi,
                kind => ScopeKind::Other(*kind),
            },
            enumeration_id: *entry.get(4)?,
            start_bus: *entry.get(5)?,
            path: entry
                .get(6..)?
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[device, function]| (*device, *function))
                .collect(),
        });
        rest = rest.get(length..)?;
    }
    Some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(structures: &[u8]) -> Vec<u8> {
        let mut bytes = b"DMAR".to_vec();
        let length = u32::try_from(48 + structures.len()).unwrap_or_default();
        bytes.extend(length.to_le_bytes());
        bytes.resize(48, 0);
        bytes.extend_from_slice(structures);
        if let Some(width) = bytes.get_mut(36) {
            *width = 38;
        }
        bytes
    }

    const RMRR: [u8; 34] = [
        1, 0, 34, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0xff, 0x1f, 0, 0, 0, 0, 0, 0, // head
        1, 10, 0, 0, 0, 0, 0x1c, 0, 0x02, 1, // endpoint below the bridge 00:1c.0
    ];

    #[test]
    fn path_through_a_bridge_is_resolved_by_its_secondary_bus() {
        let dmar = Dmar::parse(&table(&RMRR)).expect("a table");
        assert_eq!(dmar.host_address_bits, 39);
        let bridge = "0000:00:1c.0".parse::<PciAddress>().ok();
        let regions = dmar.reserved(&|address| (Some(address) == bridge).then_some(5));
        let [region] = regions.as_slice() else { panic!("{regions:?}") };
        assert_eq!((region.start, region.end), (0x1000, 0x1fff));
        assert_eq!(region.devices.first().map(ToString::to_string).as_deref(), Some("0000:05:02.1"));
        assert!(dmar.reserved(&|_| None).iter().all(|region| region.devices.is_empty()));
    }

    #[test]
    fn structure_of_length_zero_ends_the_table() {
        let mut structures = RMRR.to_vec();
        structures.extend([0, 0, 0, 0]);
        let dmar = Dmar::parse(&table(&structures)).expect("a table");
        assert_eq!((dmar.structures.len(), dmar.broken_at), (1, Some(48 + RMRR.len())));
    }

    #[test]
    fn other_tables_are_refused() {
        assert_eq!(Dmar::parse(b"IVRS"), Err(AcpiError::Signature { expected: "DMAR" }));
        assert_eq!(Dmar::parse(b"DMA"), Err(AcpiError::Short));
        assert_eq!(Dmar::parse(b"DMAR\x08\0\0\0"), Err(AcpiError::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(structures: Vec<u8>) {
            let _ = Dmar::parse(&table(&structures)).map(|dmar| dmar.reserved(&|_| Some(1)));
        }
    }
}
