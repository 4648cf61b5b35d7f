//! From what is asked for to the functions of a host.

use std::collections::BTreeMap;

use crate::pci::{PciAddress, PciId};
use crate::rules::{Assignment, VmAssignment};
use crate::topology::Topology;
use crate::vm::spec::SpecFault;
use crate::vm::{DeviceRequest, Request};

/// Finds the requested devices on a host. What a device is and where it is must both agree with the host: a device
/// that is elsewhere is a fault that says where, not a guess.
pub fn resolve(request: &Request, topology: &Topology) -> Result<Assignment, Vec<SpecFault>> {
    let mut faults = Vec::new();
    let mut takers: BTreeMap<PciAddress, std::ops::Range<usize>> = BTreeMap::new();
    let mut vms = Vec::new();
    for vm in &request.vms {
        let mut devices = Vec::new();
        for device in &vm.devices {
            match find(device, topology) {
                Ok(address) => {
                    if let Some(first) = takers.insert(address, device.span.clone()) {
                        let message = format!("device {address} is asked for twice");
                        faults.push(
                            SpecFault::new(message, device.span.clone())
                                .related(first, "first asked for here"),
                        );
                    }
                    devices.push(address);
                }
                Err(fault) => faults.push(fault),
            }
        }
        vms.push(VmAssignment {
            name: vm.name.clone(),
            backend: vm.backend,
            machine: vm.machine,
            memory: vm.memory,
            devices,
        });
    }
    if faults.is_empty() { Ok(Assignment { vms }) } else { Err(faults) }
}

fn find(device: &DeviceRequest, topology: &Topology) -> Result<PciAddress, SpecFault> {
    let fault = |message: String| SpecFault::new(message, device.span.clone());
    match (device.id, device.slot) {
        (Some(id), Some(slot)) => match id_at(topology, slot) {
            Some(found) if found == id => Ok(slot),
            Some(found) => {
                Err(fault(format!("{slot} holds {found}, not {id}")).help(whereabouts(topology, id)))
            }
            None => Err(fault(format!("the host has no device at {slot}")).help(whereabouts(topology, id))),
        },
        (None, Some(slot)) => match topology.function(slot) {
            Some(_) => Ok(slot),
            None => Err(fault(format!("the host has no device at {slot}"))
                .help("`slotwise inspect` shows what is where")),
        },
        (Some(id), None) => match places(topology, id)[..] {
            [only] => Ok(only),
            [] => {
                Err(fault(format!("the host has no device {id}"))
                    .help("`slotwise inspect` shows what is there"))
            }
            _ => {
                Err(fault(format!("the host has more than one device {id}")).help(whereabouts(topology, id)))
            }
        },
        (None, None) => Err(fault("the device is not said: neither id nor slot is given".to_owned())),
    }
}

fn id_at(topology: &Topology, slot: PciAddress) -> Option<PciId> {
    topology.function(slot)?.id.known().copied()
}

fn places(topology: &Topology, id: PciId) -> Vec<PciAddress> {
    topology.functions().filter(|f| f.id.known() == Some(&id)).map(|f| f.address).collect()
}

fn whereabouts(topology: &Topology, id: PciId) -> String {
    let places: Vec<String> = places(topology, id).iter().map(ToString::to_string).collect();
    if places.is_empty() {
        format!("the host has no {id} anywhere: is the card seated and powered?")
    } else {
        format!("{id} is at {}: correct the slot if that is the one you mean", places.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::spec::parse;

    fn resolved(select: &str) -> Result<Vec<String>, String> {
        let text = format!("[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = {select}\n");
        let request = parse(&text).expect("spec");
        match resolve(&request, &topology(BENCH)) {
            Ok(assignment) => Ok(assignment.devices().map(|d| d.to_string()).collect()),
            Err(faults) => Err(faults
                .iter()
                .map(|f| format!("{}; {}", f.message, f.help.as_deref().unwrap_or("")))
                .collect()),
        }
    }

    #[test]
    fn a_device_that_agrees_is_found() {
        assert_eq!(
            resolved("{ id = \"1000:0012\", slot = \"02:04.0\" }"),
            Ok(vec!["0000:02:04.0".to_owned()])
        );
        assert_eq!(resolved("{ id = \"1000:0012\" }"), Ok(vec!["0000:02:04.0".to_owned()]));
    }

    #[test]
    fn a_card_in_another_slot_is_told_where_it_is() {
        assert_eq!(
            resolved("{ id = \"1000:0012\", slot = \"02:06.0\" }"),
            Err("the host has no device at 0000:02:06.0; 1000:0012 is at 0000:02:04.0: correct the slot if that is the \
                 one you mean"
                .to_owned())
        );
    }

    #[test]
    fn a_card_that_is_nowhere_is_said_so() {
        let told = resolved("{ id = \"9004:5078\", slot = \"02:04.0\" }").expect_err("fault");
        assert!(
            told.starts_with(
                "0000:02:04.0 holds 1000:0012, not 9004:5078; the host has no 9004:5078 anywhere"
            )
        );
    }
}
