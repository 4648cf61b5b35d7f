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

use super::tail::Tail;
use super::{DeviceUnderTest, Rig, RigError, RunningGuest};
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
    /// Set when the run is to end at once: the guest's channel is cut, whatever it is at, and none is started again.
    pub stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for MachineRig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineRig").field("prepare", &self.prepare).finish_non_exhaustive()
    }
}

struct MachineGuest {
    transport: AgentTransport<UnixStream>,
    _hangup: Hangup,
    machine: Box<dyn Machine>,
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

type Failed = (BoxError, Option<String>);

fn plain(error: impl Into<BoxError>) -> Failed {
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
        let options = StartOptions {
            console: Some(Box::new(console.clone())),
            within: guest.start_limit(),
            ..StartOptions::new(self.machines.clone())
        };
        let mut machine = self.backend.start(&spec, options).map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            self.messages = error.messages().unwrap_or_default().to_owned();
            (error.into(), hint)
        })?;
        if let Some(script) = guest.script() {
            let stop = Arc::clone(&self.stop);
            return self
                .talk(machine, &Talk { script, names: files.names, within: guest.start_limit(), stop });
        }
        let link = machine.open_channel(&ChannelName::agent()).map_err(plain)?;
        let hangup = Hangup::over(&link, &self.stop).map_err(plain)?;
        let answer = AgentTransport::connect(link, guest.capabilities().clone(), guest.start_limit());
        match answer {
            Ok(transport) if transport.complaints().is_empty() => {
                Ok(Box::new(MachineGuest { transport, _hangup: hangup, machine, console: console.clone() }))
            }
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
