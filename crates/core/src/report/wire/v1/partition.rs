//! The partition of a host in `slotwise.plan/1`.

use serde::Serialize;

use crate::plan::{self, GroupShare, Kept, LineShare, Owner, SearchNote, VmShare};

#[derive(Clone, Debug, Serialize)]
pub(super) struct Partition {
    vms: Vec<Share>,
    host: Host,
    groups: Vec<Group>,
    shared_lines: Vec<Line>,
    /// Null where the spec leaves no choice of devices.
    search: Option<Search>,
}

#[derive(Clone, Debug, Serialize)]
struct Share {
    name: String,
    memory_mib: u64,
    cpus: u16,
    devices: Vec<String>,
    /// At most; null where a function's capabilities could not be read.
    interrupt_vectors: Option<u32>,
    interrupt_wires: u32,
    /// Lines of those wires that are known.
    irqs: Vec<u32>,
    numa_nodes: Vec<u32>,
    /// The node that the spec asks for.
    node: Option<u32>,
}

/// A line of a given function that somebody else is on.
#[derive(Clone, Debug, Serialize)]
struct Line {
    irq: u32,
    given: Vec<Member>,
    host: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Host {
    functions: usize,
    /// Null where the source does not tell.
    memory_mib: Option<u64>,
    huge_pages_mib: u64,
    cpus: Option<u32>,
    interrupt_vectors: Option<u32>,
    /// By the spec; null where it says nothing.
    keeps_memory_mib: Option<u64>,
    keeps_cpus: Option<u16>,
    /// Disks, networks, displays that stay, and what the spec keeps.
    keeps: Vec<Keeps>,
}

#[derive(Clone, Debug, Serialize)]
struct Keeps {
    address: String,
    named: bool,
    display: bool,
    uses: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Group {
    id: u32,
    members: Vec<Member>,
}

/// `vm` is null where the host keeps it.
#[derive(Clone, Debug, Serialize)]
struct Member {
    address: String,
    vm: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Search {
    choices: usize,
    steps: usize,
    max_steps: usize,
    complete: bool,
}

impl Partition {
    pub(super) fn new(partition: &plan::Partition) -> Self {
        Self {
            vms: partition.vms.iter().map(share).collect(),
            host: host(partition),
            groups: partition.groups.iter().map(group).collect(),
            shared_lines: partition.lines.iter().map(line).collect(),
            search: partition.search.map(search),
        }
    }
}

fn host(partition: &plan::Partition) -> Host {
    let stock = partition.stock;
    Host {
        functions: partition.stay,
        memory_mib: stock.memory_bytes.map(|bytes| bytes >> 20),
        huge_pages_mib: stock.pooled_bytes >> 20,
        cpus: stock.cpus,
        interrupt_vectors: stock.vectors,
        keeps_memory_mib: stock.reserve.memory.map(|memory| u64::from(memory.mib())),
        keeps_cpus: stock.reserve.cpus.map(crate::vm::CpuCount::get),
        keeps: partition.kept.iter().map(keeps).collect(),
    }
}

fn line(share: &LineShare) -> Line {
    let member = |(address, vm): &(crate::pci::PciAddress, crate::vm::VmName)| Member {
        address: address.to_string(),
        vm: Some(vm.to_string()),
    };
    Line { irq: share.irq, given: share.given.iter().map(member).collect(), host: share.staying.clone() }
}

fn share(share: &VmShare) -> Share {
    Share {
        name: share.name.to_string(),
        memory_mib: share.memory_mib,
        cpus: share.cpus,
        devices: share.devices.iter().map(ToString::to_string).collect(),
        interrupt_vectors: share.vectors,
        interrupt_wires: share.wires,
        irqs: share.lines.iter().copied().collect(),
        node: share.node,
        numa_nodes: share.nodes.iter().copied().collect(),
    }
}

fn keeps(kept: &Kept) -> Keeps {
    Keeps {
        address: kept.address.to_string(),
        named: kept.named,
        display: kept.display,
        uses: kept.dependents.iter().map(ToString::to_string).collect(),
    }
}

fn group(share: &GroupShare) -> Group {
    let member = |(address, owner): &(crate::pci::PciAddress, Owner)| Member {
        address: address.to_string(),
        vm: match owner {
            Owner::Host => None,
            Owner::Vm(name) => Some(name.to_string()),
        },
    };
    Group { id: share.group.0, members: share.members.iter().map(member).collect() }
}

const fn search(note: SearchNote) -> Search {
    Search { choices: note.choices, steps: note.steps, max_steps: plan::MAX_STEPS, complete: note.complete }
}
