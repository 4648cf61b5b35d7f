//! BARs and bridge windows of one function of `slotwise.inspect/1`.

use serde::Serialize;

use super::written::Hex;
use crate::facts::lspci::{LspciRegion, RegionAddress};
use crate::facts::{FunctionFacts, Resource};
use crate::pci::{self, BarKind, Window as PciWindow};

/// Rows of `resource` that are the windows of a bridge: I/O, memory, prefetchable memory (`include/linux/pci.h`:
/// `PCI_BRIDGE_RESOURCES` of a kernel with SR-IOV).
const WINDOWS: [u8; 3] = [13, 14, 15];

#[derive(Clone, Debug, Serialize)]
pub(super) struct Bar {
    index: Option<u8>,
    kind: &'static str,
    prefetchable: bool,
    start: Option<Hex>,
    size: Option<Hex>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Bridge {
    primary: u8,
    secondary: u8,
    subordinate: u8,
    io: Option<Window>,
    memory: Option<Window>,
    prefetchable: Option<Window>,
}

#[derive(Clone, Debug, Serialize)]
struct Window {
    start: Hex,
    end: Hex,
}

/// BARs as the kernel assigned them; sizes are only known from there. Without, what a text prints of them and the
/// registers as they stand. None where nothing tells of any.
pub(super) fn bars(facts: &FunctionFacts, decoded: Option<&pci::Function>) -> Option<Vec<Bar>> {
    let registers = decoded.map_or(&[][..], |d| d.bars.as_slice());
    if let Some(resources) = facts.resources.known() {
        return Some(resources.iter().filter_map(|r| of_resource(r, facts, registers)).collect());
    }
    let printed = facts.printed.as_ref().map_or(&[][..], |p| p.regions.as_slice());
    if decoded.is_none() && printed.is_empty() {
        return None;
    }
    let mut bars: Vec<Bar> = registers.iter().map(|bar| of_register(bar, printed)).collect();
    let same = |region: &LspciRegion, bar: &pci::Bar| {
        region.index.map_or(address(region).is_some() && address(region) == bar.address, |i| i == bar.index)
    };
    let more = printed.iter().filter(|region| !registers.iter().any(|bar| same(region, bar)));
    bars.extend(more.map(of_region));
    bars.sort_by_key(|bar| bar.index.unwrap_or(u8::MAX));
    Some(bars)
}

const fn address(region: &LspciRegion) -> Option<u64> {
    match region.address {
        RegionAddress::At(address) => Some(address),
        RegionAddress::Unassigned | RegionAddress::Ignored | RegionAddress::Broken => None,
    }
}

fn of_region(region: &LspciRegion) -> Bar {
    Bar {
        index: region.index,
        kind: region.kind.name(),
        prefetchable: region.prefetchable,
        start: address(region).map(Hex::number),
        size: region.size.map(Hex::number),
    }
}

fn of_register(bar: &pci::Bar, printed: &[LspciRegion]) -> Bar {
    let size = || printed.iter().find(|region| region.index == Some(bar.index))?.size;
    Bar {
        index: Some(bar.index),
        kind: bar.kind.name(),
        prefetchable: bar.prefetchable,
        start: bar.address.map(Hex::number),
        size: bar.size.or_else(size).map(Hex::number),
    }
}

/// Rows 0 to 5 are BARs (0 and 1 of a bridge), 6 is the ROM; the rest are windows and virtual functions' BARs.
fn of_resource(resource: &Resource, facts: &FunctionFacts, registers: &[pci::Bar]) -> Option<Bar> {
    let bridge = facts.class.known().is_some_and(|class| class.is_pci_bridge());
    let last_bar = if bridge { 1 } else { 5 };
    if resource.index > last_bar && resource.index != pci::ROM_INDEX {
        return None;
    }
    let register = registers.iter().find(|bar| bar.index == resource.index);
    let kind = if resource.index == pci::ROM_INDEX {
        BarKind::Rom
    } else if resource.flags.is_io() {
        BarKind::Io
    } else if resource.flags.is_64bit() || register.is_some_and(|bar| bar.kind == BarKind::Memory64) {
        BarKind::Memory64
    } else {
        BarKind::Memory32
    };
    Some(Bar {
        index: Some(resource.index),
        kind: kind.name(),
        prefetchable: resource.flags.is_prefetchable(),
        start: (!resource.flags.is_unset()).then(|| Hex::number(resource.start)),
        size: Some(Hex::number(resource.size)),
    })
}

/// A bridge by its registers, else as printed, else by what a log tells of its buses and windows.
pub(super) fn bridge(facts: &FunctionFacts, decoded: Option<&pci::Function>) -> Option<Bridge> {
    if let Some(bridge) = decoded.and_then(|d| d.bridge.as_ref()) {
        return Some(Bridge {
            primary: bridge.primary,
            secondary: bridge.secondary,
            subordinate: bridge.subordinate,
            io: bridge.io.as_ref().map(window),
            memory: bridge.memory.as_ref().map(window),
            prefetchable: bridge.prefetchable.as_ref().map(window),
        });
    }
    if let Some(bridge) = facts.printed.as_ref().and_then(|p| p.bridge.as_ref()) {
        return Some(Bridge {
            primary: bridge.primary,
            secondary: bridge.secondary,
            subordinate: bridge.subordinate,
            io: bridge.io.as_ref().map(window),
            memory: bridge.memory.as_ref().map(window),
            prefetchable: bridge.prefetchable.as_ref().map(window),
        });
    }
    let buses = facts.buses.known()?;
    let rows = facts.resources.known().map_or(&[][..], Vec::as_slice);
    let told = |n| {
        let row =
            rows.iter().find(|row| Some(row.index) == WINDOWS.get(n).copied() && !row.flags.is_unset())?;
        Some(Window {
            start: Hex::number(row.start),
            end: Hex::number(row.start.checked_add(row.size.checked_sub(1)?)?),
        })
    };
    Some(Bridge {
        // The bus that it is on, as it was set up.
        primary: facts.address.bus(),
        secondary: buses.secondary,
        subordinate: buses.subordinate,
        io: told(0),
        memory: told(1),
        prefetchable: told(2),
    })
}

fn window(window: &PciWindow) -> Window {
    Window { start: Hex::number(window.start), end: Hex::number(window.end) }
}
