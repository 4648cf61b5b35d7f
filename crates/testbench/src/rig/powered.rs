//! A rig whose devices are switched off and on by a command of the user's.

use slotwise_core::vm::{HookCommand, HookWord};

use super::{DeviceUnderTest, PowerCycle, Rig, RigError, RunningGuest};
use crate::guest::GuestDefinition;
use crate::run::run_hook;
use crate::sight::Reference;

/// Another rig, with power.
pub struct PoweredRig<'a> {
    /// Where guests run.
    pub inner: &'a mut dyn Rig,
    /// The command; it ends when the device is back.
    pub hook: &'a HookCommand,
}

impl std::fmt::Debug for PoweredRig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoweredRig").field("hook", &self.hook).finish_non_exhaustive()
    }
}

impl Rig for PoweredRig<'_> {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> Result<Box<dyn RunningGuest>, RigError> {
        self.inner.start(guest, device)
    }

    fn reference(&self, device: &DeviceUnderTest) -> Reference {
        self.inner.reference(device)
    }

    fn power_cycle(&mut self, device: &DeviceUnderTest) -> PowerCycle {
        match run_hook(self.hook, &[(HookWord::Device, &device.name)]) {
            Ok(_) => PowerCycle::Done,
            Err(error) => PowerCycle::Failed(error.told()),
        }
    }
}
