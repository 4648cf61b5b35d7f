//! An iSCSI target in the place of a guest: nothing is started, only logged in to.

use super::{DeviceUnderTest, Rig, RigError, RunningGuest};
use crate::guest::GuestDefinition;
use crate::transport::{IscsiTransport, IscsiUrl, Transport};

/// Speaks to a logical unit of any iSCSI target.
#[derive(Clone, Debug)]
pub struct IscsiRig {
    /// Where it is.
    pub url: IscsiUrl,
}

impl IscsiRig {
    /// What stands in the place of a guest.
    pub fn no_guest(&self) -> GuestDefinition {
        GuestDefinition::without_system("iscsi", IscsiTransport::capabilities_at(&self.url))
    }
}

struct Session(IscsiTransport);

impl RunningGuest for Session {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.0
    }

    fn console_tail(&mut self) -> String {
        String::new()
    }

    fn stop(self: Box<Self>) {}
}

impl Rig for IscsiRig {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError> {
        match IscsiTransport::connect(&self.url) {
            Ok(transport) => Ok(Box::new(Session(transport))),
            Err(error) => Err(RigError {
                guest: guest.id().to_owned(),
                device: device.name.clone(),
                source: error.into(),
                console: String::new(),
                hint: Some(format!("is there a target at {}?", self.url)),
            }),
        }
    }
}
