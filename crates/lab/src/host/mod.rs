//! A running lab host.
//!
//! [`LabHost::boot`] starts QEMU, waits until the first process of the lab host has set it up, and answers with a
//! [`Session`] into it. The lab host lives as long as its `LabHost`: dropping that kills QEMU; when the owner is
//! killed itself, the kernel kills QEMU (`PR_SET_PDEATHSIG`, through `setpriv`), and the lab host powers off by itself
//! when its control channel closes.

mod directory;
mod process;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::artifacts::Artifacts;
use crate::channel::VERSION;
use crate::channel::frame::{ExchangeId, Frame, FrameError, Message};
use crate::channel::wire::{Hello, Phase, Ready, Setup};
use crate::machine::{BootFiles, Machine, qemu_arguments};
use crate::session::share::{Share, ShareError};
use crate::session::{Session, SessionError};
use process::Qemu;

/// Lines of the console shown when a boot fails.
const TAIL_LINES: usize = 30;
/// Bytes of a log looked at for its last lines.
const TAIL_BYTES: u64 = 64 * 1024;
/// How long a lab host may take to power off before it is killed.
const POWER_OFF: Duration = Duration::from_secs(15);
/// How long drivers may take to make the devices a machine waits for. The SCSI bus's scan, the slowest, takes two
/// seconds on two quiet processors.
const DEVICE_WAIT: Duration = Duration::from_secs(15);

/// How long a lab host may neither say nor do anything while it boots.
const STALL: Duration = Duration::from_secs(90);
/// How often a booting lab host is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long the rest of a message may take that has begun to come.
const MESSAGE: Duration = Duration::from_secs(60);

/// How to boot.
#[derive(Clone, Debug)]
pub struct BootOptions {
    /// Processor time that QEMU may use until the lab host is up. Other work of the machine takes none of it, so that a
    /// busy machine does not make a boot fail that goes on well.
    pub deadline: Duration,
    /// Where the kernel console is logged; a temporary file when absent.
    pub console_log: Option<PathBuf>,
}

impl Default for BootOptions {
    /// Two minutes, several times what a boot takes.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(120), console_log: None }
    }
}

/// Why a lab host is not up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or socket of the boot could not be made.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It was not up in time.
    #[error(
        "the lab host was not up after {} s, {} s of processor time{}",
        .after.as_secs(), .used.as_secs(), tail(.console)
    )]
    Deadline {
        /// Time since it was started.
        after: Duration,
        /// Processor time of it that was the lab host's.
        used: Duration,
        /// Last lines of the console, and of QEMU's complaints.
        console: String,
    },
    /// QEMU ended before the lab host was up.
    #[error("the lab host ended before it was up{}", tail(.console))]
    Ended {
        /// Last lines of the console, and of QEMU's complaints.
        console: String,
    },
    /// The control channel does not work.
    #[error("cannot talk to the lab host")]
    Session(#[from] SessionError),
}

fn tail(console: &str) -> String {
    if console.is_empty() { String::new() } else { format!("; its last words:\n{console}") }
}

impl LabError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// A lab host that is up.
#[derive(Debug)]
pub struct LabHost {
    // The order of fields is the order of dropping: clients first, then the machine, then its files.
    share: Option<Share>,
    session: Session,
    qemu: Qemu,
    hello: Hello,
    ready: Ready,
    boot_time: Duration,
    console: PathBuf,
    _directory: directory::Directory,
}

impl LabHost {
    /// Boots a machine; `progress` hears what it is doing. One that is not up in time is booted once more: a kernel
    /// patches its own code while it boots, which QEMU before 8.1 may miss (`slotwise-lab-init`, `quiet.rs`), and that is
    /// the likely reason why one of 54 boots never ended. One that is not up for a reason of its own fails again.
    ///
    /// # Errors
    /// See [`LabError`].
    pub fn boot(
        machine: &Machine,
        artifacts: &Artifacts,
        options: &BootOptions,
        progress: &dyn Fn(&str),
    ) -> Result<Self, LabError> {
        match Self::boot_once(machine, artifacts, options, progress) {
            Err(LabError::Deadline { after, .. }) => {
                progress(&format!("not up after {} s; starting it once more", after.as_secs()));
                Self::boot_once(machine, artifacts, options, progress)
            }
            done => done,
        }
    }

    fn boot_once(
        machine: &Machine,
        artifacts: &Artifacts,
        options: &BootOptions,
        progress: &dyn Fn(&str),
    ) -> Result<Self, LabError> {
        let start = Instant::now();
        let directory = directory::Directory::create()
            .map_err(|source| LabError::io("create a directory in", &std::env::temp_dir(), source))?;
        let path = directory.path();
        let console = options.console_log.clone().unwrap_or_else(|| path.join("console.log"));
        let files = BootFiles {
            kernel: artifacts.kernel.clone(),
            initramfs: artifacts.initramfs.clone(),
            root: artifacts.root.clone(),
            payload: artifacts.payload.clone(),
            control: path.join("control.sock"),
            console: console.clone(),
            disks: path.to_owned(),
        };
        for disk in machine.disks() {
            let image = path.join(format!("{}.img", disk.name));
            let made = File::create_new(&image).and_then(|file| file.set_len(disk.size.0));
            made.map_err(|source| LabError::io("create", &image, source))?;
        }
        let listener = UnixListener::bind(&files.control)
            .map_err(|source| LabError::io("listen on", &files.control, source))?;
        progress("starting the machine");
        let log = path.join("qemu.log");
        let qemu = Qemu::start(&artifacts.qemu, qemu_arguments(machine, &files), &log)
            .map_err(|source| LabError::io("run", &artifacts.qemu, source))?;
        let greeting = Greeting { qemu: &qemu, patience: RefCell::new(Patience::new(options.deadline)) };
        let greeted = greeting.accept(&listener).and_then(|stream| {
            let (hello, ready) = greeting.greet(&stream, &setup(machine), progress)?;
            stream.set_read_timeout(None)?;
            Ok((stream, hello, ready))
        });
        let (stream, hello, ready) = greeted.map_err(|error| {
            let console = last_words(&console, &log);
            match error {
                GreetError::Deadline => {
                    let used = qemu.processor_time().unwrap_or_default();
                    LabError::Deadline { after: start.elapsed(), used, console }
                }
                GreetError::Ended => LabError::Ended { console },
                GreetError::Channel(error) => LabError::Session(error),
            }
        })?;
        let session = Session::over(stream)?;
        let boot_time = start.elapsed();
        Ok(Self { share: None, session, qemu, hello, ready, boot_time, console, _directory: directory })
    }

    /// The way into it; also what this dereferences to.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Lets other processes of this user join it by name.
    ///
    /// # Errors
    /// A lab of that name is up already, or there is no place for the socket.
    pub fn share(&mut self, name: &str) -> Result<&Path, ShareError> {
        let share = Share::start(name, &self.session, self.hello.clone())?;
        Ok(self.share.insert(share).path())
    }

    /// Time from the start of QEMU until it was up.
    #[must_use]
    pub fn boot_time(&self) -> Duration {
        self.boot_time
    }

    /// The stretches of its boot, by its own clock.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.ready.phases
    }

    /// What did not work in setting it up.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.ready.complaints
    }

    /// Release of its kernel.
    #[must_use]
    pub fn kernel_release(&self) -> &str {
        &self.hello.kernel
    }

    /// Last lines of its console.
    #[must_use]
    pub fn console_tail(&self) -> String {
        last_lines(&self.console)
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.qemu.has_ended() && self.session.is_open()
    }

    /// Powers it off; kills it when that takes too long.
    pub fn shutdown(self) {
        // An error means that it is off already.
        if self.session.power_off().is_ok() {
            self.qemu.wait(POWER_OFF);
        }
    }
}

impl Deref for LabHost {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

fn setup(machine: &Machine) -> Setup {
    let kernel = machine.kernel();
    let cards = machine.devices().iter().filter(|device| device.up);
    Setup {
        hostname: machine.name().to_owned(),
        modprobe: kernel.modprobe.clone(),
        modules: kernel.modules.clone(),
        interfaces_up: cards.filter_map(|device| machine.mac(&device.name)).collect(),
        wait_for: kernel.wait_for.clone(),
        wait_ms: u64::try_from(DEVICE_WAIT.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The part of a boot in which QEMU may end and time may run out.
struct Greeting<'a> {
    qemu: &'a Qemu,
    patience: RefCell<Patience>,
}

/// How long a boot is waited for: as long as it goes on, within its processor time.
struct Patience {
    start: Instant,
    limit: Duration,
    /// Processor time at the last sign of life, and when that was.
    used: Duration,
    alive: Instant,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        let start = Instant::now();
        Self { start, limit, used: Duration::ZERO, alive: start }
    }

    /// Whether to wait on, `used` being the processor time so far, if that can be told; then all time counts.
    fn lasts(&mut self, used: Option<Duration>) -> bool {
        let used = used.unwrap_or_else(|| self.start.elapsed());
        if used >= self.used + LOOK {
            self.used = used;
            self.alive = Instant::now();
        }
        used < self.limit && self.alive.elapsed() < STALL
    }
}

enum GreetError {
    Deadline,
    Ended,
    Channel(SessionError),
}

impl From<io::Error> for GreetError {
    fn from(error: io::Error) -> Self {
        FrameError::Io(error).into()
    }
}

impl From<FrameError> for GreetError {
    fn from(error: FrameError) -> Self {
        match error {
            // A read past its time limit is EAGAIN on a socket (socket(7), SO_RCVTIMEO).
            FrameError::Io(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Self::Deadline
            }
            error if error.is_end() => Self::Ended,
            error => Self::Channel(error.into()),
        }
    }
}

impl Greeting<'_> {
    /// Waits for QEMU to connect, which it does before it starts the machine.
    fn accept(&self, listener: &UnixListener) -> Result<UnixStream, GreetError> {
        listener.set_nonblocking(true)?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                Err(_) if self.qemu.has_ended() => return Err(GreetError::Ended),
                Err(_) => self.look()?,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn greet(
        &self,
        stream: &UnixStream,
        setup: &Setup,
        progress: &dyn Fn(&str),
    ) -> Result<(Hello, Ready), GreetError> {
        progress("booting its kernel");
        let Message::Hello(hello) = self.next(stream)? else { return Err(out_of_turn()) };
        if hello.version != VERSION {
            return Err(GreetError::Channel(SessionError::Version { found: hello.version }));
        }
        Frame::new(ExchangeId::HOST, Message::Setup(setup.clone())).write(stream)?;
        loop {
            match self.next(stream)? {
                Message::Progress(text) => progress(&text),
                Message::Ready(ready) => return Ok((hello, ready)),
                _ => return Err(out_of_turn()),
            }
        }
    }

    /// The next message. It is waited for in small pieces, and read once it has begun to come.
    fn next(&self, stream: &UnixStream) -> Result<Message, GreetError> {
        let look = Timespec { tv_sec: 1, tv_nsec: 0 };
        let ready = || poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&look));
        while rustix::io::retry_on_intr(ready).map_err(io::Error::from)? == 0 {
            self.look()?;
        }
        self.patience.borrow_mut().alive = Instant::now();
        stream.set_read_timeout(Some(MESSAGE))?;
        Ok(Frame::read(stream)?.message)
    }

    fn look(&self) -> Result<(), GreetError> {
        let lasts = self.patience.borrow_mut().lasts(self.qemu.processor_time());
        if lasts { Ok(()) } else { Err(GreetError::Deadline) }
    }
}

fn out_of_turn() -> GreetError {
    GreetError::Channel(SessionError::Refused("the lab host speaks out of turn".to_owned()))
}

/// The ends of the console and of QEMU's messages, without what QEMU says of every CPU model under emulation.
fn last_words(console: &Path, qemu: &Path) -> String {
    let said = last_lines(qemu);
    let said = said.lines().filter(|line| !line.contains("TCG doesn't support requested feature"));
    let mut words = last_lines(console);
    for line in said {
        words.push('\n');
        words.push_str(line);
    }
    words.trim().to_owned()
}

fn last_lines(path: &Path) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = fs::metadata(path)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // A log that cannot be read has nothing to add to the error it was to explain.
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_that_works_is_waited_for_and_one_that_uses_up_its_time_is_not() {
        let mut patience = Patience::new(Duration::from_secs(120));
        patience.start = Instant::now().checked_sub(Duration::from_secs(1000)).unwrap();
        patience.alive = patience.start;
        assert!(patience.lasts(Some(Duration::from_secs(30))), "a busy machine gave it 30 s of 1000");
        assert!(!patience.lasts(Some(Duration::from_secs(120))));
    }

    #[test]
    fn a_boot_that_does_nothing_is_given_up() {
        let mut patience = Patience::new(Duration::from_secs(120));
        assert!(patience.lasts(Some(Duration::from_secs(5))));
        patience.alive = Instant::now().checked_sub(STALL).unwrap();
        assert!(!patience.lasts(Some(Duration::from_secs(5))));
    }
}
