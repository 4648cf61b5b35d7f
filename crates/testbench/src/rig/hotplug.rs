//! A guest first, its device then: restored from a saved state where there is one, booted and saved where not.
//!
//! That a guest has taken a device is seen by its agent: a function that was not there before, with a driver. The agent
//! answers when no probe of a driver is under way, so what the driver makes is there then.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use slotwise_backend::{Machine, StartOptions};
use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{PassthroughDevice, VmConfig, VmSpec};

use super::machine::{Failed, MachineGuest, MachineRig, plain};
use super::states::{self, SavedStates};
use super::tail::Tail;
use super::{Origin, Way};
use crate::guest::GuestDefinition;
use crate::transport::{Transport, TransportError};
use crate::wire::PciFunction;

/// How long a saved guest may take to answer. It runs at once, or not at all; nested emulation takes seconds to read it.
const RESTORE: Duration = Duration::from_secs(30);
/// How long a guest may take to be written to a file.
const SAVE: Duration = Duration::from_secs(60);
/// How long monitor and guest may take for a device to come or go.
const PLUG: Duration = Duration::from_secs(30);
/// How long a guest may take to list a device that has come.
const LIST: Duration = Duration::from_secs(20);
/// How long a driver may take to bind to a listed device; where it has none, this is lost once for each start.
const DRIVER: Duration = Duration::from_secs(3);
/// How often the guest is asked.
const POLL: Duration = Duration::from_millis(20);

/// A device did not come to a guest, or did not go.
#[derive(Debug, thiserror::Error)]
pub enum PlugError {
    /// There is no way to here.
    #[error("a device cannot be taken out of a running guest here")]
    Impossible,
    /// The monitor, or the guest through it.
    #[error("the device was not plugged in or out")]
    Backend(#[from] slotwise_backend::BackendError),
    /// The agent.
    #[error("the guest does not say whether it has the device")]
    Transport(#[from] TransportError),
    /// The guest.
    #[error("the guest does not list the device after {} s", LIST.as_secs())]
    NotTaken,
}

/// What a guest has without the devices under test, and those.
#[derive(Debug)]
pub(super) struct Slot {
    devices: Vec<PassthroughDevice>,
    /// The functions that the guest has without them; none as long as it has not been seen without.
    bare: Option<Vec<PciFunction>>,
}

impl Slot {
    /// A slot whose devices were there at the guest's boot.
    pub(super) fn filled(devices: Vec<PassthroughDevice>) -> Self {
        Self { devices, bare: None }
    }

    /// Plugs the devices in, and waits until the guest has them.
    fn fill(&mut self, machine: &mut dyn Machine, transport: &mut dyn Transport) -> Result<(), PlugError> {
        let bare = match self.bare.take() {
            Some(bare) => bare,
            None => transport.functions()?,
        };
        machine.attach(&self.devices, PLUG)?;
        let taken = wait_listed(transport, &bare, self.devices.len());
        self.bare = Some(bare);
        taken
    }

    /// Takes the devices out, which resets them, and plugs them in again.
    pub(super) fn refill(
        &mut self,
        machine: &mut dyn Machine,
        transport: &mut dyn Transport,
    ) -> Result<(), PlugError> {
        if self.devices.is_empty() {
            return Err(PlugError::Impossible);
        }
        let hosts: Vec<PciAddress> = self.devices.iter().map(|device| device.host).collect();
        machine.detach(&hosts, PLUG)?;
        self.fill(machine, transport)
    }
}

/// Waits until the guest lists so many functions that it had not before, each with a driver if one comes.
fn wait_listed(transport: &mut dyn Transport, bare: &[PciFunction], count: usize) -> Result<(), PlugError> {
    let begin = Instant::now();
    let mut listed = None;
    loop {
        let functions = transport.functions()?;
        let news = || functions.iter().filter(|f| !bare.iter().any(|old| old.address == f.address));
        if news().count() >= count {
            let since: Instant = *listed.get_or_insert_with(Instant::now);
            if news().all(|function| function.driver.is_some()) || since.elapsed() >= DRIVER {
                return Ok(());
            }
        } else if begin.elapsed() >= LIST {
            return Err(PlugError::NotTaken);
        }
        thread::sleep(POLL);
    }
}

/// The machine without its devices, and these; none if it has none, or cannot be without them.
pub(super) fn bare(spec: &VmSpec) -> Option<(VmSpec, Vec<PassthroughDevice>)> {
    let devices = spec.config().devices.clone();
    let without = VmSpec::new(VmConfig { devices: Vec::new(), ..spec.config().clone() }).ok()?;
    (!devices.is_empty()).then_some((without, devices))
}

impl MachineRig<'_> {
    /// A guest that runs, without its devices: restored, or booted and saved for the next time.
    pub(super) fn without_devices(
        &mut self,
        guest: &GuestDefinition,
        spec: &VmSpec,
        states: &SavedStates,
        console: &Tail,
    ) -> Result<(MachineGuest, Origin), Failed> {
        let path = states.path(self.backend, spec).map_err(plain)?;
        let mut note = None;
        if path.is_file() {
            match self.restored(guest, spec, &path, console) {
                Ok(running) => return Ok((running, Origin { way: Way::Restored, note })),
                // It was cut off, which says nothing of the state.
                Err(failed) if self.stop.load(Ordering::Relaxed) => return Err(failed),
                Err((error, _)) => {
                    states::discard(&path);
                    note = Some(format!("its saved state did not run on, and was removed: {error}"));
                }
            }
        }
        let mut running = self.run(guest, spec, self.options(guest, console))?;
        if let Err(why) = save(&mut *running.machine, states, &path) {
            note.get_or_insert(format!("it could not be saved: {why}"));
        }
        Ok((running, Origin { way: Way::Attached, note }))
    }

    fn restored(
        &mut self,
        guest: &GuestDefinition,
        spec: &VmSpec,
        path: &Path,
        console: &Tail,
    ) -> Result<MachineGuest, Failed> {
        let (options, console) = self.options(guest, console);
        let options = StartOptions { state: Some(path.to_owned()), within: RESTORE, ..options };
        self.run(guest, spec, (options, console))
    }

    /// Gives a guest its devices.
    pub(super) fn with_devices(
        running: &mut MachineGuest,
        devices: Vec<PassthroughDevice>,
    ) -> Result<(), PlugError> {
        running.slot = Slot { devices, bare: None };
        running.slot.fill(&mut *running.machine, &mut running.transport)
    }
}

fn save(machine: &mut dyn Machine, states: &SavedStates, path: &Path) -> Result<(), String> {
    let new = states.begin(path).map_err(|error| error.to_string())?;
    let saved = machine.save(&new, SAVE).map_err(|error| crate::matrix::chain(&error));
    let kept = saved.and_then(|()| states.keep(&new, path).map_err(|error| error.to_string()));
    kept.inspect_err(|_| states::discard(&new))
}

#[cfg(test)]
mod tests;
