//! `multifunction-split`: one function of a device is handed over, another of the same group stays behind.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::facts::FunctionFacts;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "multifunction-split",
    page: Page {
        what: "The device has further functions in the same IOMMU group that the VM is not given. The guest's driver \
              may miss them, the bus cannot be reset, and DMA that a forgotten function goes on with ends in IOMMU \
              faults.",
        why: "The functions share the card, mostly its reset and power, and in one group they cannot be used by \
              anyone else anyway. A graphics card's sound function is the common case.",
        fix: "Hand all functions of the device to the same VM, at one slot of the guest.",
        source: "drivers/iommu/iommu.c: get_pci_function_alias_group; drivers/vfio/pci/vfio_pci_core.c: \
              vfio_pci_dev_set_hot_reset",
    },
    predicts: &["dma-fault-sibling"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let mut told = Vec::new();
    for (vm, address) in assignment.given() {
        let Some(function) = topology.function(address) else { continue };
        if told.contains(&address.function_zero()) {
            findings.skip(address, "told of with another function of the device");
            continue;
        }
        let left: Vec<&FunctionFacts> = topology
            .device_functions(address)
            .filter(|other| !assignment.takes(other.address))
            .filter(|other| other.group.known().is_some() && other.group.known() == function.group.known())
            // One on a host driver makes the whole group useless, which another rule says.
            .filter(|other| other.driver.known().is_none_or(crate::facts::DriverName::is_vfio))
            .collect();
        if left.is_empty() {
            let count = topology.device_functions(address).count();
            let text = format!("of the {count} functions of the device none stays idle in its group");
            findings.fine(address, text);
            continue;
        }
        told.push(address.function_zero());
        let names: Vec<String> = left.iter().map(|other| other.address.to_string()).collect();
        let severity = if is_display(function) { Severity::Warns } else { Severity::Notes };
        let summary =
            format!("VM {} gets this function without {} of the same device", vm.name, names.join(", "));
        let mut finding = Finding::new(&RULE, severity, address, summary);
        for other in left {
            let class = other.class.known().map_or_else(|| "unknown".to_owned(), ToString::to_string);
            finding = finding.shown(
                format!("/sys/bus/pci/devices/{}", other.address),
                format!("class {class}, same group"),
            );
        }
        findings
            .push(finding.remedy(RemedyKind::SpecChange, format!("hand over {} as well", names.join(", "))));
    }
}

fn is_display(function: &FunctionFacts) -> bool {
    function.class.known().is_some_and(|class| class.base() == 0x03)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000 group=1
        device 0000:01:00.1 class=040300 group=1
        device 0000:02:00.0 class=020000 group=2
        device 0000:02:00.1 class=020000 group=3";

    #[test]
    fn graphics_without_its_sound_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0");
        assert_eq!(
            said,
            ["warns 0000:01:00.0: VM vm1 gets this function without 0000:01:00.1 of the same device"]
        );
    }

    #[test]
    fn any_other_half_is_noted() {
        let host = HOST.replace("group=3", "group=2");
        assert!(check_rule(&RULE, &host, "0000:02:00.0")[0].starts_with("notes"));
    }

    #[test]
    fn a_whole_device_and_ports_that_are_kept_apart_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:01:00.0 0000:01:00.1").is_empty());
        assert!(check_rule(&RULE, HOST, "0000:02:00.0").is_empty());
    }
}
