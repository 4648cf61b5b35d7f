//! From a request and a host to findings, ordered steps and VMs: data, decided here and nowhere later.
//!
//! A plan touches no host. Its steps each name the request that they serve; carrying them out adds no decision.

mod address_map;
mod compare;
mod cost;
mod fingerprint;
mod partition;
mod resolve;
mod search;
mod settle;
mod slots;
mod steps;

pub use address_map::AddressMap;
pub use compare::{ChangedFinding, CompareError, Comparison, FollowedDevice, Presence, compare};
pub use cost::{PlannedDevice, VmCost};
pub use fingerprint::{Fingerprint, Holds, MovedFact, RestingFact, moved};
pub use partition::{GroupShare, Kept, LineShare, Owner, Partition, Stock, VmShare};
pub use resolve::resolve;
pub use search::{MAX_STEPS, SearchNote};
pub use slots::{Confidence, Judgement, SlotAdvice, SlotOption, advise};

use crate::action::{StepFault, Steps};
use crate::facts::{AssumedFact, Origin};
use crate::rules::{self, Assignment, Finding, Severity};
use crate::topology::Topology;
use crate::vm::spec::SpecFault;
use crate::vm::{HostNode, Request, VmRequest};

/// Whether it will work, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The VMs can be launched as the host is.
    Ready,
    /// The VMs can be launched after the steps.
    NeedsChanges,
    /// A finding stands against it.
    Blocked,
}

impl Verdict {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Ready => "ready",
            Verdict::NeedsChanges => "needs-changes",
            Verdict::Blocked => "blocked",
        }
    }
}

/// One VM of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmPlan {
    /// What was asked for.
    pub request: VmRequest,
    /// The host functions that it is given, in the order of the request.
    pub devices: Vec<PlannedDevice>,
    /// Where their BARs will be in the guest.
    pub address_map: AddressMap,
    /// What it takes of the host while it runs.
    pub cost: VmCost,
    /// The memory node that it is bound to.
    pub node: Option<HostNode>,
}

/// What will happen, and what has to be done for it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the facts come from that it rests on.
    pub origin: Origin,
    /// What of those facts was assumed; empty for a host as it is.
    pub assumed: Vec<AssumedFact>,
    /// The word.
    pub verdict: Verdict,
    /// What the rules say, the gravest first.
    pub findings: Vec<Finding>,
    /// Changes of the host, in order.
    pub steps: Steps,
    /// The VMs.
    pub vms: Vec<VmPlan>,
    /// Who gets what of the whole host, and what it keeps.
    pub partition: Partition,
    /// Where else cards could sit that a finding stands against.
    pub slots: Vec<SlotAdvice>,
    /// The facts that all this rests on.
    pub fingerprint: Fingerprint,
}

impl Plan {
    /// Which functions go to which VM.
    #[must_use]
    pub const fn assignment(&self) -> &Assignment {
        self.fingerprint.assignment()
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The request does not fit the host: each fault points into the spec.
    #[error("the spec does not fit this host")]
    Request(Vec<SpecFault>),
    /// The steps contradict each other; this is a defect of the planner, told rather than carried out.
    #[error("the steps do not fit together: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Steps(Vec<StepFault>),
}

/// Plans a request on a host.
pub fn plan(request: &Request, topology: &Topology) -> Result<Plan, PlanError> {
    let settled = settle::settle(request, topology).map_err(PlanError::Request)?;
    let request = &settled.request;
    let assignment = resolve(request, topology).map_err(PlanError::Request)?;
    settled.refuse_kept(&assignment).map_err(PlanError::Request)?;
    let partition =
        partition::partition(request, topology, &assignment, &settled.kept_places(), settled.search);
    let findings = rules::check(topology, &assignment);
    let steps = steps::steps(topology, &assignment).map_err(PlanError::Steps)?;
    let verdict = if findings.iter().any(|finding| finding.severity == Severity::Blocks) {
        Verdict::Blocked
    } else if !steps.as_slice().is_empty() {
        Verdict::NeedsChanges
    } else {
        Verdict::Ready
    };
    let vms = request
        .vms
        .iter()
        .zip(&assignment.vms)
        .map(|(request, vm)| VmPlan {
            request: request.clone(),
            devices: vm.devices.iter().map(|device| PlannedDevice::of(topology, vm, *device)).collect(),
            address_map: address_map::address_map(topology, vm),
            cost: VmCost::of(topology, vm),
            node: vm.node.map(|number| host_node(topology, number)),
        })
        .collect();
    let fingerprint = Fingerprint::of(topology, &assignment);
    let (origin, assumed) = (topology.facts().origin.clone(), topology.facts().assumed.facts.clone());
    let slots = advise(topology, &assignment, &findings);
    Ok(Plan { partition, slots, origin, assumed, verdict, findings, steps, vms, fingerprint })
}

/// A memory node of the host, with its processors as far as they are known.
fn host_node(topology: &Topology, number: u32) -> HostNode {
    let nodes = topology.facts().platform.memory.nodes.known();
    let processors = nodes.and_then(|nodes| nodes.get(&number)?.processors.known().cloned());
    HostNode { number, processors: processors.filter(|list| !list.is_empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::address_space::Window;
    use crate::vm::spec::parse;

    const SPEC: &str =
        "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\nselect = { id = \"1000:0012\" }\n";

    fn planned(host: &str) -> Plan {
        plan(&parse(SPEC).expect("spec"), &topology(host)).expect("plan")
    }

    #[test]
    fn a_card_on_a_shared_line_is_blocked() {
        let plan = planned(BENCH);
        assert_eq!(plan.verdict, Verdict::Blocked);
        assert_eq!(plan.findings[0].rule, "intx-shared");
    }

    #[test]
    fn a_card_on_its_host_driver_needs_the_three_steps_in_order() {
        let host = BENCH.replace("sym53c8xx eth1", "sym53c8xx");
        let plan = planned(&host);
        assert_eq!(plan.verdict, Verdict::NeedsChanges);
        let actions: Vec<&str> = plan.steps.as_slice().iter().map(|step| step.action().name()).collect();
        assert_eq!(actions, ["set-driver-override", "unbind", "probe"]);
    }

    #[test]
    fn bars_have_their_place_in_the_guest_where_their_sizes_are_known() {
        let card = "device 0000:02:04.0 class=010000";
        let host = BENCH.replace(card, &format!("{card} bars=0:c000:100:40101,1:fe440000:400:40200"));
        let map = planned(&host).vms.remove(0).address_map;
        let rows: Vec<_> =
            map.rows.iter().map(|row| (row.bar, row.size, row.window.map(Window::name))).collect();
        assert_eq!(rows, [(0, 256, Some("io")), (1, 1024, Some("32-bit"))]);
        assert!(map.rows.iter().all(|row| row.start.is_some()), "{map:?}");
        let unread = planned(BENCH).vms.remove(0).address_map;
        assert_eq!((unread.rows.len(), unread.unknown.len()), (0, 1));
    }

    #[test]
    fn a_plan_tells_what_the_host_loses_and_what_vfio_takes() {
        let host =
            format!("{BENCH}\nblock sdb 8:16 function=0000:02:04.0\nmount /srv 8:16 ext4\nunread network");
        let vm = planned(&host).vms.remove(0);
        let device = vm.devices.first().expect("device");
        let loses: Vec<String> = device.dependents.iter().map(ToString::to_string).collect();
        assert_eq!(
            (loses, device.unread.as_slice()),
            (vec!["/srv on sdb".to_owned()], &["/sys/class/net".to_owned()][..])
        );
        assert_eq!(
            (device.dma_entries, vm.cost.dma_entries, vm.cost.dma_entry_limit),
            (None, Some(39), Some(65535))
        );
        assert_eq!(vm.cost.locked_bytes, Some((96 + 64) << 20));
    }

    #[test]
    fn a_vm_of_a_memory_node_gets_that_node_s_processors() {
        let spec = SPEC.replace("memory = \"96M\"", "memory = \"96M\"\nnode = 1");
        let node = |host: &str| {
            let plan = plan(&parse(&spec).expect("spec"), &topology(host)).expect("plan");
            plan.vms[0].node.clone().map(|node| (node.number, node.processors.map(|list| list.to_string())))
        };
        assert_eq!(node(&format!("{BENCH}\nmemory 8192 8000 4096 4096")), Some((1, Some("4-7".to_owned()))));
        assert_eq!(node(BENCH), Some((1, None)));
        assert_eq!(planned(BENCH).vms[0].node, None);
    }

    #[test]
    fn a_card_that_moved_blocks_and_is_not_taken_from_its_new_place() {
        let spec = SPEC.replace("id = \"1000:0012\"", "id = \"1000:0012\", slot = \"02:06.0\"");
        let plan = plan(&parse(&spec).expect("spec"), &topology(BENCH)).expect("plan");
        assert_eq!((plan.verdict, plan.findings[0].rule), (Verdict::Blocked, "device-moved"));
        assert!(plan.steps.as_slice().is_empty() && plan.vms[0].devices.is_empty());
    }

    #[test]
    fn a_card_that_is_bound_already_is_ready() {
        let host = BENCH.replace("sym53c8xx eth1", "eth1").replace("driver=sym53c8xx", "driver=vfio-pci");
        let host = host.replace("nointxmask=Y", "nointxmask=N").replace("irq 23 IR-IO-APIC pin=23 eth1", "");
        let plan = planned(&host);
        assert_eq!(plan.verdict, Verdict::Ready, "{:?}", plan.findings);
    }
}
