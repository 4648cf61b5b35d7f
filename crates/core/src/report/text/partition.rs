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
        if !vm.nodes.is_empty() {
            let nodes: Vec<String> = vm.nodes.iter().map(ToString::to_string).collect();
            text.add(Role::Faint, format!(", memory node {}", nodes.join(" and ")));
        }
    }
    let memory: u64 = partition.vms.iter().map(|vm| vm.memory_mib).sum();
    let cpus: u32 = partition.vms.iter().map(|vm| u32::from(vm.cpus)).sum();
    text.line(
        Role::Faint,
        format!("  together {memory} MiB and {cpus} processors: the host needs some beside"),
    );
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
    if let Some(search) = partition.search {
        let how = if search.complete { "every way was seen" } else { "the best until the bound was reached" };
        let line = format!(
            "  chosen: {} devices in {} steps of at most {MAX_STEPS}: {how}",
            search.choices, search.steps
        );
        text.line(Role::Faint, line);
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
