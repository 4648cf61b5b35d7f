//! The lab's processor device as a transport of the bench, with nothing between.

use std::time::Duration;

use slotwise_lab::processor::{Processor, ProcessorDefect};
use slotwise_testbench::capability::{Capabilities, Capability};
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::rig::{DeviceUnderTest, Identity, Rig, RigError, RunningGuest};
use slotwise_testbench::suite::Harm;
use slotwise_testbench::transport::{Event, Transport, TransportError, in_order};
use slotwise_testbench::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, FoundDevice, HexBytes, LogRecord,
};

use crate::{ADDRESS, device};

/// `DID_TIME_OUT`.
const TIMED_OUT: u16 = 0x03;
const SENSE_BYTES: u8 = 32;

/// Starts a sound processor device, or one with a defect, each time it is asked for a guest: none is started.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorRig {
    /// What is wrong with it.
    pub defect: Option<ProcessorDefect>,
}

impl ProcessorRig {
    /// What stands in the place of a guest.
    #[must_use]
    pub fn no_guest() -> GuestDefinition {
        GuestDefinition::without_system("direct", capabilities())
    }

    /// The device under test. It is the lab's own, so everything may be done to it.
    #[must_use]
    pub fn device() -> DeviceUnderTest {
        DeviceUnderTest {
            name: "processor".to_owned(),
            identity: Some(Identity {
                vendor: "SLOTWISE".to_owned(),
                product: "PROCESSOR".to_owned(),
                serial: None,
            }),
            harm_limit: Harm::All,
            ..device()
        }
    }
}

fn capabilities() -> Capabilities {
    let all = [
        Capability::Commands,
        Capability::SdUnbound,
        Capability::Residual,
        Capability::NoIdentify,
        Capability::Reset,
        Capability::Power,
    ];
    all.into_iter().collect()
}

#[derive(Debug)]
struct Direct {
    processor: Processor,
    capabilities: Capabilities,
}

impl Direct {
    fn complete(&mut self, command: &Command) -> Completion {
        let (expected, out) = command.direction.parts();
        let response = self.processor.execute(&command.cdb.0, out, expected);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut completion = Completion {
            status: response.status.unwrap_or_default(),
            sense: HexBytes(Vec::new()),
            data: HexBytes(response.data),
            residual: i32::try_from(response.residual).unwrap_or(i32::MAX),
            host_status: 0,
            driver_status: 0,
            elapsed_us: micros(response.elapsed),
        };
        let limit = Duration::from_millis(command.timeout_ms.into());
        if response.status.is_none() || response.elapsed > limit {
            // As an adapter's driver does: a reset, and a TEST UNIT READY that takes the attention.
            self.processor.reset();
            self.processor.execute(&[0; 6], &[], 0);
            (completion.host_status, completion.elapsed_us) = (TIMED_OUT, micros(limit));
        } else if response.status == Some(0x02) {
            let cdb = [0x03, 0, 0, 0, SENSE_BYTES, 0];
            completion.sense = HexBytes(self.processor.execute(&cdb, &[], SENSE_BYTES.into()).data);
        }
        completion
    }
}

impl Transport for Direct {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        Ok(vec![FoundDevice {
            address: ADDRESS,
            vendor: "SLOTWISE".into(),
            product: "PROCESSOR".into(),
            revision: "0001".into(),
            kind: 3,
            pci: None,
            driver: None,
        }])
    }

    fn execute(
        &mut self,
        _: DeviceAddress,
        commands: &[Command],
        _: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        in_order(commands, |command| Ok(self.complete(command)))
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        match event {
            Event::PowerCycle | Event::BusReset | Event::DeviceReset => {
                self.processor.reset();
                Ok(())
            }
            other => Err(TransportError::Refused { reason: format!("no way to do {}", other.name()) }),
        }
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}

impl RunningGuest for Direct {
    fn transport(&mut self) -> &mut dyn Transport {
        self
    }

    fn console_tail(&mut self) -> String {
        String::new()
    }

    fn stop(self: Box<Self>) {}
}

impl Rig for ProcessorRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        Ok(Box::new(Direct { processor: Processor::new(self.defect), capabilities: capabilities() }))
    }
}
