//! OVMF edk2-stable202211 and later.

use super::*;

#[test]
fn ovmf_on_pc() {
    let pc = |name, proof, placers: &[Placer], (mib, cpu), devices, expected| Vector {
        name,
        proof,
        machine: Pc,
        placers: placers.to_vec(),
        mib,
        cpu,
        devices: row(2, devices),
        expected,
    };
    let t20 = || vec![("T", t(256 * MIB)), ("E", e())];
    check(&[
        pc(
            "T20",
            Seen,
            OVMF,
            (3500, "a40"),
            t20(),
            vec![bar("T", 2, 0xe0_0000_0000), bar("E", 0, 0xe000_0000), bar("T", 0, 0xe010_0000)],
        ),
        pc("T20", Source, &ovmf_later(202_302), (3500, "a40"), t20(), vec![bar("T", 2, 0xc0_0000_0000)]),
        pc(
            "T21",
            Seen,
            OVMF,
            (2048, "i40"),
            vec![("T", t(256 * MIB))],
            vec![bar("T", 2, 0x8_0000_0000), bar("T", 0, 0x8000_0000)],
        ),
        pc(
            "example",
            Seen,
            OVMF,
            (2048, "a40"),
            vec![("T", t(256 * MIB)), ("E", e()), ("R", r()), ("N", n())],
            vec![
                bar("E", 0, 0x8000_0000),
                bar("R", 1, 0x8014_0000),
                bar("T", 0, 0x8014_1000),
                bar("T", 2, 0xe0_0000_0000),
                bar("N", 0, 0xe0_1000_0000),
                bar("R", 0, 0xc000),
                bar("T", 1, 0xc100),
                bar("IDE", 4, 0xc200),
            ],
        ),
    ]);
}

#[test]
fn ovmf_on_q35() {
    let one = || vec![rp(vec![at("T", (0, 0), &t(256 * MIB))])];
    let low = vec![
        bar("T", 0, 0xc000_0000),
        bar("AHCI", 5, 0xc020_0000),
        bar("root port", 0, 0xc020_1000),
        bar("T", 1, 0x6000),
    ];
    let with = |mut list: Vec<Expected>, one| {
        list.push(one);
        list
    };
    check(&[
        q35("T22", Seen, OVMF, (2700, "a40"), one(), with(low.clone(), bar("T", 2, 0xe0_0000_0000))),
        q35(
            "T22",
            Source,
            &ovmf_later(202_305),
            (2700, "a40"),
            one(),
            with(low, bar("T", 2, 0xc0_0000_0000)),
        ),
        q35(
            "T23",
            Seen,
            OVMF,
            (4096, "a40"),
            mixed(),
            vec![
                bar("T", 2, 0xe0_0000_0000),
                bar("V", 0, 0xc000_0000),
                bar("V", 2, 0xc100_0000),
                bar("T", 0, 0xc100_1000),
            ],
        ),
        q35(
            "T23",
            Source,
            &ovmf_later(202_305),
            (4096, "a40"),
            mixed(),
            vec![bar("V", 0, 0x8000_0000), bar("T", 0, 0x8100_1000), bar("T", 2, 0xc0_0000_0000)],
        ),
    ]);
}

#[test]
fn ovmf_keeps_what_ports_ask_for() {
    // T24, seen. Both ports are called `root port`, so their windows are looked up by address.
    let asks = Reserve { memory: Some(64 * MIB), io: Some(0), ..Reserve::default() };
    let machine = guest(Q35, OVMF[0], 2048, "a40");
    let mut root = chipset(&machine);
    root.push(rp(vec![at("N", (0, 0), &n())]));
    root.push(port((4, 0), asks, Vec::new()).expect("port"));
    let map = AddressSpace::lay_out(&machine, &root).map;
    let of = |part| -> Vec<(u64, u64)> {
        map.iter()
            .filter(|p| p.part == part && p.device != Owner::Guest("AHCI"))
            .map(|p| (p.start, p.size))
            .collect()
    };
    assert_eq!(of(Part::Window(Space::Memory)), [(0xc000_0000, 64 * MIB), (0xc400_0000, 2 * MIB)]);
    assert_eq!(
        of(Part::Window(Space::Prefetchable)),
        [(0xe0_0000_0000, 512 * MIB), (0xe0_2000_0000, 512 * MIB)]
    );
    assert!(map.iter().any(|p| p.device == Owner::Guest("N") && p.start == 0xc400_0000));
    assert_eq!(buses(&root).len(), 3);
}

#[test]
fn a_set_aperture_of_ovmf_is_honoured() {
    // Seen with 202211: 256 GiB set, at 0x4000000000.
    let mut machine = guest(Pc, OVMF[0], 2048, "a40");
    machine.tuning.aperture64 = Some(256 * GIB);
    check_on(&machine, "X-PciMmio64Mb", Seen, &row(2, vec![("T", t(GIB))]), &[bar("T", 2, 0x40_0000_0000)]);
}

#[test]
fn an_overflow_leaves_ovmf_with_nothing() {
    // Seen with 202211: four 32-bit BARs of 512 MiB on pc with 2 GiB; one of 256 GiB in an aperture of 128 GiB.
    let address = PciAddress::new(0, 1, 0, 0).expect("address");
    let one = |kind, size| DeviceBars {
        address,
        slot: None,
        bars: vec![BarRequest::new(0, kind, true, size).expect("bar")],
        usb_controller: false,
    };
    let machine = guest(Pc, OVMF[0], 2048, "a40");
    let four = vec![one(Memory32, 512 * MIB); 4];
    let wide = [one(Memory64, 256 * GIB)];
    for devices in [&four[..], &wide[..]] {
        let placement = AddressSpace::plan(&machine, devices);
        assert_eq!((placement.map.len(), placement.unplaced.len()), (0, devices.len()));
    }
    let advice = AddressSpace::plan(&machine, &wide).advice;
    assert!(advice.contains(&Change::Aperture64(256 * GIB)), "{advice:?}");
}

#[test]
fn ports_kept_for_hot_plug_end_within_the_window() {
    // Seen with 202211: behind two empty ports come the chipset's own, in the window of the second.
    let machine = guest(Q35, OVMF[0], 2048, "i36");
    let empty = |slot| port((slot, 0), Reserve::default(), Vec::new()).expect("port");
    let expected = [
        ("root port", Part::Window(Space::Io), 0x6000),
        bar("SMBus", 4, 0x7200),
        bar("AHCI", 4, 0x7240),
        bar("AHCI", 5, 0xc040_0000),
    ];
    check_on(&machine, "empty ports", Seen, &[empty(2), empty(4)], &expected);
}

#[test]
fn the_room_for_option_roms_comes_last_among_equals() {
    // The order was seen with 202211, in a larger machine: a BAR of 128 KiB lies before the room for ROMs of 128 KiB.
    let machine = guest(Pc, OVMF[0], 2048, "i39");
    let card = vec![(0, Memory32, false, 128 << 10), (6, Rom, false, 128 << 10)];
    let edu = vec![(0, Memory32, false, MIB)];
    let expected = [bar("edu", 0, 0x8000_0000), bar("card", 0, 0x8010_0000)];
    check_on(&machine, "ROM", Source, &row(2, vec![("card", card), ("edu", edu)]), &expected);
}
