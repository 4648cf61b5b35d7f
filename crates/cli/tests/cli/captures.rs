//! Captures through the program: a plan made from one is the plan made on the host, no secret leaves, and one that a
//! stranger made does no harm.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{Desk, Said, said};

fn hosts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hosts")
}

fn spec(id: &str, slot: &str) -> String {
    format!(
        "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\nselect = {{ id = \"{id}\", slot = \"{slot}\" }}\n"
    )
}

/// Plan in JSON, and how it ended.
fn plan(desk: &Desk, from: Option<&str>) -> (Option<i32>, serde_json::Value) {
    let mut words = vec!["plan", "--json", "spec.toml"];
    words.extend(from.into_iter().flat_map(|from| ["--from", from]));
    let said = desk.run(&words);
    assert!(said.out.starts_with('{'), "{}", said.told());
    (said.status, said.json())
}

#[test]
fn plan_from_a_capture_is_the_plan_on_its_host() {
    for slot in [4, 6] {
        let desk = Desk::new();
        desk.put("spec.toml", spec("1000:0012", &format!("0000:02:{slot:02x}.0")));
        let host = hosts().join(format!("scsi-bench-slot{slot}")).display().to_string();
        let said = desk.run(&["capture", "--from", &host, "-o", "host.slotwise"]);
        assert_eq!(said.status, Some(0), "{}", said.told());
        let (status, json) = plan(&desk, Some("host.slotwise"));
        assert_eq!((status, &json), (plan(&desk, Some(&host)).0, &plan(&desk, Some(&host)).1), "slot {slot}");
        assert!(json["findings"].as_array().is_some_and(|findings| !findings.is_empty()), "{json:#}");
    }
}

/// The machine that the test runs on, if it has a PCI function that can be told by its id.
#[test]
fn plan_from_a_capture_of_this_machine_is_the_plan_on_it() {
    let desk = Desk::new();
    let here = desk.run(&["inspect", "--json"]).json();
    let functions = here["functions"].as_array().expect("functions");
    let Some(function) = functions.iter().find(|function| function["vendor"].is_string()) else {
        eprintln!("skipped: this machine shows no PCI function");
        return;
    };
    let text = |key: &str| function[key].as_str().unwrap_or_default().to_owned();
    desk.put("spec.toml", spec(&format!("{}:{}", text("vendor"), text("device")), &text("address")));
    let said = desk.run(&["capture", "-o", "host.slotwise"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let (live, captured) = (plan(&desk, None), plan(&desk, Some("host.slotwise")));
    assert_eq!(live.0, captured.0);
    for part in ["verdict", "findings", "steps", "vms"] {
        assert_eq!(live.1[part], captured.1[part], "{part}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("read").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A device serial number (PCIe Base 6.0 §7.9.3), and the last capability of the root port with a pointer to it.
const SERIAL: &str = "160: 03 00 01 00 de ad be ef 5e 21 a1 77 -- -- -- --\n";
const LAST: (&str, &str) = ("0d 00 01 00 5f 00", "0d 00 01 16 5f 00");

#[test]
fn no_secret_is_in_what_capture_writes() {
    let desk = Desk::new();
    copy(&hosts().join("scsi-bench-slot4"), &desk.path().join("host"));
    let tree = desk.path().join("host/tree");
    let add = |path: &str, text: &str| {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("written");
    };
    let line =
        "root=/dev/x rd.luks.key=hunter2 ip=192.0.2.7::192.0.2.1 mac=52:54:00:ab:cd:ef intel_iommu=on\n";
    std::fs::write(tree.join("proc/cmdline"), line).expect("written");
    add("proc/sys/kernel/hostname", "watchtower\n");
    add("proc/swaps", "/dev/mapper/watchtower-swap partition 1 0 -2\n");
    add("proc/self/mountinfo", "99 1 0:99 / /mnt rw - cifs //nas/x rw,username=alice,password=s3cret\n");
    let root_port = "sys/bus/pci/devices/0000:00:03.0/config.hex";
    replace(&tree.join(root_port), LAST.0, LAST.1);
    add(root_port, SERIAL);
    replace(&desk.path().join("host/manifest.toml"), "eth0", "enx525400abcdef");
    let said = desk.run(&["capture", "--from", "host", "-o", "host.slotwise"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let packed = std::fs::read(desk.path().join("host.slotwise")).expect("a capture");
    let plain = zstd::decode_all(packed.as_slice()).expect("zstd");
    let text = String::from_utf8_lossy(&plain);
    for kept in ["intel_iommu=on", "rd.luks.key=REDACTED", "format = 1\n", "slotwise = \"", "enx0200"] {
        assert!(text.contains(kept), "{kept}");
    }
    for secret in [
        "hunter2",
        "192.0.2.",
        "52:54:00",
        "525400abcdef",
        "watchtower",
        "alice",
        "s3cret",
        "de ad be ef",
        "5e 21",
    ] {
        assert!(!text.contains(secret), "{secret} in {}", said.told());
    }
    for told in ["left out: /proc/cmdline", "device serial number", "named after its address"] {
        assert!(said.err.contains(told), "{told}: {}", said.told());
    }
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a text");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    std::fs::write(path, text.replace(from, to)).expect("written");
}

#[test]
fn capture_of_a_later_version_is_refused_with_a_hint() {
    let desk = Desk::new();
    copy(&hosts().join("scsi-bench-slot4"), &desk.path().join("host"));
    let manifest = desk.path().join("host/manifest.toml");
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    std::fs::write(&manifest, text.replace("format = 1", "format = 7\nnews = true")).expect("written");
    desk.put("newer.slotwise", packed(&[("manifest.toml", b"format = 7\nnews = true\n")]));
    for from in ["host", "newer.slotwise"] {
        let said = desk.run(&["inspect", "--from", from]);
        assert_eq!(said.status, Some(2), "{}", said.told());
        assert!(
            said.err.contains("capture has format 7") && said.err.contains("later version"),
            "{}",
            said.told()
        );
    }
}

/// A capture of these entries, whatever they are.
fn packed(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the library refuses to write names that lead out.
        header.as_mut_bytes().iter_mut().zip(path.as_bytes()).for_each(|(slot, byte)| *slot = *byte);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).expect("appended");
    }
    zstd::encode_all(archive.into_inner().expect("an archive").as_slice(), 1).expect("zstd")
}

const MANIFEST: &[u8] =
    b"format = 1\nslotwise = \"x\"\nredacted = []\nhex = []\nmissing = []\n[links]\n[lists]\n";

#[test]
fn paths_that_lead_out_are_refused_and_nothing_is_written() {
    for path in ["../evil", "/etc/evil", "tree/../../evil"] {
        let desk = Desk::new();
        desk.put("in/x.slotwise", packed(&[("manifest.toml", MANIFEST), (path, b"x")]));
        let said = desk.run(&["inspect", "--from", "in/x.slotwise"]);
        assert_eq!(said.status, Some(2), "{path}: {}", said.told());
        assert!(said.err.contains("not a file of a capture"), "{path}: {}", said.told());
        assert!(!desk.path().join("evil").exists());
    }
}

/// The program with an address space that a bomb would burst: twice what a capture may have unpacked, and what it needs
/// itself.
fn in_little_memory(desk: &Desk, words: &[&str]) -> Said {
    let mut command = std::process::Command::new("prlimit");
    command.arg("--as=1610612736").arg(env!("CARGO_BIN_EXE_slotwise")).args(words);
    command.current_dir(desk.path()).env_clear().env("HOME", desk.path());
    said(command, b"")
}

#[test]
fn bombs_are_refused_in_bounded_memory() {
    let mut claimed = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
    let mut header = tar::Header::new_gnu();
    header.set_path("tree/big").expect("a path");
    header.set_size(1 << 40);
    header.set_cksum();
    claimed.write_all(header.as_bytes()).expect("written");
    // Entries that are as large as they say, eight times 96 MiB, in some ten KiB.
    let mut real = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
    let zeros = vec![0; 1 << 20];
    for number in 0..8 {
        header.set_path(format!("tree/{number}")).expect("a path");
        header.set_size(96 << 20);
        header.set_cksum();
        real.write_all(header.as_bytes()).expect("written");
        for _ in 0..96 {
            real.write_all(&zeros).expect("written");
        }
    }
    let desk = Desk::new();
    for (name, encoder) in [("claimed", claimed), ("real", real)] {
        let bomb = encoder.finish().expect("zstd");
        assert!(bomb.len() < 1 << 20, "{name}: {} bytes", bomb.len());
        desk.put(name, bomb);
        let said = in_little_memory(&desk, &["inspect", "--from", name]);
        assert_eq!(said.status, Some(2), "{name}: {}", said.told());
        assert!(said.err.contains("more than 512 MiB"), "{name}: {}", said.told());
    }
}
