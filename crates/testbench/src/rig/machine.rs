//! Guests in virtual machines of a backend, with the agent on a virtio-serial channel.

use std::error::Error;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use slotwise_backend::{Backend, ExitCause, Machine, StartOptions};
use slotwise_core::pci::PciId;
use slotwise_core::vm::{ChannelName, VmSpec};

use super::hotplug::{self, PlugError, Slot};
use super::states::SavedStates;
use super::tail::Tail;
use super::{DeviceUnderTest, Origin, Rig, RigError, RunningGuest, Way};
use crate::console::{ConsoleTransport, Talk};
use crate::guest::{BootFiles, GuestDefinition, PrepareConfig};
use crate::sight::Reference;
use crate::transport::{AgentTransport, Transport};

/// How long a guest may take to power off before it is ended.
const POWER_OFF: Duration = Duration::from_secs(10);
/// How often it is looked whether the run is to end.
const STOP_POLL: Duration = Duration::from_millis(50);

type BoxError = Box<dyn Error + Send + Sync>;

/// Says what machine runs a guest, from the files that it boots.
pub type Describe<'a> = dyn Fn(&GuestDefinition, &BootFiles) -> Result<VmSpec, BoxError> + 'a;

/// Starts guests as machines of a backend.
pub struct MachineRig<'a> {
    /// Who runs them.
    pub backend: &'a dyn Backend,
    /// What guests are made of.
    pub prepare: PrepareConfig,
    /// The folder for the machines' sockets.
    pub machines: PathBuf,
    /// Which machine.
    pub describe: &'a Describe<'a>,
    /// The function that the machines are given, where it is one.
    pub function: Option<PciId>,
    /// The folder in which all that guests say on their consoles is kept, a file for each guest.
    pub consoles: Option<PathBuf>,
    /// What the last machine's monitor said, for a diagnosis.
    pub messages: String,
    /// Saved states of guests, to start from without booting and with the devices plugged in then; none to boot each time.
    pub states: Option<SavedStates>,
    /// Set when the run is to end at once: the guest's channel is cut, whatever it is at, and none is started again.
    pub stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for MachineRig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineRig").field("prepare", &self.prepare).finish_non_exhaustive()
    }
}

pub(super) struct MachineGuest {
    pub(super) transport: AgentTransport<UnixStream>,
    _hangup: Hangup,
    pub(super) machine: Box<dyn Machine>,
    pub(super) slot: Slot,
    origin: Origin,
    console: Tail,
}

impl Rig for MachineRig<'_> {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError> {
        let console = Tail::of(self.consoles.as_deref(), guest.id());
        self.boot(guest, &console).map_err(|(source, hint)| RigError {
            guest: guest.id().to_owned(),
            device: device.name.clone(),
            source,
            console: console.lines(),
            hint,
        })
    }

    fn reference(&self, _: &DeviceUnderTest) -> Reference {
        Reference { function: self.function, ..Reference::default() }
    }
}

pub(super) type Failed = (BoxError, Option<String>);

pub(super) fn plain(error: impl Into<BoxError>) -> Failed {
    (error.into(), None)
}

/// Cuts a guest's channel when the run is to end: a read of it may otherwise wait as long as the slowest command. Its
/// thread ends when this is dropped.
struct Hangup {
    over: Arc<AtomicBool>,
}

impl Hangup {
    fn over(link: &UnixStream, stop: &Arc<AtomicBool>) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (link, stop, ended) = (link.try_clone()?, Arc::clone(stop), Arc::clone(&over));
        thread::Builder::new().name("hangup".to_owned()).spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if stop.load(Ordering::Relaxed) {
                    // A channel that is closed already needs no cutting.
                    let _ = link.shutdown(Shutdown::Both);
                    return;
                }
                thread::sleep(STOP_POLL);
            }
        })?;
        Ok(Self { over })
    }
}

impl Drop for Hangup {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl MachineRig<'_> {
    fn boot(&mut self, guest: &GuestDefinition, console: &Tail) -> Result<Box<dyn RunningGuest>, Failed> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(plain("the run was told to end"));
        }
        let files = guest.prepare(&self.prepare).map_err(|error| {
            let hint = error.hint();
            (error.into(), hint)
        })?;
        let spec = (self.describe)(guest, &files).map_err(plain)?;
        if let Some(script) = guest.script() {
            let machine = self.started(&spec, self.options(guest, console).0)?;
            let stop = Arc::clone(&self.stop);
            return self
                .talk(machine, &Talk { script, names: files.names, within: guest.start_limit(), stop });
        }
        let mut note = None;
        if let (Some(states), Some((bare, devices))) = (self.states.clone(), hotplug::bare(&spec)) {
            let (mut running, origin) = self.without_devices(guest, &bare, &states, console)?;
            match Self::with_devices(&mut running, devices) {
                Ok(()) => {
                    running.origin = origin;
                    return Ok(Box::new(running));
                }
                Err(error) if self.stop.load(Ordering::Relaxed) => return Err(plain(error)),
                Err(error) => {
                    note =
                        Some(format!("its device could not be plugged in: {}", crate::matrix::chain(&error)));
                    Box::new(running).stop();
                }
            }
        }
        let mut running = self.run(guest, &spec, self.options(guest, console))?;
        running.slot = Slot::filled(spec.config().devices.clone());
        running.origin = Origin { way: Way::Booted, note };
        Ok(Box::new(running))
    }

    /// How a guest is started, and where its console is heard.
    pub(super) fn options(&self, guest: &GuestDefinition, console: &Tail) -> (StartOptions, Tail) {
        let options = StartOptions {
            console: Some(Box::new(console.clone())),
            within: guest.start_limit(),
            ..StartOptions::new(self.machines.clone())
        };
        (options, console.clone())
    }

    fn started(&mut self, spec: &VmSpec, options: StartOptions) -> Result<Box<dyn Machine>, Failed> {
        self.backend.start(spec, options).map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            self.messages = error.messages().unwrap_or_default().to_owned();
            (error.into(), hint)
        })
    }

    /// A guest with an agent that has answered.
    pub(super) fn run(
        &mut self,
        guest: &GuestDefinition,
        spec: &VmSpec,
        (options, console): (StartOptions, Tail),
    ) -> Result<MachineGuest, Failed> {
        let within = options.within;
        let mut machine = self.started(spec, options)?;
        let link = machine.open_channel(&ChannelName::agent()).map_err(plain)?;
        let hangup = Hangup::over(&link, &self.stop).map_err(plain)?;
        let answer = AgentTransport::connect(link, guest.capabilities().clone(), within);
        match answer {
            Ok(transport) if transport.complaints().is_empty() => Ok(MachineGuest {
                transport,
                _hangup: hangup,
                machine,
                slot: Slot::filled(Vec::new()),
                origin: Origin::default(),
                console,
            }),
            Ok(transport) => Err(plain(transport.complaints().join("; "))),
            Err(error) => {
                self.messages = machine.messages();
                // The guest is lost either way; how it is ended changes nothing for the report.
                let _ = machine.end(Duration::ZERO);
                Err(plain(error))
            }
        }
    }

    /// A guest that is talked to on its console.
    fn talk(&mut self, machine: Box<dyn Machine>, talk: &Talk<'_>) -> Result<Box<dyn RunningGuest>, Failed> {
        match ConsoleTransport::connect(machine, talk) {
            Ok(transport) => Ok(Box::new(ConsoleGuest { transport })),
            Err((mut machine, error)) => {
                self.messages = machine.messages();
                // As above.
                let _ = machine.end(Duration::ZERO);
                Err(plain(error))
            }
        }
    }
}

struct ConsoleGuest {
    transport: ConsoleTransport<Box<dyn Machine>>,
}

impl RunningGuest for ConsoleGuest {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.transport
    }

    fn console_tail(&mut self) -> String {
        self.transport.tail()
    }

    fn stop(mut self: Box<Self>) {
        // It only read, so nothing is lost; dropping the machine ends it by force where this does not.
        let _ = self.transport.terminal_mut().end(Duration::ZERO);
    }
}

impl RunningGuest for MachineGuest {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.transport
    }

    fn console_tail(&mut self) -> String {
        self.console.lines()
    }

    fn origin(&self) -> Origin {
        self.origin.clone()
    }

    fn reattach(&mut self) -> Result<(), PlugError> {
        self.slot.refill(&mut *self.machine, &mut self.transport)
    }

    fn discard(mut self: Box<Self>) {
        // Dropping the machine tries again.
        let _ = self.machine.end(Duration::ZERO);
    }

    fn stop(mut self: Box<Self>) {
        let told = self.transport.power_off();
        let ended =
            told.is_ok() && self.machine.wait(POWER_OFF).is_some_and(|exit| exit.cause == ExitCause::Ended);
        if !ended {
            // Dropping the machine ends it by force.
            let _ = self.machine.end(Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_waits_ends_when_the_run_is_to_end() {
        let (mut ours, _theirs) = UnixStream::pair().expect("sockets");
        let stop = Arc::new(AtomicBool::new(false));
        let _hangup = Hangup::over(&ours, &stop).expect("a thread");
        stop.store(true, Ordering::Relaxed);
        ours.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        assert_eq!(io::Read::read(&mut ours, &mut [0]).expect("the end, not a timeout"), 0);
    }
}
