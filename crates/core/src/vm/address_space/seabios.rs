//! SeaBIOS: `src/fw/pciinit.c`, releases up to 1.17.0.
//!
//! Two lists, prefetchable and not, packed downwards from the IOAPIC. If they do not fit, all 64-bit entries move above
//! 4 GiB together; from 1.16.3 they do so wherever the guest is taken to be a modern one (here "padding").

use super::arith::{GIB, MIB, align_down, align_up};
use super::machine::{FOUR_GIB, HYPERTRANSPORT};
use super::tree::{Bridge, BridgeKind, Bus, Class, Function, SMBUS, Space, buses};
use super::{BarRequest, GuestMachine, Part, Placed, Placement, SeaBiosVersion, Why, Window, memory_window};
use crate::vm::MachineType;

/// End of the hole below 4 GiB: the IOAPIC (`BUILD_PCIMEM_END`).
const LOW_END: u64 = 0xfec0_0000;
/// End of q35's memory-mapped configuration space, where the hole begins.
const Q35_LOW_START: u64 = 0xc000_0000;
/// Where the SMBus controller's ports are in the end, 0x100 above the power management's; the place that they had is left
/// empty (`ich9_smbus_setup`, `acpi_pm_base`).
const SMBUS_BASE: u64 = 0x700;
const PAGE: u64 = 4096;
const BRIDGE_MEMORY: u64 = 2 * MIB;
const BRIDGE_IO: u64 = 4096;

/// Release that learnt to reserve more for hot-plug and to place at the end of the address space.
const PADDING: SeaBiosVersion = SeaBiosVersion(1, 16, 3);
/// Release that corrected it.
const CORRECTED: SeaBiosVersion = SeaBiosVersion(1, 17, 0);

#[derive(Clone, Copy, Debug)]
struct Entry<'f> {
    function: &'f Function,
    part: Part,
    /// The bus behind, for a window.
    behind: Option<usize>,
    bar: Option<BarRequest>,
    size: u64,
    align: u64,
    is64: bool,
}

type List<'f> = Vec<Entry<'f>>;

#[derive(Clone, Debug, Default)]
struct Lists<'f> {
    io: List<'f>,
    memory: List<'f>,
    prefetchable: List<'f>,
}

impl<'f> Lists<'f> {
    fn of(&mut self, space: Space) -> &mut List<'f> {
        match space {
            Space::Io => &mut self.io,
            Space::Memory => &mut self.memory,
            Space::Prefetchable => &mut self.prefetchable,
        }
    }
}

/// Largest alignment, then largest size first; among equals the first found.
fn insert<'f>(list: &mut List<'f>, entry: Entry<'f>) {
    let at = list.partition_point(|other| (other.align, other.size) >= (entry.align, entry.size));
    list.insert(at, entry);
}

fn sum(list: &List<'_>) -> u64 {
    list.iter().map(|entry| entry.size).fold(0, u64::saturating_add)
}

fn align(list: &List<'_>) -> u64 {
    list.first().map_or(1, |entry| entry.align)
}

/// What the release does for this machine.
#[derive(Clone, Copy, Debug)]
struct Policy {
    version: SeaBiosVersion,
    /// End of the address space, where it is known.
    top: Option<u64>,
    padding: bool,
}

impl Policy {
    fn new(machine: &GuestMachine, version: SeaBiosVersion) -> Self {
        let high_memory = machine.ram().above_4g();
        let believed = machine.believed_end().filter(|_| version >= PADDING);
        // 1.17.0 keeps to 44 bits for guests with fewer than 1 TiB above 4 GiB: some cannot map more.
        let huge = machine.ram().high_end - FOUR_GIB >= 1 << 40;
        let cap = match (version >= CORRECTED, huge) {
            (true, true) => u64::MAX,
            (true, false) => 1 << 44,
            (false, _) => 1 << 46,
        };
        let top = believed.map(|end| end.min(cap));
        let padding = high_memory && (version >= CORRECTED || (version >= PADDING && top.is_some()));
        Self { version, top, padding }
    }
}

/// Addresses for everything on the root bus and behind it.
pub(super) fn place(
    machine: &GuestMachine,
    version: SeaBiosVersion,
    root: &[Function],
) -> Result<Placement, Why> {
    let policy = Policy::new(machine, version);
    let buses = buses(root);
    let mut lists: Vec<Lists<'_>> = buses.iter().map(own_bars).collect();
    for (number, bus) in buses.iter().enumerate().rev() {
        let Some((above, function, bridge)) = bus.above else { continue };
        let windows = [Space::Io, Space::Memory, Space::Prefetchable].map(|space| {
            let children = lists.get_mut(number).map(|own| own.of(space).clone()).unwrap_or_default();
            (space, window(&children, space, function, bridge, policy))
        });
        for (space, entry) in windows {
            let (Some(entry), Some(parent)) = (entry, lists.get_mut(above)) else { continue };
            insert(parent.of(space), Entry { behind: Some(number), ..entry });
        }
    }
    let Some(root_lists) = lists.first_mut() else { return Ok(Placement::default()) };
    let mut assigned = Assigned::default();
    let io = io_base(machine, sum(&root_lists.io)).ok_or(Why::IoFull)?;
    assigned.list(&std::mem::take(&mut root_lists.io), io);
    let limit = low_start(machine);
    let mut bases = low_bases(root_lists, limit);
    if policy.padding || bases.is_none() {
        let memory = take_64(&mut root_lists.memory);
        let prefetchable = take_64(&mut root_lists.prefetchable);
        bases = low_bases(root_lists, limit);
        let base = high_base(machine, policy, &memory, &prefetchable);
        let next = align_up(base.saturating_add(sum(&memory)), align(&prefetchable).max(GIB));
        assigned.list(&memory, base);
        assigned.list(&prefetchable, next);
    }
    let needed = sum(&root_lists.memory).saturating_add(sum(&root_lists.prefetchable));
    let (memory, prefetchable) = bases.ok_or(Why::LowFull { needed, room: LOW_END.saturating_sub(limit) })?;
    assigned.list(&std::mem::take(&mut root_lists.memory), memory);
    assigned.list(&std::mem::take(&mut root_lists.prefetchable), prefetchable);
    Ok(assigned.behind(&mut lists))
}

/// BARs and option ROMs of a bus. A ROM counts as memory that is not prefetchable, of 32 bits.
fn own_bars<'f>(bus: &Bus<'f>) -> Lists<'f> {
    let mut lists = Lists::default();
    for function in &bus.functions {
        for bar in &function.bars {
            let space = match (bar.is_io(), bar.prefetchable()) {
                (true, _) => Space::Io,
                (_, true) => Space::Prefetchable,
                _ => Space::Memory,
            };
            let size = if bar.is_io() { bar.size() } else { bar.size().max(PAGE) };
            let part = Part::Bar(bar.index());
            let entry =
                Entry { function, part, behind: None, bar: Some(*bar), size, align: size, is64: bar.is_64() };
            insert(lists.of(space), entry);
        }
    }
    lists
}

/// The window that a bridge needs for its children, or asks for.
fn window<'f>(
    children: &List<'f>,
    space: Space,
    function: &'f Function,
    bridge: &Bridge,
    policy: Policy,
) -> Option<Entry<'f>> {
    if space == Space::Io && bridge.reserve.io == Some(0) {
        return None;
    }
    let is64 = space == Space::Prefetchable && children.iter().all(|child| child.is64);
    let mut align = align(children).max(if space == Space::Io { BRIDGE_IO } else { BRIDGE_MEMORY });
    if let Some(top) = policy.top.filter(|_| policy.padding && is64) {
        let padded = top >> 11;
        align = if policy.version >= CORRECTED { align.max(padded) } else { padded };
    }
    let mut total = sum(children);
    let express_io = space == Space::Io && bridge.kind == BridgeKind::RootPort;
    let short = if policy.version >= PADDING { total < align } else { total == 0 };
    if short && !express_io {
        total = align;
    }
    let reserve = &bridge.reserve;
    let hint = match space {
        Space::Io => reserve.io,
        Space::Memory => reserve.memory,
        Space::Prefetchable => reserve.prefetchable64.or(reserve.prefetchable32),
    };
    let size = match hint.filter(|hint| *hint > total) {
        Some(hint) if space == Space::Io => hint,
        Some(hint) => align_up(hint, align),
        None => align_up(total, align),
    };
    let part = Part::Window(space);
    (size > 0).then_some(Entry { function, part, behind: None, bar: None, size, align, is64 })
}

fn io_base(machine: &GuestMachine, needed: u64) -> Option<u64> {
    let limit = match machine.machine {
        MachineType::Pc => 0xa000,
        MachineType::Q35 => 0x1_0000,
    };
    match needed {
        0..0x4000 => Some(0xc000),
        _ if needed < limit - 0x1000 => Some(0x1000),
        _ => None,
    }
}

fn low_start(machine: &GuestMachine) -> u64 {
    let end = machine.ram().low_end;
    match machine.machine {
        MachineType::Q35 => Q35_LOW_START,
        MachineType::Pc if end <= 2 * GIB => 2 * GIB,
        MachineType::Pc if end <= 3 * GIB => 3 * GIB,
        MachineType::Pc => end,
    }
}

/// Where the two lists begin below 4 GiB, memory first: the one with the larger alignment lies below the other.
fn low_bases(lists: &Lists<'_>, limit: u64) -> Option<(u64, u64)> {
    let swap = align(&lists.memory) < align(&lists.prefetchable);
    let (upper, lower) =
        if swap { (&lists.memory, &lists.prefetchable) } else { (&lists.prefetchable, &lists.memory) };
    let top = align_down(LOW_END.checked_sub(sum(upper))?, align(upper));
    let bottom = align_down(top.checked_sub(sum(lower))?, align(lower));
    if bottom < limit {
        return None;
    }
    Some(if swap { (top, bottom) } else { (bottom, top) })
}

/// Takes the 64-bit entries out, except those of USB controllers.
fn take_64<'f>(list: &mut List<'f>) -> List<'f> {
    let (high, low) = list.iter().partition(|entry| entry.is64 && entry.function.class != Class::Usb);
    *list = low;
    high
}

fn high_base(machine: &GuestMachine, policy: Policy, memory: &List<'_>, prefetchable: &List<'_>) -> u64 {
    let mut base = machine.ram().high_end;
    if let Some(top) = policy.top {
        let size = align_up(sum(memory), GIB).saturating_add(align_up(sum(prefetchable), GIB));
        let size = if policy.padding { align_up(size, top >> 3) } else { size };
        if base < top.saturating_sub(size) {
            base = top.saturating_sub(size);
        }
        let hit = base <= HYPERTRANSPORT.1 && base.saturating_add(size) > HYPERTRANSPORT.0;
        if machine.reserves_hypertransport() && hit {
            // Once, and what is there is not looked at again.
            base = base.saturating_sub(size);
        }
    }
    align_up(base, align(memory).max(GIB))
}

#[derive(Debug, Default)]
struct Assigned {
    placed: Vec<Placed>,
    /// Start of the children's lists, by bus and space.
    starts: Vec<(usize, Space, u64)>,
}

impl Assigned {
    /// Gives a list its addresses, upwards in its order.
    fn list(&mut self, list: &List<'_>, base: u64) {
        let mut at = base;
        for entry in list {
            let io = match (entry.bar, entry.part) {
                (Some(bar), _) => bar.is_io(),
                (None, part) => part == Part::Window(Space::Io),
            };
            let window = if io { Window::Io } else { memory_window(at) };
            let size = entry.bar.map_or(entry.size, BarRequest::size);
            self.placed.push(Placed {
                device: entry.function.owner,
                part: entry.part,
                start: at,
                size,
                window,
            });
            if let (Some(bus), Part::Window(space)) = (entry.behind, entry.part) {
                self.starts.push((bus, space, at));
            }
            at = at.saturating_add(entry.size);
        }
    }

    /// Gives the lists of all buses behind bridges theirs. Numbers of buses grow downwards, so each start is there in time.
    fn behind(mut self, lists: &mut [Lists<'_>]) -> Placement {
        for (number, own) in lists.iter_mut().enumerate().skip(1) {
            let starts: Vec<_> = self.starts.iter().filter(|(bus, _, _)| *bus == number).copied().collect();
            for (_, space, start) in starts {
                let list = std::mem::take(own.of(space));
                self.list(&list, start);
            }
        }
        for placed in self.placed.iter_mut().filter(|placed| placed.device == SMBUS) {
            placed.start = SMBUS_BASE;
        }
        Placement { map: self.placed, ..Placement::default() }
    }
}
