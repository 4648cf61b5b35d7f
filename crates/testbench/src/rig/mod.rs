//! What the matrix needs of the place that runs guests: start one with a device, reach it, stop it.

mod hotplug;
mod iscsi;
mod machine;
mod powered;
mod states;
mod tail;

use std::error::Error;
use std::net::Ipv4Addr;

pub use hotplug::PlugError;
pub use iscsi::IscsiRig;
pub use machine::{Describe, MachineRig};
pub use powered::PoweredRig;
pub use states::SavedStates;

use slotwise_core::pci::PciId;

use crate::guest::GuestDefinition;
use crate::sight::Reference;
use crate::suite::{Harm, KNOWN};
use crate::transport::Transport;
use crate::wire::Nexus;

/// A place that can start guests with a device in them.
pub trait Rig {
    /// Starts a guest with the device, and waits until its transport works or the guest's
    /// [`start_limit`](GuestDefinition::start_limit) has passed.
    ///
    /// # Errors
    ///
    /// The guest did not start, or its agent does not answer; nothing of it is left running then.
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError>;

    /// What this place knows of the device beforehand, to hold against what guests show. Nothing, as a rule: the first
    /// guest that carries commands finds it out.
    fn reference(&self, device: &DeviceUnderTest) -> Reference {
        let _ = device;
        Reference::default()
    }

    /// Switches the device off and on. Called only while no guest has it.
    fn power_cycle(&mut self, device: &DeviceUnderTest) -> PowerCycle {
        let _ = device;
        PowerCycle::Impossible
    }
}

/// What came of switching a device off and on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PowerCycle {
    /// There is no way to.
    Impossible,
    /// It was off, and is on.
    Done,
    /// It was tried, and this came in between.
    Failed(String),
}

/// How a guest came to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The way.
    pub way: Way,
    /// Why not by a faster one, if that was tried.
    pub note: Option<String>,
}

/// The way by which a guest with its device came to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It booted with the device.
    #[default]
    Booted,
    /// It booted without the device, which was plugged in then.
    Attached,
    /// It went on from a saved state, and the device was plugged in then.
    Restored,
}

impl Way {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Booted, Self::Attached, Self::Restored];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Booted => "booted",
            Self::Attached => "attached",
            Self::Restored => "restored",
        }
    }

    /// The way of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// A guest that runs. It is stopped when dropped, if [`stop`](Self::stop) was not called.
pub trait RunningGuest {
    /// The way to its devices.
    fn transport(&mut self) -> &mut dyn Transport;

    /// The last lines of its console, for a report of what it died of.
    fn console_tail(&mut self) -> String;

    /// How it came to run.
    fn origin(&self) -> Origin {
        Origin::default()
    }

    /// Takes the device out of the guest and puts it in again, which resets it. Its addresses may be others then.
    ///
    /// # Errors
    ///
    /// There is no way to, or it failed; the guest may be without its device then.
    fn reattach(&mut self) -> Result<(), PlugError> {
        Err(PlugError::Impossible)
    }

    /// Stops it, forcibly if it does not by itself, and gives the device back.
    fn stop(self: Box<Self>);

    /// Ends it at once, whatever it is at, and gives the device back, reset.
    fn discard(self: Box<Self>) {
        self.stop();
    }
}

/// A guest could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start guest {guest} with {device}")]
pub struct RigError {
    /// The guest.
    pub guest: String,
    /// The device.
    pub device: String,
    /// Why.
    pub source: Box<dyn Error + Send + Sync>,
    /// The last lines of its console; empty if there is none.
    pub console: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// A device to test: where the guest finds it, what it must be, what may be done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceUnderTest {
    /// Its name in reports.
    pub name: String,
    /// Where to look for it in the guest; only there, if all is given, which saves the selection timeouts elsewhere.
    pub nexus: Nexus,
    /// What it must say it is. Without this nothing is written to it.
    pub identity: Option<Identity>,
    /// The most that may be done to its contents.
    pub harm_limit: Harm,
    /// The PCI function it is, or sits behind.
    pub function: FunctionUnderTest,
}

/// What is declared of a PCI function under test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionUnderTest {
    /// Its ids; without them it is the function that the SCSI device sits behind.
    pub id: Option<PciId>,
    /// What must be found for a case to begin.
    pub serves: Serves,
    /// Whom a network card under test can speak to.
    pub peer: Option<Peer>,
}

/// What a function under test is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serves {
    /// A SCSI device, which must be found too.
    #[default]
    Scsi,
    /// Anything: the function alone must be found.
    Anything,
}

/// A host on the wire of a network card under test, which answers ARP and echo requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address that the card speaks from; nobody else has it.
    pub own: Ipv4Addr,
    /// The host's.
    pub peer: Ipv4Addr,
}

impl FunctionUnderTest {
    /// What suites are told of it: the values of [`crate::suite::KNOWN`].
    pub(crate) fn known(&self) -> [(&'static str, i64); 4] {
        let id = self.id.map_or((0, 0), |id| (id.vendor, id.device));
        let bits = |address: Option<Ipv4Addr>| address.map_or(0, |address| i64::from(address.to_bits()));
        let values = [
            i64::from(id.0),
            i64::from(id.1),
            bits(self.peer.map(|peer| peer.own)),
            bits(self.peer.map(|peer| peer.peer)),
        ];
        let [vendor, device, own, peer] = values;
        let [a, b, c, d] = KNOWN;
        [(a, vendor), (b, device), (c, own), (d, peer)]
    }
}

/// What a device says it is in its INQUIRY data, trailing spaces left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor identification.
    pub vendor: String,
    /// Product identification.
    pub product: String,
    /// Unit serial number (vital product data page 80h), where it is to be compared too.
    pub serial: Option<String>,
}
