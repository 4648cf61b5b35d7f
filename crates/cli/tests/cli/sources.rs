//! Texts as sources: what is unreadable in one is named, and the rest is used.

use crate::Desk;

/// What the program says of a text, in JSON.
fn inspect(text: &[u8]) -> serde_json::Value {
    let said = Desk::new().run_with(&["inspect", "--json", "--from", "-"], text);
    assert_eq!(said.status, Some(0), "{}", said.told());
    said.json()
}

fn addresses(host: &serde_json::Value) -> Vec<&str> {
    host["functions"].as_array().expect("functions").iter().filter_map(|f| f["address"].as_str()).collect()
}

fn faults(host: &serde_json::Value) -> String {
    host["faults"].to_string()
}

#[test]
fn damaged_group_listing_gives_its_sound_lines_and_names_the_others() {
    let host = inspect(
        b"IOMMU Group 1:\n\t00:01.0 PCI bridge [0604]: Intel [8086:1901]\nIOMMU Group x7:\n\
          \t00:zz.0 VGA [0300]: NVIDIA [10de:1401]\nIOMMU Group 2:\n\t01:00.0 VGA [0300]: NVIDIA [10de:14",
    );
    assert_eq!(host["source"]["kind"], "groups");
    assert!(
        addresses(&host).contains(&"0000:00:01.0") && addresses(&host).contains(&"0000:01:00.0"),
        "{host:#}"
    );
    assert!(faults(&host).contains("00:zz.0") || faults(&host).contains("line"), "{}", faults(&host));
}

#[test]
fn udev_database_that_is_cut_gives_what_came_before() {
    let host = inspect(
        b"P: /devices/pci0000:00/0000:00:1e.0\nE: SUBSYSTEM=pci\nE: PCI_ID=8086:244E\nE: PCI_CLASS=60400\n\
          E: PCI_SLOT_NAME=0000:00:1e.0\n\nP: /devices/pci0000:00/0000:00:1e.0/0000:05:04.0\nE: SUBSYSTEM=pci\n\
          E: PCI_ID=90x4:5078\nE: PCI_SLOT_NAME=0000:05:04.0\nE: DRIV",
    );
    assert_eq!(host["source"]["kind"], "udevadm");
    assert_eq!(addresses(&host), ["0000:00:1e.0", "0000:05:04.0"]);
    assert_eq!(host["functions"][0]["vendor"], "8086");
    assert!(host["functions"][1]["vendor"].is_null());
    assert!(faults(&host).contains("90x4:5078") || faults(&host).contains("PCI_ID"), "{}", faults(&host));
}

#[test]
fn damaged_dump_gives_its_sound_functions_and_names_the_rest() {
    let host = inspect(
        b"00:00.0 Host bridge: Intel\n00: 86 80 37 12 06 01 80 22 02 00 00 06 00 00 00 00\n\
          10: 00 00 00 0x 00 00\n\n00:02.0 VGA compatible controller: x\n00: 34 12 11 11\n",
    );
    assert_eq!(addresses(&host), ["0000:00:00.0", "0000:00:02.0"]);
    assert_eq!(host["functions"][0]["device"], "1237");
    let all = format!("{} {}", faults(&host), host["functions"][0]["faults"]);
    assert!(all.len() > "[] []".len(), "nothing is named: {host:#}");
}

/// One table with one RMRR (Intel VT-d 4.1 §8.1, §8.4), in the form of acpidump.
const ACPIDUMP: &str = "DMAR @ 0x00000000BF79E0C0
    0000: 44 4D 41 52 50 00 00 00 01 00 53 4C 4F 54 57 49  DMARP.....SLOTWI
    0010: 54 45 53 54 20 20 20 20 01 00 00 00 54 45 53 54  TEST    ....TEST
    0020: 01 00 00 00 26 01 00 00 00 00 00 00 00 00 00 00  ....&...........
    0030: 01 00 20 00 00 00 00 00 00 C0 7D BF 00 00 00 00  .. .......}.....
    0040: FF FF 7D BF 00 00 00 00 01 08 00 00 00 00 1D 00  ..}.............
";

#[test]
fn acpidump_is_a_source_and_joins_what_it_stands_beside() {
    let alone = inspect(ACPIDUMP.as_bytes());
    assert_eq!(alone["source"]["kind"], "acpi");
    assert_eq!(alone["iommu"]["vendor"], "intel");
    assert_eq!(alone["iommu"]["state"], "unknown");
    let log = "[    0.0] Linux version 6.1.0\n[    0.1] DMAR: IOMMU enabled\n\
               [    0.2] DMAR: RMRR base: 0x000000bf7dc000 end: 0x000000bf7dffff\n";
    let both = inspect(format!("{log}{ACPIDUMP}").as_bytes());
    assert_eq!(both["source"]["kind"], "log");
    for host in [&alone, &both] {
        let reserved = host["iommu"]["reserved"].as_array().expect("reserved");
        assert_eq!(reserved.len(), 1, "{reserved:#?}");
        assert_eq!(reserved[0]["start"], "0xbf7dc000");
        assert_eq!(reserved[0]["devices"][0], "0000:00:1d.0");
    }
}

/// The table in sysfs, and the same range among what the kernel reserved.
#[test]
fn range_that_table_and_kernel_name_is_told_once() {
    let desk = Desk::new();
    let row = |line: &str| -> Vec<u8> {
        let hex = line.split_once(": ").expect("a row").1.split("  ").next().expect("bytes");
        hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect()
    };
    let table: Vec<u8> = ACPIDUMP.lines().skip(1).flat_map(row).collect();
    desk.put("host/sys/firmware/acpi/tables/DMAR", table);
    let device = "host/sys/devices/pci0000:00/0000:00:1d.0";
    for (name, text) in [("vendor", "0x8086"), ("device", "0x2934"), ("class", "0x0c0300")] {
        desk.put(&format!("{device}/{name}"), text);
    }
    desk.put(
        "host/sys/kernel/iommu_groups/9/reserved_regions",
        "0x00000000bf7dc000 0x00000000bf7dffff direct-relaxable\n0x00000000fee00000 0x00000000feefffff msi\n",
    );
    let link = |target: &str, path: &str| {
        let path = desk.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::os::unix::fs::symlink(target, path).expect("linked");
    };
    link("../../../devices/pci0000:00/0000:00:1d.0", "host/sys/bus/pci/devices/0000:00:1d.0");
    link("../../../kernel/iommu_groups/9", &format!("{device}/iommu_group"));
    let said = desk.run(&["inspect", "--json", "--from", "host"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let json = said.json();
    let kinds: Vec<_> = json["iommu"]["reserved"]
        .as_array()
        .expect("reserved")
        .iter()
        .filter_map(|r| r["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["rmrr", "msi"], "{json:#}");
}
