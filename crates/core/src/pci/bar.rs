//! Base address registers.
//!
//! What the registers say: kind and address. Sizes are not in them (finding a size takes writing to the register, PCI
//! 3.0 §6.2.5.1), so they come from elsewhere: sysfs `resource` or the text of lspci. A register that reads zero says
//! neither whether the BAR exists nor its kind and is not listed; nor is one that reads all ones.

use super::bits::{bit, field};
use super::config::Registers;
use super::fault::Fault;
use super::header::{Command, HeaderKind};

/// Index of the expansion ROM among the BARs, as in sysfs `resource` (`PCI_ROM_RESOURCE`, include/linux/pci.h).
pub const ROM_INDEX: u8 = 6;

/// Which space a BAR decodes, and how wide its address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory, 32-bit address.
    Memory32,
    /// Memory that must lie below 1 MiB (type 1, reserved since PCI 2.2).
    MemoryBelow1M,
    /// Memory, 64-bit address in two registers.
    Memory64,
    /// Memory of the reserved type 3.
    MemoryReserved,
    /// The expansion ROM.
    Rom,
}

impl BarKind {
    /// The kind's name in `slotwise.inspect/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Memory32 | Self::MemoryBelow1M | Self::MemoryReserved => "mem32",
            Self::Memory64 => "mem64",
            Self::Rom => "rom",
        }
    }
}

/// One base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// 0 to 5, or [`ROM_INDEX`]. A 64-bit BAR has the index of its lower half.
    pub index: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// Reads have no side effects and may be merged.
    pub prefetchable: bool,
    /// Bus address, 0 if unassigned. None if the upper half of a 64-bit BAR could not be read.
    pub address: Option<u64>,
    /// Size in bytes, where something other than the register said it.
    pub size: Option<u64>,
    /// The command register (and for a ROM its own enable bit) lets it answer.
    pub enabled: bool,
}

/// Reads BARs and expansion ROM.
pub(super) fn decode(
    registers: &mut Registers<'_>,
    kind: HeaderKind,
    command: Command,
    faults: &mut Vec<Fault>,
) -> Vec<Bar> {
    let (count, rom) = match kind {
        HeaderKind::Endpoint => (6, Some(0x30)),
        HeaderKind::Bridge => (2, Some(0x38)),
        HeaderKind::CardBus => (1, None),
        HeaderKind::Unknown(_) => return Vec::new(),
    };
    let mut bars = decode_block(registers, 0x10, count, faults);
    for bar in &mut bars {
        bar.enabled = if bar.kind == BarKind::Io { command.io() } else { command.memory() };
    }
    bars.extend(rom.and_then(|offset| decode_rom(registers, offset, command)));
    bars
}

/// Reads `count` BARs from `offset` on: those of the header, or a physical function's VF BARs.
pub(super) fn decode_block(
    registers: &mut Registers<'_>,
    offset: u16,
    count: u8,
    faults: &mut Vec<Fault>,
) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut index = 0;
    while index < count {
        let at = offset.saturating_add(u16::from(index) * 4);
        let current = index;
        index += 1;
        let Some(low) = registers.u32(at) else { continue };
        if low == 0 || low == u32::MAX {
            continue;
        }
        let kind = kind_of(low);
        let mask = if kind == BarKind::Io { !0x3 } else { !0xf };
        let mut address = Some(u64::from(low & mask));
        match kind {
            BarKind::Memory64 if index == count => {
                faults.push(Fault::NoUpperHalf { index: current });
                address = None;
            }
            BarKind::Memory64 => {
                index += 1;
                let high = registers.u32(at.saturating_add(4));
                address = high.map(|high| u64::from(high) << 32 | u64::from(low & mask));
            }
            BarKind::MemoryReserved => faults.push(Fault::ReservedBarType { index: current }),
            _ => {}
        }
        let prefetchable = kind != BarKind::Io && bit(low, 3);
        bars.push(Bar { index: current, kind, prefetchable, address, size: None, enabled: true });
    }
    bars
}

fn kind_of(register: u32) -> BarKind {
    match (bit(register, 0), field(register, 1, 2)) {
        (true, _) => BarKind::Io,
        (false, 0) => BarKind::Memory32,
        (false, 1) => BarKind::MemoryBelow1M,
        (false, 2) => BarKind::Memory64,
        (false, _) => BarKind::MemoryReserved,
    }
}

fn decode_rom(registers: &mut Registers<'_>, offset: u16, command: Command) -> Option<Bar> {
    let register = registers.u32(offset)?;
    if register == 0 || register == u32::MAX {
        return None;
    }
    Some(Bar {
        index: ROM_INDEX,
        kind: BarKind::Rom,
        prefetchable: false,
        address: Some(u64::from(register & !0x7ff)),
        size: None,
        enabled: bit(register, 0) && command.memory(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::config::ConfigSpace;
    use super::*;

    fn bars(registers: &[u32]) -> (Vec<Bar>, Vec<Fault>) {
        let bytes: Vec<u8> = registers.iter().flat_map(|r| r.to_le_bytes()).collect();
        let space = ConfigSpace::from_bytes(&bytes);
        let mut faults = Vec::new();
        let count = u8::try_from(registers.len()).unwrap_or(u8::MAX);
        let bars = decode_block(&mut Registers::of(&space), 0, count, &mut faults);
        (bars, faults)
    }

    #[test]
    fn a_64_bit_bar_takes_two_registers() {
        let (bars, faults) = bars(&[0x0000_000c, 0x60, 0xe001, 0xfe00_0000]);
        let seen: Vec<_> = bars.iter().map(|b| (b.index, b.kind, b.prefetchable, b.address)).collect();
        assert_eq!(
            seen,
            [
                (0, BarKind::Memory64, true, Some(0x60_0000_0000)),
                (2, BarKind::Io, false, Some(0xe000)),
                (3, BarKind::Memory32, false, Some(0xfe00_0000)),
            ]
        );
        assert_eq!(faults, []);
    }

    #[test]
    fn a_64_bit_bar_in_the_last_register_has_no_address() {
        let (bars, faults) = bars(&[0xfe00_0004]);
        assert_eq!(bars.first().map(|b| b.address), Some(None));
        assert_eq!(faults, [Fault::NoUpperHalf { index: 0 }]);
    }

    #[test]
    fn zero_and_all_ones_are_not_listed() {
        assert_eq!(bars(&[0, u32::MAX, 6]).0.len(), 1);
        assert_eq!(bars(&[0, u32::MAX, 6]).1, [Fault::ReservedBarType { index: 2 }]);
    }
}
