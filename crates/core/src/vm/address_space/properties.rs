//! What holds of every placement, whatever the devices are.

use proptest::prelude::*;

use super::tree::chipset;
use super::*;
use crate::pci::BarKind;
use crate::vm::{MachineType, MemorySize};

fn bars() -> impl Strategy<Value = Vec<BarRequest>> {
    let one = (0u8..4, any::<bool>(), 0u32..30).prop_map(|(kind, prefetchable, scale)| match kind {
        0 => (BarKind::Io, false, 1u64 << (2 + scale % 7)),
        1 => (BarKind::Memory32, prefetchable, 1 << (7 + scale % 22)),
        _ => (BarKind::Memory64, prefetchable, 1 << (7 + scale)),
    });
    let rom = proptest::option::of(11u32..20);
    (proptest::collection::vec(one, 0..3), rom).prop_map(|(list, rom)| {
        let rows = (0u8..).step_by(2).zip(list);
        let bars =
            rows.filter_map(|(index, (kind, pref, size))| BarRequest::new(index, kind, pref, size).ok());
        let rom = rom
            .and_then(|shift| BarRequest::new(crate::pci::ROM_INDEX, BarKind::Rom, false, 1 << shift).ok());
        bars.chain(rom).collect()
    })
}

fn devices() -> impl Strategy<Value = Vec<DeviceBars>> {
    devices_in(0..7)
}

fn some_devices() -> impl Strategy<Value = Vec<DeviceBars>> {
    devices_in(1..7)
}

fn devices_in(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<DeviceBars>> {
    proptest::collection::vec((bars(), any::<bool>()), count).prop_map(|list| {
        let rows = (0u8..).zip(list);
        let device = |(number, (bars, usb_controller))| {
            PciAddress::new(0, 1, number, 0)
                .map(|address| DeviceBars { address, slot: None, bars, usb_controller })
                .expect("address")
        };
        rows.map(device).collect()
    })
}

fn machines() -> impl Strategy<Value = GuestMachine> {
    let placers = prop_oneof![
        Just(Placer::SeaBios(SeaBiosVersion(1, 16, 2))),
        Just(Placer::SeaBios(SeaBiosVersion(1, 16, 3))),
        Just(Placer::SeaBios(SeaBiosVersion(1, 17, 0))),
        Just(Placer::Ovmf(Edk2Release(202_211))),
        Just(Placer::Ovmf(Edk2Release(202_305))),
        Just(Placer::Hvmloader(XenVersion(4, 17))),
        Just(Placer::Hvmloader(XenVersion(4, 20))),
    ];
    let bits = prop_oneof![Just(36u8), Just(39), Just(40), Just(46), Just(48)];
    (placers, any::<bool>(), 64u32..20_000, proptest::option::of((any::<bool>(), bits))).prop_map(
        |(placer, q35, mib, phys)| GuestMachine {
            machine: if q35 && !matches!(placer, Placer::Hvmloader(_)) {
                MachineType::Q35
            } else {
                MachineType::Pc
            },
            placer,
            memory: MemorySize::from_mib(mib).expect("memory"),
            phys_bits: phys.and_then(|(amd, bits)| {
                PhysBits::new(if amd { CpuVendor::Amd } else { CpuVendor::Intel }, bits)
            }),
            tuning: Tuning::default(),
        },
    )
}

fn leaves(placement: &Placement) -> Vec<Placed> {
    placement.map.iter().filter(|placed| matches!(placed.part, Part::Bar(_))).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_overlaps_and_everything_is_aligned(machine in machines(), devices in devices()) {
        let placement = AddressSpace::plan(&machine, &devices);
        let ram = machine.ram();
        let placed = leaves(&placement);
        for bar in &placed {
            prop_assert_eq!(bar.start % bar.size, 0, "{:x?}", bar);
            let end = bar.start + bar.size;
            let inside = match bar.window {
                Window::Io => end <= 0x1_0000 && (bar.start >= 0x1000 || bar.device == tree::SMBUS),
                Window::Below4G => bar.start >= ram.low_end && end <= 0xfec0_0000,
                Window::Above4G => bar.start >= ram.high_end,
            };
            prop_assert!(inside, "{:x?} with memory {:x?}", bar, ram);
        }
        for (index, one) in placed.iter().enumerate() {
            for other in placed.iter().skip(index + 1).filter(|other| (other.window == Window::Io) == (one.window == Window::Io)) {
                let apart = one.start + one.size <= other.start || other.start + other.size <= one.start;
                prop_assert!(apart, "{:x?} and {:x?}", one, other);
            }
        }
    }

    #[test]
    fn bars_behind_a_bridge_are_in_its_windows(machine in machines(), devices in devices()) {
        let placer = match machine.placer {
            Placer::Hvmloader(_) => Placer::SeaBios(SeaBiosVersion(1, 17, 0)),
            other => other,
        };
        let machine = GuestMachine { machine: MachineType::Q35, placer, ..machine };
        let (all, _) = tree::populate(&machine, &devices);
        let own = chipset(&machine).len();
        let mut root = chipset(&machine);
        for (number, function) in (0u8..).zip(all.into_iter().skip(own)) {
            let inner = Function { slot: crate::vm::GuestSlot::new(0, 0).expect("slot"), ..function };
            root.extend(tree::port((2 + number, 0), tree::Reserve::default(), vec![inner]));
        }
        let placement = AddressSpace::lay_out(&machine, &root);
        let windows: Vec<&Placed> = placement.map.iter().filter(|p| matches!(p.part, Part::Window(_))).collect();
        for bar in leaves(&placement).iter().filter(|bar| matches!(bar.device, Owner::Host(_))) {
            let around = |w: &&&Placed| {
                (w.window == Window::Io) == (bar.window == Window::Io)
                    && w.start <= bar.start
                    && bar.start + bar.size <= w.start + w.size
            };
            prop_assert_eq!(windows.iter().filter(around).count(), 1, "{:x?} in {:x?}", bar, windows);
        }
    }

    #[test]
    fn each_bar_is_either_placed_or_not(machine in machines(), devices in devices()) {
        let placement = AddressSpace::plan(&machine, &devices);
        prop_assert_eq!(&placement, &AddressSpace::plan(&machine, &devices));
        let rom_is_read_only_once = matches!(machine.placer, Placer::Ovmf(_));
        for device in &devices {
            for bar in &device.bars {
                let key = (Owner::Host(device.address), Part::Bar(bar.index()));
                let placed = placement.map.iter().filter(|p| (p.device, p.part) == key).count();
                let left = |u: &&Unplaced| (u.device, u.bar) == (device.address, bar.index());
                let unplaced = placement.unplaced.iter().filter(left).count();
                let rom = rom_is_read_only_once && bar.kind() == BarKind::Rom;
                prop_assert!(placed + unplaced == 1 || (rom && placed == 0), "{:?} {:?}", key, placement);
            }
        }
    }

    #[test]
    fn one_device_less_never_makes_another_unplaceable(machine in machines(), devices in some_devices(), which in 0usize..7) {
        let before = AddressSpace::plan(&machine, &devices);
        let mut fewer = devices.clone();
        let gone = fewer.remove(which % devices.len()).address;
        let after = AddressSpace::plan(&machine, &fewer);
        // SeaBIOS from 1.16.3 counts down from the end of the address space and aligns upwards after that, so that fewer
        // bytes can end up beyond the end. That is how it is; everything else it keeps to.
        let blind = |bar: &&Unplaced| {
            let seabios = matches!(machine.placer, Placer::SeaBios(_));
            seabios && matches!(bar.why, Why::BeyondPhysBits { .. } | Why::HyperTransport { .. })
        };
        for bar in after.unplaced.iter().filter(|bar| !blind(bar)) {
            let was = before.unplaced.iter().any(|b| (b.device, b.bar) == (bar.device, bar.bar));
            prop_assert!(was, "without {} {:?} is unplaced; before {:x?}; after {:x?}", gone, bar, before, after);
        }
    }

    #[test]
    fn advice_that_is_given_helps(machine in machines(), devices in devices()) {
        let placement = AddressSpace::plan(&machine, &devices);
        prop_assert!(placement.advice.is_empty() || !placement.unplaced.is_empty());
        for change in &placement.advice {
            if let Change::Without(gone) = change {
                let rest: Vec<DeviceBars> = devices.iter().filter(|d| !gone.contains(&d.address)).cloned().collect();
                prop_assert!(AddressSpace::plan(&machine, &rest).unplaced.is_empty());
            }
            if let Change::Memory(memory) = change {
                let changed = GuestMachine { memory: *memory, ..machine };
                prop_assert!(AddressSpace::plan(&changed, &devices).unplaced.is_empty());
            }
        }
    }
}
