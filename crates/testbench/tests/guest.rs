//! Each Linux guest in an emulated machine with an emulated SCSI-2 disk: needs QEMU, a Debian kernel and the static
//! agent, so it runs only where `SLOTWISE_GUEST=1` says that these are there. `SLOTWISE_ADAPTER` names another adapter
//! than `lsi53c895a`: `dc390` or `virtio-scsi-pci`.
//!
//! The agent is looked for where `cargo build --release -p slotwise-agent --target x86_64-unknown-linux-gnu` puts it, or
//! where `SLOTWISE_AGENT` says.

mod qemu;

use std::fs;
use std::path::Path;

use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::matrix::{Matrix, Outcome, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::rig::{DeviceUnderTest, FunctionUnderTest, Identity};
use slotwise_testbench::suite::{Harm, Suite};
use slotwise_testbench::wire::Nexus;

/// Where QEMU 7.2 is no SCSI-2 disk. Found by the suite, and not the bench's fault: `hw/scsi/scsi-disk.c` and
/// `hw/scsi/scsi-bus.c` follow SPC and SBC, or check less.
const DISK: &[(&str, &str)] = &[
    ("cap-pmi-beyond", "PMI and the address are not looked at"),
    ("diag-bad-page", "SEND DIAGNOSTIC is not implemented"),
    ("diag-empty", "SEND DIAGNOSTIC is not implemented"),
    ("diag-selftest", "SEND DIAGNOSTIC is not implemented"),
    ("diag-selftest-data", "SEND DIAGNOSTIC is not implemented"),
    ("flg-reladr-each", "RelAdr is not looked at"),
    ("inq-caps-honest", "the link bit is taken, linked commands are not claimed"),
    ("inq-reserved-bits", "HiSup is set, which SPC has in byte 3"),
    ("len-zero", "SEND DIAGNOSTIC is not implemented"),
    ("ms-dpofua-bit", "FUA is taken by READ(10) though DPOFUA is clear"),
    ("ms-page-08", "the caching page has the length 12h of SBC"),
    ("ms-page-foreign", "a disk has the flexible disk page"),
    ("ms-reserved-strict", "reserved bytes are not looked at"),
    ("op-honest", "the range of VERIFY without BytChk is not checked"),
    ("rb-byte-1", "reserved bits are not looked at"),
    ("rb-every-bit", "reserved bits are not looked at"),
    ("rb-flag", "the control byte is not looked at"),
    ("rb-link", "the control byte is not looked at"),
    ("rb-link-ten", "the control byte is not looked at"),
    ("rb-op-length", "the transfer length of an unknown command is judged before its opcode"),
    ("rb-tail-not-run", "the transfer length of an unknown command is judged before its opcode"),
    ("rb-vendor-bits", "the control byte is not looked at"),
    ("rd10-reladr", "RelAdr is not looked at"),
    ("rng-each", "the range of VERIFY without BytChk is not checked"),
    ("rng-straddle-each", "the range of VERIFY without BytChk is not checked"),
    ("rsv-third-party", "RESERVE and RELEASE are taken and do nothing"),
    ("ss-loej-fixed", "LoEj is not looked at on a fixed disk"),
    ("ss-stop-immed", "a fixed disk cannot be stopped"),
    ("ss-stopped-io", "a fixed disk cannot be stopped"),
    ("sync-beyond", "the range of SYNCHRONIZE CACHE is not checked"),
    ("tur-fixed-never-3a", "a fixed disk cannot be stopped"),
    ("tur-stopped", "a fixed disk cannot be stopped"),
    ("vfy-beyond", "the range of VERIFY without BytChk is not checked"),
    ("vfy-straddle", "the range of VERIFY without BytChk is not checked"),
];

/// What shows only where lengths of answers are known, with virtio-scsi: replies are padded to the allocation length.
const PADDING: &[(&str, &str)] = &[
    ("inq-addl-length", "the additional length follows the allocation length"),
    ("inq-alloc-byte3", "byte 3 counts as the high byte of the allocation length"),
    ("inq-alloc-sweep", "the additional length follows the allocation length"),
    ("inq-vpd-00", "padded"),
    ("inq-vpd-listed", "padded"),
    ("ms-dbd", "padded"),
    ("ms-forms-agree", "padded"),
    ("ms10-header", "padded"),
    ("ms6-header", "padded"),
    ("rs-alloc-sweep", "padded"),
    ("rs-eighteen", "padded"),
];

/// What the virtio-scsi path adds: no residual where nothing is moved, and sense that stays in the disk.
const VIRTIO: &[(&str, &str)] = &[
    ("inq-alloc-zero", "no residual where no data are moved"),
    ("len-resid-cc", "no residual where no data are moved"),
    ("rd10-zero", "no residual where no data are moved"),
    ("rs-alloc-zero", "no residual where no data are moved"),
    ("rs-second-empty", "sense sent along with the status is kept all the same"),
];

#[test]
fn the_suite_passes_in_debian_12() {
    the_suite_passes_on_an_emulated_disk_but_for_its_known_deviations("debian-12");
}

#[test]
fn the_suite_passes_in_debian_12_with_its_backported_kernel() {
    the_suite_passes_on_an_emulated_disk_but_for_its_known_deviations("debian-12-backports");
}

#[test]
fn the_suite_passes_in_debian_12_for_32_bits() {
    the_suite_passes_on_an_emulated_disk_but_for_its_known_deviations("debian-12-i386");
}

fn the_suite_passes_on_an_emulated_disk_but_for_its_known_deviations(guest: &str) {
    if std::env::var_os("SLOTWISE_GUEST").is_none() {
        eprintln!("skipped: SLOTWISE_GUEST is not set");
        return;
    }
    let guests = [GuestDefinition::builtin(guest).unwrap()];
    let suites = [Suite::whole("scsi-2").unwrap()];
    let devices = [DeviceUnderTest {
        name: "disk".into(),
        nexus: Nexus { channel: Some(0), id: Some(2), lun: Some(0) },
        identity: Some(Identity { vendor: "SEAGATE".into(), product: "ST32550N".into(), serial: None }),
        harm_limit: Harm::Data,
        function: FunctionUnderTest::default(),
    }];
    let adapter = std::env::var("SLOTWISE_ADAPTER").unwrap_or_else(|_| "lsi53c895a".into());
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    let run = run_matrix(&matrix, &mut qemu::QemuRig::new(&adapter, qemu::Marks::Present), &mut |_| ());

    let start = run.starts.first().unwrap();
    println!(
        "{guest}: start to first INQUIRY: {:?} {:?} {:?}",
        start.to_first_inquiry, start.identity, start.fault
    );
    let seconds: f64 = run.rows.iter().map(|row| row.elapsed.as_secs_f64()).sum();
    let sent: usize = run.rows.iter().map(|row| row.sent).sum();
    let done = run.rows.len() - run.count(Outcome::Skip);
    println!(
        "{done} cases, {sent} commands in {seconds:.2} s: {:.0} cases a minute",
        done as f64 * 60.0 / seconds
    );
    println!("whole run {:.2} s", run.elapsed.as_secs_f64());

    write_reports(&run);
    let lists = if adapter == "virtio-scsi-pci" { vec![DISK, PADDING, VIRTIO] } else { vec![DISK] };
    let deviations = lists.concat();
    let mut unexpected = Vec::new();
    for row in run.rows.iter().filter(|row| !matches!(row.outcome, Outcome::Pass | Outcome::Skip)) {
        println!("{} {}: {}", row.outcome.name(), row.case, row.reason.as_deref().unwrap_or_default());
        if !deviations.iter().any(|(case, _)| *case == row.case) {
            unexpected.push(row.case.clone());
        }
    }
    assert_eq!(unexpected, Vec::<String>::new());
    let passed = |case: &str| run.rows.iter().any(|row| row.case == case && row.outcome == Outcome::Pass);
    for (case, why) in deviations {
        assert!(!passed(case), "{case} passes now, so it is no deviation any more: {why}");
    }
}

/// Leaves the run beside the other files of the build, to be looked at.
fn write_reports(run: &Run) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (file, text) in [
        ("run.json", report::wire::json(run).unwrap()),
        ("run.txt", report::text(run)),
        ("run.xml", report::junit(run).unwrap()),
        ("run.tap", report::tap(run)),
        ("run.html", report::html(run).unwrap()),
    ] {
        fs::write(directory.join(file), text).unwrap();
    }
}
