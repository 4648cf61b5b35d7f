//! A host for a person: a tree of its buses, or a table.

use super::host;
use crate::facts::{FaultKind, FunctionFacts, ReadFault};
use crate::pci::PciAddress;
use crate::report::names::vendor_and_device;
use crate::report::{Names, Role, Text};
use crate::topology::Topology;

/// Deepest indentation shown; deeper bridges stay at it.
const DEEPEST: usize = 32;

/// The tree of buses, with each function's group, driver, interrupt line and resets.
#[must_use]
pub fn tree(topology: &Topology, names: &dyn Names, shown: &dyn Fn(PciAddress) -> bool) -> Text {
    let mut text = header(topology);
    let mut stack: Vec<(PciAddress, usize)> = topology.roots().iter().rev().map(|root| (*root, 0)).collect();
    let mut left = topology.facts().functions.len();
    while let Some((address, depth)) = stack.pop() {
        // Facts that contradict themselves may give a function two places; the count ends the walk.
        let Some(rest) = left.checked_sub(1) else { break };
        left = rest;
        if let Some(function) = topology.function(address).filter(|_| shown(address)) {
            row(&mut text, topology, function, names, depth.min(DEEPEST));
        }
        stack.extend(topology.children(address).iter().rev().map(|child| (*child, depth + 1)));
    }
    faults(&mut text, topology);
    text
}

/// The functions one below the other, by address.
#[must_use]
pub fn table(topology: &Topology, names: &dyn Names, shown: &dyn Fn(PciAddress) -> bool) -> Text {
    let mut text = header(topology);
    for function in topology.functions().filter(|f| shown(f.address)) {
        row(&mut text, topology, function, names, 0);
    }
    faults(&mut text, topology);
    text
}

fn header(topology: &Topology) -> Text {
    let iommu = &topology.facts().iommu;
    let mut text = Text::default();
    let role = |name| match name {
        "on" => Role::Good,
        "off" => Role::Bad,
        _ => Role::Caution,
    };
    text.line(Role::Plain, format!("IOMMU ({}): ", iommu.vendor.name()));
    text.add(role(iommu.state.name()), iommu.state.name());
    text.add(Role::Plain, ", interrupt remapping: ");
    text.add(role(iommu.interrupt_remapping.name()), iommu.interrupt_remapping.name());
    if let Some(release) = topology.facts().kernel.release.known() {
        text.add(Role::Faint, format!(", Linux {release}"));
    }
    text.line(
        Role::Faint,
        format!("{} functions in {} IOMMU groups", topology.facts().functions.len(), topology.groups().len()),
    );
    host::lines(&mut text, topology.facts());
    text.gap().line(
        Role::Faint,
        "address          group  what, [ids], driver; interrupt; what the host does with it",
    );
    text
}

fn row(text: &mut Text, topology: &Topology, function: &FunctionFacts, names: &dyn Names, depth: usize) {
    let indent = "  ".repeat(depth);
    text.line(Role::Strong, format!("{indent}{}", function.address));
    let group = function.group.known().map(|group| group.0);
    let role = group.map_or(Role::Faint, Role::Group);
    text.add(role, format!("  {:>4}", group.map_or_else(|| "-".to_owned(), |group| group.to_string())));
    let class = function.class.known().and_then(|class| names.class(*class));
    if let Some(class) = class {
        text.add(Role::Faint, format!("  {class}:"));
    }
    let (vendor, device) = vendor_and_device(function, names);
    let name = [vendor, device].into_iter().flatten().collect::<Vec<_>>().join(" ");
    text.add(Role::Plain, format!("  {name}"));
    if let Some(id) = function.id.known() {
        text.add(Role::Faint, format!(" [{id}]"));
    }
    match function.driver.known() {
        Some(driver) if driver.as_str().contains("vfio") => text.add(Role::Good, format!("  {driver}")),
        Some(driver) => text.add(Role::Plain, format!("  {driver}")),
        None if function.driver.is_unreadable() => text.add(Role::Faint, "  driver unknown"),
        None => text.add(Role::Faint, "  no driver"),
    };
    details(text, topology, function, &indent);
}

fn details(text: &mut Text, topology: &Topology, function: &FunctionFacts, indent: &str) {
    if let Some(pin) = topology.pin(function.address) {
        let line = topology.line(function.address);
        let sharers = line.as_ref().map_or_else(Vec::new, |l| topology.sharers(l.irq, function.address));
        let line = line.map_or_else(|| "line unknown".to_owned(), |line| line.to_string());
        // A function that uses messages says nothing of interest about its pin, unless it would have to share it.
        if function.msi_irqs.is_empty() && (function.driver.known().is_some() || !sharers.is_empty()) {
            text.line(Role::Faint, format!("{indent}    INT{pin}, {line}"));
            if !sharers.is_empty() {
                let names: Vec<String> = sharers.iter().map(ToString::to_string).collect();
                text.add(Role::Caution, format!(", shared with {}", names.join(", ")));
            }
        }
    }
    for dependent in topology.dependents(function.address) {
        text.line(Role::Faint, format!("{indent}    {dependent}"));
    }
    host::holders(text, topology, function.address, indent);
}

fn faults(text: &mut Text, topology: &Topology) {
    let usage = &topology.facts().usage;
    // That a text tells nothing of processes needs no mention; that a host would, to root, does.
    let untold = |fault: &&ReadFault| fault.kind != FaultKind::NotInSource;
    let users = [usage.open_handles.fault(), usage.machines.fault()];
    let users = users.into_iter().flatten().filter(untold);
    let of_functions = topology.functions().flat_map(FunctionFacts::faults);
    let faults: Vec<&ReadFault> = topology.facts().faults.iter().chain(of_functions).chain(users).collect();
    if faults.is_empty() {
        return;
    }
    text.gap().line(Role::Caution, format!("could not be read ({}):", faults.len()));
    for fault in faults.iter().take(20) {
        text.line(Role::Faint, format!("  {fault}"));
    }
}
