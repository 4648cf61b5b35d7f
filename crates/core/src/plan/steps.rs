//! The changes that an assignment needs: the module, then each function from its driver to vfio-pci.
//!
//! `driver_override` names exactly one device, so that a twin of the card stays with the host; writing an id to
//! `new_id` would take all of them (`Documentation/ABI/testing/sysfs-bus-pci`).

use crate::action::{Action, Reason, State, Step, StepFault, StepId, Steps};
use crate::facts::{DriverName, FunctionFacts, ModuleName, ModuleState};
use crate::rules::Assignment;
use crate::topology::Topology;

pub(super) fn steps(topology: &Topology, assignment: &Assignment) -> Result<Steps, Vec<StepFault>> {
    Steps::new(collect(topology, assignment).map_err(|fault| vec![fault])?)
}

fn collect(topology: &Topology, assignment: &Assignment) -> Result<Vec<Step>, StepFault> {
    let vfio = DriverName::vfio_pci();
    let (mut load, mut overrides, mut unbinds, mut probes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for vm in &assignment.vms {
        for function in vm.devices.iter().filter_map(|device| topology.function(*device)) {
            if function.driver.known() == Some(&vfio) {
                continue;
            }
            let device = function.address;
            let reason = || Reason::Request(format!("{} is given to VM {}", function.address, vm.name));
            if load.is_empty() {
                load.extend(load_vfio(topology, reason())?);
            }
            overrides.extend(set_override(function, &vfio, reason())?);
            if let Some(driver) = function.driver.known().cloned() {
                let before = State::Driver(Some(driver.clone()));
                unbinds.push(step("unbind", function, Action::Unbind { device, driver }, before, reason())?);
            }
            let probe = Action::Probe { device, driver: vfio.clone() };
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

/// Loading vfio-pci, where it is a module that is not loaded. Where nobody could read that, it is left to the binding to
/// find out.
fn load_vfio(topology: &Topology, reason: Reason) -> Result<Option<Step>, StepFault> {
    let Ok(module) = ModuleName::new("vfio_pci") else { return Ok(None) };
    let state = topology.facts().kernel.modules.known().and_then(|modules| modules.get(&module));
    if state != Some(&ModuleState::Available) {
        return Ok(None);
    }
    let action = Action::LoadModule { module, parameters: Vec::new() };
    Step::new(StepId::new("load-vfio-pci")?, action, State::ModuleAbsent, reason).map(Some)
}

fn set_override(
    function: &FunctionFacts,
    vfio: &DriverName,
    reason: Reason,
) -> Result<Option<Step>, StepFault> {
    let former = function.driver_override.known().cloned();
    if former.as_ref() == Some(vfio) {
        return Ok(None);
    }
    let action = Action::SetDriverOverride { device: function.address, driver: Some(vfio.clone()) };
    step("override", function, action, State::DriverOverride(former), reason).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::VmAssignment;
    use crate::topology::fixture::{BENCH, address, facts};

    fn steps_of(facts: crate::facts::Facts, devices: &str) -> Vec<String> {
        let vms = vec![VmAssignment::new(
            "bench".parse().expect("name"),
            crate::vm::BackendKind::Qemu,
            crate::vm::MachineType::Q35,
            "1G".parse().expect("memory"),
            devices.split_whitespace().map(address).collect(),
        )];
        let steps = steps(&Topology::new(facts), &Assignment { vms }).expect("steps");
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
    fn an_override_that_stands_already_is_left_alone() {
        let mut facts = facts(BENCH);
        if let Some(card) = facts.functions.get_mut(&address("0000:02:04.0")) {
            card.driver_override = crate::facts::Fact::Known(DriverName::vfio_pci());
        }
        assert_eq!(steps_of(facts, "0000:02:04.0"), ["unbind-0000:02:04.0", "bind-0000:02:04.0"]);
    }
}
