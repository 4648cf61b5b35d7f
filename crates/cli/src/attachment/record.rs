//! Which apply stands behind a device that was attached: a file each, so that whoever comes later can take it back.
//!
//! A file's name is the device's address, its text the number of the apply, or nothing where the host was so already.

use std::fs;
use std::io;
use std::path::PathBuf;

use slotwise_core::action::{Action, Resource};
use slotwise_core::pci::PciAddress;
use slotwise_core::vm::VmName;
use slotwise_host::journal::{ApplyId, Standing};

use crate::error::Failure;
use crate::host::Host;
use crate::paths;

/// The attachments of one VM.
#[derive(Debug)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn of(vm: &VmName) -> Self {
        Self { folder: paths::state().join("attached").join(vm.as_str()) }
    }

    /// Notes that devices were attached, and what was applied for it.
    pub(crate) fn note(&self, devices: &[PciAddress], id: Option<ApplyId>) -> Result<(), Failure> {
        let fail = |error: io::Error| {
            Failure::new(format!("cannot note in {} what was attached: {error}", self.folder.display()))
        };
        fs::create_dir_all(&self.folder).map_err(fail)?;
        let text = id.map_or_else(String::new, |id| id.to_string());
        for device in devices {
            fs::write(self.folder.join(device.to_string()), &text).map_err(fail)?;
        }
        Ok(())
    }

    /// What was applied for a device: `None` if nothing is noted of it.
    pub(crate) fn find(&self, device: PciAddress) -> Option<Option<ApplyId>> {
        let text = fs::read_to_string(self.folder.join(device.to_string())).ok()?;
        Some(text.parse().ok())
    }

    pub(crate) fn forget(&self, devices: &[PciAddress]) {
        for device in devices {
            // One that was not noted needs no forgetting.
            let _ = fs::remove_file(self.folder.join(device.to_string()));
        }
    }

    /// Gives back all that is noted, after the VM's end. True if the host is as it was.
    pub(crate) fn give_back_all(&self, host: &Host) -> Result<bool, Failure> {
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut devices: Vec<PciAddress> =
            names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        devices.sort_unstable();
        let mut ids: Vec<ApplyId> =
            devices.iter().filter_map(|device| self.find(*device).flatten()).collect();
        // Latest first.
        ids.sort_unstable();
        ids.dedup();
        let mut clean = true;
        for id in ids.into_iter().rev() {
            clean &= host.undo(id)?.is_clean();
        }
        self.forget(&devices);
        Ok(clean)
    }
}

/// The apply that gave these devices away and nothing else, where nobody noted it: a run's own.
pub(crate) fn covering(host: &Host, devices: &[PciAddress]) -> Result<Option<ApplyId>, Failure> {
    let own = |action: &Action| match action.resource() {
        Resource::DriverOverride(device) | Resource::Driver(device) => devices.contains(&device),
        Resource::Module(_) | Resource::File(_) => true,
    };
    let about = |action: &Action| matches!(action.resource(), Resource::Driver(device) | Resource::DriverOverride(device) if devices.contains(&device));
    for (id, record) in host.state().records()?.into_iter().rev() {
        let Ok(record) = record else { continue };
        if record.standing() == Standing::Applied && record.actions().any(about) {
            return Ok(record.actions().all(own).then_some(id));
        }
    }
    Ok(None)
}
