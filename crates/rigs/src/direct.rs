//! The lab's firmware as a transport of the bench: no guest, no adapter, all that a bus could carry.
//!
//! It runs in this process and its time is modelled, so a suite takes seconds.

use std::time::Duration;

use slotwise_lab::target::{Defect, Initiator, Model, Nexus, Protection, Reset, Response, Target};
use slotwise_testbench::capability::{Capabilities, Capability};
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::rig::{DeviceUnderTest, Rig, RigError, RunningGuest};
use slotwise_testbench::transport::{
    Event, Initiator as From, Route, SenseFetch, Transport, TransportError, in_order,
};
use slotwise_testbench::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, FoundDevice, HexBytes, LogRecord,
};

use crate::ADDRESS;

/// Sense the adapter asks for, as sym53c8xx does.
const SENSE_BYTES: u8 = 32;
/// `DID_TIME_OUT`.
const TIMED_OUT: u16 = 0x03;

/// A device of the lab, as a bus reaches it.
pub trait Firmware: std::fmt::Debug + Send {
    /// What INQUIRY calls it, and its device type.
    fn product(&self) -> (&'static str, u8);

    /// Carries out one command: `out` is what the initiator has to send, `expected` how many bytes it can take.
    fn execute(&mut self, nexus: Nexus, cdb: &[u8], out: &[u8], expected: usize) -> Response;

    /// Lets something happen to it.
    ///
    /// # Errors
    ///
    /// It cannot happen to such a device.
    fn event(&mut self, event: Event) -> Result<(), TransportError>;
}

/// What an event answers that cannot happen to a device.
pub(crate) fn no_way(event: Event) -> TransportError {
    TransportError::Refused { reason: format!("no way to do {}", event.name()) }
}

impl Firmware for Target {
    fn product(&self) -> (&'static str, u8) {
        ("TARGET", 0)
    }

    fn execute(&mut self, nexus: Nexus, cdb: &[u8], out: &[u8], expected: usize) -> Response {
        Self::execute(self, nexus, cdb, out, expected)
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        match event {
            Event::PowerCycle => self.power_cycle(),
            Event::BusReset => self.reset(Reset::Bus),
            Event::DeviceReset => self.reset(Reset::Device),
            Event::ChangeMedium => self.change_medium(),
            Event::ProtectMedium => self.protect(Protection::On),
            Event::UnprotectMedium => self.protect(Protection::Off),
        }
        Ok(())
    }
}

/// A firmware with an ideal adapter before it: residuals are exact, sense is fetched at once unless it is to be left.
#[derive(Debug)]
pub struct DirectTransport {
    firmware: Box<dyn Firmware>,
    capabilities: Capabilities,
    places: Places,
}

/// Which of the target's initiators sends what a case's first sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// The first.
    AsNamed,
    /// The second, and the first what the case's second sends.
    Exchanged,
}

impl DirectTransport {
    /// What a bus could carry of one target.
    pub fn all_capabilities() -> Capabilities {
        let all = [
            Capability::Commands,
            Capability::SdUnbound,
            Capability::Residual,
            Capability::RawSense,
            Capability::LunChoice,
            Capability::NoIdentify,
            Capability::TwoInitiators,
            Capability::Reset,
            Capability::Power,
            Capability::Medium,
        ];
        all.into_iter().collect()
    }

    /// The firmware with nothing between it and the bench.
    pub fn new(firmware: impl Firmware + 'static) -> Self {
        let (firmware, capabilities) = (Box::new(firmware), Self::all_capabilities());
        Self { firmware, capabilities, places: Places::AsNamed }
    }

    /// The same with no more than this of what a bus could carry.
    pub fn with_capabilities(self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self }
    }

    /// The same with the initiators in these places: whatever holds for one has to hold for the other.
    pub fn with_places(self, places: Places) -> Self {
        Self { places, ..self }
    }

    fn complete(&mut self, route: Route, command: &Command) -> Completion {
        let initiator = match (route.initiator, self.places) {
            (From::First, Places::AsNamed) | (From::Second, Places::Exchanged) => Initiator::A,
            (From::Second, Places::AsNamed) | (From::First, Places::Exchanged) => Initiator::B,
        };
        let nexus = Nexus { initiator, identify: route.identify };
        let (expected, out) = command.direction.parts();
        let limit = Duration::from_millis(command.timeout_ms.into());
        let response = self.firmware.execute(nexus, &command.cdb.0, out, expected);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let residual = i32::try_from(response.residual).unwrap_or(i32::MAX);
        let mut completion = Completion {
            status: response.status.unwrap_or_default(),
            sense: HexBytes(Vec::new()),
            data: HexBytes(response.data),
            residual,
            host_status: 0,
            driver_status: 0,
            elapsed_us: micros(response.elapsed),
        };
        if response.status.is_none() || response.elapsed > limit {
            // The deadline costs no real time. The adapter's driver resets the device, and its own TEST UNIT READY takes
            // the attention (1.2 of the suite's notes: error handling of the mid-layer).
            drop(self.firmware.event(Event::DeviceReset));
            self.firmware.execute(nexus, &[0; 6], &[], 0);
            (completion.host_status, completion.elapsed_us) = (TIMED_OUT, micros(limit));
        } else if response.status == Some(0x02) && route.sense == SenseFetch::Automatic {
            // The LUN goes into the command, as these adapters' drivers do for devices of this level.
            let lun = command.cdb.0.get(1).copied().unwrap_or_default() & 0xe0;
            let cdb = [0x03, lun, 0, 0, SENSE_BYTES, 0];
            completion.sense = HexBytes(self.firmware.execute(nexus, &cdb, &[], SENSE_BYTES.into()).data);
        }
        completion
    }
}

impl Transport for DirectTransport {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        let (product, kind) = self.firmware.product();
        Ok(vec![FoundDevice {
            address: ADDRESS,
            vendor: "SLOTWISE".into(),
            product: product.into(),
            revision: "0001".into(),
            kind,
            pci: None,
            driver: None,
        }])
    }

    fn execute(
        &mut self,
        device: DeviceAddress,
        commands: &[Command],
        limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        self.execute_by(Route::default(), device, commands, limit)
    }

    fn execute_by(
        &mut self,
        route: Route,
        _: DeviceAddress,
        commands: &[Command],
        _: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        in_order(commands, |command| Ok(self.complete(route, command)))
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        self.firmware.event(event)
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}

/// Starts a sound target, or one with a defect, each time it is asked for a guest: none is started.
#[derive(Clone, Copy, Debug)]
pub struct DirectRig {
    /// What kind of disk.
    pub model: Model,
    /// What is wrong with it.
    pub defect: Option<Defect>,
}

impl DirectRig {
    /// What stands in the place of a guest.
    pub fn no_guest() -> GuestDefinition {
        GuestDefinition::without_system("direct", DirectTransport::all_capabilities())
    }
}

#[derive(Debug)]
pub(crate) struct Direct(pub(crate) DirectTransport);

impl RunningGuest for Direct {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.0
    }

    fn console_tail(&mut self) -> String {
        String::new()
    }

    fn stop(self: Box<Self>) {}
}

impl Rig for DirectRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        Ok(Box::new(Direct(DirectTransport::new(Target::new(self.model, self.defect)))))
    }
}
