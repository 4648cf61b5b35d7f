//! SeaBIOS 1.16.2 to 1.17.0, and the reserve of ports under both firmwares.

use super::*;

#[test]
fn seabios_on_pc() {
    let pc = |name, placers: &[Placer], mib, cpu, devices, expected| Vector {
        name,
        proof: Seen,
        machine: Pc,
        placers: placers.to_vec(),
        mib,
        cpu,
        devices: row(2, devices),
        expected,
    };
    check(&[
        pc(
            "T1",
            BOTH,
            2048,
            "i40",
            vec![("T", t(64 * MIB))],
            vec![bar("T", 2, 0xf800_0000), bar("T", 0, 0xfebf_f000), bar("T", 1, 0xc000)],
        ),
        pc(
            "T2",
            BOTH,
            2048,
            "i40",
            vec![("T", t(256 * MIB)), ("E", e()), ("R", r())],
            vec![
                bar("T", 2, 0xe000_0000),
                bar("E", 0, 0xfea0_0000),
                bar("R", 6, 0xfeb0_0000),
                bar("T", 0, 0xfeb4_0000),
                bar("R", 1, 0xfeb4_1000),
            ],
        ),
        pc(
            "T3",
            BOTH,
            3500,
            "i40",
            vec![("T", t(256 * MIB)), ("E", e())],
            vec![bar("T", 2, 0xe000_0000), bar("E", 0, 0xfea0_0000)],
        ),
        pc(
            "T4",
            BOTH,
            3500,
            "i40",
            vec![("T", t(512 * MIB))],
            vec![bar("T", 2, 0x1_0000_0000), bar("T", 0, 0xfebf_f000)],
        ),
        pc(
            "T5",
            &[SB2, SB3],
            4096,
            "i40",
            vec![("T", t(256 * MIB)), ("E", e())],
            vec![bar("T", 2, 0xe000_0000)],
        ),
        pc(
            "T6",
            &[SB17],
            4096,
            "i40",
            vec![("T", t(256 * MIB)), ("E", e())],
            vec![bar("T", 2, 0x1_4000_0000), bar("E", 0, 0xfea0_0000)],
        ),
        pc(
            "T7",
            BOTH,
            2048,
            "i40",
            vec![("T", t(GIB)), ("E", e())],
            vec![bar("T", 2, 0x8000_0000), bar("E", 0, 0xfea0_0000)],
        ),
        pc(
            "T8",
            BOTH,
            2048,
            "i40",
            vec![("a", t(512 * MIB)), ("b", t(512 * MIB)), ("c", t(512 * MIB)), ("d", t(512 * MIB))],
            vec![
                bar("a", 2, 0x1_0000_0000),
                bar("b", 2, 0x1_2000_0000),
                bar("c", 2, 0x1_4000_0000),
                bar("d", 2, 0x1_6000_0000),
            ],
        ),
        pc("T13", &[SB17], 8192, "a40", vec![("T", t(256 * MIB))], vec![bar("T", 2, 0xc0_0000_0000)]),
    ]);
}

#[test]
fn usb_controllers_stay_low_under_seabios() {
    // T9, seen.
    let mut devices = row(2, vec![("T", t(GIB)), ("E", e()), ("N", n()), ("xHCI", n())]);
    devices[3].class = Class::Usb;
    let expected = [
        bar("N", 0, 0x1_4000_0000),
        bar("T", 2, 0x1_8000_0000),
        bar("E", 0, 0xfea0_0000),
        bar("xHCI", 0, 0xfeb0_0000),
    ];
    for placer in BOTH {
        check_on(&guest(Pc, *placer, 4096, "i40"), "T9", Seen, &devices, &expected);
    }
}

#[test]
fn seabios_places_blindly_into_the_range_of_hypertransport() {
    // T8 with an AMD processor, seen: 0xff00000000 and up, which AMD processors keep for themselves.
    let device = |number: u8| DeviceBars {
        address: PciAddress::new(0, 1, number, 0).expect("address"),
        slot: None,
        bars: t(512 * MIB)
            .into_iter()
            .map(|(i, k, p, s)| BarRequest::new(i, k, p, s).expect("bar"))
            .collect(),
        usb_controller: false,
    };
    let devices: Vec<DeviceBars> = (0..4).map(device).collect();
    let placement = AddressSpace::plan(&guest(Pc, SB17, 2048, "a40"), &devices);
    assert_eq!(placement.unplaced.len(), 4);
    assert_eq!(placement.unplaced[0].why, Why::HyperTransport { start: 0xff_0000_0000 });
}

#[test]
fn what_must_be_low_and_does_not_fit_stops_seabios() {
    // T10, seen: `out of 32bit address space`.
    for placer in BOTH {
        let device = DeviceBars {
            address: PciAddress::new(0, 1, 0, 0).expect("address"),
            slot: None,
            bars: v(512 * MIB)
                .into_iter()
                .map(|(i, k, p, s)| BarRequest::new(i, k, p, s).expect("bar"))
                .collect(),
            usb_controller: false,
        };
        let placement = AddressSpace::plan(&guest(Pc, *placer, 3500, "i40"), &[device]);
        assert_eq!(placement.map, []);
        assert!(matches!(placement.unplaced[..], [first, _, _] if matches!(first.why, Why::LowFull { .. })));
        assert!(!placement.advice.is_empty());
    }
}

#[test]
fn seabios_on_q35() {
    let one = || vec![rp(vec![at("T", (0, 0), &t(256 * MIB))])];
    let prefetchable = Part::Window(Space::Prefetchable);
    let asks = Reserve { prefetchable64: Some(4 * GIB), ..Reserve::default() };
    check(&[
        q35("T11", Seen, &[SB2], (8192, "i46"), one(), vec![bar("T", 2, 0xe000_0000)]),
        q35("T12", Seen, &[SB3], (8192, "i46"), one(), vec![bar("T", 2, 0x3800_0000_0000)]),
        q35("T12", Seen, &[SB17], (8192, "i46"), one(), vec![bar("T", 2, 0xe00_0000_0000)]),
        q35("T12", Seen, &[SB17], (8192, "i39"), one(), vec![bar("T", 2, 0x70_0000_0000)]),
        q35(
            "T14",
            Seen,
            &[SB2],
            (4096, "i40"),
            mixed(),
            vec![bar("T", 2, 0xd000_0000), bar("V", 0, 0xe000_0000)],
        ),
        q35(
            "T14",
            Seen,
            &[SB17],
            (4096, "i40"),
            mixed(),
            vec![bar("T", 2, 0xd000_0000), bar("V", 0, 0xe000_0000)],
        ),
        q35(
            "T15",
            Seen,
            BOTH,
            (2048, "i40"),
            vec![port((3, 0), asks, Vec::new()).expect("port")],
            vec![("root port", prefetchable, 0x1_0000_0000)],
        ),
    ]);
}

#[test]
fn windows_for_hot_plug_have_the_sizes_of_their_release() {
    // T12 and T15, seen: 32 GiB with 1.16.3, 8 GiB with 1.17.0, 4 GiB where the port asks for it. An empty port gets no I/O
    // from SeaBIOS, 4 KiB from this OVMF.
    let sizes = |placer, mib, cpu, port: Function| {
        let machine = guest(Q35, placer, mib, cpu);
        let mut root = chipset(&machine);
        root.push(port);
        let map = AddressSpace::lay_out(&machine, &root).map;
        let of = |space| map.iter().find(|p| p.part == Part::Window(space)).map(|p| p.size);
        (of(Space::Prefetchable), of(Space::Io))
    };
    let behind = || rp(vec![at("T", (0, 0), &t(256 * MIB))]);
    assert_eq!(sizes(SB3, 8192, "i46", behind()), (Some(32 * GIB), Some(4096)));
    assert_eq!(sizes(SB17, 8192, "i46", behind()), (Some(8 * GIB), Some(4096)));
    let asks = Reserve { prefetchable64: Some(4 * GIB), ..Reserve::default() };
    let asking = port((3, 0), asks, Vec::new()).expect("port");
    assert_eq!(sizes(SB17, 2048, "i40", asking), (Some(4 * GIB), None));
    assert_eq!(sizes(OVMF[0], 2700, "a40", rp(Vec::new())), (Some(512 * MIB), Some(4096)));
}

#[test]
fn equal_windows_lie_with_the_highest_bus_lowest_under_seabios() {
    // T25, seen.
    let names = ["1", "2", "3", "4", "5", "6"];
    let ports = (3..).zip(names).map(|(slot, name)| {
        let card = at(name, (0, 0), &t(256 * MIB));
        port((slot, 0), Reserve::default(), vec![card]).expect("port")
    });
    let expected =
        [bar("6", 2, 0x1_0000_0000), bar("1", 2, 0x1_5000_0000), bar("6", 1, 0x1000), bar("1", 1, 0x6000)];
    let ports: Vec<Function> = ports.collect();
    for placer in BOTH {
        check_on(&guest(Q35, *placer, 2048, "i40"), "T25", Seen, &ports, &expected);
    }
}

#[test]
fn fifteen_ports_with_io_are_one_too_many_under_seabios() {
    // Seen: 14 ports with a device that has I/O boot, 15 do not.
    let ports = |count: u8| -> Vec<Function> {
        let card = || at("T", (0, 0), &t(MIB));
        (0..count).map(|n| port((3 + n, 0), Reserve::default(), vec![card()]).expect("port")).collect()
    };
    let outcome = |count| {
        let machine = guest(Q35, SB2, 2048, "i40");
        let mut root = chipset(&machine);
        root.extend(ports(count));
        AddressSpace::lay_out(&machine, &root).map.is_empty()
    };
    assert_eq!((outcome(14), outcome(15)), (false, true));
}

#[test]
fn a_scsi_card_and_a_network_card_behind_a_bridge() {
    // The worked example for SeaBIOS, seen.
    let scsi = [(0, Io, false, 256), (1, Memory32, false, 1024), (2, Memory32, false, 8192)];
    let devices = [conventional(vec![at("SCSI", (4, 0), &scsi), at("NIC", (0xa, 0), &r())])];
    let expected = [
        bar("NIC", 6, 0xfe40_0000),
        bar("SCSI", 2, 0xfe44_0000),
        bar("SCSI", 1, 0xfe44_2000),
        bar("NIC", 1, 0xfe44_3000),
        bar("bridge", 0, 0xfe60_0000),
        bar("root port", 0, 0xfe80_0000),
        bar("AHCI", 5, 0xfe80_1000),
        bar("SCSI", 0, 0xc000),
        bar("NIC", 0, 0xc100),
        bar("SMBus", 4, 0x700),
        bar("AHCI", 4, 0xd040),
    ];
    check_on(&guest(Q35, SB2, 2048, "i40"), "example", Seen, &devices, &expected);
}
