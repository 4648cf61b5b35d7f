//! The changes that an assignment needs: the module, then each function from its driver to that of its monitor: vfio-pci, or
//! pciback for Xen (`drivers/xen/xen-pciback/pci_stub.c: pcistub_probe`, which heeds `driver_override`).
//!
//! `driver_override` names exactly one device, so that a twin of the card stays with the host; writing an id to
//! `new_id` would take all of them (`Documentation/ABI/testing/sysfs-bus-pci`).

use std::collections::BTreeSet;

use crate::action::{Action, Reason, State, Step, StepFault, StepId, Steps};
use crate::facts::{DriverName, FunctionFacts, ModuleName, ModuleState};
use crate::rules::{Assignment, VmAssignment};
use crate::topology::Topology;

pub(super) fn steps(topology: &Topology, assignment: &Assignment) -> Result<Steps, Vec<StepFault>> {
    Steps::new(collect(topology, assignment).map_err(|fault| vec![fault])?)
}

fn collect(topology: &Topology, assignment: &Assignment) -> Result<Vec<Step>, StepFault> {
    let (mut load, mut overrides, mut unbinds, mut probes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut asked = BTreeSet::new();
    for vm in &assignment.vms {
        let Some((target, module)) = target(vm) else { continue };
        for function in vm.devices.iter().filter_map(|device| topology.function(*device)) {
            if function.driver.known() == Some(&target) {
                continue;
            }
            let device = function.address;
            let reason = || Reason::Request(format!("{} is given to VM {}", function.address, vm.name));
            load.extend(load_module(topology, &module, &mut asked, reason())?);
            overrides.extend(set_override(function, &target, reason())?);
            if let Some(driver) = function.driver.known().cloned() {
                let before = State::Driver(Some(driver.clone()));
                unbinds.push(step("unbind", function, Action::Unbind { device, driver }, before, reason())?);
            }
            let probe = Action::Probe { device, driver: target.clone() };
            probes.push(step("bind", function, probe, State::Driver(None), reason())?);
        }
    }
    Ok(load.into_iter().chain(overrides).chain(unbinds).chain(probes).collect())
}

fn step(
    what: &str,
    function: &FunctionFacts,
    action: Action,
    before: State,
    reason: Reason,
) -> Result<Step, StepFault> {
    Step::new(StepId::new(&format!("{what}-{}", function.address))?, action, before, reason)
}

/// The driver that a VM's functions go to, and its module.
fn target(vm: &VmAssignment) -> Option<(DriverName, ModuleName)> {
    if vm.uses_vfio() {
        Some((DriverName::vfio_pci(), ModuleName::new("vfio_pci").ok()?))
    } else {
        Some((DriverName::new("pciback").ok()?, ModuleName::new("xen_pciback").ok()?))
    }
}

/// Loading a driver's module, where it is one that is not loaded; once. Where nobody could read that, it is left to the binding
/// to find out.
fn load_module(
    topology: &Topology,
    module: &ModuleName,
    asked: &mut BTreeSet<ModuleName>,
    reason: Reason,
) -> Result<Option<Step>, StepFault> {
    let state = topology.facts().kernel.modules.known().and_then(|modules| modules.get(module));
    if state != Some(&ModuleState::Available) || !asked.insert(module.clone()) {
        return Ok(None);
    }
    let id = StepId::new(&format!("load-{}", module.as_str().replace('_', "-")))?;
    let action = Action::LoadModule { module: module.clone(), parameters: Vec::new() };
    Step::new(id, action, State::ModuleAbsent, reason).map(Some)
}

fn set_override(
    function: &FunctionFacts,
    target: &DriverName,
    reason: Reason,
) -> Result<Option<Step>, StepFault> {
    let former = function.driver_override.known().cloned();
    if former.as_ref() == Some(target) {
        return Ok(None);
    }
    let action = Action::SetDriverOverride { device: function.address, driver: Some(target.clone()) };
    step("override", function, action, State::DriverOverride(former), reason).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{BENCH, address, facts};

    fn steps_of(facts: crate::facts::Facts, devices: &str) -> Vec<String> {
        steps_by(crate::vm::BackendKind::Qemu, facts, devices)
    }

    fn steps_by(backend: crate::vm::BackendKind, facts: crate::facts::Facts, devices: &str) -> Vec<String> {
        let vms = vec![VmAssignment::new(
            "bench".parse().expect("name"),
            backend,
            crate::vm::MachineType::Q35,
            "1G".parse().expect("memory"),
            devices.split_whitespace().map(address).collect(),
        )];
        let steps =
            steps(&Topology::new(facts), &Assignment { vms, ..Assignment::default() }).expect("steps");
        steps.as_slice().iter().map(|step| step.id().to_string()).collect()
    }

    #[test]
    fn the_module_is_loaded_once_and_first() {
        let mut facts = facts(BENCH);
        let modules = [(ModuleName::new("vfio-pci").expect("name"), ModuleState::Available)];
        facts.kernel.modules = crate::facts::Fact::Known(modules.into_iter().collect());
        assert_eq!(
            steps_of(facts, "0000:02:04.0 0000:02:0a.0"),
            [
                "load-vfio-pci",
                "override-0000:02:04.0",
                "override-0000:02:0a.0",
                "unbind-0000:02:04.0",
                "bind-0000:02:04.0",
                "bind-0000:02:0a.0",
            ]
        );
    }

    #[test]
    fn xens_functions_go_to_its_own_driver() {
        let mut facts = facts(BENCH);
        let modules = [(ModuleName::new("xen-pciback").expect("name"), ModuleState::Available)];
        facts.kernel.modules = crate::facts::Fact::Known(modules.into_iter().collect());
        assert_eq!(
            steps_by(crate::vm::BackendKind::Xen, facts.clone(), "0000:02:04.0"),
            ["load-xen-pciback", "override-0000:02:04.0", "unbind-0000:02:04.0", "bind-0000:02:04.0"]
        );
        if let Some(card) = facts.functions.get_mut(&address("0000:02:04.0")) {
            card.driver = crate::facts::Fact::Known(DriverName::new("pciback").expect("name"));
        }
        assert!(steps_by(crate::vm::BackendKind::Xen, facts, "0000:02:04.0").is_empty());
    }

    #[test]
    fn an_override_that_stands_already_is_left_alone() {
        let mut facts = facts(BENCH);
        if let Some(card) = facts.functions.get_mut(&address("0000:02:04.0")) {
            card.driver_override = crate::facts::Fact::Known(DriverName::vfio_pci());
        }
        assert_eq!(steps_of(facts, "0000:02:04.0"), ["unbind-0000:02:04.0", "bind-0000:02:04.0"]);
    }
}
