//! QEMU as a backend.

pub mod capabilities;
mod control;
mod hotplug;
mod invocation;
mod render;
mod run;
mod wiring;

use std::os::unix::fs::MetadataExt;

use slotwise_core::vm::VmSpec;

pub use capabilities::{Capabilities, CapabilityError, Kvm, KvmFault, Places, Version};
pub use control::{Control, ControlError};
pub use invocation::Invocation;
pub use render::{HotplugPlace, RenderError, device_id, hotplug_properties, render};
pub use run::{RunError, Running, StartError};
pub use wiring::{RuntimeError, RuntimeFolder, Sockets, Wiring};

use crate::{Backend, BackendError, Machine, StartOptions, Summary};

/// A QEMU that was found and asked.
#[derive(Clone, Debug)]
pub struct Qemu {
    capabilities: Capabilities,
}

impl Qemu {
    /// Finds QEMU.
    ///
    /// # Errors
    /// As for [`Capabilities::detect`].
    pub fn detect(places: &Places<'_>) -> Result<Self, CapabilityError> {
        Capabilities::detect(places).map(|capabilities| Self { capabilities })
    }

    /// What it can do.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Starts a machine; as [`Backend::start`], with QEMU's own type.
    ///
    /// # Errors
    /// As for [`Running::start`].
    pub fn run(&self, spec: &VmSpec, options: StartOptions) -> Result<Running, StartError> {
        Running::start(spec, &self.capabilities, options)
    }
}

impl Backend for Qemu {
    fn summary(&self) -> Summary {
        let no_acceleration = match &self.capabilities.kvm {
            Kvm::Usable => None,
            Kvm::Unusable(fault) => Some(fault.to_string()),
        };
        let Capabilities { program, version, .. } = &self.capabilities;
        let build = match program.metadata() {
            Ok(found) => {
                format!("{} {} {}.{}", program.display(), found.len(), found.mtime(), found.mtime_nsec())
            }
            Err(_) => program.display().to_string(),
        };
        Summary { name: "qemu", version: version.to_string(), build, no_acceleration }
    }

    fn render(&self, spec: &VmSpec) -> Result<String, BackendError> {
        Ok(render(spec, &self.capabilities, Wiring::Terminal)?.to_string())
    }

    fn start(&self, spec: &VmSpec, options: StartOptions) -> Result<Box<dyn Machine>, BackendError> {
        Ok(Box::new(self.run(spec, options)?))
    }
}
