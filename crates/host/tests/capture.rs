//! Captures: the same facts as the host gave, nothing that must stay secret, and no harm from one that a stranger made.

mod tree;

use std::io::Write as _;
use std::path::Path;

use slotwise_core::facts::{Fact, Facts, Origin, SourceKind, Switch};
use slotwise_host::capture::{self, CaptureError, Recorder, Snapshot};
use slotwise_host::kernel::{ReadErrorKind, ReadHost};
use slotwise_host::live::LiveHost;

fn origin() -> Origin {
    Origin::Saved { kind: SourceKind::Capture, name: "test".to_owned() }
}

fn same(left: &Facts, right: &Facts) {
    assert_eq!(format!("{:#?}", left.functions), format!("{:#?}", right.functions));
    assert_eq!(left.iommu, right.iommu);
    assert_eq!(left.interrupts, right.interrupts);
    assert_eq!(left.kernel, right.kernel);
    assert_eq!(left.usage, right.usage);
    assert_eq!(left.faults, right.faults);
}

fn packed(host: &dyn ReadHost) -> (Facts, Vec<u8>, Vec<String>) {
    let capture = capture::capture(host, origin());
    let mut file = Vec::new();
    capture.write(&mut file).expect("written");
    (capture.facts, file, capture.redacted)
}

#[test]
fn capture_of_a_small_host_gives_its_facts() {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    let (facts, file, redacted) = packed(&LiveHost::at(dir.path()).expect("a host"));
    assert_eq!(redacted, Vec::<String>::new());
    let snapshot = capture::from_bytes(&file).expect("a capture");
    same(&facts, &slotwise_host::read(&snapshot, origin()));
    assert_eq!(facts.functions.len(), 3);
}

#[test]
fn unpacked_capture_gives_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    let (facts, file, _) = packed(&LiveHost::at(dir.path()).expect("a host"));
    let out = tempfile::tempdir().expect("a directory");
    let tar = zstd::decode_all(file.as_slice()).expect("zstd");
    tar::Archive::new(tar.as_slice()).unpack(out.path()).expect("unpacked");
    let snapshot = capture::open(out.path()).expect("a capture");
    same(&facts, &slotwise_host::read(&snapshot, origin()));
    let line = std::fs::read_to_string(out.path().join("tree/proc/cmdline")).expect("readable by people");
    assert!(line.contains("intel_iommu=on"));
    let config = out.path().join("tree/sys/bus/pci/devices/0000:05:04.0/config.hex");
    assert!(std::fs::read_to_string(config).is_ok_and(|text| text.contains("000: 04 90 78 50")));
}

#[test]
fn record_of_this_machine_gives_its_facts() {
    let host = LiveHost::running().expect("a host");
    let recorder = Recorder::new(&host);
    let facts = slotwise_host::read(&recorder, origin());
    let snapshot = recorder.finish();
    same(&facts, &slotwise_host::read(&snapshot, origin()));
}

#[test]
fn capture_of_this_machine_gives_its_functions() {
    let (facts, file, _) = packed(&LiveHost::running().expect("a host"));
    let snapshot = capture::from_bytes(&file).expect("a capture");
    let again = slotwise_host::read(&snapshot, origin());
    assert_eq!(format!("{:?}", facts.iommu), format!("{:?}", again.iommu));
    assert_eq!(facts.kernel.modules, again.kernel.modules);
    assert_eq!(facts.usage.block, again.usage.block);
    assert_eq!(facts.usage.network, again.usage.network);
    assert_eq!(facts.functions.keys().collect::<Vec<_>>(), again.functions.keys().collect::<Vec<_>>());
}

#[test]
fn what_was_never_asked_is_not_in_source() {
    let snapshot = Snapshot::default();
    let kind = snapshot.read("/proc/cmdline", 10).map_err(|error| error.kind);
    assert_eq!(kind, Err(ReadErrorKind::NotInSource));
    let facts = slotwise_host::read(&snapshot, origin());
    assert!(facts.interrupts.is_unreadable() && facts.kernel.release.is_unreadable());
    assert_eq!(facts.iommu.state, Switch::Unknown);
    assert!(matches!(facts.usage.block, Fact::Unreadable(_)));
    assert!(!facts.faults.is_empty());
}

#[test]
fn secrets_do_not_leave_the_host() {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    let put = |path: &str, text: &str| std::fs::write(dir.path().join(path), text).expect("written");
    put("proc/cmdline", "root=/dev/x rd.luks.key=hunter2 systemd.hostname=tower\n");
    put("proc/sys/kernel/hostname", "tower.example\n");
    put("etc/modprobe.d/vfio.conf", "# alice wrote this\noptions vfio-pci ids=1:2\n");
    let (_, file, redacted) = packed(&LiveHost::at(dir.path()).expect("a host"));
    let plain = zstd::decode_all(file.as_slice()).expect("zstd");
    let text = String::from_utf8_lossy(&plain);
    for secret in ["hunter2", "tower", "alice"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert_eq!(redacted.len(), 2);
    assert!(text.contains("rd.luks.key=REDACTED") && text.contains("/proc/cmdline: values and addresses"));
}

#[test]
fn neither_logins_nor_serial_numbers_of_the_processor_leave_the_host() {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    let put = |path: &str, text: &str| std::fs::write(dir.path().join(path), text).expect("written");
    put("proc/net/tcp", "   1: 0A0200C0:0016 070200C0:D431 01 00000000:00000000\n");
    put("proc/cpuinfo", "flags\t\t: fpu vmx\nSerial\t\t: 10000000deadbeef\n");
    let (_, file, _) = packed(&LiveHost::at(dir.path()).expect("a host"));
    let text = zstd::decode_all(file.as_slice()).expect("zstd");
    let text = String::from_utf8_lossy(&text);
    assert!(!text.contains("070200C0") && !text.contains("deadbeef"));
    assert!(text.contains("fpu vmx"));
}

/// A capture file with one entry besides a manifest.
fn hostile(path: &str, kind: tar::EntryType, bytes: &[u8], manifest: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut put = |path: &str, kind, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the library refuses to write such names.
        header.as_mut_bytes().iter_mut().zip(path.as_bytes()).for_each(|(slot, byte)| *slot = *byte);
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, bytes).expect("appended");
    };
    put("manifest.toml", tar::EntryType::Regular, manifest.as_bytes());
    put(path, kind, bytes);
    let tar = archive.into_inner().expect("a tar archive");
    zstd::encode_all(tar.as_slice(), 1).expect("zstd")
}

const MANIFEST: &str =
    "format = 1\nslotwise = \"x\"\nredacted = []\nhex = []\nmissing = []\n[links]\n[lists]\n";

#[test]
fn entries_that_are_no_plain_files_of_the_tree_are_refused() {
    use tar::EntryType::{Block, Char, Fifo, Link, Regular, Symlink};
    for (path, kind) in [
        ("../evil", Regular),
        ("/etc/passwd", Regular),
        ("tree/../../evil", Regular),
        ("other/file", Regular),
        ("tree", Regular),
        ("tree/x", Symlink),
        ("tree/x", Link),
        ("tree/x", Char),
        ("tree/x", Block),
        ("tree/x", Fifo),
    ] {
        let answer = capture::from_bytes(&hostile(path, kind, b"", MANIFEST));
        assert!(matches!(answer, Err(CaptureError::Foreign(_))), "{path} {kind:?}: {answer:?}");
    }
    let fine = hostile("tree/proc/cmdline", Regular, b"x", MANIFEST);
    assert!(capture::from_bytes(&fine).is_ok());
}

#[test]
fn manifests_of_another_form_are_refused() {
    let read = |manifest: &str| {
        capture::from_bytes(&hostile("tree/x", tar::EntryType::Regular, b"", manifest)).map(|_| ())
    };
    assert!(matches!(read(&MANIFEST.replace("format = 1", "format = 2")), Err(CaptureError::Format(2))));
    assert!(matches!(read(&format!("more = 1\n{MANIFEST}")), Err(CaptureError::Manifest(_))));
    assert!(matches!(read("format = "), Err(CaptureError::Manifest(_))));
    let none = zstd::encode_all(&[0u8; 1024][..], 1).expect("zstd");
    assert!(matches!(capture::from_bytes(&none), Err(CaptureError::NoManifest)));
}

#[test]
fn bomb_is_refused_before_it_fills_memory() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
    let mut header = tar::Header::new_gnu();
    header.set_path("tree/big").expect("a path");
    header.set_size(1 << 40);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).expect("written");
    let bomb = encoder.finish().expect("zstd");
    assert!(matches!(capture::from_bytes(&bomb), Err(CaptureError::TooMuch(_))));
}

#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    let (_, file, _) = packed(&LiveHost::at(dir.path()).expect("a host"));
    for length in (0..file.len()).step_by(97) {
        assert!(capture::from_bytes(&file[..length]).is_err(), "{length}");
    }
    assert!(capture::open(Path::new("/nonexistent")).is_err());
    assert!(matches!(capture::open(dir.path()), Err(CaptureError::NoManifest)));
}
