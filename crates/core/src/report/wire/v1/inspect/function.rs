//! One function of `slotwise.inspect/1`.

use serde::Serialize;

use super::host::UsedBy;
use super::space::{Bar, Bridge, bars, bridge};
use super::written::{Address, Hex, Shown};
use crate::facts::{DriverName, FunctionFacts, ListedCapability, ModuleName};
use crate::pci::{self, Feature, Features as PciFeatures};
use crate::report::Names;
use crate::report::names::vendor_and_device;
use crate::topology::{IntxPin, LineKnowledge, Sharer, Topology};

#[derive(Clone, Debug, Serialize)]
pub(super) struct Function<'f> {
    address: Address,
    vendor: Option<Hex>,
    device: Option<Hex>,
    subsystem_vendor: Option<Hex>,
    subsystem_device: Option<Hex>,
    class: Option<Hex>,
    class_name: Option<String>,
    interface_name: Option<String>,
    revision: Option<Hex>,
    vendor_name: Option<String>,
    device_name: Option<String>,
    driver: Option<&'f str>,
    modules: Vec<&'f str>,
    group: Option<u32>,
    numa_node: Option<u32>,
    parent: Option<Address>,
    interrupt: Interrupt,
    bars: Option<Vec<Bar>>,
    bridge: Option<Bridge>,
    capabilities: Option<Vec<Capability>>,
    further_capabilities: Vec<Capability>,
    features: Features,
    reset: Option<Vec<&'static str>>,
    physical_slot: Option<&'f str>,
    driver_override: Option<&'f str>,
    used_by: UsedBy<'f>,
    faults: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Interrupt {
    pin: Option<Shown<IntxPin>>,
    line: Option<u8>,
    irq: Option<u32>,
    shared_with: Option<Vec<SharedWith>>,
}

#[derive(Clone, Debug, Serialize)]
struct SharedWith {
    irq: u32,
    by: String,
}

#[derive(Clone, Debug, Serialize)]
struct Capability {
    offset: Hex,
    space: &'static str,
    id: Option<Hex>,
    name: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Features {
    flr: Option<bool>,
    af_flr: Option<bool>,
    pm_reset: Option<bool>,
    msi_vectors: Option<u16>,
    msix_vectors: Option<u16>,
    acs: Option<Acs>,
    ari: Option<bool>,
    ats: Option<bool>,
    sriov_total_vfs: Option<u16>,
    resizable_bars: Option<Vec<ResizableBar>>,
}

#[derive(Clone, Debug, Serialize)]
struct Acs {
    capability: AcsFlags,
    control: Option<AcsFlags>,
}

#[derive(Clone, Debug, Serialize)]
struct AcsFlags {
    source_validation: bool,
    translation_blocking: bool,
    request_redirect: bool,
    completion_redirect: bool,
    upstream_forwarding: bool,
    egress_control: bool,
    direct_translated: bool,
}

#[derive(Clone, Debug, Serialize)]
struct ResizableBar {
    index: u8,
    size: Option<Hex>,
    sizes: Vec<Hex>,
}

impl<'f> Function<'f> {
    pub(super) fn new(topology: &'f Topology, facts: &'f FunctionFacts, names: &dyn Names) -> Self {
        let decoded = facts.decoded();
        let (vendor_name, device_name) = vendor_and_device(facts, names);
        let subsystem = facts.subsystem.known().copied();
        let broken = decoded.as_ref().map_or(&[][..], |d| &d.faults).iter().map(ToString::to_string);
        let faults = broken.chain(facts.faults().map(ToString::to_string));
        Self {
            address: Address(facts.address),
            vendor: facts.id.known().map(|v| Hex::id(v.vendor)),
            device: facts.id.known().map(|v| Hex::id(v.device)),
            subsystem_vendor: subsystem.map(|v| Hex::id(v.vendor)),
            subsystem_device: subsystem.map(|v| Hex::id(v.device)),
            class: facts.class.known().map(|class| Hex::class(*class)),
            class_name: facts.class.known().and_then(|class| names.class(*class)),
            interface_name: facts.class.known().and_then(|class| names.interface(*class)),
            revision: facts.revision.known().map(|r| Hex::byte(*r)),
            vendor_name,
            device_name,
            driver: facts.driver.known().map(DriverName::as_str),
            modules: facts.modules.iter().map(ModuleName::as_str).collect(),
            group: facts.group.known().map(|group| group.0),
            numa_node: facts.numa_node.known().copied(),
            parent: facts.parent.known().copied().map(Address),
            interrupt: interrupt(topology, facts),
            bars: bars(facts, decoded.as_ref()),
            bridge: bridge(facts, decoded.as_ref()),
            capabilities: facts.capabilities_by(decoded.as_ref()).map(rows),
            further_capabilities: rows(facts.further_capabilities()),
            features: features(&facts.features_by(decoded.as_ref())),
            reset: facts.reset_methods.known().map(|methods| methods.iter().map(|m| m.name()).collect()),
            physical_slot: facts.physical_slot.known().map(|slot| &**slot),
            driver_override: facts.driver_override.known().map(DriverName::as_str),
            used_by: UsedBy::new(topology, facts.address),
            faults: faults.collect(),
        }
    }
}

fn interrupt(topology: &Topology, facts: &FunctionFacts) -> Interrupt {
    // A line told from a pattern is a forecast, not what is; then the number that the host shows stands.
    let line = topology.line(facts.address).filter(|l| !matches!(l.knowledge, LineKnowledge::Pattern { .. }));
    let irq = line.map(|l| l.irq).or_else(|| facts.irq.known().copied().filter(|irq| *irq != 0));
    // Without a table of handlers nobody knows; without a number there is none to share.
    let sharers = (!topology.facts().interrupts.is_unreadable())
        .then(|| irq.map_or_else(Vec::new, |irq| topology.sharers(irq, facts.address)));
    let row = |sharer: Sharer| SharedWith { irq: sharer.irq, by: sharer.handler };
    Interrupt {
        pin: topology.pin(facts.address).map(Shown),
        line: facts.interrupt_line.known().copied(),
        irq,
        shared_with: sharers.map(|sharers| sharers.into_iter().map(row).collect()),
    }
}

fn rows(capabilities: Vec<ListedCapability>) -> Vec<Capability> {
    let row = |c: ListedCapability| Capability {
        offset: Hex::number(c.offset.into()),
        space: c.space.name(),
        id: c.id.map(|id| Hex::capability(c.space, id)),
        name: c.name,
    };
    capabilities.into_iter().map(row).collect()
}

fn features(features: &PciFeatures) -> Features {
    let acs = match features.acs {
        Feature::Present(acs) => {
            Some(Acs { capability: flags(acs.capability), control: acs.control.map(flags) })
        }
        Feature::Absent | Feature::Unknown => None,
    };
    let resizable = |bar: &pci::capability::ResizableBar| ResizableBar {
        index: bar.index,
        size: bar.current_bytes().map(Hex::number),
        sizes: bar.supported_bytes().map(Hex::number).collect(),
    };
    Features {
        flr: features.flr,
        af_flr: features.af_flr,
        pm_reset: features.pm_reset,
        msi_vectors: features.msi_vectors,
        msix_vectors: features.msix_vectors,
        acs,
        ari: features.ari,
        ats: features.ats,
        sriov_total_vfs: features.sriov_total_vfs,
        resizable_bars: features.resizable_bars.as_ref().map(|bars| bars.iter().map(resizable).collect()),
    }
}

fn flags(flags: pci::capability::AccessControlFlags) -> AcsFlags {
    AcsFlags {
        source_validation: flags.source_validation(),
        translation_blocking: flags.translation_blocking(),
        request_redirect: flags.request_redirect(),
        completion_redirect: flags.completion_redirect(),
        upstream_forwarding: flags.upstream_forwarding(),
        egress_control: flags.egress_control(),
        direct_translated: flags.direct_translated(),
    }
}
