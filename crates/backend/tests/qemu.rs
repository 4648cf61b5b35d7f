//! Against a real QEMU, without KVM and without passthrough: machines of 16 MiB under TCG.
//!
//! Where QEMU is not installed the tests say so and pass, except under CI, where it has to be.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slotwise_backend::process::Tether;
use slotwise_backend::qemu::{CapabilityError, Control, ControlError, Places, Qemu, RunError, StartError};
use slotwise_backend::qmp::{Arguments, QmpError, RunState};
use slotwise_backend::{Backend, BackendError, ExitCause, Machine, StartOptions};
use slotwise_core::facts::CpuList;
use slotwise_core::vm::{
    Acceleration, Boot, ChannelName, Console, Cpu, CpuCount, CpuModel, Disk, DiskBus, DiskImage, DiskWrites,
    Firmware, HostNode, HypervisorSignature, MachineType, MemorySize, OnReboot, PassthroughDevice, VmConfig,
    VmSpec,
};

const LONG: Duration = Duration::from_secs(60);
const BRIEF: Duration = Duration::from_millis(500);

/// One QEMU at a time, on small machines' behalf.
static TURN: Mutex<()> = Mutex::new(());

/// Its folder goes after its machine.
struct Bench {
    qemu: Qemu,
    machines: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    fn new() -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = Places { program: None, search_path: &path, kvm: Path::new("/dev/kvm") };
        let qemu = match Qemu::detect(&places) {
            Ok(qemu) => qemu,
            Err(error @ CapabilityError::NotFound) => {
                assert!(std::env::var_os("CI").is_none(), "{error}; {}", error.hint());
                eprintln!("skipped: {error}; {}", error.hint());
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let machines = tempfile::tempdir().expect("a folder");
        Some(Self { qemu, machines, _turn: turn })
    }

    fn options(&self) -> StartOptions {
        StartOptions { within: LONG, ..StartOptions::new(self.folder()) }
    }

    fn folder(&self) -> PathBuf {
        self.machines.path().join("machines")
    }
}

fn config() -> VmConfig {
    VmConfig {
        name: "bench".parse().expect("a name"),
        machine: MachineType::Pc,
        acceleration: Acceleration::Emulation,
        cpu: Cpu { model: CpuModel::Host, count: CpuCount::ONE, signature: HypervisorSignature::Shown },
        memory: MemorySize::from_mib(16).expect("a size"),
        node: None,
        firmware: Firmware::Bios,
        boot: Boot::Firmware,
        disks: Vec::new(),
        devices: Vec::new(),
        usb: Vec::new(),
        channels: vec![ChannelName::agent()],
        console: Console::Serial,
        on_reboot: OnReboot::End,
    }
}

fn spec(config: VmConfig) -> VmSpec {
    VmSpec::new(config).expect("a machine without faults")
}

fn connect(bench: &Bench, machine: MachineType) -> Result<Control, ControlError> {
    Control::connect(&bench.folder(), &config().name, machine, LONG)
}

/// Whether a process is gone with all its threads, or dead and waiting for whoever inherited it.
fn gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let dead = stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'));
    // The first thread dies before the others, which still hold its files.
    dead && fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) <= 1
}

#[test]
fn devices_come_and_go_at_run_time() {
    let Some(bench) = Bench::new() else { return };
    let mut machine = bench.qemu.run(&spec(config()), bench.options()).expect("it starts");
    let qmp = machine.qmp();
    assert_eq!(qmp.version().0, bench.qemu.capabilities().version.major);
    assert_eq!(qmp.query_status().expect("an answer"), RunState::Running);
    qmp.stop().expect("stopped");
    assert_eq!(qmp.query_status().expect("an answer"), RunState::Paused);
    qmp.cont().expect("running");

    qmp.device_add("virtio-rng-pci", "rng", Arguments::new(), LONG).expect("plugged in");
    let twice = qmp.device_add("virtio-rng-pci", "rng", Arguments::new(), LONG);
    assert!(matches!(twice, Err(QmpError::Refused { .. })), "{twice:?}");
    // No operating system is there to answer; a reset completes the removal (QEMU `hw/acpi/pcihp.c`).
    let kept = qmp.device_del("rng", BRIEF);
    assert!(matches!(kept, Err(QmpError::NotReleased { .. })), "{kept:?}");
    let null = fs::File::open("/dev/null").expect("/dev/null");
    qmp.add_fd(null.as_fd()).expect("a set");
    qmp.getfd("null", null.as_fd()).expect("taken");
    let exit = machine.end(LONG).expect("ended");
    assert_eq!((exit.cause, exit.messages.as_str()), (ExitCause::Ended, ""));
}

#[test]
fn memory_and_threads_of_a_bound_machine_are_its_node_s() {
    let Some(bench) = Bench::new() else { return };
    let Ok(list) = fs::read_to_string("/sys/devices/system/node/node0/cpulist") else {
        eprintln!("skipped: the kernel of this host knows no memory nodes");
        return;
    };
    let on = |number| Some(HostNode { number, processors: CpuList::parse(&list) });
    let bound = VmConfig { node: on(0), ..config() };
    let machine = bench.qemu.run(&spec(bound), bench.options()).expect("it starts");
    let of_process =
        |file: &str| fs::read_to_string(format!("/proc/{}/{file}", machine.pid())).expect("read");
    let maps = of_process("numa_maps");
    assert!(maps.lines().any(|line| line.contains(" bind:0")), "{maps}");
    let allowed = format!("Cpus_allowed_list:\t{}", list.trim());
    for task in fs::read_dir(format!("/proc/{}/task", machine.pid())).expect("tasks").flatten() {
        let status = fs::read_to_string(task.path().join("status")).expect("a status");
        assert!(status.lines().any(|line| line == allowed), "{status}");
    }
    drop(machine);

    let nowhere = VmConfig { node: on(100), ..config() };
    let error = bench.qemu.run(&spec(nowhere), bench.options()).expect_err("no such node");
    let said = error.messages().unwrap_or_default();
    assert!(said.contains("cannot bind memory to host NUMA nodes"), "{error:?}");
}

#[test]
fn a_reset_completes_a_removal_that_the_guest_did_not_answer() {
    let Some(bench) = Bench::new() else { return };
    // A reset would end a machine that ends at reboot.
    let config = VmConfig { on_reboot: OnReboot::Restart, ..config() };
    let mut machine = bench.qemu.run(&spec(config), bench.options()).expect("it starts");
    let qmp = machine.qmp();
    qmp.device_add("virtio-rng-pci", "rng", Arguments::new(), LONG).expect("plugged in");
    assert!(matches!(qmp.device_del("rng", BRIEF), Err(QmpError::NotReleased { .. })));
    qmp.system_reset().expect("reset");
    qmp.wait_device_deleted("rng", LONG).expect("gone");
    let again = qmp.device_del("rng", BRIEF).expect_err("it is not there");
    assert!(again.to_string().contains("rng"), "{again}");
}

#[test]
fn a_saved_machine_goes_on_in_another_process() {
    let Some(bench) = Bench::new() else { return };
    let state = bench.machines.path().join("state");
    let mut first = bench.qemu.run(&spec(config()), bench.options()).expect("it starts");
    first.save(&state, LONG).expect("saved");
    assert_eq!(first.qmp().query_status().expect("an answer"), RunState::Running);
    let again = first.save(&state, LONG);
    assert!(matches!(again, Err(BackendError::Run(RunError::StateFile { .. }))), "{again:?}");
    drop(first);
    assert_eq!(fs::metadata(&state).expect("there").permissions().mode() & 0o777, 0o600);

    let from = |path: &Path| StartOptions { state: Some(path.to_owned()), ..bench.options() };
    let mut second = bench.qemu.run(&spec(config()), from(&state)).expect("it goes on");
    assert_eq!(second.qmp().query_status().expect("an answer"), RunState::Running);
    drop(second.open_channel(&ChannelName::agent()).expect("its channels are open"));
    drop(second);

    // A machine of another size, a file of another kind: QEMU's words are in the error.
    let larger = VmConfig { memory: MemorySize::from_mib(32).expect("a size"), ..config() };
    let torn = bench.machines.path().join("torn");
    fs::write(&torn, &fs::read(&state).expect("read")[..100_000]).expect("written");
    let nonsense = bench.machines.path().join("nonsense");
    fs::write(&nonsense, [b'x'; 4096]).expect("written");
    for (config, path) in [(larger, &state), (config(), &torn), (config(), &nonsense)] {
        let error = bench.qemu.run(&spec(config), from(path)).expect_err("it does not fit");
        assert!(matches!(error, StartError::State { .. }), "{error:?}");
        assert!(error.messages().is_some_and(|said| !said.is_empty()), "{error:?}");
    }
}

#[test]
fn another_process_controls_the_machine_by_its_name() {
    let Some(bench) = Bench::new() else { return };
    let spec = spec(config());
    let machine = bench.qemu.run(&spec, bench.options()).expect("it starts");
    let mut other = connect(&bench, MachineType::Pc).expect("connected");
    assert_eq!(other.qmp().query_status().expect("an answer"), RunState::Running);
    let absent = PassthroughDevice::new("0000:ff:1f.7".parse().expect("an address"));
    let refused = other.attach(std::slice::from_ref(&absent), LONG).expect_err("no such device");
    let ControlError::Attach { source: QmpError::Refused { description, .. }, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert!(description.contains("no such host device"), "{description}");
    let unknown = other.detach(&[absent.host], LONG);
    assert!(matches!(unknown, Err(ControlError::Detach { source: QmpError::Refused { .. }, .. })));
    let second = bench.qemu.run(&spec, bench.options());
    assert!(matches!(second, Err(StartError::Runtime(_))), "{second:?}");
    let folder = machine.sockets().folder().to_owned();
    let pid = machine.pid();
    drop(machine);
    assert!(gone(pid) && !folder.exists());
}

#[test]
fn a_q35_machine_takes_devices_behind_its_ports() {
    let Some(bench) = Bench::new() else { return };
    let spec = spec(VmConfig { machine: MachineType::Q35, ..config() });
    let _machine = bench.qemu.run(&spec, bench.options()).expect("it starts");
    let mut control = connect(&bench, MachineType::Q35).expect("connected");
    assert_eq!(control.free_port().expect("an answer"), Some(0));
    let port = Arguments::from_iter([("bus".to_owned(), "port0".into())]);
    control.qmp().device_add("virtio-rng-pci", "rng", port, LONG).expect("plugged in");
    // The firmware has to number the port's bus first.
    assert!(wait_until(|| control.free_port().expect("an answer") == Some(1)));
}

#[test]
fn channels_open_again_after_they_were_closed() {
    let Some(bench) = Bench::new() else { return };
    let machine = bench.qemu.start(&spec(config()), bench.options()).expect("it starts");
    for _ in 0..2 {
        drop(machine.open_channel(&ChannelName::agent()).expect("open"));
    }
    let unknown = machine.open_channel(&"org.example.0".parse().expect("a name"));
    assert!(matches!(unknown, Err(BackendError::Run(RunError::NoChannel { .. }))));
}

#[test]
fn a_device_that_is_not_there_fails_the_start_with_qemus_words() {
    let Some(bench) = Bench::new() else { return };
    let mut config = config();
    config.devices = vec![PassthroughDevice::new("0000:ff:1f.7".parse().expect("an address"))];
    let error = bench.qemu.run(&spec(config), bench.options()).expect_err("no such device");
    let StartError::GaveUp { status, messages, .. } = &error else { panic!("{error:?}") };
    assert_eq!(status.code(), Some(1));
    assert!(messages.contains("0000:ff:1f.7: no such host device"), "{messages}");
    assert_eq!(error.to_string(), "QEMU gave up starting machine bench (exit status: 1)");
    assert!(!bench.folder().join("bench").exists());
}

#[test]
fn a_missing_vfio_node_is_named_before_qemu_starts() {
    let Some(bench) = Bench::new() else { return };
    let options = StartOptions { nodes: vec!["/dev/vfio/no-such-group".into()], ..bench.options() };
    let error = bench.qemu.run(&spec(config()), options).expect_err("no node").to_string();
    assert_eq!(
        error,
        "machine bench cannot open its VFIO nodes: VFIO node /dev/vfio/no-such-group does not exist"
    );
}

/// A boot sector for real mode: prints a line on the first serial port, waits for a key there, echoes it and
/// resets the machine through the keyboard controller.
const BOOT_SECTOR: &[u8] = &[
    0xfc, // cld
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xba, 0xf8, 0x03, // mov dx, 0x3f8 (data)
    0xbe, 0x27, 0x7c, // mov si, text
    0xac, // next: lodsb
    0x84, 0xc0, // test al, al
    0x74, 0x03, // jz wait
    0xee, // out dx, al
    0xeb, 0xf8, // jmp next
    0xba, 0xfd, 0x03, // wait: mov dx, 0x3fd (line status)
    0xec, // poll: in al, dx
    0xa8, 0x01, // test al, 1 (data ready)
    0x74, 0xfb, // jz poll
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xec, // in al, dx
    0xee, // out dx, al
    0xb0, 0xfe, // mov al, 0xfe
    0xe6, 0x64, // out 0x64, al (pulse the reset line)
    0xf4, // stop: hlt
    0xeb, 0xfd, // jmp stop
    b'h', b'e', b'l', b'l', b'o', b'\n', 0, // text
];

#[test]
fn a_guest_is_heard_and_typed_to_until_it_ends() {
    let Some(bench) = Bench::new() else { return };
    let image = bench.machines.path().join("boot,sector.img");
    let mut disk = BOOT_SECTOR.to_vec();
    disk.resize(510, 0);
    disk.extend([0x55, 0xaa]);
    disk.resize(1 << 20, 0);
    fs::write(&image, disk).expect("written");
    let mut config = config();
    config.disks =
        vec![Disk { image: DiskImage::Raw(image), bus: DiskBus::Ata, writes: DiskWrites::Discarded }];
    let mut machine = bench.qemu.start(&spec(config), bench.options()).expect("it starts");
    let console = machine.console().expect("a console");
    let heard = |text: &str| console.output().wait_for(LONG, |c| c.text().contains(text).then_some(()));
    assert_eq!(heard("hello\n"), Some(()), "{}", console.output().capture().text());
    console.write(b"x").expect("typed");
    let exit = machine.wait(LONG).expect("it ends");
    assert_eq!(exit.cause, ExitCause::Ended);
    let console = machine.console().expect("a console");
    console.output().wait_end(LONG);
    assert_eq!(console.output().capture().text(), "hello\nx");
}

const HOLD: &str = "SLOTWISE_TEST_HOLD_MACHINES";

/// Not a test by itself: the process that [`killing_us_leaves_no_qemu`] kills.
#[test]
fn hold_a_machine_until_killed() {
    let Some(folder) = std::env::var_os(HOLD).map(PathBuf::from) else { return };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = Places { program: None, search_path: &path, kvm: Path::new("/dev/kvm") };
    let qemu = Qemu::detect(&places).expect("it was there a moment ago");
    let machine = qemu.run(&spec(config()), StartOptions::new(folder.clone())).expect("it starts");
    fs::write(folder.join("pid.new"), machine.pid().to_string()).expect("written");
    fs::rename(folder.join("pid.new"), folder.join("pid")).expect("renamed");
    std::thread::sleep(LONG);
}

fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn killing_us_leaves_no_qemu() {
    let Some(bench) = Bench::new() else { return };
    if bench.qemu.capabilities().tether == Tether::None {
        assert!(std::env::var_os("CI").is_none(), "util-linux's setpriv is missing");
        eprintln!("skipped: util-linux's setpriv is missing");
        return;
    }
    let mut holder = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "hold_a_machine_until_killed"])
        .env(HOLD, bench.folder())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let pid_file = bench.folder().join("pid");
    let up = wait_until(|| pid_file.exists());
    let pid = fs::read_to_string(&pid_file).ok().and_then(|text| text.parse::<u32>().ok());
    let alive = pid.is_some_and(|pid| !gone(pid));
    holder.kill().expect("killed");
    holder.wait().expect("reaped");
    assert!(up && alive, "the machine did not come up");
    let followed = wait_until(|| pid.is_some_and(gone));
    if !followed && let Ok(mut left) = connect(&bench, MachineType::Pc) {
        // The test fails below; its QEMU goes all the same.
        let _ = left.qmp().quit(Duration::from_secs(10));
    }
    assert!(followed, "QEMU {pid:?} outlived us");
    // Its folder is a leftover that does not stand in the way.
    let machine = bench.qemu.run(&spec(config()), bench.options()).expect("it starts");
    drop(machine);
}

#[test]
fn what_is_rendered_for_hand_use_is_accepted_by_qemu() {
    let Some(bench) = Bench::new() else { return };
    let shared = bench.machines.path().join("shared");
    fs::create_dir(&shared).expect("made");
    fs::write(shared.join("readme.txt"), "text").expect("written");
    for machine in [MachineType::Pc, MachineType::Q35] {
        let mut config = config();
        config.machine = machine;
        config.disks = [DiskBus::Ata, DiskBus::Virtio]
            .map(|bus| Disk {
                image: DiskImage::FatDirectory(shared.clone()),
                bus,
                writes: DiskWrites::Discarded,
            })
            .into();
        let text = bench.qemu.render(&spec(config)).expect("rendered");
        // The monitor on the terminal takes Ctrl-A C and then a command.
        let script = format!("printf '\\001cquit\\n' | exec {text}");
        let output = Command::new("/bin/bash")
            .args(["-c", &script])
            .current_dir(bench.machines.path())
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
