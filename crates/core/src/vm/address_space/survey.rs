//! One map out of several: what holds whichever firmware release the guest has, and what depends on it.
//!
//! Before a VM runs, nobody has asked its firmware for its release, and the physical address bits may be unknown too. So the
//! machine is planned in each way that it may turn out, and only what all agree on is said.

use super::tree::{Function, fixed};
use super::{
    AddressSpace, Change, CpuVendor, DeviceBars, GuestMachine, Owner, Part, PhysBits, Placement, Placer,
    SeaBiosVersion, Tuning, Unplaced, Window, XenVersion,
};
use crate::pci::{BarKind, PciAddress};
use crate::vm::{BackendKind, GuestSlot, MachineType, MemorySize};

/// What the machine has of its own beside the chipset and its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Furniture {
    /// Nothing.
    Chipset,
    /// A virtio-serial controller for the agent, as our QEMU machines have.
    AgentChannel,
    /// Nobody knows what: windows can be told, addresses cannot.
    Unknown,
}

impl Furniture {
    /// Adds it to the root bus, in the first free place.
    pub(super) fn add(self, machine: &GuestMachine, functions: &mut Vec<Function>) {
        if self != Furniture::AgentChannel || matches!(machine.placer, Placer::Hvmloader(_)) {
            return;
        }
        let free = |slot: &GuestSlot| {
            machine.machine.occupant(*slot).is_none()
                && !functions.iter().any(|function| function.slot.device() == slot.device())
        };
        let slot = (0..32).filter_map(|number| GuestSlot::new(number, 0).ok()).find(free);
        // QEMU hw/virtio/virtio-pci.c: the legacy registers, the MSI-X table, and one BAR for the modern ones.
        let bars = [
            (0, BarKind::Io, false, 64),
            (1, BarKind::Memory32, false, 4096),
            (4, BarKind::Memory64, true, 16384),
        ];
        functions.extend(slot.and_then(|slot| fixed("agent channel", (slot.device(), 0), &bars)));
    }
}

/// Whether it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// In every way that the machine may turn out.
    Always,
    /// In some.
    Depends,
    /// In none.
    Never,
}

/// One BAR of a host function in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurveyRow {
    /// The function.
    pub device: PciAddress,
    /// 0 to 5, or [`crate::pci::ROM_INDEX`].
    pub bar: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// Size in bytes.
    pub size: u64,
    /// First address, where it is the same in all ways.
    pub start: Option<u64>,
    /// The window, where it is the same in all ways.
    pub window: Option<Window>,
}

/// What several plans of one machine agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Rows in the order of `devices` and their BARs.
    pub rows: Vec<SurveyRow>,
    /// Whether all fits.
    pub fit: Fit,
    /// The ways in which it does not, with what is left out and what helps.
    pub misfits: Vec<(Placer, Vec<Unplaced>, Vec<Change>)>,
}

/// Memory up to which a guest may well run on a processor with 39 physical address bits: what such processors take.
const SMALL_HOST: u64 = 128 << 30;

impl Survey {
    /// Plans the machine that `backend` makes, in each way that its firmware may turn out. QEMU and libvirt start SeaBIOS
    /// where nothing else is said; the releases stand for the three ways in which it places BARs.
    #[must_use]
    pub fn expected(
        backend: BackendKind,
        machine: MachineType,
        memory: MemorySize,
        devices: &[DeviceBars],
    ) -> Self {
        let guest = |machine, placer, phys_bits| GuestMachine {
            machine,
            placer,
            memory,
            phys_bits,
            tuning: Tuning::default(),
        };
        if backend == BackendKind::Xen {
            let releases = [XenVersion(4, 17), XenVersion(4, 19)].map(Placer::Hvmloader);
            let machines = releases.map(|placer| guest(MachineType::Pc, placer, None));
            return Self::of(&machines, devices, Furniture::Unknown);
        }
        let mut bits = vec![None, PhysBits::new(CpuVendor::Intel, 46), PhysBits::new(CpuVendor::Amd, 48)];
        if memory.bytes() <= SMALL_HOST {
            bits.push(PhysBits::new(CpuVendor::Intel, 39));
        }
        let releases =
            [(1, 16, 2), (1, 16, 3), (1, 17, 0)].map(|(a, b, c)| Placer::SeaBios(SeaBiosVersion(a, b, c)));
        let ways = releases.into_iter().flat_map(|placer| bits.iter().map(move |bits| (placer, *bits)));
        let machines: Vec<GuestMachine> = ways.map(|(placer, bits)| guest(machine, placer, bits)).collect();
        let ours = backend == BackendKind::Qemu;
        Self::of(&machines, devices, if ours { Furniture::AgentChannel } else { Furniture::Unknown })
    }

    /// Changes that help in every way in which it does not fit.
    #[must_use]
    pub fn advice(&self) -> Vec<Change> {
        let Some(((_, _, first), rest)) = self.misfits.split_first() else { return Vec::new() };
        let everywhere = |change: &&Change| rest.iter().all(|(_, _, advice)| advice.contains(change));
        first.iter().filter(everywhere).cloned().collect()
    }

    /// Plans each of `machines` with the same devices.
    #[must_use]
    pub fn of(machines: &[GuestMachine], devices: &[DeviceBars], furniture: Furniture) -> Self {
        let plans: Vec<(Placer, Placement)> = machines
            .iter()
            .map(|machine| (machine.placer, AddressSpace::plan_with(machine, devices, furniture)))
            .collect();
        let bars = devices.iter().flat_map(|device| device.bars.iter().map(|bar| (device.address, *bar)));
        let rows = bars.map(|(device, bar)| {
            let of = |plan: &Placement| {
                let key = (Owner::Host(device), Part::Bar(bar.index()));
                plan.map.iter().find(|p| (p.device, p.part) == key).map(|p| (p.start, p.window))
            };
            let found: Vec<Option<(u64, Window)>> = plans.iter().map(|(_, plan)| of(plan)).collect();
            let start = agreed(found.iter().map(|place| place.map(|(start, _)| start)));
            let window = agreed(found.iter().map(|place| place.map(|(_, window)| window)));
            let start = start.filter(|_| furniture != Furniture::Unknown);
            SurveyRow { device, bar: bar.index(), kind: bar.kind(), size: bar.size(), start, window }
        });
        let rows = rows.collect();
        let count = plans.len();
        let misfits: Vec<_> = plans
            .into_iter()
            .filter(|(_, plan)| !plan.unplaced.is_empty())
            .map(|(placer, plan)| (placer, plan.unplaced, plan.advice))
            .collect();
        let fit = match misfits.len() {
            0 => Fit::Always,
            some if some < count => Fit::Depends,
            _ => Fit::Never,
        };
        Self { rows, fit, misfits }
    }
}

fn agreed<T: PartialEq>(mut values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let first = values.next()??;
    values.all(|value| value.as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::address_space::BarRequest;

    fn survey(backend: BackendKind, memory: &str, kind: BarKind, size: u64) -> Survey {
        let device = DeviceBars {
            address: PciAddress::new(0, 1, 0, 0).expect("address"),
            slot: None,
            bars: vec![BarRequest::new(0, kind, true, size).expect("bar")],
            usb_controller: false,
        };
        Survey::expected(backend, MachineType::Pc, memory.parse().expect("memory"), &[device])
    }

    #[test]
    fn what_all_releases_agree_on_is_told() {
        let survey = survey(BackendKind::Qemu, "2G", BarKind::Memory64, 256 << 20);
        let row = survey.rows.first().map(|row| (row.start, row.window));
        assert_eq!((row, survey.fit), (Some((Some(0xe000_0000), Some(Window::Below4G))), Fit::Always));
    }

    #[test]
    fn what_depends_on_the_release_is_left_open() {
        // T5 and T6: 1.16.2 packs it low, 1.17.0 puts it high.
        let survey = survey(BackendKind::Qemu, "4G", BarKind::Memory64, 256 << 20);
        let row = survey.rows.first().map(|row| (row.start, row.window));
        assert_eq!((row, survey.fit), (Some((None, None)), Fit::Always));
    }

    #[test]
    fn an_unknown_machine_has_windows_but_no_addresses() {
        let survey = survey(BackendKind::Libvirt, "2G", BarKind::Memory64, 256 << 20);
        let row = survey.rows.first().map(|row| (row.start, row.window));
        assert_eq!(row, Some((None, Some(Window::Below4G))));
    }

    #[test]
    fn what_fits_nowhere_comes_with_what_helps_everywhere() {
        let survey = survey(BackendKind::Qemu, "3500M", BarKind::Memory32, 512 << 20);
        assert_eq!(survey.fit, Fit::Never);
        assert!(
            survey.advice().iter().any(|change| matches!(change, Change::Memory(_))),
            "{:?}",
            survey.advice()
        );
    }
}
