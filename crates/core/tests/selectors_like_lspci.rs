//! Patterns of places and ids mean what they mean to lspci: generated ones, also nonsense, over a generated host, asked of
//! both. Without lspci this does nothing, except on CI (`CI` set), where its absence is an error.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use slotwise_core::pci::{ClassCode, IdPattern, PciAddress, PciId, SlotPattern};

/// Functions in places and with ids that patterns can tell apart, or just not.
const FUNCTIONS: &[(&str, u16, u16, u32)] = &[
    ("0000:00:00.0", 0x8086, 0x1237, 0x06_0000),
    ("0000:00:01.0", 0x8086, 0x7000, 0x06_0100),
    ("0000:00:1f.2", 0x8086, 0x2922, 0x01_0601),
    ("0000:00:1f.7", 0x8086, 0x2930, 0x0c_0500),
    ("0000:01:00.0", 0x10de, 0x1401, 0x03_0000),
    ("0000:01:00.1", 0x10de, 0x0fba, 0x04_0300),
    ("0000:05:04.0", 0x9004, 0x5078, 0x01_0000),
    ("0000:10:01.1", 0x1af4, 0x1041, 0x02_0000),
    ("0000:ff:1f.6", 0x1af4, 0x1001, 0x0c_0330),
    ("0001:00:00.0", 0x1234, 0x1111, 0x03_0080),
    ("0010:01:10.3", 0x1022, 0x1022, 0x01_0802),
    ("00ff:05:04.0", 0xffff, 0x0000, 0xff_0000),
];

/// The host as a dump that lspci reads: `lspci -x` of each function's header.
fn dump() -> String {
    let mut text = String::new();
    for (address, vendor, device, class) in FUNCTIONS {
        let mut header = [0u8; 64];
        header[0..2].copy_from_slice(&vendor.to_le_bytes());
        header[2..4].copy_from_slice(&device.to_le_bytes());
        header[9..12].copy_from_slice(&class.to_le_bytes()[..3]);
        let _ = writeln!(text, "{address} generated");
        for (row, bytes) in header.chunks(16).enumerate() {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(text, "{:02x}: {}", row * 16, hex.join(" "));
        }
        text.push('\n');
    }
    text
}

/// What lspci selects; none if it refuses the pattern.
fn lspci(file: &std::path::Path, option: &str, pattern: &str) -> Option<BTreeSet<String>> {
    let output = Command::new("lspci").args(["-D", "-n", "-F"]).arg(file).arg(option).arg(pattern).output();
    let output = output.expect("lspci runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let addresses = text.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
    output.status.success().then_some(addresses)
}

/// What we select; none if we refuse the pattern.
fn ours(option: &str, pattern: &str) -> Option<BTreeSet<String>> {
    let address = |text: &str| text.parse::<PciAddress>().expect("an address");
    let selected: Vec<&str> = if option == "-s" {
        let pattern: SlotPattern = pattern.parse().ok()?;
        FUNCTIONS.iter().map(|function| function.0).filter(|at| pattern.matches(address(at))).collect()
    } else {
        let pattern: IdPattern = pattern.parse().ok()?;
        let matches = |(_, vendor, device, class): &(&str, u16, u16, u32)| {
            let id = PciId { vendor: *vendor, device: *device };
            pattern.matches(Some(id), Some(ClassCode::from_bits(*class)))
        };
        FUNCTIONS.iter().filter(|function| matches(function)).map(|function| function.0).collect()
    };
    Some(selected.into_iter().map(|at| address(at).to_string()).collect())
}

/// A part of a pattern: nothing, anything, a number that is there, that is not, that is too large, that is none.
fn part() -> impl Strategy<Value = String> {
    let known = [
        "",
        "",
        "*",
        "0",
        "00",
        "0000",
        "1",
        "01",
        "05",
        "5",
        "10",
        "ff",
        "FF",
        "1f",
        "4",
        "04",
        "2",
        "7",
        "8",
        "20",
        "100",
        "ffff",
        "10000",
        "7fffffff",
        "80000000",
        "8086",
        "1AF4",
        "10de",
        "9004",
        "5078",
        "06xx",
        "0x00",
        "x",
        "0c03",
        "c03",
        "30",
        "zz",
        "-1",
        "+1",
        " 1",
        "1 ",
        "0000000000001",
    ];
    prop::sample::select(known.to_vec()).prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    let joint = prop::sample::select(vec![":", ":", ":", "."]);
    (part(), prop::collection::vec((joint, part()), 0..5))
        .prop_map(|(first, rest)| rest.into_iter().fold(first, |text, (joint, part)| text + joint + &part))
}

#[test]
fn generated_patterns_select_what_lspci_selects() {
    if Command::new("lspci").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "lspci is not installed");
        eprintln!("skipped: lspci is not installed");
        return;
    }
    let folder = std::env::temp_dir().join(format!("slotwise-selectors-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("host.dump");
    std::fs::write(&file, dump()).expect("written");
    let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
    let result = runner.run(&(prop::sample::select(vec!["-s", "-d"]), pattern()), |(option, pattern)| {
        prop_assert_eq!(ours(option, &pattern), lspci(&file, option, &pattern), "{} {:?}", option, pattern);
        Ok(())
    });
    std::fs::remove_dir_all(&folder).expect("removed");
    result.unwrap_or_else(|difference| panic!("{difference}"));
}
