//! Boots the SCSI bench and looks around in it. It takes QEMU and a minute, so it runs only on demand:
//!
//! ```text
//! SLOTWISE_LAB=1 cargo test -p slotwise-lab --test boot -- --nocapture
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command as HostCommand;
use std::sync::Mutex;
use std::time::Duration;

use slotwise_lab::session::{ExitStatus, Stream, TerminalSize};
use slotwise_lab::{
    Artifacts, BootOptions, Command, Config, FaultState, LabHost, Machine, PayloadFile, Session,
};

const LIMIT: usize = 1 << 20;

/// Builds the first process the way the program's own build does: statically.
fn init_binary() -> PathBuf {
    if let Some(built) = std::env::var_os("SLOTWISE_LAB_INIT") {
        return built.into();
    }
    let target = "x86_64-unknown-linux-gnu";
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("init");
    let status = HostCommand::new(env!("CARGO"))
        .args(["build", "--release", "-p", "slotwise-lab", "--bin", "slotwise-lab-init", "--target", target])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &directory)
        .status()
        .unwrap();
    assert!(status.success());
    directory.join(target).join("release/slotwise-lab-init")
}

fn boot(machine: &Machine) -> LabHost {
    let config = Config {
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        payload: vec![PayloadFile { guest: "/usr/local/bin/tool".into(), host: "/usr/bin/env".into() }],
        init_binary: init_binary(),
    };
    let progress = |text: &str| eprintln!("  {text}");
    let artifacts = Artifacts::prepare(machine, &config, &progress).unwrap();
    let console = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console.log");
    let options = BootOptions { console_log: Some(console), ..BootOptions::default() };
    let host = LabHost::boot(machine, &artifacts, &options, &progress).unwrap();
    eprintln!("up in {:.1} s", host.boot_time().as_secs_f64());
    for phase in host.phases() {
        eprintln!("  {:>6} ms  {}", phase.end_ms, phase.name);
    }
    assert_eq!(host.complaints(), [""; 0]);
    host
}

fn shell(session: &Session, script: &str) -> String {
    let command = Command { deadline: Some(Duration::from_secs(60)), ..Command::new(["sh", "-c", script]) };
    let output = session.output(&command, LIMIT).unwrap();
    assert_eq!(output.status, ExitStatus::Code(0), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One machine at a time: two would halve each other's speed.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn the_scsi_bench_boots_and_is_what_its_description_says() {
    if std::env::var_os("SLOTWISE_LAB").is_none() {
        eprintln!("skipped: SLOTWISE_LAB is not set");
        return;
    }
    let _turn = TURN.lock();
    let mut host = boot(&Machine::builtin("scsi-bench").unwrap());

    devices_and_groups(&host);
    interrupts_and_modules(&host);
    disk(&host);
    commands(&host);
    files(&host);

    host.share(&format!("test-{}", std::process::id())).unwrap();
    let client = Session::join(&format!("test-{}", std::process::id())).unwrap();
    assert_eq!(shell(&client, "hostname"), "scsi-bench\n");
    host.shutdown();
    assert!(client.output(&Command::new(["true"]), LIMIT).is_err());
}

/// Hands the SCSI controller to a guest under the nested KVM, with `nointxmask` given. The emulator asks for the
/// interrupt before the guest runs, so a guest that never starts is enough. It gives it back and asks again when it resets
/// the machine, so the line that is seen first is the one to keep.
fn pass_through(slot: &str) -> String {
    let mut machine = Machine::builtin("scsi-bench").unwrap();
    machine.set_fault("nointxmask", FaultState::On).unwrap();
    machine.set("scsi.slot", slot).unwrap();
    let host = boot(&machine);
    let address = format!("0000:02:{:02x}.0", slot.parse::<u8>().unwrap());
    shell(
        &host,
        &format!(
            "modprobe vfio-pci; cd /sys/bus/pci/devices/{address}; echo vfio-pci > driver_override; \
             echo {address} > driver/unbind; echo {address} > /sys/bus/pci/drivers_probe"
        ),
    );
    let said = shell(
        &host,
        &format!(
            "(timeout 40 qemu-system-x86_64 -S -M pc -cpu host -accel kvm -m 96 -nodefaults -display none \
             -device vfio-pci,host={address} 2>&1 & i=0; \
             while kill -0 $! 2>/dev/null && [ $i -lt 200 ] && ! line=$(grep vfio-intx /proc/interrupts); do \
             i=$((i+1)); sleep 0.2; done; echo \"$line\"; kill $! 2>/dev/null); true"
        ),
    );
    eprintln!("{said}");
    host.shutdown();
    said
}

#[test]
fn a_slot_that_shares_its_interrupt_line_fails_without_intx_masking_and_another_works() {
    if std::env::var_os("SLOTWISE_LAB").is_none() {
        eprintln!("skipped: SLOTWISE_LAB is not set");
        return;
    }
    let _turn = TURN.lock();
    let shared = pass_through("4");
    assert!(shared.contains("Failed to set up TRIGGER eventfd signaling for interrupt INTX-0"), "{shared}");
    let alone = pass_through("6");
    let line = alone.lines().find(|line| line.contains("vfio-intx(0000:02:06.0)")).unwrap_or_default();
    assert!(line.trim_start().starts_with("21:"), "{alone}");
}

fn devices_and_groups(host: &LabHost) {
    let devices = shell(host, "lspci -n");
    eprintln!("{devices}");
    for line in ["00:03.0 0604: 1b36:000c", "01:00.0 0604: 1b36:000e", "02:04.0 0100: 1000:0012"] {
        assert!(devices.contains(line), "{line}");
    }
    for line in ["02:0a.0 0200: 10ec:8139", "00:10.0 0200: 8086:100e", "00:13.0 0200: 8086:100e"] {
        assert!(devices.contains(line), "{line}");
    }
    let group = shell(host, "ls $(readlink -f /sys/bus/pci/devices/0000:02:04.0/iommu_group)/devices");
    let members: BTreeSet<_> = group.lines().collect();
    assert_eq!(members, BTreeSet::from(["0000:01:00.0", "0000:02:04.0", "0000:02:0a.0"]));
}

fn interrupts_and_modules(host: &LabHost) {
    let interrupts = shell(host, "cat /proc/interrupts");
    eprintln!("{interrupts}");
    for (gsi, card) in [(20, "0000:00:10.0"), (23, "0000:00:13.0")] {
        let name = shell(host, &format!("ls /sys/bus/pci/devices/{card}/net"));
        let owner = format!("{gsi}:");
        let line = interrupts.lines().find(|line| line.trim_start().starts_with(&owner)).unwrap_or_default();
        assert!(line.contains(name.trim()), "GSI {gsi} is not {name}");
    }
    assert_eq!(shell(host, "basename $(readlink /sys/bus/pci/devices/0000:02:04.0/driver)"), "sym53c8xx\n");
    assert_eq!(shell(host, "test -e /sys/bus/pci/devices/0000:02:0a.0/driver || echo none"), "none\n");
    shell(host, "modprobe vfio-pci && test -c /dev/kvm");
    // The VM that never runs: without it the kernel is patched whenever a VM comes or goes.
    assert_ne!(shell(host, "cat /sys/module/kvm_amd/refcnt"), "0\n");
    assert_eq!(shell(host, "cat /sys/module/vfio_pci/parameters/nointxmask"), "N\n");
}

fn disk(host: &LabHost) {
    let block = "/sys/block/sda/device";
    assert_eq!(
        shell(host, &format!("cat {block}/vendor {block}/model {block}/rev")),
        "SEAGATE \nST32550N        \n0021\n"
    );
    shell(host, "printf slotwise | dd of=/dev/sda bs=512 seek=3 conv=fsync,sync 2>/dev/null");
    shell(host, "echo 3 > /proc/sys/vm/drop_caches");
    assert_eq!(shell(host, "dd if=/dev/sda bs=512 skip=3 count=1 2>/dev/null | head -c 8"), "slotwise");
    assert_eq!(shell(host, "cat /sys/block/sda/size").trim(), "131072");
}

fn commands(host: &LabHost) {
    assert_eq!(shell(host, "tool echo payload"), "payload\n");
    let refused = host.output(&Command::new(["no-such-program"]), LIMIT).unwrap_err();
    assert!(refused.to_string().contains("no-such-program"), "{refused}");

    let output = host.output(&Command::new(["sh", "-c", "echo out; echo err >&2; exit 3"]), LIMIT).unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));

    // A command that waits, one that is fed, and one that floods, at once.
    let waiting = host.start(&Command::new(["sleep", "1000"])).unwrap();
    let fed = host.start(&Command::new(["md5sum"])).unwrap();
    let flood = host.output(&Command::new(["head", "-c", "3000000", "/dev/zero"]), 4 << 20).unwrap();
    assert_eq!(flood.stdout.len(), 3_000_000);
    let control = fed.control();
    control.input(&vec![0; 1_000_000]).unwrap();
    control.end_input().unwrap();
    let mut digest = Vec::new();
    fed.wait(|_, bytes| digest.extend_from_slice(bytes)).unwrap();
    // md5 of a million zero bytes.
    assert_eq!(digest.get(..32), Some(&b"879f4bba57ed37c9ec5e5aedf9864698"[..]));
    waiting.control().signal(2).unwrap();
    assert_eq!(waiting.wait(|_, _| {}).unwrap(), ExitStatus::Signal(2));

    let size = TerminalSize { rows: 33, columns: 101 };
    let terminal = Command { terminal: Some(size), ..Command::new(["sh", "-c", "tty; stty size; exit 4"]) };
    let mut said = Vec::new();
    let status = host.start(&terminal).unwrap().wait(|stream, bytes| {
        assert_eq!(stream, Stream::Output);
        said.extend_from_slice(bytes);
    });
    assert_eq!(status.unwrap(), ExitStatus::Code(4));
    assert_eq!(String::from_utf8(said).unwrap(), "/dev/pts/0\r\n33 101\r\n");
}

fn files(host: &LabHost) {
    let bytes: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    host.put("/root/deep/down/file", &bytes, 0o640).unwrap();
    assert_eq!(host.fetch("/root/deep/down/file", 4 << 20).unwrap(), bytes);
    assert_eq!(shell(host, "stat -c %a /root/deep/down/file"), "640\n");
    assert!(host.fetch("/nowhere", LIMIT).unwrap_err().to_string().contains("/nowhere"));
}
