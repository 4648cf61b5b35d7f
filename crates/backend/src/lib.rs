//! Virtual machine monitors: capabilities, command lines and domain files, running.
//!
//! A [`Backend`] turns a [`VmSpec`] into the text that its monitor understands, and into a running [`Machine`].
//! It takes the devices as they are given: it reads no sysfs, binds no driver and chooses nothing. What a machine
//! or a monitor says is untrusted; every wait has a deadline.

#![forbid(unsafe_code)]

use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{ChannelName, PassthroughDevice, VmSpec};

pub mod capture;
pub mod console;
pub mod preflight;
pub mod process;
pub mod qemu;
pub mod qmp;

use capture::Tee;
use console::Console;

/// A way to run machines.
pub trait Backend: fmt::Debug {
    /// What it is and can do here.
    fn summary(&self) -> Summary;

    /// The machine in the monitor's own language, to be read or used by hand.
    ///
    /// # Errors
    /// The monitor or the host lacks something that the machine needs.
    fn render(&self, spec: &VmSpec) -> Result<String, BackendError>;

    /// Starts the machine; it is up when every device has been accepted.
    ///
    /// # Errors
    /// The machine cannot be rendered or does not start. Then nothing of it is left behind.
    fn start(&self, spec: &VmSpec, options: StartOptions) -> Result<Box<dyn Machine>, BackendError>;
}

/// A machine that was started. Dropping it ends it by force.
pub trait Machine: fmt::Debug + Send {
    /// Its serial console, if it has one.
    fn console(&self) -> Option<&Console>;

    /// The host's side of a channel. One at a time: a second one is heard when the first is closed.
    ///
    /// # Errors
    /// No such channel, or the machine is gone.
    fn open_channel(&self, name: &ChannelName) -> Result<UnixStream, BackendError>;

    /// Plugs host devices in, all of them or none. This pins all of the guest's memory: seconds for each GiB. That the
    /// guest has taken them is not waited for.
    ///
    /// # Errors
    /// The monitor refuses one, or does not answer in time.
    fn attach(&mut self, devices: &[PassthroughDevice], within: Duration) -> Result<(), BackendError>;

    /// Takes host devices away, with the guest's consent, and waits until they are free.
    ///
    /// # Errors
    /// The guest does not let go in time, or refuses.
    fn detach(&mut self, devices: &[PciAddress], within: Duration) -> Result<(), BackendError>;

    /// Writes the machine's state into a new file, for [`StartOptions::state`], and goes on. A machine that has host
    /// devices cannot be saved: what is in them is not the monitor's.
    ///
    /// # Errors
    /// The monitor cannot save it, or not in time; the file cannot be written. The machine goes on where it can.
    fn save(&mut self, path: &Path, within: Duration) -> Result<(), BackendError>;

    /// Waits for the machine to end by itself; none if it still runs after `within`.
    fn wait(&mut self, within: Duration) -> Option<Exit>;

    /// Ends the machine: in order, and by force if that takes longer than `within`.
    ///
    /// # Errors
    /// It cannot be ended: the kernel does not let it go.
    fn end(&mut self, within: Duration) -> Result<Exit, BackendError>;

    /// What the monitor itself has said so far.
    fn messages(&self) -> String;
}

/// What a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The monitor's name, as in a specification: `qemu`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// What tells this build of it from another: where its program is, its size and time.
    pub build: String,
    /// Why machines cannot run on the processor itself, if so.
    pub no_acceleration: Option<String>,
}

/// How a machine is started.
pub struct StartOptions {
    /// The folder for all machines' sockets, ours alone; made if it is missing.
    pub machines: PathBuf,
    /// VFIO nodes that the machine will open, looked at beforehand.
    pub nodes: Vec<PathBuf>,
    /// How long it may take to come up. Pinning of guest memory is the long part: seconds for each GiB.
    pub within: Duration,
    /// Where the monitor's messages are copied to.
    pub messages: Option<Tee>,
    /// Where the guest's console output is copied to.
    pub console: Option<Tee>,
    /// Go on from this state, saved by [`Machine::save`], in place of booting. The machine is otherwise the one that was
    /// saved.
    pub state: Option<PathBuf>,
}

impl StartOptions {
    /// Two minutes to boot, no nodes to look at, no copies.
    #[must_use]
    pub const fn new(machines: PathBuf) -> Self {
        Self {
            machines,
            nodes: Vec::new(),
            within: Duration::from_secs(120),
            messages: None,
            console: None,
            state: None,
        }
    }
}

impl fmt::Debug for StartOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = f.debug_struct("StartOptions");
        options.field("machines", &self.machines).field("nodes", &self.nodes);
        options.field("within", &self.within).finish_non_exhaustive()
    }
}

/// How a machine came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What ended it.
    pub cause: ExitCause,
    /// What the monitor said, from start to end.
    pub messages: String,
}

/// What ended a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitCause {
    /// The guest, or an orderly request.
    Ended,
    /// The monitor gave up; its exit status in words.
    Failed(String),
    /// Force: ours, or the kernel's for want of memory.
    Killed,
}

/// Why a backend could not do something.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// There is no usable QEMU.
    #[error(transparent)]
    Capability(#[from] qemu::CapabilityError),
    /// The machine cannot be put into the monitor's language.
    #[error(transparent)]
    Render(#[from] qemu::RenderError),
    /// The machine did not start.
    #[error(transparent)]
    Start(#[from] qemu::StartError),
    /// A running machine did not do as asked.
    #[error(transparent)]
    Run(#[from] qemu::RunError),
    /// A running machine's devices could not be changed.
    #[error(transparent)]
    Control(#[from] qemu::ControlError),
}

impl BackendError {
    /// What the monitor said before it gave up, whole, for a diagnosis.
    #[must_use]
    pub fn messages(&self) -> Option<&str> {
        match self {
            Self::Start(error) => error.messages(),
            Self::Capability(_) | Self::Render(_) | Self::Run(_) | Self::Control(_) => None,
        }
    }

    /// What to do next, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Capability(error) => Some(error.hint()),
            Self::Render(error) => Some(error.hint()),
            Self::Start(error) => error.hint(),
            Self::Run(error) => error.hint(),
            Self::Control(error) => error.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt::Write as _;

    use expect_test::expect;

    use super::*;
    use crate::preflight::NodeFault;
    use crate::qemu::{CapabilityError, ControlError, KvmFault, RenderError, RunError, StartError, Version};
    use crate::qmp::{ErrorClass, QmpError};

    /// As the command line prints it: message, chain of causes, hint.
    fn printed(error: &BackendError) -> String {
        let mut text = format!("error: {error}\n");
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = writeln!(text, "  caused by: {cause}");
            source = cause.source();
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }

    #[test]
    fn errors_name_their_object_and_keep_their_cause_apart() {
        let machine = || "bench".parse().expect("a name");
        let device = "0000:02:06.0".parse().expect("an address");
        let refused = QmpError::Refused {
            command: "device_add".into(),
            class: ErrorClass::Generic,
            description: "vfio 0000:02:06.0: group 9 is not viable".into(),
        };
        let kept = QmpError::NotReleased { id: "host-0000-02-06-0".into(), within: Duration::from_secs(5) };
        let found = Version { major: 5, minor: 2, micro: 0 };
        let no_kvm = KvmFault::Permission("/dev/kvm".into());
        let errors: [BackendError; 8] = [
            CapabilityError::NotFound.into(),
            CapabilityError::TooOld { program: "/usr/bin/qemu".into(), found }.into(),
            RenderError::NoAcceleration { machine: "bench".into(), source: no_kvm }.into(),
            StartError::Nodes { machine: machine(), faults: vec![NodeFault::Missing("/dev/vfio/9".into())] }
                .into(),
            StartError::Render(RenderError::NoModel { model: "vfio-pci", machine: "bench".into() }).into(),
            RunError::Stuck { machine: machine(), pid: 77 }.into(),
            ControlError::Attach { machine: machine(), device, source: refused }.into(),
            ControlError::Detach { machine: machine(), device, source: kept }.into(),
        ];
        let text: String = errors.iter().map(printed).collect();
        expect![[r#"
            error: qemu-system-x86_64 is not installed
            hint: install it: `apt install qemu-system-x86` (Debian, Ubuntu), `dnf install qemu-system-x86-core` (Fedora), `pacman -S qemu-system-x86` (Arch)
            error: /usr/bin/qemu is QEMU 5.2.0, and 6.2.0 is the oldest that is supported
            hint: install a newer QEMU, from the distribution's backports if it has them
            error: machine bench needs hardware acceleration, which this host does not offer
              caused by: no permission to open /dev/kvm
            hint: run as root, or join the group that owns the node (usually `kvm`)
            error: machine bench cannot open its VFIO nodes: VFIO node /dev/vfio/9 does not exist
            hint: a group's node exists while at least one of its devices is bound to vfio-pci: apply the plan first; for /dev/vfio/vfio, load the module vfio
            error: this QEMU has no device model vfio-pci, which machine bench needs
            hint: some distributions ship device models in packages of their own, for example `qemu-device-usb-host` (Fedora) or `qemu-hw-usb-host` (Arch)
            error: process 77 of machine bench was killed and does not go
            hint: a device that does not reset can hold it in the kernel: see the kernel log and /proc/PID/stack
            error: cannot attach 0000:02:06.0 to machine bench
              caused by: QMP command device_add refused: vfio 0000:02:06.0: group 9 is not viable
            error: cannot detach 0000:02:06.0 from machine bench
              caused by: guest did not release device host-0000-02-06-0 within 5 s
            hint: the guest has to take part: it needs ACPI hot-plug, and no program of it may hold the device; a reset or shutdown of the guest completes the release
        "#]].assert_eq(&text);
    }
}
