//! First process of a lab host.
//!
//! It mounts the read-only images the lab attaches, lays a tmpfs over them, sets the host up as the machine's
//! description asks, and then serves the control channel until that closes; when it closes, the host powers off, so
//! no lab host outlives whoever started it.
//!
//! It is linked statically and holds no unsafe code. Whatever goes wrong before the channel is open is said on the
//! kernel console, which the lab keeps as a log.

#![forbid(unsafe_code)]

mod command;
mod files;
mod quiet;
mod reaper;
mod root;
mod serve;
mod setup;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::system::{RebootCommand, reboot};
use slotwise_lab::channel::wire::{Hello, Phase};
use slotwise_lab::channel::{PORT_NAME, VERSION};

/// How long devices of the lab itself may take to appear. They are there before the first process under any load
/// seen; the bound is for a machine whose images were not attached.
const DEVICE_WAIT: Duration = Duration::from_secs(20);

fn main() {
    if std::process::id() != 1 {
        eprintln!("slotwise-lab-init is the first process of a lab host and does nothing elsewhere");
        std::process::exit(2);
    }
    if let Err(error) = boot() {
        say(&format!("failed: {error}"));
    }
    rustix::fs::sync();
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        say(&format!("cannot power off: {error}"));
    }
    // A first process that returns panics the kernel, which is the other way to end the machine (`panic=-1`).
}

fn boot() -> io::Result<()> {
    let mut phases = Phases::default();
    phases.end("kernel");
    root::mount_kernel_file_systems()?;
    root::load_early_modules()?;
    phases.end("early modules");
    root::enter()?;
    phases.end("root");
    let port = open_port()?;
    let hello = Hello { version: VERSION, kernel: kernel_release() };
    serve::serve(port, hello, phases)
}

/// Stretches of the boot, told by the uptime clock.
#[derive(Debug, Default)]
pub(crate) struct Phases(pub(crate) Vec<Phase>);

impl Phases {
    /// Notes that what is named ended now.
    pub(crate) fn end(&mut self, name: &str) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let end_ms = u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1000)
            + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
        self.0.push(Phase { name: name.to_owned(), end_ms });
    }
}

fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The control port. There is no udev, so `/dev/virtio-ports` does not exist; sysfs names the ports.
fn open_port() -> io::Result<File> {
    let class = Path::new("/sys/class/virtio-ports");
    let device = wait(|| {
        let entries = std::fs::read_dir(class).ok()?;
        entries.flatten().find(|entry| {
            std::fs::read_to_string(entry.path().join("name")).is_ok_and(|name| name.trim() == PORT_NAME)
        })
    })
    .ok_or_else(|| io::Error::other(format!("no virtio port named {PORT_NAME}")))?;
    OpenOptions::new().read(true).write(true).open(Path::new("/dev").join(device.file_name()))
}

/// Asks until there is an answer or [`DEVICE_WAIT`] is over.
pub(crate) fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > DEVICE_WAIT {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says a line on the kernel console.
pub(crate) fn say(text: &str) {
    // The console is the last resort: where it cannot be written, there is nobody to tell.
    if let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") {
        let _ = writeln!(console, "slotwise-lab-init: {text}");
    }
}
