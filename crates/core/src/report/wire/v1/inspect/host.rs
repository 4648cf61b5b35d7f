//! The host beside its functions, in `slotwise.inspect/1`. Sizes of memory are numbers of bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::written::Addresses;
use crate::facts::{
    Fact, Facts, HeldBy, HostMachine, HugePages, LockedMemory, MachineState, ModprobeDirective, ReadFault,
};
use crate::pci::PciAddress;
use crate::topology::Topology;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Host<'f> {
    kernel: Kernel,
    cpu: Cpu,
    firmware: Firmware,
    memory: Memory,
    vfio_nodes: Option<Vec<Node>>,
    machines: Option<Vec<Machine<'f>>>,
    consoles: Option<Vec<String>>,
    /// Facts of the host that nobody could read, with the reason.
    unknown: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Kernel {
    release: Option<String>,
    config: Option<BTreeMap<String, String>>,
    config_source: Option<String>,
    modules: Option<BTreeMap<String, &'static str>>,
    parameters: BTreeMap<String, String>,
    modprobe: Option<Vec<Directive>>,
    early_modules: Option<Vec<Early>>,
    initramfs_modules: Option<Vec<String>>,
    lockdown: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Directive {
    source: String,
    command: &'static str,
    module: String,
    text: String,
}

#[derive(Clone, Debug, Serialize)]
struct Early {
    source: String,
    module: String,
}

#[derive(Clone, Debug, Serialize)]
struct Cpu {
    vendor: Option<String>,
    model: Option<String>,
    signature: Option<(u32, u32, u32)>,
    physical_bits: Option<u8>,
    virtual_bits: Option<u8>,
    flags: Option<Vec<String>>,
    virtualization: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
struct Firmware {
    system_vendor: Option<String>,
    product: Option<String>,
    board_vendor: Option<String>,
    board: Option<String>,
    board_version: Option<String>,
    bios_vendor: Option<String>,
    bios_version: Option<String>,
    bios_date: Option<String>,
    uefi: Option<bool>,
    secure_boot: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
struct Memory {
    total: Option<u64>,
    available: Option<u64>,
    nodes: Option<Vec<NodeMemory>>,
    huge_pages: Option<Vec<Pool>>,
    /// Bytes that the reading process may lock, or `unlimited`.
    lockable: Option<Lockable>,
    memlock: Option<Vec<Setting>>,
}

#[derive(Clone, Debug, Serialize)]
struct NodeMemory {
    node: u32,
    total: u64,
    free: u64,
    /// In the kernel's form (`0-3,8`).
    processors: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Pool {
    page_size: u64,
    node: Option<u32>,
    total: Option<u64>,
    free: Option<u64>,
    reserved: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Lockable {
    Bytes(u64),
    Unlimited(&'static str),
}

#[derive(Clone, Debug, Serialize)]
struct Setting {
    source: String,
    scope: String,
    value: String,
}

#[derive(Clone, Debug, Serialize)]
struct Node {
    path: String,
    /// Octal.
    mode: String,
    user: u32,
    group: u32,
}

#[derive(Clone, Debug, Serialize)]
struct Machine<'f> {
    name: Option<&'f str>,
    monitor: &'static str,
    running: bool,
    process: Option<u32>,
    domain: Option<u32>,
    functions: Addresses<'f>,
    source: &'f str,
}

/// What uses one function.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UsedBy<'f> {
    /// What the host loses with it.
    host_loses: Vec<String>,
    processes: Vec<Process<'f>>,
    machines: Vec<Machine<'f>>,
}

#[derive(Clone, Debug, Serialize)]
struct Process<'f> {
    process: u32,
    name: &'f str,
    path: &'f str,
}

impl<'f> UsedBy<'f> {
    pub(super) fn new(topology: &'f Topology, address: PciAddress) -> Self {
        Self {
            host_loses: topology.dependents(address).iter().map(ToString::to_string).collect(),
            processes: topology.held_by(address).into_iter().map(process).collect(),
            machines: topology.machines(address).into_iter().map(machine).collect(),
        }
    }
}

fn process(held: &HeldBy) -> Process<'_> {
    Process { process: held.pid, name: &held.name, path: &held.path }
}

fn machine(machine: &HostMachine) -> Machine<'_> {
    let (process, domain) = match machine.state {
        MachineState::Process(pid) => (Some(pid), None),
        MachineState::Domain(id) => (None, Some(id)),
        MachineState::Defined => (None, None),
    };
    Machine {
        name: machine.name.as_deref(),
        monitor: machine.monitor.name(),
        running: machine.is_running(),
        process,
        domain,
        functions: Addresses(&machine.functions),
        source: &machine.place,
    }
}

fn list<'f, T, U>(fact: &'f Fact<Vec<T>>, row: impl FnMut(&'f T) -> U) -> Option<Vec<U>> {
    fact.known().map(|rows| rows.iter().map(row).collect())
}

impl<'f> Host<'f> {
    pub(super) fn new(facts: &'f Facts) -> Self {
        let node = |node: &crate::facts::DeviceNode| Node {
            path: node.path.clone(),
            mode: format!("{:04o}", node.mode),
            user: node.user_id,
            group: node.group_id,
        };
        Self {
            kernel: kernel(facts),
            cpu: cpu(facts),
            firmware: firmware(facts),
            memory: memory(facts),
            vfio_nodes: list(&facts.platform.vfio_nodes, node),
            machines: list(&facts.usage.machines, machine),
            consoles: list(&facts.usage.attached.consoles, |console| console.name.clone()),
            unknown: unknown(facts).into_iter().flatten().map(ToString::to_string).collect(),
        }
    }
}

/// Faults of the facts of this object and of what uses functions.
fn unknown(facts: &Facts) -> [Option<&ReadFault>; 18] {
    let (kernel, usage, platform) = (&facts.kernel, &facts.usage, &facts.platform);
    let attached = &usage.attached;
    [
        kernel.config.fault(),
        kernel.modprobe.fault(),
        kernel.early_modules.fault(),
        kernel.initramfs.fault(),
        platform.cpu.model.fault(),
        platform.firmware.board.fault(),
        platform.firmware.secure_boot.fault(),
        platform.memory.total_bytes.fault(),
        platform.memory.huge_pages.fault(),
        platform.memory.memlock.fault(),
        platform.vfio_nodes.fault(),
        platform.framebuffers.fault(),
        usage.open_handles.fault(),
        usage.machines.fault(),
        attached.screens.fault(),
        attached.consoles.fault(),
        attached.inputs.fault(),
        attached.usb.fault(),
    ]
}

fn kernel(facts: &Facts) -> Kernel {
    let kernel = &facts.kernel;
    let config = kernel.config.known();
    let directive = |directive: &ModprobeDirective| Directive {
        source: directive.place.clone(),
        command: directive.command.name(),
        module: directive.module.to_string(),
        text: directive.text.clone(),
    };
    let state = |state: &crate::facts::ModuleState| state.name();
    let parameters = kernel.parameters.iter();
    Kernel {
        release: kernel.release.known().cloned(),
        config: config.map(|config| config.options.clone()),
        config_source: config.map(|config| config.place.clone()),
        modules: kernel
            .modules
            .known()
            .map(|modules| modules.iter().map(|(name, module)| (name.to_string(), state(module))).collect()),
        parameters: parameters
            .map(|((module, name), parameter)| (format!("{module}.{name}"), parameter.value.clone()))
            .collect(),
        modprobe: list(&kernel.modprobe, directive),
        early_modules: list(&kernel.early_modules, |early| Early {
            source: early.place.clone(),
            module: early.module.to_string(),
        }),
        initramfs_modules: kernel
            .initramfs
            .known()
            .map(|modules| modules.iter().map(ToString::to_string).collect()),
        lockdown: facts.platform.lockdown.known().map(|lockdown| lockdown.name()),
    }
}

fn cpu(facts: &Facts) -> Cpu {
    let cpu = &facts.platform.cpu;
    Cpu {
        vendor: cpu.vendor.known().cloned(),
        model: cpu.model.known().cloned(),
        signature: cpu.signature.known().copied(),
        physical_bits: cpu.physical_bits.known().copied(),
        virtual_bits: cpu.virtual_bits.known().copied(),
        flags: cpu.flags.known().cloned(),
        virtualization: facts.platform.virtualization.known().copied(),
    }
}

fn firmware(facts: &Facts) -> Firmware {
    let firmware = &facts.platform.firmware;
    let text = |fact: &Fact<String>| fact.known().cloned();
    Firmware {
        system_vendor: text(&firmware.system_vendor),
        product: text(&firmware.product),
        board_vendor: text(&firmware.board_vendor),
        board: text(&firmware.board),
        board_version: text(&firmware.board_version),
        bios_vendor: text(&firmware.bios_vendor),
        bios_version: text(&firmware.bios_version),
        bios_date: text(&firmware.bios_date),
        uefi: firmware.uefi.known().copied(),
        secure_boot: firmware.secure_boot.known().copied(),
    }
}

fn memory(facts: &Facts) -> Memory {
    let memory = &facts.platform.memory;
    let number = |fact: &Fact<u64>| fact.known().copied();
    let pool = |pool: &HugePages| Pool {
        page_size: pool.page_bytes,
        node: pool.node,
        total: number(&pool.total),
        free: number(&pool.free),
        reserved: number(&pool.reserved),
    };
    let node = |(node, memory): (&u32, &crate::facts::NodeMemory)| NodeMemory {
        node: *node,
        total: memory.total_bytes,
        free: memory.free_bytes,
        processors: memory.processors.known().map(ToString::to_string),
    };
    Memory {
        total: number(&memory.total_bytes),
        available: number(&memory.available_bytes),
        nodes: memory.nodes.known().map(|nodes| nodes.iter().map(node).collect()),
        huge_pages: list(&memory.huge_pages, pool),
        lockable: facts.platform.locked_memory.known().map(|locked| match locked {
            LockedMemory::Unlimited => Lockable::Unlimited("unlimited"),
            LockedMemory::Bytes(bytes) => Lockable::Bytes(*bytes),
        }),
        memlock: list(&memory.memlock, |setting| Setting {
            source: setting.place.clone(),
            scope: setting.scope.clone(),
            value: setting.value.clone(),
        }),
    }
}
