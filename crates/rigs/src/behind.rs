//! The firmware behind an emulated adapter in a guest: QEMU without acceleration, `scsi-generic` over iSCSI.
//!
//! QEMU's iSCSI driver (Debian: package `qemu-block-extra`) carries the guest's command descriptor blocks to the
//! [`Portal`], whose firmware answers them; nothing between interprets them but QEMU's SCSI bus, whose doings
//! [`crate::difference`] lists.

use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_lab::iscsi::Portal;
use slotwise_testbench::guest::{BootMedium, GuestDefinition, PrepareConfig};
use slotwise_testbench::rig::{DeviceUnderTest, Rig, RigError, RunningGuest};
use slotwise_testbench::transport::{AgentTransport, Transport};
use slotwise_testbench::wire::AGENT_PORT;

use crate::TARGET_ID;

type BoxError = Box<dyn Error + Send + Sync>;

/// How long QEMU may take to make its sockets.
const SOCKET_LIMIT: Duration = Duration::from_secs(20);
/// How long a guest may take to power off before it is ended.
const POWER_OFF: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// Lines of the console that go into a report.
const TAIL_LINES: usize = 40;

/// Starts guests in an emulated machine with devices.
#[derive(Clone, Debug)]
pub struct BehindRig {
    /// QEMU's arguments that describe the devices.
    pub devices: Vec<String>,
    /// What guests are made of.
    pub prepare: PrepareConfig,
}

impl BehindRig {
    /// The adapter that old guests know and QEMU emulates best.
    pub const ADAPTER: &'static str = "lsi53c895a";

    /// The firmware of a portal behind an adapter by QEMU's name for it. The portal must outlive the rig's guests.
    pub fn firmware(portal: &Portal, adapter: &str, prepare: PrepareConfig) -> Self {
        let devices = [
            "-device".to_owned(),
            format!("{adapter},id=scsi0"),
            "-drive".to_owned(),
            portal.qemu_drive("d0"),
            "-device".to_owned(),
            format!("scsi-generic,bus=scsi0.0,scsi-id={TARGET_ID},drive=d0"),
        ];
        Self { devices: devices.into(), prepare }
    }

    fn boot(
        &self,
        guest: &GuestDefinition,
        machine: &mut Option<Machine>,
    ) -> Result<AgentTransport<UnixStream>, BoxError> {
        let own = machine.insert(Machine::start(self, guest)?);
        let link = own.link()?;
        let transport = AgentTransport::connect(link, guest.capabilities().clone(), guest.start_limit())?;
        if transport.complaints().is_empty() {
            Ok(transport)
        } else {
            Err(transport.complaints().join("; ").into())
        }
    }
}

struct Machine {
    process: Child,
    /// Its files go with it.
    directory: tempfile::TempDir,
}

impl Machine {
    fn start(rig: &BehindRig, guest: &GuestDefinition) -> Result<Self, BoxError> {
        let files = guest.prepare(&rig.prepare)?;
        let BootMedium::Kernel { kernel, initrd: Some(initrd), append } = files.medium else {
            return Err(format!("{} has no agent, and this rig speaks to one", guest.id()).into());
        };
        let directory = tempfile::tempdir()?;
        let at = |file: &str| directory.path().join(file).display().to_string();
        let memory = format!("{}M", files.memory_bytes >> 20);
        let process = Command::new("qemu-system-x86_64")
            .args(["-M", "pc", "-accel", "tcg", "-m", &memory, "-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-no-reboot", "-nic", "none"])
            .args(["-serial", &format!("file:{}", at("console"))])
            .args(["-device", "virtio-serial-pci", "-chardev"])
            .arg(format!("socket,id=agent,path={},server=on,wait=off", at("agent")))
            .args(["-device", &format!("virtserialport,chardev=agent,name={AGENT_PORT}")])
            .args(&rig.devices)
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", &append])
            .stdin(Stdio::null())
            .stderr(fs::File::create(directory.path().join("messages"))?)
            .spawn()?;
        Ok(Self { process, directory })
    }

    fn link(&mut self) -> io::Result<UnixStream> {
        let path = self.directory.path().join("agent");
        let start = Instant::now();
        loop {
            match UnixStream::connect(&path) {
                Ok(link) => return Ok(link),
                Err(error) if start.elapsed() > SOCKET_LIMIT => return Err(error),
                Err(_) => {}
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("QEMU ended with {status}: {}", self.messages())));
            }
            thread::sleep(POLL);
        }
    }

    fn text(&self, file: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(file)).unwrap_or_default()).into_owned()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn messages(&self) -> String {
        self.text("messages").trim_end().to_owned()
    }

    fn console(&self) -> String {
        let text = self.text("console");
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
    }

    fn ends_within(&mut self, limit: Duration) {
        let start = Instant::now();
        while start.elapsed() < limit && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it must stay.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Behind {
    transport: AgentTransport<UnixStream>,
    machine: Machine,
}

impl RunningGuest for Behind {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.transport
    }

    fn console_tail(&mut self) -> String {
        self.machine.console()
    }

    fn stop(mut self: Box<Self>) {
        if self.transport.power_off().is_ok() {
            self.machine.ends_within(POWER_OFF);
        }
    }
}

impl Rig for BehindRig {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError> {
        let mut machine = None;
        let outcome = self.boot(guest, &mut machine);
        match (outcome, machine) {
            (Ok(transport), Some(machine)) => Ok(Box::new(Behind { transport, machine })),
            (outcome, machine) => Err(RigError {
                guest: guest.id().to_owned(),
                device: device.name.clone(),
                source: outcome.err().unwrap_or_else(|| "the machine is gone".into()),
                console: machine.map(|machine| machine.console()).unwrap_or_default(),
                hint: Some("QEMU needs its iSCSI driver: on Debian the package qemu-block-extra".to_owned()),
            }),
        }
    }
}
