//! From what is asked for to the functions of a host.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::pci::{PciAddress, PciId};
use crate::rules::{Assignment, MovedDevice, Reserve, VmAssignment};
use crate::topology::Topology;
use crate::vm::spec::SpecFault;
use crate::vm::{DeviceRequest, Request, VmRequest};

/// Finds the requested devices on a host. What a device is and where it is must both agree with the host. A device that
/// the host has elsewhere is not guessed at: it is left out of the VM's functions and told in
/// [`VmAssignment::moved`], which a rule stops the plan for.
pub fn resolve(request: &Request, topology: &Topology) -> Result<Assignment, Vec<SpecFault>> {
    let mut faults = Vec::new();
    let mut takers: BTreeMap<PciAddress, Range<usize>> = BTreeMap::new();
    let mut elsewhere: Vec<(usize, &DeviceRequest, MovedDevice)> = Vec::new();
    let mut vms = Vec::new();
    for (number, vm) in request.vms.iter().enumerate() {
        let mut devices = Vec::new();
        for device in &vm.devices {
            match find(device, topology) {
                Ok(Found::At(address)) => {
                    if let Some(first) = takers.insert(address, device.span.clone()) {
                        faults.push(twice(address, device, first));
                    }
                    devices.push(address);
                }
                Ok(Found::Elsewhere(moved)) => elsewhere.push((number, device, moved)),
                Err(fault) => faults.push(fault),
            }
        }
        vms.push(assigned(vm, devices));
    }
    for (number, device, mut moved) in elsewhere {
        moved.places.retain(|place| !takers.contains_key(place));
        match vms.get_mut(number) {
            Some(vm) if !moved.places.is_empty() => vm.moved.push(moved),
            _ => faults.push(taken(device, &moved, topology, &takers)),
        }
    }
    faults.sort_by_key(|fault| fault.span.start);
    let reserve = Reserve {
        memory: request.reserve.memory.as_ref().map(|placed| placed.value),
        cpus: request.reserve.cpus.as_ref().map(|placed| placed.value),
    };
    if faults.is_empty() { Ok(Assignment { vms, reserve }) } else { Err(faults) }
}

fn assigned(vm: &VmRequest, devices: Vec<PciAddress>) -> VmAssignment {
    let (cpus, usb) = (vm.cpus, vm.usb.clone());
    let name = vm.name.clone();
    let node = vm.node;
    VmAssignment { cpus, node, usb, ..VmAssignment::new(name, vm.backend, vm.machine, vm.memory, devices) }
}

fn twice(address: PciAddress, device: &DeviceRequest, first: Range<usize>) -> SpecFault {
    SpecFault::new(format!("device {address} is asked for twice"), device.span.clone())
        .related(first, "first asked for here")
}

/// The device is where another line of the spec takes it from.
fn taken(
    device: &DeviceRequest,
    moved: &MovedDevice,
    topology: &Topology,
    takers: &BTreeMap<PciAddress, Range<usize>>,
) -> SpecFault {
    let message = not_there(moved.slot, moved.id, moved.instead);
    let fault = SpecFault::new(message, device.span.clone())
        .help(format!("every {} that the host has is asked for by another line", moved.id));
    let others =
        places(topology, moved.id).into_iter().filter_map(|place| Some((place, takers.get(&place)?)));
    others
        .fold(fault, |fault, (place, span)| fault.related(span.clone(), format!("{place} is asked for here")))
}

fn not_there(slot: PciAddress, id: PciId, instead: Option<PciId>) -> String {
    match instead {
        Some(found) => format!("{slot} holds {found}, not {id}"),
        None => format!("the host has no device at {slot}"),
    }
}

/// Where a device was found.
enum Found {
    At(PciAddress),
    Elsewhere(MovedDevice),
}

fn find(device: &DeviceRequest, topology: &Topology) -> Result<Found, SpecFault> {
    let fault = |message: String| SpecFault::new(message, device.span.clone());
    match (device.id, device.slot) {
        (Some(id), Some(slot)) => {
            let function = topology.function(slot);
            let instead = function.and_then(|f| f.id.known().copied());
            if function.is_some() && instead.is_none() {
                let help = function.and_then(|f| f.id.fault()).map_or_else(String::new, ToString::to_string);
                return Err(fault(format!("whether {slot} is {id} could not be read")).help(help));
            }
            if instead == Some(id) {
                return Ok(Found::At(slot));
            }
            let places = places(topology, id);
            if places.is_empty() {
                let help = format!("the host has no {id} anywhere: is the card seated and powered?");
                return Err(fault(not_there(slot, id, instead)).help(help));
            }
            Ok(Found::Elsewhere(MovedDevice { id, slot, instead, places }))
        }
        (None, Some(slot)) => match topology.function(slot) {
            Some(_) => Ok(Found::At(slot)),
            None => Err(fault(format!("the host has no device at {slot}"))
                .help("`slotwise inspect` shows what is where")),
        },
        (Some(id), None) => match places(topology, id)[..] {
            [only] => Ok(Found::At(only)),
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

fn places(topology: &Topology, id: PciId) -> Vec<PciAddress> {
    topology.functions().filter(|f| f.id.known() == Some(&id)).map(|f| f.address).collect()
}

fn whereabouts(topology: &Topology, id: PciId) -> String {
    let places: Vec<String> = places(topology, id).iter().map(ToString::to_string).collect();
    format!("{id} is at {}: say which with slot = \"…\"", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::spec::parse;

    fn assignment(text: &str, host: &str) -> Result<Assignment, String> {
        resolve(&parse(text).expect("spec"), &topology(host)).map_err(|faults| {
            let line = |at: usize| crate::vm::spec::Place::of(text, at).line;
            let shown = |f: &SpecFault| {
                let related: String =
                    f.related.iter().map(|(at, what)| format!(" [{}: {what}]", line(at.start))).collect();
                format!("{}: {}{related}; {}", line(f.span.start), f.message, f.help.as_deref().unwrap_or(""))
            };
            faults.iter().map(shown).collect::<Vec<_>>().join("\n")
        })
    }

    fn resolved(select: &str) -> Result<Vec<String>, String> {
        let text = format!("[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = {select}\n");
        assignment(&text, BENCH).map(|assignment| assignment.devices().map(|d| d.to_string()).collect())
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
    fn a_card_in_another_slot_is_told_where_it_is_and_not_taken() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { id = \"1000:0012\", slot = \"02:06.0\" }\n";
        let vm = assignment(text, BENCH).expect("assignment").vms.remove(0);
        assert!(vm.devices.is_empty());
        let moved = vm.moved.first().map(|m| (m.slot.to_string(), m.instead, m.places.clone()));
        let place = "0000:02:04.0".parse().expect("address");
        assert_eq!(moved, Some(("0000:02:06.0".to_owned(), None, vec![place])));
    }

    #[test]
    fn a_card_that_is_nowhere_is_said_so() {
        let told = resolved("{ id = \"9004:5078\", slot = \"02:04.0\" }").expect_err("fault");
        assert!(
            told.starts_with(
                "5: 0000:02:04.0 holds 1000:0012, not 9004:5078; the host has no 9004:5078 anywhere"
            ),
            "{told}"
        );
    }

    #[test]
    fn one_card_by_id_and_by_slot_is_asked_for_twice() {
        for (first, second) in [
            ("id = \"1000:0012\"", "slot = \"02:04.0\""),
            ("slot = \"02:04.0\"", "id = \"1000:0012\""),
            ("id = \"1000:0012\"", "id = \"1000:0012\", slot = \"02:04.0\""),
        ] {
            for vm in ["", "[[vm]]\nname = \"b\"\nmemory = \"1G\"\n"] {
                let text = format!(
                    "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = {{ {first} }}\n{vm}[[vm.device]]\nselect = {{ {second} }}\n"
                );
                let told = assignment(&text, BENCH).expect_err("fault");
                let line = 7 + vm.lines().count();
                assert_eq!(
                    told,
                    format!("{line}: device 0000:02:04.0 is asked for twice [5: first asked for here]; ")
                );
            }
        }
    }

    #[test]
    fn a_card_whose_place_another_line_takes_points_at_that_line() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { slot = \"02:04.0\" }\n\
                    [[vm.device]]\nselect = { id = \"1000:0012\", slot = \"02:06.0\" }\n";
        assert_eq!(
            assignment(text, BENCH).expect_err("fault"),
            "7: the host has no device at 0000:02:06.0 [5: 0000:02:04.0 is asked for here]; every 1000:0012 that the host \
             has is asked for by another line"
        );
    }

    #[test]
    fn an_id_that_two_cards_have_wants_a_slot() {
        let host = BENCH
            .replace("device 0000:02:0a.0 class=020000", "device 0000:02:0a.0 class=010000 id=1000:0012");
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { id = \"1000:0012\" }\n";
        assert_eq!(
            assignment(text, &host).expect_err("fault"),
            "5: the host has more than one device 1000:0012; 1000:0012 is at 0000:02:04.0, 0000:02:0a.0: say which with slot = \"…\""
        );
    }
}
