//! Xen's hvmloader: `tools/firmware/hvmloader/pci.c: pci_setup`, Xen 4.5 to 4.22 under libxl with QEMU (memory is not
//! moved). One bus, no bridges; reserved regions of the host (RMRR) in the hole are not looked at here.

use super::arith::{GIB, align_up};
use super::machine::FOUR_GIB;
use super::tree::Function;
use super::{BarRequest, GuestMachine, Owner, Part, Placed, Placement, Unplaced, Why, Window, XenVersion};

/// Where the hole begins unless something is too large for it (`HVM_BELOW_4G_MMIO_START`).
pub(super) const HOLE_START: u64 = 0xf000_0000;
/// Where it ends (`PCI_MEM_END`).
const HOLE_END: u64 = 0xfc00_0000;
/// The wider starts that are tried: each is the last one doubled, in 32 bits.
const WIDER: [u64; 3] = [0xe000_0000, 0xc000_0000, 0x8000_0000];

/// Addresses for everything on the root bus. What does not fit is left out, the rest goes on.
pub(super) fn place(machine: &GuestMachine, version: XenVersion, root: &[Function]) -> Placement {
    let mut functions: Vec<&Function> = root.iter().collect();
    functions.sort_by_key(|function| function.slot);
    let mut bars: Vec<(Owner, BarRequest)> =
        functions.iter().flat_map(|f| f.bars.iter().map(|bar| (f.owner, *bar))).collect();
    bars.sort_by_key(|(_, bar)| std::cmp::Reverse(bar.size()));
    let always_high = |bar: BarRequest| version >= XenVersion(4, 19) && bar.is_64() && bar.size() > GIB;
    let counted = |bar: BarRequest| !bar.is_io() && !always_high(bar);
    let mut total =
        bars.iter().filter(|(_, bar)| counted(*bar)).map(|(_, bar)| bar.size()).fold(0, u64::saturating_add);

    let mut low = hole_start(machine, total);
    let relocate = total > HOLE_END - low || bars.iter().any(|(_, bar)| always_high(*bar));
    let mut high = machine.ram().high_end.max(FOUR_GIB);
    let high_end = machine.phys_bits.map_or(u64::MAX, super::machine::PhysBits::end);
    let mut io: u64 = 0xc000;
    let mut placement = Placement::default();
    for (device, bar) in bars {
        let goes_high = bar.is_64() && relocate && (total > HOLE_END.saturating_sub(low) || always_high(bar));
        if counted(bar) {
            total = total.saturating_sub(bar.size());
        }
        let (next, end, window) = match (bar.is_io(), goes_high) {
            (true, _) => (&mut io, 0x1_0000, Window::Io),
            (_, true) => (&mut high, high_end, Window::Above4G),
            _ => (&mut low, HOLE_END, Window::Below4G),
        };
        let (start, size) = (align_up(*next, bar.size()), bar.size());
        match start.checked_add(size).filter(|after| *after <= end) {
            Some(after) => {
                *next = after;
                placement.map.push(Placed { device, part: Part::Bar(bar.index()), start, size, window });
            }
            None => {
                let Owner::Host(device) = device else { continue };
                placement.unplaced.push(Unplaced { device, bar: bar.index(), size, why: Why::LeftOut });
            }
        }
    }
    placement
}

fn hole_start(machine: &GuestMachine, total: u64) -> u64 {
    if let Some(hole) = machine.tuning.mmio_hole {
        return FOUR_GIB.saturating_sub(hole).min(HOLE_START);
    }
    let mut start = HOLE_START;
    for wider in WIDER {
        if total <= HOLE_END - start || wider < machine.ram().low_end {
            break;
        }
        start = wider;
    }
    start
}
