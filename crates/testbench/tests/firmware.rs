//! Guests that are themselves the test, in an emulated machine: what firmware, boot loader and a multiboot kernel make of an
//! emulated disk, and what a Linux guest makes of the same. Needs QEMU, so it runs only where `SLOTWISE_GUEST=1` says that it
//! is there; packages come from the distribution's archive. `SLOTWISE_GUEST=all` boots the slow guests too.

mod qemu;

use slotwise_testbench::guest::{GuestDefinition, Tried};
use slotwise_testbench::matrix::{Matrix, Outcome, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::rig::{DeviceUnderTest, FunctionUnderTest, Identity};
use slotwise_testbench::suite::{Harm, Suite};
use slotwise_testbench::wire::Nexus;

use qemu::{Marks, QemuRig};

fn run(guests: &[&str], adapter: &str, marks: Marks) -> Option<Run> {
    let guests: Vec<_> = guests.iter().map(|id| GuestDefinition::builtin(id).unwrap()).collect();
    let asked = std::env::var("SLOTWISE_GUEST").unwrap_or_default();
    let slow = guests.iter().any(|guest| guest.tried() == Tried::OnDemand);
    if asked.is_empty() || (slow && asked != "all") {
        eprintln!("skipped: SLOTWISE_GUEST does not ask for it");
        return None;
    }
    let suites = [Suite::builtin("driver").unwrap()];
    let devices = [DeviceUnderTest {
        name: adapter.into(),
        nexus: Nexus { channel: Some(0), id: Some(2), lun: Some(0) },
        identity: Some(Identity { vendor: "SEAGATE".into(), product: "ST32550N".into(), serial: None }),
        harm_limit: Harm::Data,
        function: FunctionUnderTest::default(),
    }];
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let run = run_matrix(&matrix, &mut QemuRig::new(adapter, marks), &mut |_| ());
    println!("{}{:?}", report::text(&run), run.starts);
    Some(run)
}

/// The cases that ended so, without the suite's prefix.
fn ended(run: &Run, outcome: Outcome) -> Vec<&str> {
    let rows = run.rows.iter().filter(|row| row.outcome == outcome);
    rows.map(|row| row.case.trim_start_matches("drv-")).collect()
}

#[test]
fn seabios_lists_reads_and_boots_the_disk_behind_either_adapter() {
    for adapter in ["lsi53c895a", "dc390"] {
        let Some(run) = run(&["seabios"], adapter, Marks::Present) else { return };
        let all = ["boot", "function", "listed", "sectors-far", "sectors-near", "size"];
        assert_eq!(ended(&run, Outcome::Pass), all);
        assert_eq!(ended(&run, Outcome::Skip), ["a-marks"]);
    }
}

#[test]
fn a_disk_whose_sectors_are_elsewhere_fails_in_the_cases_that_read() {
    let Some(run) = run(&["seabios", "grub"], "lsi53c895a", Marks::Shifted) else { return };
    for guest in ["seabios", "grub"] {
        let failed: Vec<&str> = run
            .rows
            .iter()
            .filter(|row| row.guest == guest && row.outcome == Outcome::Fail)
            .map(|row| row.case.as_str())
            .collect();
        assert_eq!(failed, ["drv-sectors-far", "drv-sectors-near"]);
    }
}

#[test]
fn a_disk_without_marks_blames_nobody() {
    let Some(run) = run(&["seabios"], "lsi53c895a", Marks::Absent) else { return };
    assert_eq!(ended(&run, Outcome::Pass), ["function", "listed", "size"]);
    assert_eq!(ended(&run, Outcome::Skip), ["a-marks", "boot", "sectors-far", "sectors-near"]);
}

#[test]
fn grub_reads_the_disk_through_the_bios() {
    let Some(run) = run(&["grub"], "lsi53c895a", Marks::Present) else { return };
    assert_eq!(ended(&run, Outcome::Pass), ["function", "sectors-far", "sectors-near", "size"]);
    assert_eq!(ended(&run, Outcome::Skip), ["a-marks", "boot", "listed"]);
}

#[test]
fn a_multiboot_kernel_sees_the_function() {
    for adapter in ["lsi53c895a", "dc390"] {
        let Some(run) = run(&["multiboot"], adapter, Marks::Absent) else { return };
        assert_eq!(ended(&run, Outcome::Pass), ["function"]);
        let reasons: Vec<_> = run.rows.iter().filter_map(|row| row.reason.as_deref()).collect();
        assert!(reasons.iter().all(|reason| reason.contains("which multiboot has not")), "{reasons:?}");
    }
}

/// Nothing is declared of the disk: what the first guest finds out and writes is what the others are held against.
#[test]
fn what_linux_writes_and_finds_out_is_what_the_firmware_sees() {
    let Some(run) = run(&["debian-12", "seabios", "grub", "multiboot"], "lsi53c895a", Marks::ForGuests)
    else {
        return;
    };
    let passed = |guest: &str| -> Vec<&str> {
        let rows = run.rows.iter().filter(|row| row.guest == guest && row.outcome == Outcome::Pass);
        rows.map(|row| row.case.trim_start_matches("drv-")).collect()
    };
    assert_eq!(passed("debian-12"), ["a-marks", "function", "listed", "sectors-far", "sectors-near", "size"]);
    assert_eq!(passed("seabios"), ["boot", "function", "listed", "sectors-far", "sectors-near", "size"]);
    assert_eq!(passed("grub"), ["function", "sectors-far", "sectors-near", "size"]);
    assert_eq!(passed("multiboot"), ["function"]);
    assert!(run.passed(), "every other case is skipped");
    let text = report::text(&run);
    assert!(
        ["debian-12", "seabios", "grub", "multiboot"]
            .iter()
            .all(|guest| text.contains(&format!("in {guest}")))
    );
}

#[test]
fn the_uefi_shell_sees_an_adapter_it_has_no_driver_for_and_reads_a_virtio_disk() {
    let Some(run) = run(&["uefi-shell"], "lsi53c895a", Marks::Present) else { return };
    assert_eq!(ended(&run, Outcome::Pass), ["function"]);
    assert_eq!(ended(&run, Outcome::Fail), Vec::<&str>::new());
    let Some(run) = self::run(&["uefi-shell"], "virtio-blk-pci", Marks::Present) else { return };
    assert_eq!(ended(&run, Outcome::Pass), ["function", "sectors-far", "sectors-near"]);
}
