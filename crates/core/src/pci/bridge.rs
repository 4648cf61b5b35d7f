//! Registers of bridges: bus numbers and the windows that they forward.
//!
//! Layout: PCI-to-PCI Bridge 1.2 §3.2.5; CardBus: PC Card standard 8. Addresses and ends are in bytes, inclusive.
//! A bridge without an I/O window reads zero in both registers, which looks like a window of 0000 to 0fff: told apart
//! only by writing, so it is reported as it reads.

use super::bits::field16;
use super::config::Registers;
use super::fault::Fault;

/// A range of addresses that a bridge forwards to its secondary bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub start: u64,
    /// Last address.
    pub end: u64,
    /// How many address bits the window's registers have: 16, 32 or 64.
    pub width: u8,
}

/// A bridge's bus numbers and windows. A window that is disabled (its base above its limit) is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The bus that the bridge is on.
    pub primary: u8,
    /// The bus behind it.
    pub secondary: u8,
    /// The highest bus number behind it.
    pub subordinate: u8,
    /// The bridge control register.
    pub control: u16,
    /// I/O ports.
    pub io: Option<Window>,
    /// Non-prefetchable memory.
    pub memory: Option<Window>,
    /// Prefetchable memory.
    pub prefetchable: Option<Window>,
}

/// A CardBus bridge's bus numbers and windows, two of memory and two of I/O.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardBus {
    /// The bus that the bridge is on.
    pub primary: u8,
    /// The CardBus behind it.
    pub secondary: u8,
    /// The highest bus number behind it.
    pub subordinate: u8,
    /// The bridge control register.
    pub control: u16,
    /// Memory windows; none if limit is not above base.
    pub memory: [Option<Window>; 2],
    /// I/O windows; none if base is above limit.
    pub io: [Option<Window>; 2],
}

/// Reads a type 1 header; none if any of its registers is not readable.
pub(super) fn decode_bridge(registers: &mut Registers<'_>, faults: &mut Vec<Fault>) -> Option<Bridge> {
    let [primary, secondary, subordinate, _latency] = registers.u32(0x18)?.to_le_bytes();
    let ports = registers.u32(0x1c)?;
    let memory = registers.u32(0x20)?;
    let prefetchable = registers.u32(0x24)?;
    let prefetchable_upper = (registers.u32(0x28)?, registers.u32(0x2c)?);
    let ports_upper = registers.u32(0x30)?;
    let control = registers.u16(0x3e)?;
    Some(Bridge {
        primary,
        secondary,
        subordinate,
        control,
        io: io_window(ports, ports_upper, faults),
        memory: memory_window(memory, faults),
        prefetchable: prefetchable_window(prefetchable, prefetchable_upper, faults),
    })
}

fn window(start: u64, end: u64, width: u8) -> Option<Window> {
    (start <= end).then_some(Window { start, end, width })
}

fn io_window(ports: u32, upper: u32, faults: &mut Vec<Fault>) -> Option<Window> {
    let (base, limit) = (ports & 0xff, ports >> 8 & 0xff);
    let (start, end) = (u64::from(base & 0xf0) << 8, u64::from(limit & 0xf0) << 8 | 0xfff);
    match (base & 0xf, limit & 0xf) {
        (0, 0) => window(start, end, 16),
        (1, 1) => window(start | u64::from(upper & 0xffff) << 16, end | u64::from(upper >> 16) << 16, 32),
        _ => {
            let (base, limit) = (field16(base, 0, 8), field16(limit, 0, 8));
            faults.push(Fault::UnknownWindowType { window: "I/O", base, limit });
            None
        }
    }
}

fn memory_window(memory: u32, faults: &mut Vec<Fault>) -> Option<Window> {
    let (base, limit) = (memory & 0xffff, memory >> 16);
    if base & 0xf != 0 || limit & 0xf != 0 {
        let (base, limit) = (field16(base, 0, 16), field16(limit, 0, 16));
        faults.push(Fault::UnknownWindowType { window: "memory", base, limit });
        return None;
    }
    window(u64::from(base) << 16, u64::from(limit) << 16 | 0xf_ffff, 32)
}

fn prefetchable_window(low: u32, upper: (u32, u32), faults: &mut Vec<Fault>) -> Option<Window> {
    let (base, limit) = (low & 0xffff, low >> 16);
    let (start, end) = (u64::from(base & 0xfff0) << 16, u64::from(limit & 0xfff0) << 16 | 0xf_ffff);
    match (base & 0xf, limit & 0xf) {
        (0, 0) => window(start, end, 32),
        (1, 1) => window(start | u64::from(upper.0) << 32, end | u64::from(upper.1) << 32, 64),
        _ => {
            let (base, limit) = (field16(base, 0, 16), field16(limit, 0, 16));
            faults.push(Fault::UnknownWindowType { window: "prefetchable memory", base, limit });
            None
        }
    }
}

/// Reads a type 2 header; none if any of its registers is not readable.
pub(super) fn decode_cardbus(registers: &mut Registers<'_>) -> Option<CardBus> {
    let [primary, secondary, subordinate, _latency] = registers.u32(0x18)?.to_le_bytes();
    let mut memory = |at: u16| Some((registers.u32(at)?, registers.u32(at + 4)?));
    let memories = [memory(0x1c)?, memory(0x24)?];
    let ports = [memory(0x2c)?, memory(0x34)?];
    Some(CardBus {
        primary,
        secondary,
        subordinate,
        control: registers.u16(0x3e)?,
        memory: memories.map(|(base, limit)| {
            // 4 KiB granularity: the low twelve bits of the limit read zero and stand for 0xfff.
            let (start, end) = (u64::from(base & !0xfff), u64::from(limit | 0xfff));
            if limit > base { window(start, end, 32) } else { None }
        }),
        io: ports.map(|(base, limit)| {
            let wide = base & 1 == 1;
            let mask = if wide { u32::MAX } else { 0xffff };
            window(u64::from(base & mask & !3), u64::from(limit & mask | 3), if wide { 32 } else { 16 })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_above_its_limit_is_a_disabled_window() {
        let mut faults = Vec::new();
        assert_eq!(io_window(0x0000_00f0, 0, &mut faults), None);
        assert_eq!(memory_window(0x0000_fff0, &mut faults), None);
        assert_eq!(prefetchable_window(0x0001_fff1, (0, 0), &mut faults), None);
        assert_eq!(faults, []);
    }

    #[test]
    fn windows_have_the_width_that_their_type_says() {
        let mut faults = Vec::new();
        let io = Window { start: 0x1_4000, end: 0x1_4fff, width: 32 };
        assert_eq!(io_window(0x4141, 0x0001_0001, &mut faults), Some(io));
        let memory = Window { start: 0x8300_0000, end: 0x840f_ffff, width: 32 };
        assert_eq!(memory_window(0x8400_8300, &mut faults), Some(memory));
        let wide = Window { start: 0x60_0000_0000, end: 0x62_01ff_ffff, width: 64 };
        assert_eq!(prefetchable_window(0x01f1_0001, (0x60, 0x62), &mut faults), Some(wide));
        assert_eq!(faults, []);
    }

    #[test]
    fn reserved_window_types_are_named() {
        let mut faults = Vec::new();
        assert_eq!(io_window(0x4142, 0, &mut faults), None);
        assert_eq!(faults, [Fault::UnknownWindowType { window: "I/O", base: 0x42, limit: 0x41 }]);
    }
}
