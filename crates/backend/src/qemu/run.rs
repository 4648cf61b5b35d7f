//! A QEMU that runs.
//!
//! QEMU connects to us for the console and for the control connection that we keep, so neither has to be waited
//! for or polled and not a byte of the console is lost. It listens for channels, and for a second control
//! connection that another process can use to attach and detach devices.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{ChannelName, Console as ConsoleKind, PassthroughDevice, VmName, VmSpec};

use super::capabilities::Capabilities;
use super::control::Control;
use super::render::{RenderError, render};
use super::wiring::{RuntimeError, RuntimeFolder, Sockets, Wiring};
use crate::capture::Tee;
use crate::console::Console;
use crate::preflight::{NodeFault, check_nodes};
use crate::process::{Launch, Process, ProcessError};
use crate::qmp::{Qmp, QmpError};
use crate::{Exit, ExitCause, StartOptions};

/// How long a QEMU that has hung up takes at most to be gone.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// How long a write to a console may be stuck before it counts as failed.
const CONSOLE_WRITE: Duration = Duration::from_secs(5);

/// Why a machine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot be put into a command line.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Device nodes are not as they should be.
    #[error("machine {machine} cannot open its VFIO nodes: {}", list(faults))]
    Nodes {
        /// The machine.
        machine: VmName,
        /// Each faulty node.
        faults: Vec<NodeFault>,
    },
    /// Its folder cannot be had.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A socket or thread of ours cannot be had.
    #[error("cannot prepare {what} of machine {machine}")]
    Prepare {
        /// What was prepared.
        what: &'static str,
        /// The machine.
        machine: VmName,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// QEMU was not started at all.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// QEMU ended at once, and said why.
    #[error("QEMU gave up starting machine {machine} ({status})")]
    GaveUp {
        /// The machine.
        machine: VmName,
        /// How it ended.
        status: ExitStatus,
        /// Its own words, whole.
        messages: String,
    },
    /// QEMU did not come up.
    #[error("machine {machine} did not come up within {} s", within.as_secs())]
    Deadline {
        /// The machine.
        machine: VmName,
        /// How long we waited.
        within: Duration,
        /// What QEMU said by then.
        messages: String,
    },
    /// A saved state was not taken over.
    #[error("machine {machine} does not go on from its saved state")]
    State {
        /// The machine.
        machine: VmName,
        /// What happened.
        #[source]
        source: Box<QmpError>,
        /// What QEMU said by then.
        messages: String,
    },
    /// QEMU is there and does not speak as it should.
    #[error("control connection to machine {machine} failed at start")]
    Control {
        /// The machine.
        machine: VmName,
        /// What happened.
        #[source]
        source: QmpError,
        /// What QEMU said by then.
        messages: String,
    },
}

fn list(faults: &[NodeFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl StartError {
    /// What QEMU said before it failed, for a diagnosis.
    #[must_use]
    pub fn messages(&self) -> Option<&str> {
        match self {
            Self::GaveUp { messages, .. }
            | Self::Deadline { messages, .. }
            | Self::State { messages, .. }
            | Self::Control { messages, .. } => Some(messages),
            _ => None,
        }
    }

    /// What to do next, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Render(error) => Some(error.hint()),
            Self::Nodes { faults, .. } => faults.iter().find_map(NodeFault::hint),
            Self::Runtime(error) => error.hint(),
            Self::GaveUp { .. } => Some("give QEMU's words and the kernel log to `slotwise diagnose`"),
            _ => None,
        }
    }
}

/// Why a running machine did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No channel of that name.
    #[error("machine {machine} has no channel {channel}")]
    NoChannel {
        /// The machine.
        machine: VmName,
        /// The name.
        channel: ChannelName,
    },
    /// The channel's socket does not answer.
    #[error("cannot open channel {channel} of machine {machine}")]
    Channel {
        /// The machine.
        machine: VmName,
        /// The name.
        channel: ChannelName,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file for its state cannot be had.
    #[error("cannot write {}", path.display())]
    StateFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its state was not written.
    #[error("cannot save machine {machine}")]
    Save {
        /// The machine.
        machine: VmName,
        /// Why.
        #[source]
        source: QmpError,
    },
    /// Killed, and not gone.
    #[error("process {pid} of machine {machine} was killed and does not go")]
    Stuck {
        /// The machine.
        machine: VmName,
        /// Its process.
        pid: u32,
    },
}

impl RunError {
    /// What to do next, where we know.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Stuck { .. } => Some(
                "a device that does not reset can hold it in the kernel: see the kernel log and /proc/PID/stack",
            ),
            _ => None,
        }
    }
}

/// A running machine. Dropping it kills QEMU and removes its folder.
#[derive(Debug)]
pub struct Running {
    control: Control,
    channels: Vec<ChannelName>,
    console: Option<Console>,
    // Before the folder: fields are dropped in this order, and QEMU goes before its sockets.
    process: Process,
    folder: RuntimeFolder,
}

impl Running {
    /// Starts a machine and waits until QEMU has accepted every device.
    ///
    /// # Errors
    /// See [`StartError`]. QEMU is gone then.
    pub fn start(spec: &VmSpec, caps: &Capabilities, options: StartOptions) -> Result<Self, StartError> {
        let config = spec.config();
        let name = &config.name;
        let StartOptions { machines, nodes, within, messages, console, state } = options;
        let deadline = Instant::now() + within;
        check_nodes(&nodes).map_err(|faults| StartError::Nodes { machine: name.clone(), faults })?;
        let folder = RuntimeFolder::create(&machines, name)?;
        let sockets = folder.sockets();
        let mut line = render(spec, caps, Wiring::Sockets(sockets))?;
        let prepared = |what| move |source| StartError::Prepare { what, machine: name.clone(), source };
        let state = state.map(File::open).transpose().map_err(prepared("saved state"))?;
        if state.is_some() {
            line.option("-incoming", "defer");
        }
        let control = listen(&sockets.own_qmp()).map_err(prepared("control socket"))?;
        let serial = match config.console {
            ConsoleKind::Serial | ConsoleKind::DebugPort => {
                Some(listen(&sockets.console()).map_err(prepared("console socket"))?)
            }
            ConsoleKind::None => None,
        };
        let process = Process::spawn(Launch {
            program: line.program,
            arguments: line.arguments,
            processors: line.processors,
            tether: caps.tether.clone(),
            messages,
        })?;
        let start = Start { name, process: &process, deadline, within };
        let console = match serial {
            Some(listener) => {
                let stream = start.accept(&listener, "console")?;
                Some(console_over(stream, console).map_err(prepared("console"))?)
            }
            None => None,
        };
        let mut qmp = start.negotiate(start.accept(&control, "control connection")?)?;
        if let Some(state) = &state {
            start.take_over(&mut qmp, state)?;
        }
        Ok(Self {
            control: Control::over(name.clone(), config.machine, qmp),
            channels: config.channels.clone(),
            console,
            process,
            folder,
        })
    }

    /// The control connection, for what has no method here.
    pub const fn qmp(&mut self) -> &mut Qmp {
        self.control.qmp()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its sockets.
    #[must_use]
    pub const fn sockets(&self) -> &Sockets {
        self.folder.sockets()
    }

    fn exit(&self, status: ExitStatus) -> Exit {
        let cause = if status.success() {
            ExitCause::Ended
        } else if status.signal() == Some(rustix::process::Signal::KILL.as_raw()) {
            ExitCause::Killed
        } else {
            ExitCause::Failed(status.to_string())
        };
        Exit { cause, messages: self.process.messages_to_end() }
    }

    /// Writes the whole machine into a new file that only we may read, and lets it run on.
    fn save_state(&mut self, path: &Path, within: Duration) -> Result<(), RunError> {
        let machine = self.control.name().clone();
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| RunError::StateFile { path: path.to_owned(), source })?;
        let saved = self.qmp().save_to(file.as_fd(), within);
        let resumed = self.qmp().cont();
        saved.and(resumed).map_err(|source| {
            // What is in it now is no state.
            let _ = fs::remove_file(path);
            RunError::Save { machine, source }
        })
    }

    fn find_channel(&self, name: &ChannelName) -> Result<UnixStream, RunError> {
        let (machine, channel) = (self.control.name().clone(), name.clone());
        let Some(index) = self.channels.iter().position(|channel| channel == name) else {
            return Err(RunError::NoChannel { machine, channel });
        };
        let stream = UnixStream::connect(self.folder.sockets().channel(index));
        stream.map_err(|source| RunError::Channel { machine, channel, source })
    }
}

impl crate::Machine for Running {
    fn console(&self) -> Option<&Console> {
        self.console.as_ref()
    }

    fn open_channel(&self, name: &ChannelName) -> Result<UnixStream, crate::BackendError> {
        Ok(self.find_channel(name)?)
    }

    fn attach(&mut self, devices: &[PassthroughDevice], within: Duration) -> Result<(), crate::BackendError> {
        Ok(self.control.attach(devices, within)?)
    }

    fn detach(&mut self, devices: &[PciAddress], within: Duration) -> Result<(), crate::BackendError> {
        Ok(self.control.detach(devices, within)?)
    }

    fn save(&mut self, path: &Path, within: Duration) -> Result<(), crate::BackendError> {
        Ok(self.save_state(path, within)?)
    }

    fn wait(&mut self, within: Duration) -> Option<Exit> {
        self.process.wait(within).map(|status| self.exit(status))
    }

    fn end(&mut self, within: Duration) -> Result<Exit, crate::BackendError> {
        let deadline = Instant::now() + within;
        // A monitor that hangs does not answer: the order is given no more time than the end itself.
        if !within.is_zero() && self.process.exited().is_none() && self.qmp().quit(within).is_ok() {
            let _ = self.process.wait(deadline.saturating_duration_since(Instant::now()));
        }
        if self.process.exited().is_none() {
            self.process.kill();
        }
        match self.process.wait(LAST_BREATH) {
            Some(status) => Ok(self.exit(status)),
            None => Err(RunError::Stuck { machine: self.control.name().clone(), pid: self.pid() }.into()),
        }
    }

    fn messages(&self) -> String {
        self.process.messages().capture().text()
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn console_over(stream: UnixStream, copy: Option<Tee>) -> io::Result<Console> {
    stream.set_write_timeout(Some(CONSOLE_WRITE))?;
    Console::over(stream.try_clone()?, stream, copy)
}

/// A QEMU that is coming up.
#[derive(Clone, Copy)]
struct Start<'a> {
    name: &'a VmName,
    process: &'a Process,
    deadline: Instant,
    within: Duration,
}

impl Start<'_> {
    /// Waits for QEMU to connect, or to give up.
    fn accept(&self, listener: &UnixListener, what: &'static str) -> Result<UnixStream, StartError> {
        let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let failed = |source| StartError::Prepare { what, machine: self.name.clone(), source };
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).map_err(failed)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(error)),
            }
            if let Some(status) = self.process.exited() {
                return Err(self.gave_up(status));
            }
            if Instant::now() >= self.deadline {
                return Err(self.too_late());
            }
            // Its outcome does not matter: the loop looks at everything anyway.
            let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&tick));
        }
    }

    fn negotiate(&self, stream: UnixStream) -> Result<Qmp, StartError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match Qmp::over(stream, left) {
            Ok(qmp) => Ok(qmp),
            Err(QmpError::CommandDeadline { .. }) => Err(self.too_late()),
            // QEMU hangs up when it gives up on a device.
            Err(source) => match self.process.wait(LAST_BREATH) {
                Some(status) => Err(self.gave_up(status)),
                None => {
                    let messages = self.process.messages().capture().text();
                    Err(StartError::Control { machine: self.name.clone(), source, messages })
                }
            },
        }
    }

    /// Fills the machine with a saved state, and lets it run on.
    fn take_over(&self, qmp: &mut Qmp, state: &File) -> Result<(), StartError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        qmp.load_from(state.as_fd(), left).and_then(|()| qmp.cont()).map_err(|source| {
            // QEMU ends where a state does not fit its machine, and says so.
            let _ = self.process.wait(LAST_BREATH);
            let messages = self.process.messages().capture().text();
            StartError::State { machine: self.name.clone(), source: Box::new(source), messages }
        })
    }

    fn gave_up(&self, status: ExitStatus) -> StartError {
        let messages = self.process.messages_to_end();
        StartError::GaveUp { machine: self.name.clone(), status, messages }
    }

    fn too_late(&self) -> StartError {
        let messages = self.process.messages().capture().text();
        StartError::Deadline { machine: self.name.clone(), within: self.within, messages }
    }
}
