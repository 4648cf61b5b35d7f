//! Brings a hung device back, by the mildest way that helps.
//!
//! A command that no device answered has cost its deadline. Then, in this order, each followed by the question whether it
//! answers: nothing (the guest's kernel may have reset it already: `scsi_error.c`, `scsi_unjam_host`); a reset of the
//! device; a reset of the bus; a reset of the PCI function from within the guest, taken from its driver and given back, by
//! FLR where it has that and by what else the guest's kernel prefers where not; the end of the guest, which resets the function (`vfio_pci_core_disable`,
//! `drivers/vfio/pci/vfio_pci_core.c`, and FLR where the function has it), and a new one for the next case; and where the
//! device does not come up in that either, its power, switched off and on by the user's hook.

use std::time::Instant;

use super::session::{Session, chain};
use super::{Row, device};
use crate::capability::Capability;
use crate::rig::PowerCycle;
use crate::suite::{Came, Exchange};
use crate::transport::Event;

/// Resets within the guest, the milder first.
const RESETS: [Event; 2] = [Event::DeviceReset, Event::BusReset];
/// How often power is switched for one device in one guest.
const POWER_LIMIT: usize = 8;

impl Session<'_> {
    /// After a case: makes sure that the next one finds a device that answers, and tells what it took.
    pub(super) fn recover(&mut self, row: &mut Row) {
        if self.guest.is_none() {
            row.recovery.push("the guest was ended; the next case gets a new one".to_owned());
            return;
        }
        if !row.exchanges.iter().any(unanswered) || self.answers() {
            return;
        }
        for event in RESETS {
            let Some((guest, _)) = &mut self.guest else { return };
            let begin = Instant::now();
            let done = guest.transport().event(event);
            self.waited += begin.elapsed();
            let told = match done {
                Ok(()) if self.answers() => {
                    row.recovery.push(format!("{}: the device answers again", event.name()));
                    return;
                }
                Ok(()) => "the device does not answer".to_owned(),
                Err(error) => chain(&error),
            };
            row.recovery.push(format!("{}: {told}", event.name()));
        }
        if self.capabilities.has(Capability::Function) && self.reset_function(row) {
            return;
        }
        let begin = Instant::now();
        if let Some((guest, _)) = self.guest.take() {
            guest.stop();
        }
        self.waited += begin.elapsed();
        row.recovery
            .push("the guest was ended, which resets the function; the next case gets a new one".to_owned());
    }

    /// Whether the device answers. A guest that does not is none any more.
    fn answers(&mut self) -> bool {
        let Some((guest, found)) = &mut self.guest else { return false };
        let Some(address) = found.address else { return true };
        let begin = Instant::now();
        let told = device::answers(guest.transport(), address);
        self.waited += begin.elapsed();
        match told {
            Ok(answers) => answers,
            Err(error) => {
                if error.is_fatal()
                    && let Some((guest, _)) = self.guest.take()
                {
                    guest.stop();
                }
                false
            }
        }
    }

    /// Switches the device off and on, if there is a way. No guest has it now.
    pub(super) fn power(&mut self) -> bool {
        if self.powered >= POWER_LIMIT {
            return false;
        }
        self.powered += 1;
        match self.rig.power_cycle(self.place.device) {
            PowerCycle::Impossible => false,
            PowerCycle::Done => {
                self.remedies.push("power: switched off and on".to_owned());
                true
            }
            PowerCycle::Failed(reason) => {
                self.remedies.push(format!("power: {reason}"));
                false
            }
        }
    }
}

/// Whether no device answered the command.
fn unanswered(exchange: &Exchange) -> bool {
    matches!(&exchange.outcome, Some(Came::Completed { completion, .. }) if !completion.reached_device())
}
