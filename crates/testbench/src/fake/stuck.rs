//! A disk that hangs at one command, and answers nothing any more until it is reset in the way that it needs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::{Defect, FakeDisk, byte};
use crate::capability::{Capabilities, Capability};
use crate::guest::GuestDefinition;
use crate::rig::{DeviceUnderTest, PowerCycle, Rig, RigError, RunningGuest};
use crate::transport::{Event, Transport, TransportError};
use crate::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, FoundDevice, HexBytes, LogRecord, Nexus, Operation,
    OperationOutcome,
};

/// What brings it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    Event(Event),
    /// A reset of its function from within the guest.
    Function,
    /// The end of the guest that has it.
    Release,
    Power,
}

#[derive(Clone, Debug)]
struct State {
    stuck: Rc<Cell<bool>>,
    did: Rc<RefCell<Vec<String>>>,
}

/// A rig with that disk.
pub(crate) struct StuckRig {
    opcode: u8,
    cure: Cure,
    state: State,
}

impl StuckRig {
    pub(crate) fn new(opcode: u8, cure: Cure) -> Self {
        Self { opcode, cure, state: State { stuck: Rc::default(), did: Rc::default() } }
    }

    /// What was done to it, in order.
    pub(crate) fn did(&self) -> Vec<String> {
        self.state.did.borrow().clone()
    }
}

struct Stuck {
    disk: FakeDisk,
    /// Those of the disk, with operations where these cure.
    capabilities: Capabilities,
    opcode: u8,
    cure: Cure,
    state: State,
}

impl State {
    fn did(&self, what: &str, cures: bool) {
        self.did.borrow_mut().push(what.to_owned());
        if cures {
            self.stuck.set(false);
        }
    }
}

/// `DID_TIME_OUT`.
const TIMED_OUT: u16 = 3;

fn unanswered() -> CommandOutcome {
    CommandOutcome::Completed(Completion {
        status: 0,
        sense: HexBytes(Vec::new()),
        data: HexBytes(Vec::new()),
        residual: 0,
        host_status: TIMED_OUT,
        driver_status: 0,
        elapsed_us: 0,
    })
}

impl Transport for Stuck {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn scan(&mut self, nexus: Nexus, limit: Duration) -> Result<(), TransportError> {
        self.disk.scan(nexus, limit)
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        let mut devices = if self.state.stuck.get() { Vec::new() } else { self.disk.devices()? };
        devices.iter_mut().for_each(|own| own.pci = Some("0000:00:04.0".into()));
        Ok(devices)
    }

    fn perform(&mut self, _: &str, operation: &Operation) -> Result<OperationOutcome, TransportError> {
        let data = match operation {
            Operation::AttributeRead { .. } => b"flr bus".to_vec(),
            Operation::AttributeWrite { .. } => {
                self.state.did("function", self.cure == Cure::Function);
                Vec::new()
            }
            _ => Vec::new(),
        };
        Ok(OperationOutcome::Done { data: HexBytes(data), result: 0, frames: Vec::new(), elapsed_us: 0 })
    }

    fn execute(
        &mut self,
        device: DeviceAddress,
        commands: &[Command],
        limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        let mut outcomes = Vec::new();
        for command in commands {
            if self.state.stuck.get() || byte(&command.cdb.0, 0) == usize::from(self.opcode) {
                self.state.stuck.set(true);
                outcomes.push(unanswered());
                break;
            }
            outcomes.extend(self.disk.execute(device, std::slice::from_ref(command), limit)?);
        }
        Ok(outcomes)
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        self.state.did(event.name(), self.cure == Cure::Event(event));
        Ok(())
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        self.disk.kernel_log(since)
    }
}

impl RunningGuest for Stuck {
    fn transport(&mut self) -> &mut dyn Transport {
        self
    }

    fn console_tail(&mut self) -> String {
        "sd 0:0:2:0: Device offlined".into()
    }

    fn stop(self: Box<Self>) {
        self.state.did("stop", self.cure == Cure::Release);
    }
}

impl Rig for StuckRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        self.state.did("start", false);
        let Self { opcode, cure, state } = self;
        let disk = FakeDisk::new(Defect::None);
        let mut capabilities = disk.capabilities().clone();
        if *cure == Cure::Function {
            capabilities.insert(Capability::Function);
        }
        Ok(Box::new(Stuck { disk, capabilities, opcode: *opcode, cure: *cure, state: state.clone() }))
    }

    fn power_cycle(&mut self, _: &DeviceUnderTest) -> PowerCycle {
        self.state.did("power", self.cure == Cure::Power);
        PowerCycle::Done
    }
}
