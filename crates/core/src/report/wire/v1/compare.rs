//! `slotwise.compare/1`.

use serde::Serialize;

use super::plan::{Finding, finding};
use crate::plan::{ChangedFinding, Comparison, FollowedDevice, MovedFact, Presence};

/// One spec on two states of a host.
#[derive(Clone, Debug, Serialize)]
pub struct Compare {
    schema: &'static str,
    /// Verdict of `slotwise.plan/1` on the earlier state.
    before: &'static str,
    /// And on the later one.
    after: &'static str,
    devices: Vec<Device>,
    moved: Vec<Moved>,
    findings: Findings,
    functions: Functions,
}

/// Null: the device is gone, or more than one could be it.
#[derive(Clone, Debug, Serialize)]
struct Device {
    vm: String,
    before: String,
    after: Option<String>,
}

/// Null: unknown in the later state, or gone with its subject.
#[derive(Clone, Debug, Serialize)]
struct Moved {
    subject: String,
    fact: String,
    before: String,
    after: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Findings {
    new: Vec<Finding>,
    gone: Vec<Finding>,
    changed: Vec<Changed>,
}

#[derive(Clone, Debug, Serialize)]
struct Changed {
    before: Finding,
    after: Finding,
}

#[derive(Clone, Debug, Serialize)]
struct Functions {
    appeared: Vec<Function>,
    disappeared: Vec<Function>,
}

#[derive(Clone, Debug, Serialize)]
struct Function {
    address: String,
    id: Option<String>,
}

impl Compare {
    /// The wire form of a comparison.
    #[must_use]
    pub fn new(comparison: &Comparison) -> Self {
        Self {
            schema: "slotwise.compare/1",
            before: comparison.before.name(),
            after: comparison.after.name(),
            devices: comparison.devices.iter().map(device).collect(),
            moved: comparison.moved.iter().map(moved).collect(),
            findings: Findings {
                new: comparison.new.iter().map(finding).collect(),
                gone: comparison.gone.iter().map(finding).collect(),
                changed: comparison.changed.iter().map(changed).collect(),
            },
            functions: Functions {
                appeared: comparison.appeared.iter().map(function).collect(),
                disappeared: comparison.disappeared.iter().map(function).collect(),
            },
        }
    }
}

fn device(device: &FollowedDevice) -> Device {
    Device {
        vm: device.vm.to_string(),
        before: device.before.to_string(),
        after: device.after.map(|after| after.to_string()),
    }
}

fn moved(moved: &MovedFact) -> Moved {
    Moved {
        subject: moved.subject.clone(),
        fact: moved.fact.clone(),
        before: moved.was.clone(),
        after: moved.is.clone(),
    }
}

fn changed(changed: &ChangedFinding) -> Changed {
    Changed { before: finding(&changed.before), after: finding(&changed.after) }
}

fn function(presence: &Presence) -> Function {
    Function { address: presence.address.to_string(), id: presence.id.map(|id| id.to_string()) }
}
