//! The port the bench is at the other end of: a virtio-serial port found by its name, or a serial line.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Kernel command line option that names a device file instead of the virtio-serial port: `slotwise.port=/dev/ttyS1`.
const OPTION: &str = "slotwise.port=";

/// How long the port may take to appear after its driver was loaded.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no port to listen on.
#[derive(Debug)]
pub(crate) enum PortError {
    Absent { name: String },
    Open { path: PathBuf, source: io::Error },
}

impl std::fmt::Display for PortError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent { name } => write!(f, "no port `{name}` after {} s", PATIENCE.as_secs()),
            Self::Open { path, source } => write!(f, "cannot open {}: {source}", path.display()),
        }
    }
}

/// Waits for the port and opens it for both directions.
pub(crate) fn open(name: &str) -> Result<File, PortError> {
    let path = match from_command_line() {
        Some(path) => path,
        None => wait_for(name)?,
    };
    let open_at = |path: &Path| {
        let port = File::options().read(true).write(true).open(path)?;
        set_raw(&port)?;
        Ok(port)
    };
    open_at(&path).map_err(|source| PortError::Open { path, source })
}

fn from_command_line() -> Option<PathBuf> {
    let line = fs::read_to_string("/proc/cmdline").ok()?;
    line.split_whitespace().find_map(|word| word.strip_prefix(OPTION)).map(PathBuf::from)
}

fn wait_for(name: &str) -> Result<PathBuf, PortError> {
    let start = Instant::now();
    loop {
        if let Some(path) = find(name) {
            return Ok(path);
        }
        if start.elapsed() > PATIENCE {
            return Err(PortError::Absent { name: name.to_owned() });
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
    ports.flatten().find_map(|entry| {
        let own = fs::read_to_string(entry.path().join("name")).ok()?;
        let device = Path::new("/dev").join(entry.file_name());
        (own.trim_end() == name && device.exists()).then_some(device)
    })
}

/// A serial line must pass bytes as they are; a virtio-serial port is no terminal and does so anyhow.
fn set_raw(port: &File) -> io::Result<()> {
    let Ok(mut settings) = tcgetattr(port) else { return Ok(()) };
    settings.make_raw();
    Ok(tcsetattr(port, OptionalActions::Now, &settings)?)
}
