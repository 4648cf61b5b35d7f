//! A machine under QEMU without acceleration: the guest's kernel and ramdisk, one SCSI adapter, one 64 MiB disk at id 2.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_testbench::guest::{GuestDefinition, PrepareConfig};
use slotwise_testbench::transport::AgentTransport;
use slotwise_testbench::wire::AGENT_PORT;

const DISK_BYTES: u64 = 64 << 20;

pub struct Machine {
    process: Child,
    /// Its files go with it.
    directory: tempfile::TempDir,
}

impl Machine {
    pub fn start(guest: &GuestDefinition, adapter: &str) -> Self {
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

    pub fn connect(&mut self, guest: &GuestDefinition) -> AgentTransport<UnixStream> {
        let path = self.directory.path().join("agent");
        let start = Instant::now();
        let link = loop {
            match UnixStream::connect(&path) {
                Ok(link) => break link,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "no port: {error}"),
            }
            thread::sleep(Duration::from_millis(20));
        };
        AgentTransport::connect(link, guest.capabilities().clone(), guest.start_limit())
            .unwrap_or_else(|error| panic!("{error}\n{}", self.console()))
    }

    pub fn console(&self) -> String {
        let bytes = fs::read(self.directory.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn exits_within(&mut self, limit: Duration) -> bool {
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
