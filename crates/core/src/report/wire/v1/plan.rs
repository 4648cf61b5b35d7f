//! `slotwise.plan/1`.

use serde::Serialize;

use super::fingerprint::Fingerprint;
use super::partition::Partition;
use crate::action::Step;
use crate::facts::AssumedFact;
use crate::plan::{self, PlannedDevice, VmPlan};
use crate::rules;
use crate::vm::address_space::Window;

/// A plan.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    schema: &'static str,
    assumed: Vec<Assumed>,
    verdict: &'static str,
    findings: Vec<Finding>,
    steps: Vec<PlanStep>,
    vms: Vec<Vm>,
    partition: Partition,
    slots: Vec<Slots>,
    fingerprint: Fingerprint,
    /// Why each rule did or did not say something; there only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanations: Option<Vec<Explanation>>,
}

/// Where else a card could sit that a finding stands against, the best place first.
#[derive(Clone, Debug, Serialize)]
struct Slots {
    device: String,
    rules: Vec<&'static str>,
    options: Vec<SlotOption>,
    /// Places that were not looked at.
    left_out: usize,
}

#[derive(Clone, Debug, Serialize)]
struct SlotOption {
    /// `move`, or `exchange` with the card that is there.
    kind: &'static str,
    place: String,
    same_as: Vec<String>,
    judgement: &'static str,
    confidence: &'static str,
    irq: Option<u32>,
    reasons: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Explanation {
    rule: &'static str,
    subject: String,
    outcome: &'static str,
    reason: Option<String>,
}

/// Something that was assumed, and the functions that it is about; none: the host.
#[derive(Clone, Debug, Serialize)]
struct Assumed {
    text: String,
    devices: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    rule: &'static str,
    severity: &'static str,
    subject: String,
    summary: String,
    why: String,
    evidence: Vec<Evidence>,
    remedies: Vec<Remedy>,
    predicts: &'static [&'static str],
}

#[derive(Clone, Debug, Serialize)]
struct Evidence {
    source: String,
    text: String,
}

#[derive(Clone, Debug, Serialize)]
struct Remedy {
    kind: &'static str,
    text: String,
    steps: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PlanStep {
    id: String,
    action: &'static str,
    target: String,
    before: String,
    after: String,
    undo: String,
    needs_reboot: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Vm {
    name: String,
    backend: &'static str,
    devices: Vec<String>,
    address_map: Vec<MapRow>,
    host_loses: Vec<String>,
    device_costs: Vec<DeviceCost>,
    locked_bytes: Option<u64>,
    dma_entries: Option<u64>,
    dma_entry_limit: Option<u64>,
    /// The memory node of the host that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Node>,
}

/// A memory node with its processors in the kernel's form (`0-3,8`); null where they are not known.
#[derive(Clone, Debug, Serialize)]
struct Node {
    number: u32,
    processors: Option<String>,
}

/// What one function costs the host. `unread` names places that would tell of more and could not be read.
#[derive(Clone, Debug, Serialize)]
struct DeviceCost {
    device: String,
    host_loses: Vec<String>,
    unread: Vec<String>,
    dma_entries: Option<u64>,
}

/// A BAR in the guest. What is not known before the guest runs is null: of a function whose BARs could not be read all but
/// the function, else the address or window that depends on the firmware's release.
#[derive(Clone, Debug, Serialize)]
struct MapRow {
    device: String,
    bar: Option<u8>,
    start: Option<String>,
    size: Option<String>,
    window: Option<&'static str>,
}

impl Plan {
    /// The wire form of a plan.
    #[must_use]
    pub fn new(plan: &plan::Plan) -> Self {
        Self {
            schema: "slotwise.plan/1",
            assumed: plan.assumed.iter().map(assumed).collect(),
            verdict: plan.verdict.name(),
            findings: plan.findings.iter().map(finding).collect(),
            steps: plan.steps.as_slice().iter().map(step).collect(),
            vms: plan.vms.iter().map(vm).collect(),
            partition: Partition::new(&plan.partition),
            slots: plan.slots.iter().map(slots).collect(),
            fingerprint: Fingerprint::new(&plan.fingerprint),
            explanations: None,
        }
    }

    /// The same with why each rule did or did not say something.
    #[must_use]
    pub fn explained(self, explanations: &[rules::Explanation]) -> Self {
        let one = |explanation: &rules::Explanation| Explanation {
            rule: explanation.rule,
            subject: explanation.subject.to_string(),
            outcome: explanation.outcome.name(),
            reason: explanation.outcome.reason().map(str::to_owned),
        };
        Self { explanations: Some(explanations.iter().map(one).collect()), ..self }
    }
}

fn slots(advice: &plan::SlotAdvice) -> Slots {
    let option = |option: &plan::SlotOption| SlotOption {
        kind: if option.exchange { "exchange" } else { "move" },
        place: option.place.to_string(),
        same_as: option.same_as.iter().map(ToString::to_string).collect(),
        judgement: option.judgement.name(),
        confidence: option.confidence.name(),
        irq: option.irq,
        reasons: option.reasons.clone(),
    };
    Slots {
        device: advice.device.to_string(),
        rules: advice.rules.clone(),
        options: advice.options.iter().map(option).collect(),
        left_out: advice.left_out,
    }
}

fn assumed(assumed: &AssumedFact) -> Assumed {
    let devices = assumed.devices.iter().map(ToString::to_string).collect();
    Assumed { text: assumed.text.clone(), devices }
}

pub(super) fn finding(finding: &rules::Finding) -> Finding {
    let evidence = finding.evidence.iter();
    let remedies = finding.remedies.iter();
    Finding {
        rule: finding.rule,
        severity: finding.severity.name(),
        subject: finding.subject.to_string(),
        summary: finding.summary.clone(),
        why: finding.why.clone(),
        evidence: evidence.map(|e| Evidence { source: e.source.clone(), text: e.text.clone() }).collect(),
        remedies: remedies
            .map(|r| Remedy { kind: r.kind.name(), text: r.text.clone(), steps: r.steps.clone() })
            .collect(),
        predicts: rules::rule(finding.rule).map_or(&[], |rule| rule.predicts),
    }
}

fn step(step: &Step) -> PlanStep {
    PlanStep {
        id: step.id().to_string(),
        action: step.action().name(),
        target: step.target(),
        before: step.before().to_string(),
        after: step.action().after().to_string(),
        undo: step.undo(),
        needs_reboot: step.action().needs_reboot(),
    }
}

fn vm(vm: &VmPlan) -> Vm {
    let known = vm.address_map.rows.iter().map(|row| MapRow {
        device: row.device.to_string(),
        bar: Some(row.bar),
        start: row.start.map(|start| format!("{start:#x}")),
        size: Some(format!("{:#x}", row.size)),
        window: row.window.map(Window::name),
    });
    let unknown = vm.address_map.unknown.iter().map(|device| MapRow {
        device: device.to_string(),
        bar: None,
        start: None,
        size: None,
        window: None,
    });
    let loses = vm.devices.iter().flat_map(|device| &device.dependents);
    Vm {
        name: vm.request.name.to_string(),
        backend: vm.request.backend.name(),
        devices: vm.devices.iter().map(|device| device.address.to_string()).collect(),
        address_map: known.chain(unknown).collect(),
        host_loses: loses.map(ToString::to_string).collect(),
        device_costs: vm.devices.iter().map(device_cost).collect(),
        locked_bytes: vm.cost.locked_bytes,
        dma_entries: vm.cost.dma_entries,
        dma_entry_limit: vm.cost.dma_entry_limit,
        node: vm.node.as_ref().map(|node| Node {
            number: node.number,
            processors: node.processors.as_ref().map(ToString::to_string),
        }),
    }
}

fn device_cost(device: &PlannedDevice) -> DeviceCost {
    DeviceCost {
        device: device.address.to_string(),
        host_loses: device.dependents.iter().map(ToString::to_string).collect(),
        unread: device.unread.clone(),
        dma_entries: device.dma_entries,
    }
}
