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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Defect, FakeRig, device};

    fn power(script: &str) -> PowerCycle {
        let words = ["sh", "-c", script, "{device}"].map(str::to_owned).to_vec();
        let hook = HookCommand::new(words).unwrap();
        let mut inner = FakeRig { defect: Some(Defect::None), starts: 0 };
        PoweredRig { inner: &mut inner, hook: &hook }.power_cycle(&device())
    }

    #[test]
    fn the_users_command_switches_the_named_device_and_its_failure_is_told() {
        assert_eq!(power("[ \"$0\" = disk ]"), PowerCycle::Done);
        let failed = PowerCycle::Failed("sh ended with exit status: 4: no such slot".to_owned());
        assert_eq!(power("echo no such slot; exit 4"), failed);
    }
}
