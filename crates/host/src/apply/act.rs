//! One action, done and checked.
//!
//! What the kernel answers to a write is not the outcome: `drivers_probe` succeeds even when nothing was bound
//! (`drivers/base/bus.c:drivers_probe_store`), so that after every write the resource is read back.

use std::time::Duration;

use slotwise_core::action::{Action, Parameter, Resource, State};
use slotwise_core::facts::DriverName;
use slotwise_core::pci::PciAddress;

use super::observe::{device_path, observe};
use crate::journal::JournalError;
use crate::kernel::{FileMode, ReadError, WriteError, WriteErrorKind, WriteHost};

/// How long a driver may take to come. Probing runs within the write, unless the driver asks for another thread
/// (`PROBE_PREFER_ASYNCHRONOUS`, `include/linux/device/driver.h`).
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// How long any other change may take to show.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The host refused the change.
    #[error("cannot {action}")]
    Write {
        /// What was to be done, as a sentence.
        action: String,
        /// What the host answered.
        #[source]
        source: WriteError,
    },
    /// It cannot be seen whether the change was made.
    #[error("cannot tell whether it worked to {action}")]
    Read {
        /// What was to be done, as a sentence.
        action: String,
        /// What came in the way.
        #[source]
        source: ReadError,
    },
    /// No driver took the device.
    #[error("{driver} did not take {device}")]
    NotBound {
        /// The device.
        device: PciAddress,
        /// The driver that was to take it.
        driver: DriverName,
    },
    /// Another driver took the device.
    #[error("{by} took {device}")]
    Grabbed {
        /// The device.
        device: PciAddress,
        /// The driver that has it now.
        by: DriverName,
    },
    /// The host took the change and is not as it should be.
    #[error("{resource} should be: {expected}; it is: {found}")]
    NotTaken {
        /// What was to be changed.
        resource: Resource,
        /// What it should be.
        expected: State,
        /// What it is.
        found: State,
    },
    /// The step could not be written down.
    #[error("cannot write down what is done")]
    Journal(#[source] JournalError),
}

impl StepError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Write { source, .. } => match source.kind {
                WriteErrorKind::Busy => "something uses it: a mount, a network link, a display, a running VM",
                WriteErrorKind::Vanished | WriteErrorKind::NotFound => {
                    "the device or its driver is gone or was rebound; look with `slotwise inspect` and plan again"
                }
                WriteErrorKind::Denied => {
                    "changing a host takes root, and kernel lockdown refuses unsigned modules"
                }
                WriteErrorKind::NoSpace => "make room on that file system",
                WriteErrorKind::Other(_) => {
                    "the kernel log may say more: `journalctl -k`, then `slotwise diagnose`"
                }
            },
            Self::Read { .. } => "the device may have been unplugged; look with `slotwise inspect`",
            Self::NotBound { driver, .. } if driver.as_str() == "vfio-pci" => {
                "the kernel log has the number: error -22 is no IOMMU group, a bridge or a deny-listed device, \
                 -16 a function whose virtual functions are on; where it says nothing, there is no vfio-pci: `modprobe vfio-pci`"
            }
            Self::NotBound { .. } => {
                "is the driver's module loaded? The kernel log says what its probe answered"
            }
            Self::Grabbed { .. } => "another program or a udev rule rebinds devices; stop it and plan again",
            Self::NotTaken { .. } => "another program changes it at the same time; stop it and plan again",
            Self::Journal(error) => error.hint(),
        }
    }
}

/// Does `action` and makes sure that it worked. A file gets the permission bits `mode`.
pub(super) fn perform(host: &dyn WriteHost, action: &Action, mode: FileMode) -> Result<(), StepError> {
    write(host, action, mode).map_err(|source| StepError::Write { action: action.to_string(), source })?;
    settle(host, action)
}

fn write(host: &dyn WriteHost, action: &Action, mode: FileMode) -> Result<(), WriteError> {
    match action {
        Action::LoadModule { module, parameters } => {
            let pair = |p: &Parameter| (p.name().to_owned(), p.value().to_owned());
            host.load_module(module.as_str(), &parameters.iter().map(pair).collect::<Vec<_>>())
        }
        Action::UnloadModule { module } => host.unload_module(module.as_str()),
        Action::SetDriverOverride { device, driver } => {
            // An empty line clears it; an empty write is none (`Documentation/ABI/testing/sysfs-bus-pci`).
            let text = driver.as_ref().map_or("\n", DriverName::as_str);
            host.write(&format!("{}/driver_override", device_path(*device)), text.as_bytes())
        }
        Action::Unbind { device, driver } => {
            // Through the driver, not the device's link to it: the kernel then refuses if another has it by now.
            host.write(&format!("/sys/bus/pci/drivers/{driver}/unbind"), device.to_string().as_bytes())
        }
        Action::Probe { device, .. } => {
            host.write("/sys/bus/pci/drivers_probe", device.to_string().as_bytes())
        }
        Action::WriteFile { path, content } => host.replace_file(path.as_str(), content.as_bytes(), mode),
        Action::RemoveFile { path } => host.remove_file(path.as_str()),
    }
}

/// Waits until the change shows, a bounded time.
fn settle(host: &dyn WriteHost, action: &Action) -> Result<(), StepError> {
    let resource = action.resource();
    let expected = action.after();
    let limit = if matches!(action, Action::Probe { .. }) { PROBE_LIMIT } else { SETTLE_LIMIT };
    let mut seen = observe(host, &resource);
    host.wait(limit, &mut || {
        seen = observe(host, &resource);
        // A device that another driver has does not come free by waiting.
        matches!(&seen, Ok(state) if *state == expected || matches!(state, State::Driver(Some(_))))
    });
    let found = seen.map_err(|source| StepError::Read { action: action.to_string(), source })?;
    if found == expected {
        return Ok(());
    }
    Err(match (action, found) {
        (Action::Probe { device, driver }, State::Driver(None)) => {
            StepError::NotBound { device: *device, driver: driver.clone() }
        }
        (Action::Probe { device, .. }, State::Driver(Some(by))) => StepError::Grabbed { device: *device, by },
        (Action::Unbind { device, driver }, State::Driver(Some(by))) if by != *driver => {
            StepError::Grabbed { device: *device, by }
        }
        (_, found) => StepError::NotTaken { resource, expected, found },
    })
}
