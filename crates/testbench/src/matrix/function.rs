//! Operations on the PCI function of the device under test, and what they leave behind.

use std::time::Instant;

use super::session::{Session, chain};
use super::{Row, device};
use crate::capability::Capability;
use crate::rig::Serves;
use crate::transport::TransportError;
use crate::wire::{Attribute, HexBytes, Operation, OperationOutcome};

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

    /// Resets the function of a device that does not answer, from within the guest. True if it answers again.
    pub(super) fn reset_function(&mut self, row: &mut Row) -> bool {
        match self.try_reset_function() {
            Ok(method) => {
                row.recovery.push(format!("function reset ({method}): the device answers again"));
                true
            }
            Err(reason) => {
                row.recovery.push(format!("function reset: {reason}"));
                false
            }
        }
    }

    /// The way that the kernel reset it in, where it answers after that.
    fn try_reset_function(&mut self) -> Result<String, String> {
        let read = self.operation(Operation::AttributeRead { attribute: Attribute::ResetMethod })?;
        let methods = String::from_utf8_lossy(&read).into_owned();
        let method = methods.split_whitespace().next().ok_or("the guest's kernel knows no way")?;
        self.operation(Operation::Unbind)?;
        let text = HexBytes(b"1".to_vec());
        let reset = self.operation(Operation::AttributeWrite { attribute: Attribute::Reset, text });
        // Given back to its driver however that ended: the guest may be of use for something else.
        self.operation(Operation::Bind)?;
        reset?;
        let Some((guest, found)) = &mut self.guest else { return Err("the guest is gone".to_owned()) };
        let begin = Instant::now();
        let again = device::find(guest.transport(), self.place.device);
        self.waited += begin.elapsed();
        *found = again.map_err(|error| chain(&error))?;
        Ok(method.to_owned())
    }

    /// What an operation brings, if it is done.
    fn operation(&mut self, operation: Operation) -> Result<Vec<u8>, String> {
        match self.perform(operation).map_err(|error| chain(&error))? {
            OperationOutcome::Done { data, .. } => Ok(data.0),
            OperationOutcome::Failed { reason } => Err(reason),
        }
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
