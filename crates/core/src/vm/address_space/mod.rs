//! Where the BARs of passed-through devices land in the guest's address space, and whether they fit.
//!
//! The addresses are not the monitor's choice but the guest firmware's: SeaBIOS, OVMF or Xen's hvmloader each have an
//! algorithm of their own, which is followed here as far as it decides over boot-time devices. What a guest's system does
//! afterwards (moving windows, placing hot-added devices) is not in here, nor are resizable BARs, extra root buses and
//! memory hot-plug. Sizes and addresses are in bytes.
//!
//! Sources: SeaBIOS `src/fw/pciinit.c` (1.16.2 to 1.17.0), edk2 `OvmfPkg/Library/PlatformInitLib`,
//! `MdeModulePkg/Bus/Pci/PciBusDxe` (202211 to 202505), Xen `tools/firmware/hvmloader/pci.c` (4.5 to 4.22), QEMU 7.2
//! `hw/i386`. Each test vector says whether it was seen on running firmware.

mod advice;
mod arith;
mod bars;
mod hvmloader;
mod machine;
mod ovmf;
mod seabios;
mod survey;
mod tree;

use std::fmt;

pub use advice::Change;
pub use bars::{BarRequest, BarRequestError, DeviceBars};
pub use machine::{
    CpuVendor, Edk2Release, GuestMachine, PhysBits, Placer, SeaBiosVersion, Tuning, XenVersion,
};
pub use survey::{Fit, Furniture, Survey, SurveyRow};
pub use tree::{Bridge, BridgeKind, Class, Function, Reserve, Space};

use crate::pci::PciAddress;
use machine::{FOUR_GIB, HYPERTRANSPORT};

/// Whose BAR it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A function of the host.
    Host(PciAddress),
    /// A device of the machine itself.
    Guest(&'static str),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Host(address) => write!(f, "{address}"),
            Owner::Guest(name) => f.write_str(name),
        }
    }
}

/// What of a function has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A BAR, 0 to 5, or the option ROM, [`crate::pci::ROM_INDEX`].
    Bar(u8),
    /// A window of a bridge.
    Window(Space),
}

/// In which part of the address space something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// I/O ports.
    Io,
    /// The hole below 4 GiB.
    Below4G,
    /// Above 4 GiB.
    Above4G,
}

impl Window {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Window::Io => "io",
            Window::Below4G => "32-bit",
            Window::Above4G => "64-bit",
        }
    }
}

/// A BAR or window with its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Whose.
    pub device: Owner,
    /// Which.
    pub part: Part,
    /// First address.
    pub start: u64,
    /// Size in bytes; a BAR's own, also where firmware keeps a whole page for it.
    pub size: u64,
    /// Where that is.
    pub window: Window,
}

/// A BAR that has no usable address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// Whose.
    pub device: PciAddress,
    /// 0 to 5, or [`crate::pci::ROM_INDEX`].
    pub bar: u8,
    /// Size in bytes.
    pub size: u64,
    /// Why.
    pub why: Why,
}

/// Why a BAR has no usable address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The root bus has no free slot.
    NoSlot,
    /// Firmware stops before it boots anything: I/O ports do not suffice.
    IoFull,
    /// Firmware stops before it boots anything: the hole below 4 GiB has `room` bytes, which do not take `needed`.
    LowFull {
        /// Bytes that have to be below 4 GiB, gaps for alignment not counted.
        needed: u64,
        /// Bytes there are.
        room: u64,
    },
    /// Firmware stops or programs nothing: the aperture above 4 GiB has `room` bytes, which do not take `needed`.
    HighFull {
        /// Bytes wanted above 4 GiB.
        needed: u64,
        /// Bytes there are.
        room: u64,
    },
    /// This BAR alone is left without address; the machine goes on.
    LeftOut,
    /// It is placed beyond what the processor can address.
    BeyondPhysBits {
        /// The address.
        start: u64,
    },
    /// It is placed in the range that AMD processors keep for HyperTransport.
    HyperTransport {
        /// The address.
        start: u64,
    },
    /// The machine does not start: memory and the hole above it pass the physical address bits.
    MachineTooLarge,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoSlot => f.write_str("the guest's root bus has no free slot"),
            Why::IoFull => f.write_str("the guest has too few I/O ports"),
            Why::LowFull { needed, room } => {
                write!(f, "{} must be below 4 GiB, where {} are free", Bytes(*needed), Bytes(*room))?;
                // What is free is not all of use: each BAR lies at a multiple of its size.
                if needed <= room { f.write_str(", but not at multiples of the sizes") } else { Ok(()) }
            }
            Why::HighFull { needed, room } => {
                write!(f, "{} are wanted above 4 GiB, where firmware takes {}", Bytes(*needed), Bytes(*room))
            }
            Why::LeftOut => f.write_str("firmware finds no room for it and leaves it without address"),
            Why::BeyondPhysBits { start } => {
                write!(f, "it would be at {start:#x}, beyond the processor's physical address bits")
            }
            Why::HyperTransport { start } => {
                write!(f, "it would be at {start:#x}, in the range that AMD processors reserve below 1 TiB")
            }
            Why::MachineTooLarge => {
                f.write_str("memory and the hole above it pass the processor's physical address bits")
            }
        }
    }
}

/// A size in the largest binary unit that keeps it whole.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 != 0 && self.0.trailing_zeros() >= *shift) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// The map of a guest's address space, as far as devices have a part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// BARs that have a usable address, and windows of bridges; by address within each part of the address space.
    pub map: Vec<Placed>,
    /// Host functions' BARs that have none.
    pub unplaced: Vec<Unplaced>,
    /// Single changes each of which makes everything fit, the least first; empty where everything fits.
    pub advice: Vec<Change>,
}

/// The planner of guest address spaces.
#[derive(Clone, Copy, Debug)]
pub struct AddressSpace;

impl AddressSpace {
    /// Where the BARs of `devices` land in a machine that has its chipset and empty hot-plug ports beside them.
    #[must_use]
    pub fn plan(machine: &GuestMachine, devices: &[DeviceBars]) -> Placement {
        Self::plan_with(machine, devices, Furniture::Chipset)
    }

    /// The same in a machine with other devices of its own.
    #[must_use]
    pub fn plan_with(machine: &GuestMachine, devices: &[DeviceBars], furniture: Furniture) -> Placement {
        let mut placement = fit(machine, devices, furniture);
        if !placement.unplaced.is_empty() {
            placement.advice = advice::advise(machine, devices, furniture, &placement.unplaced);
        }
        placement
    }

    /// The functions that the chipset brings along, as [`Self::lay_out`] wants them among the others.
    #[must_use]
    pub fn chipset(machine: &GuestMachine) -> Vec<Function> {
        tree::chipset(machine)
    }

    /// Where everything on the root bus `root`, chipset included, and behind its bridges lands: the firmware's algorithm, held
    /// against what the processor can address. Without advice.
    #[must_use]
    pub fn lay_out(machine: &GuestMachine, root: &[Function]) -> Placement {
        if machine.beyond_phys_bits() {
            return nothing(root, Why::MachineTooLarge);
        }
        let result = match machine.placer {
            Placer::SeaBios(version) => seabios::place(machine, version, root),
            Placer::Ovmf(release) => ovmf::place(machine, release, root),
            Placer::Hvmloader(version) => Ok(hvmloader::place(machine, version, root)),
        };
        match result {
            Ok(placement) => checked(machine, placement),
            Err(why) => nothing(root, why),
        }
    }
}

/// The map without advice.
fn fit(machine: &GuestMachine, devices: &[DeviceBars], furniture: Furniture) -> Placement {
    let (mut functions, homeless) = tree::populate(machine, devices);
    functions.extend(tree::hotplug_ports(machine));
    furniture.add(machine, &mut functions);
    let mut placement = AddressSpace::lay_out(machine, &functions);
    for device in homeless {
        placement.unplaced.extend(device.bars.iter().map(|bar| unplaced(device.address, *bar, Why::NoSlot)));
    }
    placement
}

/// The placement of a machine that does not get to booting: no host BAR has an address.
fn nothing(root: &[Function], why: Why) -> Placement {
    let mut placement = Placement::default();
    for bus in tree::buses(root) {
        for function in bus.functions {
            let Owner::Host(device) = function.owner else { continue };
            placement.unplaced.extend(function.bars.iter().map(|bar| unplaced(device, *bar, why)));
        }
    }
    placement
}

fn unplaced(device: PciAddress, bar: BarRequest, why: Why) -> Unplaced {
    Unplaced { device, bar: bar.index(), size: bar.size(), why }
}

/// Takes out of the map what no processor reaches.
fn checked(machine: &GuestMachine, mut placement: Placement) -> Placement {
    let reserved = machine.reserves_hypertransport();
    let end = machine.phys_bits.map_or(u64::MAX, machine::PhysBits::end);
    placement.map.sort_by_key(|placed| (placed.window, placed.start, placed.device, placed.part));
    let fault = |placed: &Placed| {
        let last = placed.start.saturating_add(placed.size.saturating_sub(1));
        let start = placed.start;
        if placed.window == Window::Io {
            None
        } else if last >= end {
            Some(Why::BeyondPhysBits { start })
        } else if reserved && start <= HYPERTRANSPORT.1 && last >= HYPERTRANSPORT.0 {
            Some(Why::HyperTransport { start })
        } else {
            None
        }
    };
    let bad: Vec<Unplaced> = placement
        .map
        .iter()
        .filter_map(|placed| match (placed.device, placed.part, fault(placed)) {
            (Owner::Host(device), Part::Bar(bar), Some(why)) => {
                Some(Unplaced { device, bar, size: placed.size, why })
            }
            _ => None,
        })
        .collect();
    placement.unplaced.extend(bad);
    // A window may pass the end by its reserve; what lies in its reachable part works.
    placement.map.retain(|placed| matches!(placed.part, Part::Window(_)) || fault(placed).is_none());
    placement
}

/// The window that a memory address is in.
const fn memory_window(start: u64) -> Window {
    if start < FOUR_GIB { Window::Below4G } else { Window::Above4G }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;
