//! Whatever text is given, the readers of texts answer.

use proptest::prelude::*;
use slotwise_core::facts::kernel_log::from_log;
use slotwise_core::facts::{from_groups, from_udevadm, recognise};

/// Pieces that lead into the parsers, and others.
const PIECES: &[&str] = &[
    "pci 0000:00:1c.0: ",
    "[8086:244e] type 01 class 0x060400",
    "PCI bridge to [bus ",
    "05-06]",
    "  bridge window [mem 0x",
    "BAR 0 ",
    "[mem 0xffffffffffffffff-0x0 64bit pref]",
    "reg 0x10: ",
    "[io  0x1-0x2]",
    "DMAR: RMRR base: 0x",
    "ffff end: 0x1",
    "\n",
    "Setting identity map for device 0000:00:1f.0 [0x0 - 0xff",
    "Adding to iommu group ",
    "99999999999999",
    "IOMMU Group 1",
    ":",
    " ",
    "\t",
    "iommu_groups/",
    "3/devices/",
    "00:1f.0",
    "P: /devices/pci0000:00/0000:00:1c.0\n",
    "E: SUBSYSTEM=pci\n",
    "E: PCI_ID=1:2\n",
    "<6>",
    "[    0.1] ",
    "Jan  1 00:00:00 h kernel: ",
    "é",
    "IVMD_TYPE_ALL devid_start: x devid_end: y range_start: 1 range_end: 0",
    ">",
    "\r",
];

proptest! {
    #[test]
    fn pieces_in_any_order_are_answered(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
        let text = pieces.concat();
        let _ = (from_log(&text, "x"), from_groups(&text, "x"), from_udevadm(&text, "x"), recognise(text.as_bytes()));
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = (from_log(&text, "x"), from_groups(&text, "x"), from_udevadm(&text, "x"), recognise(&bytes));
    }
}
