//! A machine under QEMU without acceleration: the guest's kernel and ramdisk, one SCSI adapter, one 64 MiB disk at id 2.

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_testbench::guest::{GuestDefinition, PrepareConfig};
use slotwise_testbench::rig::{DeviceUnderTest, Rig, RigError, RunningGuest};
use slotwise_testbench::transport::{AgentTransport, Transport};
use slotwise_testbench::wire::AGENT_PORT;

const DISK_BYTES: u64 = 64 << 20;

struct Machine {
    process: Child,
    /// Its files go with it.
    directory: tempfile::TempDir,
}

impl Machine {
    fn start(guest: &GuestDefinition, adapter: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |file: &str| directory.path().join(file).display().to_string();
        let config = PrepareConfig {
            cache_dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("images"),
            agent: agent(),
            boot_dir: "/boot".into(),
            modules_dir: "/lib/modules".into(),
        };
        let files = guest.prepare(&config).unwrap_or_else(|error| panic!("{error}: {:?}", error.hint()));
        File::create(at("disk")).and_then(|file| file.set_len(DISK_BYTES)).unwrap();
        let memory = format!("{}M", files.memory_bytes >> 20);
        let process = Command::new("qemu-system-x86_64")
            .args(["-M", "pc", "-accel", "tcg", "-m", &memory, "-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-no-reboot", "-nic", "none", "-serial", &format!("file:{}", at("console"))])
            .args(["-device", "virtio-serial-pci", "-chardev"])
            .arg(format!("socket,id=agent,path={},server=on,wait=off", at("agent")))
            .args(["-device", &format!("virtserialport,chardev=agent,name={AGENT_PORT}")])
            .args(["-device", &format!("{adapter},id=scsi0")])
            .args(["-drive", &format!("if=none,id=d0,format=raw,cache=unsafe,file={}", at("disk"))])
            .args(["-device", "scsi-hd,bus=scsi0.0,scsi-id=2,drive=d0,vendor=SEAGATE,product=ST32550N,ver=0021,scsi_version=2"])
            .arg("-kernel")
            .arg(files.kernel)
            .arg("-initrd")
            .arg(files.initrd)
            .args(["-append", &files.append])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, directory }
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
    pub(crate) adapter: String,
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
        let machine = Machine::start(guest, &self.adapter);
        match machine.connect(guest) {
            Ok(transport) => Ok(Box::new(QemuGuest { machine, transport })),
            Err(source) => Err(RigError {
                guest: guest.id().into(),
                device: device.name.clone(),
                source,
                console: machine.console(),
                hint: None,
            }),
        }
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

fn agent() -> PathBuf {
    let built =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("../x86_64-unknown-linux-gnu/release/slotwise-agent");
    std::env::var_os("SLOTWISE_AGENT").map_or(built, PathBuf::from)
}
