//! A machine under QEMU without acceleration: the guest's kernel and ramdisk, one SCSI adapter, one 64 MiB disk at id 2.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use slotwise_backend::console::Console;
use slotwise_testbench::console::{ConsoleTransport, Talk, Terminal};
use slotwise_testbench::guest::{BootFiles, BootMedium, GuestDefinition, Port, PrepareConfig};
use slotwise_testbench::rig::{DeviceUnderTest, Rig, RigError, RunningGuest};
use slotwise_testbench::sight::{Reference, marks};
use slotwise_testbench::transport::{AgentTransport, Transport};
use slotwise_testbench::wire::AGENT_PORT;

const DISK_BYTES: u64 = 64 << 20;

struct Machine {
    process: Child,
    /// Its files go with it.
    directory: tempfile::TempDir,
}

impl Machine {
    fn start(rig: &QemuRig, guest: &GuestDefinition) -> (Self, BootFiles) {
        let directory = tempfile::tempdir().unwrap();
        let at = |file: &str| directory.path().join(file).display().to_string();
        let config = PrepareConfig {
            cache_dir: images(),
            agent: agent(),
            boot_dir: "/boot".into(),
            modules_dir: "/lib/modules".into(),
            settings_dir: directory.path().join("settings"),
        };
        let files = guest.prepare(&config).unwrap_or_else(|error| panic!("{error}: {:?}", error.hint()));
        let memory = format!("{}M", files.memory_bytes >> 20);
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-M",
            "pc",
            "-accel",
            "tcg",
            "-m",
            &memory,
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ])
        .args(["-no-reboot", "-nic", "none"]);
        if guest.script().is_none() {
            qemu.args([
                "-serial",
                &format!("file:{}", at("console")),
                "-device",
                "virtio-serial-pci",
                "-chardev",
            ])
            .arg(format!("socket,id=agent,path={},server=on,wait=off", at("agent")))
            .args(["-device", &format!("virtserialport,chardev=agent,name={AGENT_PORT}")])
            .stdin(Stdio::null());
        } else {
            qemu.args(["-chardev", "stdio,id=console,signal=off"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            match files.port {
                Port::Serial => qemu.args(["-serial", "chardev:console"]),
                Port::Debug => qemu.args(["-device", "isa-debugcon,iobase=0x402,chardev=console"]),
            };
        }
        qemu.args([
            "-drive",
            &format!("if=none,id=d0,format=raw,cache=unsafe,file={}", rig.disk.path().display()),
        ]);
        match rig.adapter.as_str() {
            disk @ "virtio-blk-pci" => qemu.args(["-device", &format!("{disk},drive=d0")]),
            adapter => qemu
                .args(["-device", &format!("{adapter},id=scsi0"), "-device"])
                .arg("scsi-hd,bus=scsi0.0,scsi-id=2,drive=d0,vendor=SEAGATE,product=ST32550N,ver=0021,scsi_version=2"),
        };
        boot(&mut qemu, &files.medium);
        (Self { process: qemu.spawn().unwrap(), directory }, files)
    }

    fn connect(
        &self,
        guest: &GuestDefinition,
    ) -> Result<AgentTransport<UnixStream>, Box<dyn Error + Send + Sync>> {
        let path = self.directory.path().join("agent");
        let start = Instant::now();
        let link = loop {
            match UnixStream::connect(&path) {
                Ok(link) => break link,
                Err(error) if start.elapsed() > Duration::from_secs(20) => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        let transport = AgentTransport::connect(link, guest.capabilities().clone(), guest.start_limit())?;
        if transport.complaints().is_empty() {
            Ok(transport)
        } else {
            Err(transport.complaints().join("; ").into())
        }
    }

    fn console(&self) -> String {
        let bytes = fs::read(self.directory.path().join("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn exits_within(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < limit {
            if self.process.try_wait().unwrap().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

/// Starts guests with an emulated adapter and disk.
pub(crate) struct QemuRig {
    adapter: String,
    marks: Marks,
    /// The disk, the same for all guests of a run.
    disk: tempfile::NamedTempFile,
}

impl QemuRig {
    pub(crate) fn new(adapter: &str, marks: Marks) -> Self {
        let mut disk = tempfile::NamedTempFile::new().unwrap();
        make_disk(disk.as_file_mut(), marks);
        Self { adapter: adapter.to_owned(), marks, disk }
    }
}

/// A guest on a console, with the pipes of the machine for one.
struct Talker {
    machine: Machine,
    console: Console,
}

impl Terminal for Talker {
    fn terminal(&self) -> Option<&Console> {
        Some(&self.console)
    }
}

struct TalkingGuest(ConsoleTransport<Talker>);

impl RunningGuest for TalkingGuest {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.0
    }

    fn console_tail(&mut self) -> String {
        self.0.tail()
    }

    fn stop(self: Box<Self>) {}
}

/// What the machine boots.
fn boot(qemu: &mut Command, medium: &BootMedium) {
    match medium {
        BootMedium::Device => {}
        BootMedium::Kernel { kernel, initrd, append } => {
            qemu.arg("-kernel").arg(kernel);
            if let Some(initrd) = initrd {
                qemu.arg("-initrd").arg(initrd).args(["-append", append]);
            }
        }
        BootMedium::Uefi { code, variables } => {
            for (file, option) in [(code, ",readonly=on"), (variables, "")] {
                qemu.arg("-drive").arg(format!("if=pflash,format=raw{option},file={}", file.display()));
            }
        }
        BootMedium::Image { .. } => panic!("no test boots an image of the user's own"),
    }
}

fn make_disk(disk: &mut File, content: Marks) {
    disk.set_len(DISK_BYTES).unwrap();
    if matches!(content, Marks::Absent | Marks::ForGuests) {
        return;
    }
    disk.write_all(marks::BOOT_RECORD).unwrap();
    for lba in marks::MARKED.into_iter().chain([DISK_BYTES / marks::BLOCK_BYTES - 1]) {
        // A disk that has the marks one sector further is what an address that is off by one reads.
        let place = if content == Marks::Shifted { lba + 1 } else { lba };
        disk.seek(SeekFrom::Start((place * marks::BLOCK_BYTES).min(DISK_BYTES - marks::BLOCK_BYTES)))
            .unwrap();
        disk.write_all(marks::mark(lba).as_bytes()).unwrap();
    }
}

/// What is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    Absent,
    Present,
    Shifted,
    /// None, and nothing is declared of the disk: the guests of the run write the marks and find the rest out.
    ForGuests,
}

struct QemuGuest {
    machine: Machine,
    transport: AgentTransport<UnixStream>,
}

impl Rig for QemuRig {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError> {
        let (mut machine, files) = Machine::start(self, guest);
        let failed = |source: Box<dyn Error + Send + Sync>, console| RigError {
            guest: guest.id().into(),
            device: device.name.clone(),
            source,
            console,
            hint: None,
        };
        if let Some(script) = guest.script() {
            let (output, input) =
                (machine.process.stdout.take().unwrap(), machine.process.stdin.take().unwrap());
            let talker = Talker { machine, console: Console::over(output, input, None).unwrap() };
            let talk = Talk { script, names: files.names, within: guest.start_limit(), stop: Arc::default() };
            return match ConsoleTransport::connect(talker, &talk) {
                Ok(transport) => Ok(Box::new(TalkingGuest(transport))),
                Err((talker, error)) => {
                    let said = talker.console.output().capture().text();
                    drop(talker.machine);
                    Err(failed(error.into(), said))
                }
            };
        }
        match machine.connect(guest) {
            Ok(transport) => Ok(Box::new(QemuGuest { machine, transport })),
            Err(source) => Err(failed(source, machine.console())),
        }
    }

    fn reference(&self, _: &DeviceUnderTest) -> Reference {
        if self.marks == Marks::ForGuests {
            return Reference::default();
        }
        let id = match self.adapter.as_str() {
            "lsi53c895a" => "1000:0012",
            "dc390" => "1022:2020",
            "virtio-blk-pci" => "1af4:1001",
            _ => return Reference::default(),
        };
        let marked = self.marks != Marks::Absent;
        Reference { function: Some(id.parse().unwrap()), bytes: Some(DISK_BYTES), marked }
    }
}

impl RunningGuest for QemuGuest {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.transport
    }

    fn console_tail(&mut self) -> String {
        self.machine.console()
    }

    fn stop(mut self: Box<Self>) {
        let told = self.transport.power_off();
        assert!(
            told.is_err() || self.machine.exits_within(Duration::from_secs(30)),
            "the guest did not power off"
        );
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it must stay.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where guests' images and packages are kept from run to run: the cache of the build, or where `SLOTWISE_IMAGES` says.
fn images() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("images");
    std::env::var_os("SLOTWISE_IMAGES").map_or_else(own, PathBuf::from)
}

fn agent() -> PathBuf {
    let built =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("../x86_64-unknown-linux-gnu/release/slotwise-agent");
    std::env::var_os("SLOTWISE_AGENT").map_or(built, PathBuf::from)
}
