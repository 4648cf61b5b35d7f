//! Xen's hvmloader: all computed, none run.

use super::*;

#[test]
fn xen_hvm() {
    let xen = |name, placers: &[Placer], mib, size, expected| Vector {
        name,
        proof: Computed,
        machine: Pc,
        placers: placers.to_vec(),
        mib,
        cpu: "i46",
        devices: row(4, vec![("GPU", gpu(size))]),
        expected,
    };
    let rest = |high| {
        vec![
            bar("GPU", 0, high),
            bar("Xen platform device", 1, 0xf000_0000),
            bar("VGA", 0, 0xf100_0000),
            bar("GPU", 6, 0xf200_0000),
            bar("VGA", 6, 0xf202_0000),
            bar("GPU", 2, 0xf203_0000),
            bar("VGA", 2, 0xf204_0000),
            bar("Xen platform device", 0, 0xc000),
            bar("GPU", 4, 0xc100),
            bar("IDE", 4, 0xc200),
        ]
    };
    let platform = |start| vec![bar("GPU", 0, 0x2_0000_0000), bar("Xen platform device", 1, start)];
    let older = [Placer::Hvmloader(XenVersion(4, 17))];
    check(&[
        xen("T16", XEN, 2048, 256 * MIB, rest(0xe000_0000)),
        xen("T16", XEN, 3500, 256 * MIB, rest(0xe000_0000)),
        xen("T17", XEN, 4096, 256 * MIB, rest(0x1_1000_0000)),
        xen("T17", XEN, 3700, 256 * MIB, rest(0x1_0000_0000)),
        xen("T19", &older, 2048, 8 * GIB, platform(0x8000_0000)),
        xen("T19", XEN, 2048, 8 * GIB, platform(0xf000_0000)),
    ]);
}

#[test]
fn xen_hvm_with_its_hole_set() {
    // T18, computed.
    let expected =
        [bar("GPU", 0, 0xc000_0000), bar("Xen platform device", 1, 0xd000_0000), bar("GPU", 6, 0xd200_0000)];
    for placer in XEN {
        let mut machine = guest(Pc, *placer, 8192, "i46");
        machine.tuning.mmio_hole = Some(GIB);
        check_on(&machine, "T18", Computed, &row(4, vec![("GPU", gpu(256 * MIB))]), &expected);
    }
}

#[test]
fn memory_of_xen_s_limit_is_the_least_change() {
    // Computed: a 32-bit BAR of 256 MiB beside the emulated VGA card fits up to 3584 MiB of memory, or with `mmio_hole`.
    let device = DeviceBars {
        address: PciAddress::new(0, 1, 0, 0).expect("address"),
        slot: Some(GuestSlot::new(4, 0).expect("slot")),
        bars: vec![BarRequest::new(0, Memory32, true, 256 * MIB).expect("bar")],
        usb_controller: false,
    };
    let placement = AddressSpace::plan(&guest(Pc, XEN[0], 4096, "i46"), &[device]);
    assert_eq!(placement.unplaced.first().map(|bar| bar.why), Some(Why::LeftOut));
    let memory = Change::Memory(MemorySize::from_mib(3584).expect("memory"));
    assert_eq!(placement.advice, [memory, Change::MmioHole(512 * MIB)]);
}
