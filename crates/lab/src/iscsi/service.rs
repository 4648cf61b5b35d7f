//! The firmware between all connections: one command at a time, and who has reset it meanwhile.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Target;
use super::nexus::Ports;
use crate::target::{Initiator, Nexus, Reset};

/// Commands remembered for [`Observed`].
const OBSERVED_LIMIT: usize = 1 << 16;
/// Sense asked for after CHECK CONDITION: all that the field of REQUEST SENSE can say.
const SENSE_BYTES: u8 = 255;

/// A command as the firmware got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Who sent it.
    pub initiator: Initiator,
    /// The LUN it was sent to.
    pub lun: u8,
    /// Its command descriptor block, without the zeros that iSCSI fills it up with.
    pub cdb: Vec<u8>,
}

/// What the firmware answered, with the sense fetched.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// `None` where it never answers.
    pub(super) status: Option<u8>,
    pub(super) sense: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) residual: i64,
    /// Time that has to pass before the answer.
    pub(super) after: Duration,
}

struct State {
    target: Target,
    ports: Ports,
    observed: VecDeque<Observed>,
    /// Goes up with each reset: answers that were on their way from before are void.
    era: u64,
    /// Goes up when all connections have to end.
    cold: u64,
}

/// What all connections share.
pub(super) struct Service {
    state: Mutex<State>,
}

impl Service {
    pub(super) fn new(target: Target) -> Self {
        let ports = Ports::default();
        Self { state: Mutex::new(State { target, ports, observed: VecDeque::new(), era: 0, cold: 0 }) }
    }

    /// The firmware does not panic on any input; if it does all the same, the rest goes on with what is left of it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with_target<T>(&self, work: impl FnOnce(&mut Target) -> T) -> T {
        work(&mut self.state().target)
    }

    pub(super) fn observed(&self) -> Vec<Observed> {
        self.state().observed.iter().cloned().collect()
    }

    /// Gives an initiator port its place on the bus, if there is one.
    pub(super) fn admit(&self, port: &str) -> Option<Initiator> {
        let mut state = self.state();
        let admitted = state.ports.admit(port)?;
        if admitted.is_new {
            // Somebody else had the place before.
            state.target.forget(admitted.initiator);
        }
        Some(admitted.initiator)
    }

    /// A session has ended.
    pub(super) fn leave(&self, port: &str) {
        let mut state = self.state();
        if let Some(initiator) = state.ports.leave(port) {
            state.target.forget(initiator);
        }
    }

    /// Which reset was the last, and which of those that end connections.
    pub(super) fn eras(&self) -> (u64, u64) {
        let state = self.state();
        (state.era, state.cold)
    }

    pub(super) fn reset(&self, reset: Reset) {
        let mut state = self.state();
        state.target.reset(reset);
        state.era += 1;
    }

    pub(super) fn power_cycle(&self) {
        let mut state = self.state();
        state.target.power_cycle();
        (state.era, state.cold) = (state.era + 1, state.cold + 1);
    }

    /// All tasks of all initiators are aborted; the firmware has none left once it answered.
    pub(super) fn clear_tasks(&self) {
        self.state().era += 1;
    }

    pub(super) fn execute(&self, nexus: Nexus, block: &[u8; 16], out: &[u8], expected_in: usize) -> Answer {
        let cdb = trimmed(block);
        let mut state = self.state();
        if state.observed.len() == OBSERVED_LIMIT {
            state.observed.pop_front();
        }
        let lun = nexus.identify.unwrap_or_default();
        state.observed.push_back(Observed { initiator: nexus.initiator, lun, cdb: cdb.to_vec() });
        let response = state.target.execute(nexus, cdb, out, expected_in);
        let sense = if response.status == Some(0x02) {
            let cdb = [0x03, lun << 5, 0, 0, SENSE_BYTES, 0];
            state.target.execute(nexus, &cdb, &[], SENSE_BYTES.into()).data
        } else {
            Vec::new()
        };
        Answer {
            status: response.status,
            sense,
            data: response.data,
            residual: response.residual,
            after: response.elapsed,
        }
    }
}

/// A block by its operation code's group: 6, 10 or 12 bytes; vendors' and reserved groups keep all 16 (X3.131-1994,
/// 7.2.1).
fn trimmed(block: &[u8; 16]) -> &[u8] {
    let length = match block[0] >> 5 {
        0 => 6,
        1 | 2 => 10,
        5 => 12,
        _ => 16,
    };
    block.get(..length).unwrap_or(block)
}
