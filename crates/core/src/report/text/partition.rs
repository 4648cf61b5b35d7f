//! The partition of a host for a person.

use crate::plan::{MAX_STEPS, Owner, Partition};
use crate::report::{Role, Text};

/// Functions that the host keeps, and groups, that are shown; the rest is counted.
const SHOWN: usize = 16;

/// Who gets what, and what the host keeps. Of one VM alone the lines about the VM say enough.
pub(super) fn partition(text: &mut Text, partition: &Partition) {
    let named = partition.kept.iter().any(|kept| kept.named);
    if partition.vms.len() < 2 && !named && partition.search.is_none() {
        return;
    }
    text.gap().line(Role::Strong, "the partition:");
    for vm in &partition.vms {
        let devices: Vec<String> = vm.devices.iter().map(ToString::to_string).collect();
        let devices = if devices.is_empty() { "no device".to_owned() } else { devices.join(" ") };
        text.line(Role::Strong, format!("  {}", vm.name)).add(Role::Plain, format!("  {devices}"));
        let vectors = vm.vectors.map_or_else(|| "an unknown number of".to_owned(), |n| format!("up to {n}"));
        text.line(
            Role::Faint,
            format!(
                "    {} MiB pinned, {} processors, {vectors} interrupt vectors, {} wires",
                vm.memory_mib, vm.cpus, vm.wires
            ),
        );
        if let Some(node) = vm.node {
            text.add(Role::Faint, format!(", shall run on memory node {node}"));
        }
        if !vm.nodes.is_empty() {
            let nodes: Vec<String> = vm.nodes.iter().map(ToString::to_string).collect();
            text.add(Role::Faint, format!(", devices on memory node {}", nodes.join(" and ")));
        }
    }
    text.line(Role::Faint, format!("  together {}", together(partition)));
    text.line(Role::Strong, "  host").add(Role::Plain, format!("  keeps {} functions", partition.stay));
    for kept in partition.kept.iter().take(SHOWN) {
        let mut what: Vec<String> = kept.dependents.iter().map(ToString::to_string).collect();
        what.extend(kept.display.then(|| "display".to_owned()));
        what.extend(kept.named.then(|| "named in the spec".to_owned()));
        text.line(Role::Plain, format!("    {}", kept.address))
            .add(Role::Faint, format!("  {}", what.join("; ")));
    }
    if partition.kept.len() > SHOWN {
        text.line(Role::Faint, format!("    and {} more that it uses", partition.kept.len() - SHOWN));
    }
    groups(text, partition);
    lines(text, partition);
    if let Some(search) = partition.search {
        let how = if search.complete { "every way was seen" } else { "the best until the bound was reached" };
        let line = format!(
            "  chosen: {} devices in {} steps of at most {MAX_STEPS}: {how}",
            search.choices, search.steps
        );
        text.line(Role::Faint, line);
    }
}

/// What the VMs take of what the host has.
fn together(partition: &Partition) -> String {
    let stock = partition.stock;
    let memory: u64 = partition.vms.iter().map(|vm| vm.memory_mib).sum();
    let cpus: u32 = partition.vms.iter().map(|vm| u32::from(vm.cpus)).sum();
    let vectors: Option<u32> = partition.vms.iter().map(|vm| vm.vectors).sum();
    let of = |most: Option<u64>| most.map_or_else(String::new, |most| format!(" of {most}"));
    let mut told = vec![
        format!("{memory}{} MiB", of(stock.memory_bytes.map(|bytes| bytes >> 20))),
        format!("{cpus}{} processors", of(stock.cpus.map(u64::from))),
    ];
    if let Some(vectors) = vectors.filter(|vectors| *vectors > 0) {
        told.push(format!("up to {vectors}{} interrupt vectors", of(stock.vectors.map(u64::from))));
    }
    if stock.pooled_bytes > 0 {
        told.push(format!("{} MiB lie in pools of huge pages", stock.pooled_bytes >> 20));
    }
    match (stock.reserve.memory, stock.reserve.cpus) {
        (None, None) => told.push("the host needs some beside".to_owned()),
        (memory, cpus) => {
            let memory = memory.map(|memory| format!("{memory} of memory"));
            let cpus = cpus.map(|cpus| format!("{} processors", cpus.get()));
            let kept: Vec<String> = memory.into_iter().chain(cpus).collect();
            told.push(format!("the host keeps {}", kept.join(" and ")));
        }
    }
    told.join(", ")
}

fn lines(text: &mut Text, partition: &Partition) {
    for share in partition.lines.iter().take(SHOWN) {
        text.line(Role::Plain, format!("  IRQ {:>4}", share.irq));
        for (address, vm) in share.given.iter().take(SHOWN) {
            text.add(Role::Plain, format!("  {address} {vm}"));
        }
        for user in share.staying.iter().take(SHOWN) {
            text.add(Role::Faint, format!("  {user} host"));
        }
    }
}

fn groups(text: &mut Text, partition: &Partition) {
    for share in partition.groups.iter().take(SHOWN) {
        text.line(Role::Group(share.group.0), format!("  group {:>3}", share.group.0));
        for (address, owner) in share.members.iter().take(SHOWN) {
            let (role, owner) = match owner {
                Owner::Host => (Role::Faint, "host"),
                Owner::Vm(name) => (Role::Plain, name.as_str()),
            };
            text.add(role, format!("  {address} {owner}"));
        }
    }
    if partition.groups.len() > SHOWN {
        text.line(Role::Faint, format!("  and {} more groups", partition.groups.len() - SHOWN));
    }
}
