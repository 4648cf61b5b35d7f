//! `device-moved`: the spec looks for a device in a place where the host does not have it, and the host has it elsewhere.

use super::{
    Assignment, Finding, Findings, MovedDevice, Page, RemedyKind, Rule, Severity, VmAssignment, word,
};
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "device-moved",
    page: Page {
        what: "The spec names a device and its slot, the slot holds something else or nothing, and the host has the \
              device in another place. Nothing is guessed: the VM is planned without it, and the plan stands still until \
              the spec is corrected. A monitor's own configuration that still names the old address fails with \"no such \
              host device\" or takes whatever is there now.",
        why: "Bus numbers are given out anew at each boot, in the order in which bridges are found. A card that was \
              moved, one that was added or taken out below a bridge that comes earlier, or a firmware setting shifts them. \
              The id tells what a device is; only both together tell which one.",
        fix: "Where the new place is the device you mean, put it into the select line. Where it is not, put the card back. \
              Configurations that name addresses (libvirt, vfio-pci scripts, network names) want the same change.",
        source: "drivers/pci/probe.c: pci_scan_bridge_extend; systemd.net-naming-scheme(7); QEMU hw/vfio/device.c: \
              vfio_device_get_name; libvirt src/util/virpci.c: virPCIDeviceNew",
    },
    predicts: &["name-changed-after-slot-move"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for vm in &assignment.vms {
        findings.push_all(vm.moved.iter().map(|moved| told(topology, vm, moved)));
        let places = vm.devices.iter().copied().filter(|_| vm.moved.is_empty());
        for place in places {
            let id = topology.function(place).map_or_else(String::new, |f| word(&f.id));
            findings.fine(place, format!("the host has {id} here, as the spec has it"));
        }
    }
}

fn told(topology: &Topology, vm: &VmAssignment, moved: &MovedDevice) -> Finding {
    let MovedDevice { id, slot, instead, places } = moved;
    let list: Vec<String> = places.iter().map(ToString::to_string).collect();
    let list = list.join(" or ");
    let summary = match instead {
        Some(other) => format!("VM {} wants {id} here; {other} is here, and {id} is at {list}", vm.name),
        None => format!("VM {} wants {id} here; nothing is here, and {id} is at {list}", vm.name),
    };
    let finding = Finding::new(&RULE, Severity::Blocks, *slot, summary);
    let finding = match instead {
        Some(other) => finding.shown(format!("/sys/bus/pci/devices/{slot}"), other.to_string()),
        None => finding.shown("/sys/bus/pci/devices", format!("no {slot}")),
    };
    places.iter().fold(finding, |finding, place| {
        finding
            .shown(format!("/sys/bus/pci/devices/{place}"), format!("{id}{}", beside(topology, *place)))
            .remedy(RemedyKind::SpecChange, format!("select = {{ id = \"{id}\", slot = \"{place}\" }}"))
    })
}

/// What helps to tell one place from another.
fn beside(topology: &Topology, place: PciAddress) -> String {
    let function = topology.function(place);
    let driver = function.and_then(|f| f.driver.known()).map(|driver| format!(", driver {driver}"));
    let slot = function.and_then(|f| f.physical_slot.known()).map(|slot| format!(", physical slot {slot}"));
    [driver, slot].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{check_all, check_rule};
    use super::*;

    const HOST: &str = "device 0000:03:05.0 class=020000 id=10ec:8139
        device 0000:03:06.0 class=010000 id=9004:5078 driver=aic7xxx
        device 0000:04:06.0 class=010000 id=9004:5078";

    #[test]
    fn a_card_that_sits_elsewhere_blocks_and_the_line_is_given() {
        let host = format!("{HOST}\nvm moved=9004:5078,0000:03:05.0,10ec:8139,0000:03:06.0");
        assert_eq!(
            check_rule(&RULE, &host, ""),
            [
                "blocks 0000:03:05.0: VM vm1 wants 9004:5078 here; 10ec:8139 is here, and 9004:5078 is at 0000:03:06.0"
            ]
        );
        let findings = check_all(&host, "");
        let remedies = findings.iter().filter(|f| f.rule == "device-moved").flat_map(|f| &f.remedies);
        let lines: Vec<&str> = remedies.map(|remedy| remedy.text.as_str()).collect();
        assert_eq!(lines, ["select = { id = \"9004:5078\", slot = \"0000:03:06.0\" }"]);
    }

    #[test]
    fn with_two_of_a_kind_both_places_are_given() {
        let host = format!("{HOST}\nvm moved=9004:5078,0000:03:07.0,none,0000:03:06.0,0000:04:06.0");
        assert_eq!(
            check_rule(&RULE, &host, ""),
            [
                "blocks 0000:03:07.0: VM vm1 wants 9004:5078 here; nothing is here, and 9004:5078 is at 0000:03:06.0 or \
                 0000:04:06.0"
            ]
        );
    }

    #[test]
    fn a_device_in_its_place_is_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:03:06.0").is_empty());
    }
}
