//! Applies the faults that are on.
//!
//! A fault is nothing but declared changes: settings, kernel parameters, modules, modprobe lines. Which component a
//! fault is about is for the description to say; there is no list of faults in the program.

use super::check::{self, Checked};
use super::error::MachineError;
use super::{Fault, Machine, wire};

/// The machine that `checked` becomes with its faults.
pub(super) fn resolve(checked: Checked, source: wire::Table) -> Result<Machine, MachineError> {
    let faults = checked.faults.clone();
    let mut changed = source.clone();
    let on = || faults.values().filter(|fault| fault.on);
    for (key, value) in on().flat_map(|fault| &fault.set) {
        wire::set_value(&mut changed, key, value.clone())?;
    }
    let mut machine = if on().any(|fault| !fault.set.is_empty()) { check::table(&changed)? } else { checked };
    for fault in on() {
        for parameter in &fault.parameters {
            let name = key_of(parameter);
            machine.kernel.parameters.retain(|other| key_of(other) != name);
            machine.kernel.parameters.push(parameter.clone());
        }
        machine.kernel.modules.extend(fault.modules.iter().cloned());
        machine.kernel.modprobe.extend(fault.modprobe.iter().cloned());
    }
    Ok(Machine {
        source,
        name: machine.name,
        summary: machine.summary,
        cpu: machine.cpu,
        processors: machine.processors,
        memory: machine.memory,
        nodes: machine.nodes,
        iommu: machine.iommu,
        kernel: machine.kernel,
        devices: machine.devices,
        disks: machine.disks,
        faults: faults
            .into_iter()
            .map(|(name, wire::Fault { summary, on, modules, .. })| (name, Fault { summary, on, modules }))
            .collect(),
    })
}

/// A parameter's name; the kernel takes `-` and `_` for the same (kernel/params.c, `dash2underscore`).
fn key_of(parameter: &str) -> String {
    parameter.split('=').next().unwrap_or_default().replace('-', "_")
}
