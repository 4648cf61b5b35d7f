//! What can be changed on a host: a closed set of actions, each with what must hold before it, and its inverse.
//!
//! An action is data. Nothing here runs it, reads a host, or holds shell text. The way a device is bound is the
//! kernel's: `driver_override`, then `unbind`, then `drivers_probe` (`Documentation/ABI/testing/sysfs-bus-pci`,
//! `drivers/base/bus.c`); `new_id` takes every twin of a device at once and is no action of ours.

mod name;
mod steps;

use std::fmt;

use crate::facts::{DriverName, ModuleName};
use crate::pci::PciAddress;

pub use name::{FilePath, Parameter, TextError};
pub use steps::{MAX_STEPS, Reason, Step, StepFault, StepId, Steps};

/// One change of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Load a kernel module that is not loaded.
    LoadModule {
        /// The module.
        module: ModuleName,
        /// What it is loaded with.
        parameters: Vec<Parameter>,
    },
    /// Unload a kernel module that is loaded.
    UnloadModule {
        /// The module.
        module: ModuleName,
    },
    /// Say which driver alone may take a device. Neither binds nor unbinds it.
    SetDriverOverride {
        /// The device.
        device: PciAddress,
        /// That driver; without one, any driver whose ids match may.
        driver: Option<DriverName>,
    },
    /// Take a device from its driver.
    Unbind {
        /// The device.
        device: PciAddress,
        /// The driver that has it.
        driver: DriverName,
    },
    /// Let the kernel look for a driver of a device that has none.
    Probe {
        /// The device.
        device: PciAddress,
        /// The driver that must have it afterwards. That another has it, or none, is a failure.
        driver: DriverName,
    },
    /// Put a text in the place of a file, or make it.
    WriteFile {
        /// The file.
        path: FilePath,
        /// All of its text.
        content: String,
    },
    /// Remove a file.
    RemoveFile {
        /// The file.
        path: FilePath,
    },
}

/// The one thing of a host that an action changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Whether a module is loaded.
    Module(ModuleName),
    /// A device's `driver_override`.
    DriverOverride(PciAddress),
    /// The driver that a device is bound to.
    Driver(PciAddress),
    /// A file's text.
    File(FilePath),
}

/// The state of a [`Resource`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The module is loaded, or part of the kernel.
    ModuleLoaded,
    /// The module is not loaded.
    ModuleAbsent,
    /// The device's `driver_override`.
    DriverOverride(Option<DriverName>),
    /// The driver that the device is bound to.
    Driver(Option<DriverName>),
    /// The file's text, or that there is no file.
    File(Option<String>),
}

/// When in an apply an action's turn is. All actions of one phase are done before the next begins.
///
/// Overrides come before unbinding, so that no host driver can grab a device that has just come free. Files come
/// last: until everything else has worked, the host comes back from a reboot as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Modules are loaded.
    Load,
    /// Overrides are set.
    Override,
    /// Devices are taken from their drivers.
    Unbind,
    /// Devices are given to their drivers.
    Probe,
    /// Files are written and removed.
    Files,
    /// Modules are unloaded.
    Unload,
}

impl Action {
    /// The action's name in every output.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::LoadModule { .. } => "load-module",
            Self::UnloadModule { .. } => "unload-module",
            Self::SetDriverOverride { .. } => "set-driver-override",
            Self::Unbind { .. } => "unbind",
            Self::Probe { .. } => "probe",
            Self::WriteFile { .. } => "write-file",
            Self::RemoveFile { .. } => "remove-file",
        }
    }

    /// What it changes.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::LoadModule { module, .. } | Self::UnloadModule { module } => {
                Resource::Module(module.clone())
            }
            Self::SetDriverOverride { device, .. } => Resource::DriverOverride(*device),
            Self::Unbind { device, .. } | Self::Probe { device, .. } => Resource::Driver(*device),
            Self::WriteFile { path, .. } | Self::RemoveFile { path } => Resource::File(path.clone()),
        }
    }

    /// What holds of the resource once it is done.
    #[must_use]
    pub fn after(&self) -> State {
        match self {
            Self::LoadModule { .. } => State::ModuleLoaded,
            Self::UnloadModule { .. } => State::ModuleAbsent,
            Self::SetDriverOverride { driver, .. } => State::DriverOverride(driver.clone()),
            Self::Unbind { .. } => State::Driver(None),
            Self::Probe { driver, .. } => State::Driver(Some(driver.clone())),
            Self::WriteFile { content, .. } => State::File(Some(content.clone())),
            Self::RemoveFile { .. } => State::File(None),
        }
    }

    /// When its turn is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::LoadModule { .. } => Phase::Load,
            Self::UnloadModule { .. } => Phase::Unload,
            Self::SetDriverOverride { .. } => Phase::Override,
            Self::Unbind { .. } => Phase::Unbind,
            Self::Probe { .. } => Phase::Probe,
            Self::WriteFile { .. } | Self::RemoveFile { .. } => Phase::Files,
        }
    }

    /// Whether it can be done from `before`, and would change something.
    #[must_use]
    pub fn accepts(&self, before: &State) -> bool {
        match (self, before) {
            (Self::LoadModule { .. }, State::ModuleAbsent)
            | (Self::UnloadModule { .. }, State::ModuleLoaded)
            | (Self::Probe { .. }, State::Driver(None))
            | (Self::RemoveFile { .. }, State::File(Some(_))) => true,
            (Self::SetDriverOverride { driver, .. }, State::DriverOverride(former)) => driver != former,
            (Self::Unbind { driver, .. }, State::Driver(Some(bound))) => driver == bound,
            (Self::WriteFile { content, .. }, State::File(former)) => former.as_ref() != Some(content),
            _ => false,
        }
    }

    /// The action that leads back to `before`; none if this action cannot be done from there.
    #[must_use]
    pub fn inverse(&self, before: &State) -> Option<Self> {
        if !self.accepts(before) {
            return None;
        }
        Some(match (self.clone(), before.clone()) {
            (Self::LoadModule { module, .. }, _) => Self::UnloadModule { module },
            (Self::UnloadModule { module }, _) => Self::LoadModule { module, parameters: Vec::new() },
            (Self::SetDriverOverride { device, .. }, State::DriverOverride(driver)) => {
                Self::SetDriverOverride { device, driver }
            }
            (Self::Unbind { device, driver }, _) => Self::Probe { device, driver },
            (Self::Probe { device, driver }, _) => Self::Unbind { device, driver },
            (Self::WriteFile { path, .. } | Self::RemoveFile { path }, State::File(Some(content))) => {
                Self::WriteFile { path, content }
            }
            (Self::WriteFile { path, .. }, State::File(None)) => Self::RemoveFile { path },
            _ => return None,
        })
    }

    /// Whether it takes effect only at the next boot. Files are read then; all else acts at once.
    #[must_use]
    pub fn needs_reboot(&self) -> bool {
        self.phase() == Phase::Files
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadModule { module, parameters } => {
                write!(f, "load module {module}")?;
                parameters.iter().try_for_each(|parameter| write!(f, " {parameter}"))
            }
            Self::UnloadModule { module } => write!(f, "unload module {module}"),
            Self::SetDriverOverride { device, driver: Some(driver) } => {
                write!(f, "let only {driver} take {device}")
            }
            Self::SetDriverOverride { device, driver: None } => {
                write!(f, "let any matching driver take {device}")
            }
            Self::Unbind { device, driver } => write!(f, "take {device} from {driver}"),
            Self::Probe { device, driver } => write!(f, "give {device} to {driver}"),
            Self::WriteFile { path, .. } => write!(f, "write {path}"),
            Self::RemoveFile { path } => write!(f, "remove {path}"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(module) => write!(f, "module {module}"),
            Self::DriverOverride(device) => write!(f, "driver_override of {device}"),
            Self::Driver(device) => write!(f, "driver of {device}"),
            Self::File(path) => write!(f, "{path}"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModuleLoaded => f.write_str("loaded"),
            Self::ModuleAbsent => f.write_str("not loaded"),
            Self::DriverOverride(Some(driver)) => write!(f, "only {driver} may take it"),
            Self::DriverOverride(None) => f.write_str("any matching driver may take it"),
            Self::Driver(Some(driver)) => write!(f, "bound to {driver}"),
            Self::Driver(None) => f.write_str("bound to no driver"),
            Self::File(Some(content)) => write!(f, "a file of {} bytes", content.len()),
            Self::File(None) => f.write_str("no file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> PciAddress {
        PciAddress::new(0, 3, 4, 0).unwrap()
    }

    fn driver(name: &str) -> DriverName {
        DriverName::new(name).unwrap()
    }

    fn pairs() -> Vec<(Action, State)> {
        let path = FilePath::new("/etc/modprobe.d/slotwise.conf").unwrap();
        let module = ModuleName::new("vfio-pci").unwrap();
        let text = |text: &str| Some(text.to_owned());
        vec![
            (Action::LoadModule { module: module.clone(), parameters: Vec::new() }, State::ModuleAbsent),
            (Action::UnloadModule { module }, State::ModuleLoaded),
            (
                Action::SetDriverOverride { device: device(), driver: Some(driver("vfio-pci")) },
                State::DriverOverride(None),
            ),
            (
                Action::SetDriverOverride { device: device(), driver: None },
                State::DriverOverride(Some(driver("none"))),
            ),
            (
                Action::Unbind { device: device(), driver: driver("ahci") },
                State::Driver(Some(driver("ahci"))),
            ),
            (Action::Probe { device: device(), driver: driver("vfio-pci") }, State::Driver(None)),
            (Action::WriteFile { path: path.clone(), content: "a".to_owned() }, State::File(None)),
            (Action::WriteFile { path: path.clone(), content: "a".to_owned() }, State::File(text("b"))),
            (Action::RemoveFile { path }, State::File(text("b"))),
        ]
    }

    #[test]
    fn inverse_leads_back_to_what_was_before() {
        for (action, before) in pairs() {
            let inverse = action.inverse(&before).unwrap_or_else(|| panic!("{action}: no inverse"));
            assert_eq!(inverse.after(), before, "{action}");
            assert_eq!(inverse.resource(), action.resource(), "{action}");
            assert!(inverse.accepts(&action.after()), "{action}");
        }
    }

    #[test]
    fn action_that_changes_nothing_is_not_accepted() {
        for (action, _) in pairs() {
            assert!(!action.accepts(&action.after()), "{action}");
            assert_eq!(action.inverse(&action.after()), None, "{action}");
        }
    }

    #[test]
    fn unbind_from_another_driver_is_not_accepted() {
        let action = Action::Unbind { device: device(), driver: driver("ahci") };
        assert!(!action.accepts(&State::Driver(Some(driver("mvsas")))));
    }

    #[test]
    fn only_files_need_a_reboot() {
        for (action, _) in pairs() {
            assert_eq!(action.needs_reboot(), action.name().ends_with("-file"), "{action}");
        }
    }
}
