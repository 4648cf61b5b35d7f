//! The suites `pci` and `net` on QEMU's devices in the debian-12 guest: needs QEMU, a Debian kernel and the static agent, so it
//! runs only where `SLOTWISE_GUEST=1` says that these are there.
//!
//! The agent is looked for where `SLOTWISE_AGENT` says, or where the release build puts it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use slotwise_rigs::behind::BehindRig;
use slotwise_testbench::guest::{GuestDefinition, PrepareConfig};
use slotwise_testbench::matrix::{Matrix, Outcome, Row, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::rig::{DeviceUnderTest, FunctionUnderTest, Peer, Serves};
use slotwise_testbench::suite::{Harm, Suite};
use slotwise_testbench::wire::Nexus;

fn prepare() -> PrepareConfig {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = temporary.join("../x86_64-unknown-linux-gnu/release/slotwise-agent");
    PrepareConfig {
        cache_dir: temporary.join("images"),
        agent: std::env::var_os("SLOTWISE_AGENT").map_or(built, PathBuf::from),
        boot_dir: "/boot".into(),
        modules_dir: "/lib/modules".into(),
        settings_dir: temporary.join("settings"),
    }
}

/// QEMU's host on a user network (`net/slirp.c`).
const PEER: Peer = Peer { own: Ipv4Addr::new(10, 0, 2, 15), peer: Ipv4Addr::new(10, 0, 2, 2) };
const ROOT_PORT: &str = "pcie-root-port,id=rp,chassis=1,slot=1";

/// A machine with PCI Express and these devices; of several machine types QEMU takes the last.
fn machine(devices: &[&str]) -> BehindRig {
    let mut all = vec!["-machine".to_owned(), "q35".to_owned()];
    for device in devices {
        let (option, value) = device.split_once(' ').unwrap_or(("-device", device));
        all.extend([option.to_owned(), value.to_owned()]);
    }
    BehindRig { devices: all, prepare: prepare() }
}

fn function(id: &str) -> DeviceUnderTest {
    DeviceUnderTest {
        name: id.to_owned(),
        nexus: Nexus { channel: Some(0), id: Some(2), lun: Some(0) },
        identity: None,
        harm_limit: Harm::None,
        function: FunctionUnderTest {
            id: Some(id.parse().unwrap()),
            serves: Serves::Anything,
            peer: Some(PEER),
        },
    }
}

fn run(rig: &mut BehindRig, device: DeviceUnderTest, suites: &[&str]) -> Run {
    let suites: Vec<Suite> = suites.iter().map(|id| Suite::builtin(id).unwrap()).collect();
    let (devices, guests) = ([device], [GuestDefinition::builtin("debian-12").unwrap()]);
    let run = run_matrix(&Matrix { suites: &suites, devices: &devices, guests: &guests }, rig, &mut |row| {
        println!("{} {} {:.1} s", row.outcome.name(), row.case, row.elapsed.as_secs_f64());
    });
    println!("{}", report::text(&run));
    run
}

fn cases(run: &Run, outcome: Outcome) -> Vec<&str> {
    run.rows.iter().filter(|row| row.outcome == outcome).map(|row| row.case.as_str()).collect()
}

fn is_on() -> bool {
    let on = std::env::var_os("SLOTWISE_GUEST").is_some();
    if !on {
        eprintln!("skipped: SLOTWISE_GUEST is not set");
    }
    on
}

/// Why cases were not carried out.
fn skipped(run: &Run) -> BTreeMap<&str, &str> {
    let skip = |row: &&Row| row.outcome == Outcome::Skip;
    run.rows
        .iter()
        .filter(skip)
        .map(|row| (row.case.as_str(), row.reason.as_deref().unwrap_or_default()))
        .collect()
}

fn bad(run: &Run) -> Vec<(&str, Option<&str>)> {
    let bad = run.rows.iter().filter(|row| row.outcome.is_bad());
    bad.map(|row| (row.case.as_str(), row.reason.as_deref())).collect()
}

/// What the suite finds in QEMU 7.2's root port: after a reset of its bus it does not say that its link is active, so the kernel
/// gives up ("Data Link Layer Link Active not set in 1000 msec", `pcie_wait_for_link`, `drivers/pci/pci.c`).
const PORT: &[&str] = &["reset-bus"];

fn failed(run: &Run) -> Vec<&str> {
    bad(run).into_iter().map(|(case, _)| case).collect()
}

/// These were carried out, and were right.
fn passed(run: &Run, wanted: &[&str]) {
    let passed = cases(run, Outcome::Pass);
    for case in wanted {
        assert!(passed.contains(case), "{case}: {:?}", skipped(run).get(case));
    }
}

#[test]
fn an_nvme_controller_passes_what_it_has() {
    if !is_on() {
        return;
    }
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(16 << 20).unwrap();
    let drive = format!("-drive if=none,id=n0,format=raw,file={}", disk.path().display());
    let mut rig = machine(&[ROOT_PORT, &drive, "nvme,bus=rp,serial=S1,drive=n0"]);
    let run = run(&mut rig, function("1b36:0010"), &["pci", "net"]);
    assert_eq!(failed(&run), PORT);
    let wanted = ["messages", "intx", "dma", "reset-flr", "flr-by-hand", "power-states", "bars-size", "link"];
    passed(&run, &wanted);
    assert!(skipped(&run).get("burst").is_some_and(|reason| reason.contains("no network interface")));
}

/// The card's ROM is junk, which the suite must tell, and nothing else must it blame.
#[test]
fn a_network_card_passes_but_for_the_rom_that_was_spoilt() {
    if !is_on() {
        return;
    }
    let mut rom = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut rom, &[0x5a; 2048]).unwrap();
    let card = format!("e1000e,bus=rp,netdev=n0,mac=52:54:00:12:34:56,romfile={}", rom.path().display());
    let mut rig = machine(&[ROOT_PORT, "-netdev user,id=n0,restrict=on", &card]);
    let run = run(&mut rig, function("8086:10d3"), &["pci", "net"]);
    assert_eq!(failed(&run), [PORT, &["rom"]].concat());
    passed(
        &run,
        &[
            "messages",
            "intx",
            "aer-clean",
            "attach-repeatedly",
            "burst",
            "smallest",
            "odd-sizes",
            "promiscuous",
            "counters",
        ],
    );
}

/// An adapter of the nineties: no capabilities, one wire for interrupts, work through a disk behind it.
#[test]
fn a_conventional_scsi_adapter_passes_and_one_that_is_not_there_is_told() {
    if !is_on() {
        return;
    }
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(16 << 20).unwrap();
    let drive = format!("-drive if=none,id=d0,format=raw,file={}", disk.path().display());
    let devices = ["lsi53c895a,id=scsi0", drive.as_str(), "scsi-hd,bus=scsi0.0,scsi-id=2,drive=d0"];
    let run_on = |id| run(&mut machine(&devices), function(id), &["pci"]);
    let run = run_on("1000:0012");
    assert_eq!(bad(&run), []);
    passed(&run, &["intx", "dma", "driver-works", "bars-decode", "command-bits", "attach-repeatedly"]);
    let lacking = skipped(&run);
    for case in ["messages", "flr-by-hand", "link", "power-states"] {
        assert!(lacking.contains_key(case), "{case}");
    }
    let other = run_on("1000:0001");
    assert!(bad(&other).iter().all(|(_, reason)| reason.is_some()) && other.count(Outcome::Pass) == 0);
    let told = other.starts.first().and_then(|start| start.fault.clone()).unwrap_or_default();
    assert!(
        told.contains("no PCI function 1000:0001 in the guest, which has") && told.contains("1000:0012"),
        "{told}"
    );
}
