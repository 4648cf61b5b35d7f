//! One function of `slotwise.inspect/1`.

use serde::Serialize;

use super::super::{hex, id};
use crate::facts::{FunctionFacts, Resource};
use crate::pci::{self, BarKind, Feature, Features as PciFeatures, Space, Window as PciWindow};
use crate::report::Names;
use crate::report::names::{device_name, vendor_name};
use crate::topology::{LineKnowledge, Topology};

#[derive(Clone, Debug, Serialize)]
pub(super) struct Function {
    address: String,
    vendor: Option<String>,
    device: Option<String>,
    subsystem_vendor: Option<String>,
    subsystem_device: Option<String>,
    class: Option<String>,
    revision: Option<String>,
    vendor_name: Option<String>,
    device_name: Option<String>,
    driver: Option<String>,
    modules: Vec<String>,
    group: Option<u32>,
    numa_node: Option<u32>,
    parent: Option<String>,
    interrupt: Interrupt,
    bars: Vec<Bar>,
    bridge: Option<Bridge>,
    capabilities: Vec<Capability>,
    features: Features,
    reset: Option<Vec<&'static str>>,
    physical_slot: Option<String>,
    driver_override: Option<String>,
    faults: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Interrupt {
    pin: Option<String>,
    line: Option<u8>,
    irq: Option<u32>,
    shared_with: Vec<SharedWith>,
}

#[derive(Clone, Debug, Serialize)]
struct SharedWith {
    irq: u32,
    by: String,
}

#[derive(Clone, Debug, Serialize)]
struct Bar {
    index: u8,
    kind: &'static str,
    prefetchable: bool,
    start: Option<String>,
    size: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Bridge {
    primary: u8,
    secondary: u8,
    subordinate: u8,
    io: Option<Window>,
    memory: Option<Window>,
    prefetchable: Option<Window>,
}

#[derive(Clone, Debug, Serialize)]
struct Window {
    start: String,
    end: String,
}

#[derive(Clone, Debug, Serialize)]
struct Capability {
    offset: String,
    space: &'static str,
    id: String,
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
    size: Option<String>,
    sizes: Vec<String>,
}

impl Function {
    pub(super) fn new(topology: &Topology, facts: &FunctionFacts, names: &dyn Names) -> Self {
        let decoded = facts.config.known().and_then(|config| pci::decode(config).ok());
        let subsystem = facts.subsystem.known().copied();
        let faults = decoded.as_ref().map_or(&[][..], |d| &d.faults).iter().map(ToString::to_string);
        Self {
            address: facts.address.to_string(),
            vendor: facts.id.known().map(|v| id(v.vendor)),
            device: facts.id.known().map(|v| id(v.device)),
            subsystem_vendor: subsystem.map(|v| id(v.vendor)),
            subsystem_device: subsystem.map(|v| id(v.device)),
            class: facts.class.known().map(ToString::to_string),
            revision: facts.revision.known().map(|r| format!("{r:02x}")),
            vendor_name: vendor_name(facts, names),
            device_name: device_name(facts, names),
            driver: facts.driver.known().map(ToString::to_string),
            modules: facts.modules.iter().map(ToString::to_string).collect(),
            group: facts.group.known().map(|group| group.0),
            numa_node: facts.numa_node.known().copied(),
            parent: facts.parent.known().map(ToString::to_string),
            interrupt: interrupt(topology, facts),
            bars: bars(facts, decoded.as_ref()),
            bridge: decoded.as_ref().and_then(|d| d.bridge.as_ref()).map(bridge),
            capabilities: decoded.as_ref().map_or_else(Vec::new, capabilities),
            features: features(decoded.as_ref()),
            reset: facts.reset_methods.known().map(|methods| methods.iter().map(|m| m.name()).collect()),
            physical_slot: facts.physical_slot.known().cloned(),
            driver_override: facts.driver_override.known().map(ToString::to_string),
            faults: faults.collect(),
        }
    }
}

fn interrupt(topology: &Topology, facts: &FunctionFacts) -> Interrupt {
    // A line told from a pattern is a forecast, not what is; then the number that the host shows stands.
    let line = topology.line(facts.address).filter(|l| !matches!(l.knowledge, LineKnowledge::Pattern { .. }));
    let irq = line.map(|l| l.irq).or_else(|| facts.irq.known().copied().filter(|irq| *irq != 0));
    let sharers = irq.map_or_else(Vec::new, |irq| topology.sharers(irq, facts.address));
    Interrupt {
        pin: topology.pin(facts.address).map(|pin| pin.to_string()),
        line: facts.interrupt_line.known().copied(),
        irq,
        shared_with: sharers.into_iter().map(|s| SharedWith { irq: s.irq, by: s.handler }).collect(),
    }
}

/// BARs as the kernel assigned them; sizes are only known from there. Without, the registers as they stand.
fn bars(facts: &FunctionFacts, decoded: Option<&pci::Function>) -> Vec<Bar> {
    let registers = decoded.map_or(&[][..], |d| d.bars.as_slice());
    match facts.resources.known() {
        Some(resources) => resources.iter().filter_map(|r| of_resource(r, facts, registers)).collect(),
        None => registers.iter().map(of_register).collect(),
    }
}

fn of_register(bar: &pci::Bar) -> Bar {
    Bar {
        index: bar.index,
        kind: bar.kind.name(),
        prefetchable: bar.prefetchable,
        start: bar.address.map(hex),
        size: bar.size.map(hex),
    }
}

/// Rows 0 to 5 are BARs (0 and 1 of a bridge), 6 is the ROM; the rest are windows and virtual functions' BARs.
fn of_resource(resource: &Resource, facts: &FunctionFacts, registers: &[pci::Bar]) -> Option<Bar> {
    let bridge = facts.class.known().is_some_and(|class| class.is_pci_bridge());
    let last_bar = if bridge { 1 } else { 5 };
    if resource.index > last_bar && resource.index != pci::ROM_INDEX {
        return None;
    }
    let register = registers.iter().find(|bar| bar.index == resource.index);
    let kind = if resource.index == pci::ROM_INDEX {
        BarKind::Rom
    } else if resource.flags.is_io() {
        BarKind::Io
    } else if resource.flags.is_64bit() || register.is_some_and(|bar| bar.kind == BarKind::Memory64) {
        BarKind::Memory64
    } else {
        BarKind::Memory32
    };
    Some(Bar {
        index: resource.index,
        kind: kind.name(),
        prefetchable: resource.flags.is_prefetchable(),
        start: (!resource.flags.is_unset()).then(|| hex(resource.start)),
        size: Some(hex(resource.size)),
    })
}

fn bridge(bridge: &pci::Bridge) -> Bridge {
    let window =
        |window: &Option<PciWindow>| window.as_ref().map(|w| Window { start: hex(w.start), end: hex(w.end) });
    Bridge {
        primary: bridge.primary,
        secondary: bridge.secondary,
        subordinate: bridge.subordinate,
        io: window(&bridge.io),
        memory: window(&bridge.memory),
        prefetchable: window(&bridge.prefetchable),
    }
}

fn capabilities(function: &pci::Function) -> Vec<Capability> {
    let row = |c: &pci::Capability| {
        let (space, id) = match c.space {
            Space::Standard => ("standard", format!("{:#04x}", c.id)),
            Space::Extended => ("extended", format!("{:#06x}", c.id)),
        };
        Capability { offset: hex(c.offset.into()), space, id, name: c.name }
    };
    function.capabilities.iter().map(row).collect()
}

fn features(function: Option<&pci::Function>) -> Features {
    let features = function.map_or_else(PciFeatures::unknown, pci::Function::features);
    let acs = match features.acs {
        Feature::Present(acs) => {
            Some(Acs { capability: flags(acs.capability), control: acs.control.map(flags) })
        }
        Feature::Absent | Feature::Unknown => None,
    };
    let resizable = |bar: &pci::capability::ResizableBar| ResizableBar {
        index: bar.index,
        size: bar.current_bytes().map(hex),
        sizes: bar.supported_bytes().map(hex).collect(),
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
