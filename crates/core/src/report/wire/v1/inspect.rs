//! `slotwise.inspect/1`.

mod function;
mod host;
mod space;

use serde::Serialize;

use super::hex;
use crate::facts::{Facts, ReservedKind, ReservedRegion};
use crate::pci::PciAddress;
use crate::report::Names;
use crate::report::reserved::told_once;
use crate::topology::Topology;

/// A host.
#[derive(Clone, Debug, Serialize)]
pub struct Inspect {
    schema: &'static str,
    source: Source,
    iommu: Iommu,
    host: host::Host,
    functions: Vec<function::Function>,
    groups: Vec<Group>,
    faults: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Source {
    kind: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Iommu {
    state: &'static str,
    vendor: &'static str,
    interrupt_remapping: &'static str,
    reserved: Vec<Reserved>,
    /// Ranges that no DMA may use at all; no mapping is needed for them.
    unusable: Vec<Reserved>,
    evidence: Vec<Evidence>,
}

#[derive(Clone, Debug, Serialize)]
struct Evidence {
    source: String,
    text: String,
}

#[derive(Clone, Debug, Serialize)]
struct Reserved {
    kind: &'static str,
    start: String,
    end: String,
    devices: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Group {
    id: u32,
    members: Vec<String>,
}

impl Inspect {
    /// The wire form of a host, or of some of its functions; groups are always whole.
    #[must_use]
    pub fn new(topology: &Topology, names: &dyn Names, shown: &dyn Fn(PciAddress) -> bool) -> Self {
        let facts = topology.facts();
        let functions = topology.functions().filter(|f| shown(f.address));
        Self {
            schema: "slotwise.inspect/1",
            source: Source { kind: facts.origin.kind().name() },
            iommu: Iommu {
                state: facts.iommu.state.name(),
                vendor: facts.iommu.vendor.name(),
                interrupt_remapping: facts.iommu.interrupt_remapping.name(),
                reserved: ranges(facts, |kind| kind != ReservedKind::Reserved),
                unusable: ranges(facts, |kind| kind == ReservedKind::Reserved),
                evidence: facts.iommu.evidence.iter().map(evidence).collect(),
            },
            host: host::Host::new(facts),
            functions: functions.map(|f| function::Function::new(topology, f, names)).collect(),
            groups: topology
                .groups()
                .iter()
                .map(|(id, members)| Group { id: id.0, members: texts(members) })
                .collect(),
            faults: facts.faults.iter().map(ToString::to_string).collect(),
        }
    }
}

fn ranges(facts: &Facts, wanted: impl Fn(ReservedKind) -> bool) -> Vec<Reserved> {
    told_once(&facts.iommu.reserved).iter().filter(|region| wanted(region.kind)).map(reserved).collect()
}

fn evidence((source, text): &(String, String)) -> Evidence {
    Evidence { source: source.clone(), text: text.clone() }
}

fn reserved(region: &ReservedRegion) -> Reserved {
    Reserved {
        kind: region.kind.name(),
        start: hex(region.start),
        end: hex(region.end),
        devices: texts(&region.devices),
    }
}

fn texts(addresses: &[PciAddress]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
