//! Operations on the PCI function of the device under test, and what they leave behind.

use std::time::Instant;

use super::session::{Session, chain};
use super::{Row, device};
use crate::capability::Capability;
use crate::rig::Serves;
use crate::transport::TransportError;
use crate::wire::{Operation, OperationOutcome};

use super::device::Found;

impl Session<'_> {
    /// What the guest can carry, when it is known what was found in it.
    pub(super) fn limit_to(&mut self, found: &Found, has_operations: bool) {
        if found.function.is_none() || !has_operations {
            self.capabilities.remove(Capability::Function);
        }
        if self.place.device.function.serves == Serves::Anything {
            for of_disks in [Capability::Commands, Capability::ListsDisks, Capability::NamesDisks] {
                self.capabilities.remove(of_disks);
            }
        }
    }

    /// Does one operation with the function.
    pub(super) fn perform(&mut self, mut operation: Operation) -> Result<OperationOutcome, TransportError> {
        if let Operation::Work { nexus, .. } = &mut operation {
            *nexus = self.place.device.nexus;
        }
        let Some((guest, found)) = &mut self.guest else { return Err(TransportError::Closed) };
        let Some(function) = found.function.clone() else {
            let reason = "which PCI function is the device is not known".to_owned();
            return Err(TransportError::Refused { reason });
        };
        let begin = Instant::now();
        let outcome = guest.transport().perform(&function, &operation);
        self.waited += begin.elapsed();
        outcome
    }

    /// After a case of operations: a driver that was taken away and given back has made its devices anew, at other
    /// addresses. Where the device is not found any more, the guest is ended.
    pub(super) fn find_again(&mut self, row: &mut Row) {
        let Some((guest, found)) = &mut self.guest else { return };
        if found.address.is_none() {
            return;
        }
        let begin = Instant::now();
        let again = device::find(guest.transport(), self.place.device);
        self.waited += begin.elapsed();
        match again {
            Ok(again) => *found = again,
            Err(error) => {
                row.recovery.push(format!("after the case: {}", chain(&error)));
                if let Some((guest, _)) = self.guest.take() {
                    guest.stop();
                }
            }
        }
    }
}
