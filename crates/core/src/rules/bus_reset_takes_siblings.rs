//! `bus-reset-takes-siblings`: only a reset of the whole bus would reset the function, and neighbours stay with the host.

use super::quirks::{Resets, resets};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, VmAssignment, by_vfio};
use crate::facts::DriverName;
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "bus-reset-takes-siblings",
    page: Page {
        what: "The function has no reset of its own. Its bus could be reset, which resets its neighbours too, so \
              VFIO refuses as long as one of them is not in the same VM: \"Cannot reset device …, depends on group N \
              which is not owned\". The guest gets the function as its last user left it.",
        why: "A hot reset pulls the reset line of a slot or bus. VFIO allows it only if the caller owns every \
              function behind it. A neighbour on pcieport or pci-stub does not stop the hand-over, but does stop the \
              reset.",
        fix: "Hand all functions of the bus to the same VM, or move the card to a slot where it is alone.",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_dev_set_hot_reset, vfio_pci_dev_set_resettable; QEMU \
              hw/vfio/pci.c: vfio_pci_hot_reset",
    },
    predicts: &["no-reset"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (vm, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        let resets = resets(topology, function);
        match &resets {
            Resets::Unknown(_) => {
                findings.skip(address, "which resets it has is not known, see no-reset");
                continue;
            }
            known if known.methods().is_some_and(|methods| !methods.is_empty()) => {
                findings.fine(address, format!("it has a reset of its own: {}", resets.names()));
                continue;
            }
            Resets::Told(_) | Resets::Foretold(_) => {}
        }
        if topology.bridges_above(address).is_empty() {
            findings.skip(address, "no bridge is above it whose bus could be reset");
            continue;
        }
        let staying = not_resettable(topology, vm, address);
        if staying.is_empty() {
            findings.fine(address, "nobody else is below its bridge who stays");
            continue;
        }
        let list: Vec<String> = staying.iter().map(ToString::to_string).collect();
        let list = list.join(", ");
        let shown = resets.shown(address);
        let summary = format!("only a bus reset would reset it, which {list} stands against");
        let finding = Finding::new(&RULE, Severity::Warns, address, summary)
            .shown(shown.source, shown.text)
            .remedy(RemedyKind::SpecChange, format!("hand {list} to VM {} as well", vm.name));
        // The functions of the card itself are with it wherever it sits.
        findings.push(if staying.iter().all(|other| other.function_zero() == address.function_zero()) {
            finding
        } else {
            finding.remedy(RemedyKind::Hardware, "move the card to a slot where it is alone on its bus")
        });
    }
}

/// Functions that would be reset along and that VFIO does not let go of: each must belong to a group that the VM has, and be
/// on a vfio driver (`vfio_pci_dev_set_hot_reset`, `vfio_pci_dev_set_resettable`). A member without driver, or on pci-stub,
/// is viable and yet stands against the reset.
pub(super) fn not_resettable(topology: &Topology, vm: &VmAssignment, address: PciAddress) -> Vec<PciAddress> {
    let group = |of: PciAddress| topology.function(of).and_then(|f| f.group.known().copied());
    let owned = |other: &PciAddress| {
        group(*other).is_some_and(|theirs| vm.devices.iter().any(|device| group(*device) == Some(theirs)))
    };
    let on_vfio = |other: &PciAddress| {
        topology.function(*other).and_then(|f| f.driver.known()).is_some_and(DriverName::is_vfio)
    };
    let mut companions = topology.reset_companions(address).unwrap_or_default();
    companions.retain(|other| !(vm.devices.contains(other) || owned(other) && on_vfio(other)));
    companions
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:00:01.0 class=060400
        device 0000:01:00.0 class=030000 parent=0000:00:01.0 reset=
        device 0000:01:00.1 class=040300 parent=0000:00:01.0 reset=";

    #[test]
    fn a_sibling_that_stays_is_told() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0");
        assert_eq!(
            said,
            ["warns 0000:01:00.0: only a bus reset would reset it, which 0000:01:00.1 stands against"]
        );
        assert_eq!(check_rule(&RULE, HOST, "0000:01:00.0 | 0000:01:00.1").len(), 2);
    }

    #[test]
    fn a_whole_bus_in_one_machine_is_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:01:00.0 0000:01:00.1").is_empty());
    }

    #[test]
    fn a_sibling_of_the_same_group_on_a_vfio_driver_is_reset_along() {
        let host = HOST
            .replace("class=040300", "class=040300 group=1 driver=vfio-pci")
            .replace("class=030000", "class=030000 group=1");
        assert!(check_rule(&RULE, &host, "0000:01:00.0").is_empty());
        for driver in ["driver=pci-stub", ""] {
            let host = host.replace("driver=vfio-pci", driver);
            assert_eq!(check_rule(&RULE, &host, "0000:01:00.0").len(), 1, "{driver}");
        }
    }

    #[test]
    fn capabilities_tell_where_the_kernel_does_not() {
        // A PCI Express function without FLR whose D3hot keeps its state.
        let config = "id=1234:0001 config=256,04:00100000,34:40,40:00020010";
        let host = HOST.replace("reset=", config);
        assert_eq!(check_rule(&RULE, &host, "0000:01:00.0").len(), 1);
        let with_flr = HOST.replace("reset=", &format!("{config},44:10000000"));
        assert!(check_rule(&RULE, &with_flr, "0000:01:00.0").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("reset=", ""), "0000:01:00.0").is_empty());
    }

    #[test]
    fn a_reset_of_its_own_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("reset=", "reset=flr"), "0000:01:00.0").is_empty());
    }
}
