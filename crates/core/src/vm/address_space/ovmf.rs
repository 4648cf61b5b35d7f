//! OVMF, built for x64: apertures from `OvmfPkg/Library/PlatformInitLib` (`Platform.c: PlatformMemMapInitialization`,
//! `MemDetect.c`), allocation by `MdeModulePkg/Bus/Pci/PciBusDxe` (`PciResourceSupport.c`, `PciLib.c`), hot-plug reserve by
//! `OvmfPkg/PciHotPlugInitDxe`. Releases from edk2-stable202211; earlier ones have the classic 64-bit aperture only.
//!
//! Resizable BARs are not shrunk here, and `GuestPhysBits` (from 202408) is not told apart from other bits.

use super::arith::{GIB, MIB, align_down, align_up, floor_power_of_two};
use super::machine::{FOUR_GIB, HYPERTRANSPORT};
use super::tree::{Bridge, BridgeKind, Function, Space};
use super::{
    BarRequest, Edk2Release, GuestMachine, Owner, Part, Placed, Placement, Why, Window, memory_window,
};
use crate::pci::{BarKind, ROM_INDEX};
use crate::vm::MachineType;

const PAGE: u64 = 4096;
const BRIDGE_MEMORY: u64 = MIB;
const BRIDGE_IO: u64 = 4096;
/// Ports kept for hot-plug behind a bridge that does not say how many.
const HOTPLUG_IO: u64 = 512;
/// Deepest chain of bridges that is followed.
const MAX_DEPTH: usize = 256;
const CLASSIC_SIZE: u64 = 32 * GIB;

/// A range of addresses: first, and first after it.
#[derive(Clone, Copy, Debug)]
struct Aperture {
    start: u64,
    end: u64,
}

impl Aperture {
    const fn size(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What a BAR, window or reserve needs.
#[derive(Clone, Debug)]
struct Node {
    /// None for a hot-plug reserve and for the room in which option ROMs are read.
    named: Option<(Owner, Part)>,
    reserve: bool,
    length: u64,
    align: u64,
    /// From the start of the list's window.
    offset: u64,
    children: Vec<Node>,
}

impl Node {
    const fn unnamed(length: u64, align: u64, reserve: bool) -> Self {
        Self { named: None, reserve, length, align, offset: 0, children: Vec::new() }
    }
}

/// Largest alignment first; among equals the later found, unless its length is an odder one.
fn insert(list: &mut Vec<Node>, node: Node) {
    let passes = |other: &Node| {
        let rest = |node: &Node| node.length & (node.align - 1);
        let odder = rest(&node) != 0 && rest(&node) < rest(other);
        node.align < other.align || (node.align == other.align && odder)
    };
    let at = list.iter().take_while(|other| passes(other)).count();
    list.insert(at, node);
}

/// One list joins another; equals turn round.
fn merge(into: &mut Vec<Node>, from: &mut Vec<Node>) {
    std::mem::take(from).into_iter().for_each(|node| insert(into, node));
}

#[derive(Debug, Default)]
struct Lists {
    io: Vec<Node>,
    memory32: Vec<Node>,
    prefetchable32: Vec<Node>,
    memory64: Vec<Node>,
    prefetchable64: Vec<Node>,
}

/// Lengths of the reserve of a port that takes hot-plug.
#[derive(Clone, Copy, Debug)]
struct Padding {
    io: u64,
    prefetchable: u64,
}

/// Addresses for everything on the root bus and behind it.
pub(super) fn place(
    machine: &GuestMachine,
    release: Edk2Release,
    root: &[Function],
) -> Result<Placement, Why> {
    let high = aperture64(machine, release);
    let padding = Padding {
        io: if release < Edk2Release(202_308) { HOTPLUG_IO } else { 0 },
        prefetchable: if high.size() > CLASSIC_SIZE { floor_power_of_two(high.size() / 256) } else { 0 },
    };
    let mut lists = collect(root, padding, MAX_DEPTH);
    let Lists { io, memory32, prefetchable32, memory64, prefetchable64 } = &mut lists;
    merge(memory32, prefetchable32);
    merge(memory64, prefetchable64);
    if let Some(rom) = largest_rom(root, MAX_DEPTH) {
        // Room for option ROMs is asked for before anything else, so it comes last among equals
        // (`PciLib.c: PciHostBridgeResourceAllocator`).
        let at = memory32.iter().take_while(|node| node.align >= rom).count();
        memory32.insert(at, Node::unnamed(rom, rom, false));
    }
    let mut placement = Placement::default();
    let (io_length, io_align) = aperture(io, BRIDGE_IO);
    let io_start = match machine.machine {
        MachineType::Pc => 0xc000,
        MachineType::Q35 => 0x6000,
    };
    let io_base = align_up(io_start, io_align);
    if io_base + io_length > 0x1_0000 {
        return Err(Why::IoFull);
    }
    assign(&mut placement, io, io_base, Some(Window::Io));
    memory(&mut placement, machine, release, [memory32, memory64], high)?;
    Ok(placement)
}

/// Places the two memory blocks, each at the lowest aligned address of its aperture. A 64-bit block that does not fit above
/// 4 GiB is tried below.
fn memory(
    placement: &mut Placement,
    machine: &GuestMachine,
    release: Edk2Release,
    [memory32, memory64]: [&mut Vec<Node>; 2],
    high: Aperture,
) -> Result<(), Why> {
    let low = aperture32(machine, release);
    let (length64, align64) = aperture(memory64, BRIDGE_MEMORY);
    let (length32, align32) = aperture(memory32, BRIDGE_MEMORY);
    let mut blocks = vec![(&*memory32, length32, align32)];
    let base64 = align_up(high.start, align64);
    if base64.saturating_add(length64) <= high.end {
        assign(placement, memory64, base64, None);
    } else {
        blocks.push((&*memory64, length64, align64));
        blocks.sort_by_key(|(_, _, align)| std::cmp::Reverse(*align));
    }
    let mut at = low.start;
    let both = blocks.len() > 1;
    for (nodes, length, align) in blocks {
        let base = align_up(at, align);
        at = base.saturating_add(length);
        if at > low.end {
            return Err(if both {
                Why::HighFull { needed: length64, room: high.size() }
            } else {
                Why::LowFull { needed: length32, room: low.size() }
            });
        }
        assign(placement, nodes, base, None);
    }
    Ok(())
}

/// The hole below 4 GiB.
fn aperture32(machine: &GuestMachine, release: Edk2Release) -> Aperture {
    let uncached = FOUR_GIB - floor_power_of_two(FOUR_GIB - machine.ram().low_end);
    match machine.machine {
        MachineType::Pc => Aperture { start: uncached, end: 0xfc00_0000 },
        MachineType::Q35 if release < Edk2Release(202_305) => {
            Aperture { start: 0xc000_0000, end: 0xfc00_0000 }
        }
        // The memory-mapped configuration space is at e0000000 from 202305.
        MachineType::Q35 => Aperture { start: uncached, end: 0xe000_0000 },
    }
}

/// The 64-bit aperture: a fixed size above memory, or the top eighth of the address space where its size is believed.
fn aperture64(machine: &GuestMachine, release: Edk2Release) -> Aperture {
    let wish = machine.tuning.aperture64;
    let overrules = release >= Edk2Release(202_505) && wish.is_some();
    let classic_size = wish.unwrap_or(CLASSIC_SIZE).min(16 << 40);
    let memory_end = align_up(machine.ram().high_end, GIB);
    let classic_start = align_up(memory_end, floor_power_of_two(classic_size));
    let classic = Aperture { start: classic_start, end: classic_start.saturating_add(classic_size) };
    let most: u64 = if release >= Edk2Release(202_308) { 1 << 46 } else { 1 << 47 };
    let end = match machine.believed_end() {
        Some(end) if release >= Edk2Release(202_211) && !overrules => end.min(most),
        _ => return classic,
    };
    let size = end >> 3;
    let mut start = end - size;
    if release >= Edk2Release(202_302)
        && machine.reserves_hypertransport()
        && start <= HYPERTRANSPORT.1
        && end > HYPERTRANSPORT.0
    {
        start = align_down(HYPERTRANSPORT.0 - size, size);
    }
    let larger = wish.map_or(size > classic_size, |wish| size > wish);
    if larger && start >= classic.end.max(memory_end) {
        Aperture { start, end: start + size }
    } else {
        classic
    }
}

/// What a bus needs: BARs in the order of slots, windows of its bridges among them.
fn collect(functions: &[Function], padding: Padding, depth: usize) -> Lists {
    let mut lists = Lists::default();
    if depth == 0 {
        return lists;
    }
    let mut sorted: Vec<&Function> = functions.iter().collect();
    sorted.sort_by_key(|function| function.slot);
    for function in sorted {
        for bar in function.bars.iter().filter(|bar| bar.index() != ROM_INDEX) {
            insert(list_of(&mut lists, *bar), bar_node(function, *bar));
        }
        if let Some(bridge) = &function.bridge {
            let behind = collect(&bridge.behind, padding, depth - 1);
            windows(&mut lists, function, bridge, behind, padding);
        }
    }
    lists
}

fn list_of(lists: &mut Lists, bar: BarRequest) -> &mut Vec<Node> {
    match (bar.kind(), bar.prefetchable()) {
        (BarKind::Io, _) => &mut lists.io,
        (BarKind::Memory64, true) => &mut lists.prefetchable64,
        (BarKind::Memory64, false) => &mut lists.memory64,
        (_, true) => &mut lists.prefetchable32,
        _ => &mut lists.memory32,
    }
}

fn bar_node(function: &Function, bar: BarRequest) -> Node {
    let align = if bar.is_io() { bar.size() } else { bar.size().max(PAGE) };
    let named = Some((function.owner, Part::Bar(bar.index())));
    Node { named, ..Node::unnamed(bar.size(), align, false) }
}

/// The windows of a bridge, into the lists of the bus that it is on. A bridge has no window for 64-bit memory that is not
/// prefetchable, and one for prefetchable memory of either width.
fn windows(lists: &mut Lists, function: &Function, bridge: &Bridge, mut behind: Lists, padding: Padding) {
    pad(&mut behind, bridge, padding);
    merge(&mut behind.memory32, &mut behind.memory64);
    if !behind.prefetchable64.is_empty() {
        merge(&mut behind.memory32, &mut behind.prefetchable32);
    }
    let rows = [
        (&mut lists.io, behind.io, Space::Io, BRIDGE_IO),
        (&mut lists.memory32, behind.memory32, Space::Memory, BRIDGE_MEMORY),
        (&mut lists.prefetchable32, behind.prefetchable32, Space::Prefetchable, BRIDGE_MEMORY),
        (&mut lists.prefetchable64, behind.prefetchable64, Space::Prefetchable, BRIDGE_MEMORY),
    ];
    for (list, mut children, space, granularity) in rows {
        let (length, align) = aperture(&mut children, granularity);
        if length > 0 {
            let named = Some((function.owner, Part::Window(space)));
            insert(list, Node { named, children, ..Node::unnamed(length, align, false) });
        }
    }
}

/// Adds the hot-plug reserve: what the bridge asks for, rounded up to a power of two, else the default.
fn pad(behind: &mut Lists, bridge: &Bridge, padding: Padding) {
    let reserve = &bridge.reserve;
    let rounded = |hint: Option<u64>, default: u64| {
        hint.map_or(default, |size| if size == 0 { 0 } else { size.min(1 << 48).next_power_of_two() })
    };
    let io = match bridge.kind {
        BridgeKind::RootPort => rounded(reserve.io, padding.io),
        BridgeKind::Conventional => padding.io,
    };
    let (wide, narrow) = match reserve.prefetchable32 {
        Some(size) => (0, rounded(Some(size), 0)),
        None => (rounded(reserve.prefetchable64, padding.prefetchable), 0),
    };
    let rows = [
        (&mut behind.io, io),
        (&mut behind.memory32, rounded(reserve.memory, 2 * MIB)),
        (&mut behind.prefetchable32, narrow),
        (&mut behind.prefetchable64, wide),
    ];
    for (list, size) in rows.into_iter().filter(|(_, size)| *size > 0) {
        insert(list, Node::unnamed(size, size, true));
    }
}

/// Sets the offsets of a list and gives the length and alignment of the window around it.
fn aperture(list: &mut [Node], granularity: u64) -> (u64, u64) {
    let (mut used, mut reserved) = (0, 0);
    for node in list.iter_mut() {
        let cursor = if node.reserve { &mut reserved } else { &mut used };
        node.offset = align_up(*cursor, node.align);
        *cursor = node.offset.saturating_add(node.length);
    }
    // Ports that are kept are not rounded up, though a window has no end but at a multiple of its granularity: what comes
    // next may lie in the window (`PciResourceSupport.c: CalculateApertureIo16`).
    let reserved = if granularity == BRIDGE_IO { reserved } else { align_up(reserved, granularity) };
    let length = align_up(used, granularity).max(reserved);
    let align = list.first().map_or(granularity, |node| node.align.max(granularity));
    (length, align)
}

fn assign(placement: &mut Placement, nodes: &[Node], base: u64, window: Option<Window>) {
    for node in nodes {
        let start = base.saturating_add(node.offset);
        if let Some((device, part)) = node.named {
            let window = window.unwrap_or_else(|| memory_window(start));
            let size =
                if part == Part::Window(Space::Io) { align_up(node.length, BRIDGE_IO) } else { node.length };
            placement.map.push(Placed { device, part, start, size, window });
        }
        assign(placement, &node.children, start, window);
    }
}

/// Size of the largest option ROM anywhere: room is kept for one at a time.
fn largest_rom(functions: &[Function], depth: usize) -> Option<u64> {
    let of = |function: &Function| {
        let own =
            function.bars.iter().filter(|bar| bar.index() == ROM_INDEX).map(|bar| bar.size().max(PAGE)).max();
        let behind = function.bridge.as_ref().filter(|_| depth > 0);
        own.max(behind.and_then(|bridge| largest_rom(&bridge.behind, depth - 1)))
    };
    functions.iter().filter_map(of).max()
}
