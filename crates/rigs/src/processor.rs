//! The lab's processor device as a transport of the bench, with nothing between.

use slotwise_lab::processor::{Processor, ProcessorDefect};
use slotwise_lab::target::{Nexus, Response};
use slotwise_testbench::capability::{Capabilities, Capability};
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::rig::{DeviceUnderTest, Identity, Rig, RigError, RunningGuest};
use slotwise_testbench::suite::Harm;
use slotwise_testbench::transport::{Event, TransportError};

use crate::device;
use crate::direct::{Direct, DirectTransport, Firmware, no_way};

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

impl Firmware for Processor {
    fn product(&self) -> (&'static str, u8) {
        ("PROCESSOR", 3)
    }

    /// It knows one initiator, and goes by the LUN of the command.
    fn execute(&mut self, _: Nexus, cdb: &[u8], out: &[u8], expected: usize) -> Response {
        Self::execute(self, cdb, out, expected)
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        match event {
            Event::PowerCycle | Event::BusReset | Event::DeviceReset => {
                self.reset();
                Ok(())
            }
            other => Err(no_way(other)),
        }
    }
}

impl Rig for ProcessorRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        let transport = DirectTransport::new(Processor::new(self.defect));
        Ok(Box::new(Direct(transport.with_capabilities(capabilities()))))
    }
}
