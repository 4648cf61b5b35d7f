//! Keeps cases apart: by a reset of the device, or by a guest each.
//!
//! A reset here is the device taken out of its guest and put in again, which resets the function as the end of a guest does
//! (`vfio_pci_core_disable`, `drivers/vfio/pci/vfio_pci_core.c`), and has the guest's driver begin anew. Where there is no
//! way to, or it fails, the case has a new guest, and its row says so.

use std::time::{Duration, Instant};

use super::session::{Session, chain};
use super::{Isolation, device};
use crate::suite::Case;

impl Session<'_> {
    /// What the run's isolation asks for between two cases; how long it took.
    pub(super) fn keep_apart(&mut self, case: &Case) -> Duration {
        let begin = Instant::now();
        if !self.used || self.may_run(case).is_err() {
            return Duration::ZERO;
        }
        match self.options.isolation {
            Isolation::None => return Duration::ZERO,
            Isolation::Guest => self.drop_guest(),
            Isolation::Device => {
                if let Err(why) = self.reattach() {
                    self.remedies.push(format!("{why}; the case has a new guest"));
                    self.drop_guest();
                }
            }
        }
        self.used = false;
        let took = begin.elapsed();
        self.waited += took;
        took
    }

    fn drop_guest(&mut self) {
        if let Some((guest, _)) = self.guest.take() {
            guest.discard();
        }
    }

    /// Takes the device out of the guest and puts it in again.
    fn reattach(&mut self) -> Result<(), String> {
        let Some((guest, found)) = &mut self.guest else { return Ok(()) };
        guest.reattach().map_err(|error| chain(&error))?;
        if found.address.is_some() || found.function.is_some() {
            *found = device::find(guest.transport(), self.place.device).map_err(|error| chain(&error))?;
        }
        if let Some(address) = found.address {
            device::hear_out(guest.transport(), address).map_err(|error| chain(&error))?;
        }
        // What the guest's kernel said of it belongs to no case.
        self.kernel_log();
        Ok(())
    }
}
