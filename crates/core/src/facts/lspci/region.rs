//! Region lines: `Region 0: Memory at d0000000 (64-bit, non-prefetchable) [disabled] [size=16M]`.
//!
//! Spellings: pciutils `lspci.c: show_bases` and `show_rom`, 2.x to 3.14. `lspci -v` leaves the index out.

use crate::pci::{BarKind, ROM_INDEX};

/// Where a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionAddress {
    /// At this bus address or port.
    At(u64),
    /// Nowhere: the register is zero.
    Unassigned,
    /// The register has an address, the kernel does not use it.
    Ignored,
    /// A 64-bit region in the last register.
    Broken,
}

/// One region as printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LspciRegion {
    /// Which BAR, or [`ROM_INDEX`]; none in `lspci -v`.
    pub index: Option<u8>,
    /// What it decodes.
    pub kind: BarKind,
    /// Where.
    pub address: RegionAddress,
    /// Size in bytes, rounded down by lspci to three or four digits; none in a decoded dump.
    pub size: Option<u64>,
    /// Reads have no side effects.
    pub prefetchable: bool,
    /// The command register (or a ROM's own bit) keeps it from answering.
    pub disabled: bool,
    /// The kernel knows it, the register does not.
    pub virtual_: bool,
}

/// What a line has to say of a region.
pub(super) enum Parsed {
    /// It is not about a region.
    No,
    /// It is, but cannot be read.
    Damaged,
    /// It is.
    Region(LspciRegion),
}

pub(super) fn parse(line: &str) -> Parsed {
    let (index, rest) = match line.strip_prefix("Region ") {
        None => (None, line),
        Some(numbered) => match numbered.split_once(": ") {
            Some((index, rest)) => match index.parse::<u8>() {
                Ok(index) if index < ROM_INDEX => (Some(index), rest),
                _ => return Parsed::Damaged,
            },
            None => return Parsed::Damaged,
        },
    };
    // Enhanced allocation: the register is not what decides (`show_bases`).
    let place = rest.trim_start_matches("[enhanced] ").trim_start_matches("[virtual] ");
    let (kind, place) = if let Some(place) = place.strip_prefix("Memory at ") {
        (memory_kind(place), place)
    } else if let Some(place) = place.strip_prefix("I/O ports at ") {
        (Some(BarKind::Io), place)
    } else if let Some(place) = place.strip_prefix("Expansion ROM at ") {
        (Some(BarKind::Rom), place)
    } else if index.is_some() {
        return Parsed::Damaged;
    } else {
        return Parsed::No;
    };
    let (Some(kind), Some(address)) = (kind, address(place)) else { return Parsed::Damaged };
    Parsed::Region(LspciRegion {
        index: if kind == BarKind::Rom { Some(ROM_INDEX) } else { index },
        kind,
        address,
        size: size(rest),
        prefetchable: rest.contains("prefetchable)") && !rest.contains("non-prefetchable)"),
        disabled: rest.contains("[disabled"),
        virtual_: rest.contains("[virtual]"),
    })
}

fn memory_kind(text: &str) -> Option<BarKind> {
    let (width, _) = text.split_once('(')?.1.split_once(',')?;
    match width {
        "32-bit" => Some(BarKind::Memory32),
        "64-bit" => Some(BarKind::Memory64),
        "low-1M" | "low-1M 32-bit" => Some(BarKind::MemoryBelow1M),
        "type 3" => Some(BarKind::MemoryReserved),
        _ => None,
    }
}

fn address(text: &str) -> Option<RegionAddress> {
    match text.split(' ').next()? {
        "<unassigned>" => Some(RegionAddress::Unassigned),
        "<ignored>" => Some(RegionAddress::Ignored),
        "<invalid-64bit-slot>" | "<broken-64-bit-slot>" => Some(RegionAddress::Broken),
        digits => u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok().map(RegionAddress::At),
    }
}

/// Bytes of `[size=16M]`; the unit may be K, M, G, T or none.
pub(super) fn size(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("[size=")?;
    let (size, _) = rest.split_once(']')?;
    let shift = match size.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(line: &str) -> LspciRegion {
        match parse(line) {
            Parsed::Region(region) => region,
            Parsed::No | Parsed::Damaged => panic!("{line}"),
        }
    }

    #[test]
    fn every_spelling_is_read() {
        let plain = region("Region 2: Memory at c0000000 (64-bit, prefetchable) [size=256M]");
        assert_eq!((plain.index, plain.kind, plain.size), (Some(2), BarKind::Memory64, Some(256 << 20)));
        assert!(plain.prefetchable && !plain.disabled);
        assert_eq!(plain.address, RegionAddress::At(0xc000_0000));

        let ports = region("I/O ports at <unassigned> [disabled]");
        assert_eq!((ports.index, ports.kind, ports.size), (None, BarKind::Io, None));
        assert!(ports.disabled && ports.address == RegionAddress::Unassigned);

        for line in [
            "[virtual] Expansion ROM at 000c0000 [disabled] [size=128K]",
            "Expansion ROM at 000c0000 [virtual] [disabled] [size=128K]",
        ] {
            let rom = region(line);
            assert_eq!((rom.index, rom.size, rom.virtual_), (Some(ROM_INDEX), Some(128 << 10), true));
        }
        let low = region("Region 1: Memory at <ignored> (low-1M, non-prefetchable) [size=512]");
        assert_eq!(
            (low.kind, low.size, low.address),
            (BarKind::MemoryBelow1M, Some(512), RegionAddress::Ignored)
        );
    }

    #[test]
    fn damage_is_told_from_other_lines() {
        assert!(matches!(parse("Region 9: Memory at 0 (32-bit, prefetchable)"), Parsed::Damaged));
        assert!(matches!(parse("Region 0: Mem at 0"), Parsed::Damaged));
        assert!(matches!(parse("Memory at zz (32-bit, x)"), Parsed::Damaged));
        assert!(matches!(parse("Memory behind bridge: 1-2"), Parsed::No));
    }
}
