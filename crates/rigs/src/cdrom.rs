//! The lab's CD-ROM drive as a device under test, with nothing between.

use slotwise_lab::cdrom::{CdDefect, CdModel, CdRom};
use slotwise_lab::target::{Nexus, Response};
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::rig::{DeviceUnderTest, Identity, Rig, RigError, RunningGuest};
use slotwise_testbench::transport::{Event, TransportError};

use crate::device;
use crate::direct::{Direct, DirectRig, DirectTransport, Firmware, no_way};

/// Starts a sound drive, or one with a defect, each time it is asked for a guest: none is started.
#[derive(Clone, Copy, Debug)]
pub struct CdRig {
    /// What kind of drive, and what is in it.
    pub model: CdModel,
    /// What is wrong with it.
    pub defect: Option<CdDefect>,
}

impl CdRig {
    /// What stands in the place of a guest.
    #[must_use]
    pub fn no_guest() -> GuestDefinition {
        DirectRig::no_guest()
    }

    /// The device under test. It is the lab's own, so everything may be done to it.
    #[must_use]
    pub fn device() -> DeviceUnderTest {
        DeviceUnderTest {
            name: "cdrom".to_owned(),
            identity: Some(Identity {
                vendor: "SLOTWISE".to_owned(),
                product: "CDROM".to_owned(),
                serial: None,
            }),
            ..device()
        }
    }
}

impl Firmware for CdRom {
    fn product(&self) -> (&'static str, u8) {
        ("CDROM", 5)
    }

    fn execute(&mut self, nexus: Nexus, cdb: &[u8], out: &[u8], expected: usize) -> Response {
        Self::execute(self, nexus, cdb, out, expected)
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        match event {
            Event::PowerCycle | Event::BusReset | Event::DeviceReset => self.reset(),
            Event::ChangeMedium => self.change_medium(),
            other => return Err(no_way(other)),
        }
        Ok(())
    }
}

impl Rig for CdRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        Ok(Box::new(Direct(DirectTransport::new(CdRom::new(self.model, self.defect)))))
    }
}
