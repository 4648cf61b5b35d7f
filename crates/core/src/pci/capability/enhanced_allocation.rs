//! Enhanced allocation: resources at fixed addresses instead of BARs (PCIe Base 6.0 §7.8.5).

use super::super::bits::{bit, field8};
use super::super::header::HeaderKind;
use super::{Block, Body};

/// Bus numbers that a bridge with enhanced allocation is fixed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedBuses {
    /// The bus behind the bridge.
    pub secondary: u8,
    /// The highest bus behind it.
    pub subordinate: u8,
}

/// One fixed resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedAllocationEntry {
    /// The resource is in use.
    pub enabled: bool,
    /// The entry can be written.
    pub writable: bool,
    /// Which BAR it stands for: 0 to 5, 6 behind a bridge, 7 none, 8 ROM, 9 to 14 VF BARs, 15 reserved.
    pub bar_equivalent: u8,
    /// What it is, §7.8.5.3 table 7-118: 0 memory, 1 prefetchable memory, 2 I/O, 0xff unavailable.
    pub primary_properties: u8,
    /// What it is to software that does not know the primary property.
    pub secondary_properties: u8,
    /// First address.
    pub base: u64,
    /// Last address minus first address.
    pub max_offset: u64,
}

/// What the enhanced allocation registers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnhancedAllocation {
    /// Entries that there are, 0 to 63.
    pub count: u8,
    /// Fixed bus numbers, of a bridge.
    pub buses: Option<FixedBuses>,
    /// The entries, as many as could be read.
    pub entries: Vec<EnhancedAllocationEntry>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let count = field8(block.u16(2)?, 0, 6);
    let bridge = block.header == HeaderKind::Bridge;
    let buses = if bridge {
        let [secondary, subordinate] = block.u16(4)?.to_le_bytes();
        Some(FixedBuses { secondary, subordinate })
    } else {
        None
    };
    let mut at = if bridge { 8 } else { 4 };
    let mut entries = Vec::new();
    for _ in 0..count {
        let Some((entry, size)) = decode_entry(block, at) else { break };
        entries.push(entry);
        at += size;
    }
    Some(Body::EnhancedAllocation(EnhancedAllocation { count, buses, entries }))
}

/// One entry, and its size in bytes (at most 32).
fn decode_entry(block: &mut Block<'_, '_>, at: u16) -> Option<(EnhancedAllocationEntry, u16)> {
    let head = block.u32(at)?;
    let base = block.u32(at + 4)?;
    let max_offset = block.u32(at + 8)?;
    let mut next = at + 12;
    let mut upper = |wide: bool| {
        if !wide {
            return Some(0);
        }
        next += 4;
        block.u32(next - 4)
    };
    let base_high = upper(bit(base, 1))?;
    let max_offset_high = upper(bit(max_offset, 1))?;
    let entry = EnhancedAllocationEntry {
        enabled: bit(head, 31),
        writable: bit(head, 30),
        bar_equivalent: field8(head, 4, 4),
        primary_properties: field8(head, 8, 8),
        secondary_properties: field8(head, 16, 8),
        base: u64::from(base_high) << 32 | u64::from(base & !3),
        max_offset: u64::from(max_offset_high) << 32 | u64::from(max_offset | 3),
    };
    Some((entry, 4 + 4 * u16::from(field8(head, 0, 3))))
}
