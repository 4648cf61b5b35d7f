//! `no-reset`: the kernel has no way to reset the function between users.

use super::bus_reset_takes_siblings::not_resettable;
use super::quirks::{Resets, against_bus_reset, resets};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know};
use crate::facts::FunctionFacts;
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "no-reset",
    page: Page {
        what: "No reset method exists for the function. It is handed over as the last user left it; QEMU says \
              \"Cannot reset device …, no available reset mechanism\" and goes on, libvirt refuses a managed device.",
        why: "Without Function Level Reset, a soft power-management reset or a bus of its own, nothing brings the \
              function back to its power-on state. Interrupts may stay asserted and DMA may go on after the guest is \
              gone.",
        fix: "Give the card a slot of its own (a bus with one function can be reset as a whole), hand over the whole \
              bus, or power-cycle the host between users.",
        source: "drivers/pci/pci.c: pci_reset_fn_methods, pci_init_reset_methods; QEMU hw/vfio/pci.c: \
              vfio_pci_reset; libvirt src/util/virpci.c: virPCIDeviceReset",
    },
    predicts: &["no-reset"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let address = function.address;
        let resets = resets(topology, function);
        match &resets {
            Resets::Unknown(fault) => {
                let needs = "which resets the function has (the kernel tells since 5.15, its capabilities do to root)";
                findings.push(cannot_know(Subject::Device(address), needs, *fault));
            }
            known if known.methods().is_some_and(|methods| !methods.is_empty()) => {
                findings.fine(address, format!("it can be reset: {}", resets.names()));
            }
            Resets::Told(_) | Resets::Foretold(_) if whole_bus_goes(topology, assignment, address) => {
                findings.fine(address, "all that is below its bridge goes with it, and the bus can be reset");
            }
            Resets::Told(_) | Resets::Foretold(_) => findings.push(none(topology, function, &resets)),
        }
    }
}

/// Whether the function can be reset by VFIO although the kernel lists no method: all that hangs on the reset line is
/// given to one VM.
fn whole_bus_goes(topology: &Topology, assignment: &Assignment, address: PciAddress) -> bool {
    let bus = topology.reset_companions(address).is_some_and(|companions| !companions.is_empty());
    let vm = assignment.given().find(|(_, device)| *device == address).map(|(vm, _)| vm);
    bus && against_bus_reset(topology, address).is_none()
        && vm.is_some_and(|vm| vm.uses_vfio() && not_resettable(topology, vm, address).is_empty())
}

fn none(topology: &Topology, function: &FunctionFacts, resets: &Resets) -> Finding {
    let address = function.address;
    let shown = resets.shown(address);
    let summary = "no way to reset the function between users";
    let finding = Finding::new(&RULE, Severity::Warns, address, summary).shown(shown.source, shown.text);
    let Some((who, what)) = against_bus_reset(topology, address) else {
        let companions = topology.reset_companions(address).unwrap_or_default();
        let of_card = companions.iter().all(|other| other.function_zero() == address.function_zero());
        if of_card && !companions.is_empty() {
            let list: Vec<String> = companions.iter().map(ToString::to_string).collect();
            let text =
                format!("hand {} to the same VM as well: the bus is then reset as a whole", list.join(", "));
            return finding.remedy(RemedyKind::SpecChange, text);
        }
        let text = "move the card to a slot of its own, so that its bus can be reset";
        return finding.remedy(RemedyKind::Hardware, text);
    };
    // Another slot does not help a function that no reset of its bus brings back.
    let row = format!("{who} is {what}: the kernel resets no bus with it");
    let finding = finding.shown("drivers/pci/quirks.c: quirk_no_bus_reset", row);
    if who == address {
        let text = "let the guest shut the device down properly, and cut the host's power where it does not come back";
        finding.remedy(RemedyKind::HostChange, text)
    } else {
        finding.remedy(RemedyKind::Hardware, format!("move the card to a slot away from {who}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{check_all, check_rule};
    use super::*;

    #[test]
    fn a_function_without_methods_is_warned_about() {
        let said = check_rule(&RULE, "device 0000:00:08.0 class=050000 reset=", "0000:00:08.0");
        assert_eq!(said, ["warns 0000:00:08.0: no way to reset the function between users"]);
    }

    #[test]
    fn one_method_is_enough() {
        assert!(check_rule(&RULE, "device 0000:00:08.0 class=050000 reset=bus", "0000:00:08.0").is_empty());
    }

    #[test]
    fn a_bus_that_goes_whole_can_be_reset_as_one() {
        let host = "device 0000:00:01.0 class=060400
            device 0000:01:00.0 parent=0000:00:01.0 reset=
            device 0000:01:00.1 parent=0000:00:01.0 reset=";
        assert!(check_rule(&RULE, host, "0000:01:00.0 0000:01:00.1").is_empty());
        assert_eq!(check_rule(&RULE, host, "0000:01:00.0").len(), 1);
    }

    #[test]
    fn a_card_of_several_functions_is_not_helped_by_another_slot() {
        let host = "device 0000:00:01.0 class=060400
            device 0000:01:00.0 parent=0000:00:01.0 reset=
            device 0000:01:00.1 parent=0000:00:01.0 reset=";
        let remedies = |host: &str| {
            let findings = check_all(host, "0000:01:00.0");
            let found = findings.into_iter().find(|finding| finding.rule == RULE.id).expect("it warns");
            found.remedies.into_iter().map(|remedy| remedy.kind).collect::<Vec<_>>()
        };
        assert_eq!(remedies(host), [RemedyKind::SpecChange]);
        let two_cards = host.replace("0000:01:00.1", "0000:01:01.0");
        assert_eq!(remedies(&two_cards), [RemedyKind::Hardware]);
    }

    #[test]
    fn a_bus_that_the_kernel_does_not_reset_is_no_way() {
        let host = "device 0000:00:01.0 class=060400
            device 0000:01:00.0 id=168c:003e parent=0000:00:01.0 reset=
            device 0000:01:00.1 parent=0000:00:01.0 reset=";
        assert_eq!(check_rule(&RULE, host, "0000:01:00.0 0000:01:00.1").len(), 2);
    }

    #[test]
    fn capabilities_tell_where_the_kernel_does_not() {
        let host = "device 0000:00:08.0 class=050000 id=1234:0001 config=256,04:00100000,34:40,40:00020010";
        let said = check_rule(&RULE, host, "0000:00:08.0");
        assert_eq!(said, ["warns 0000:00:08.0: no way to reset the function between users"]);
        assert!(check_rule(&RULE, &format!("{host},44:10000000"), "0000:00:08.0").is_empty());
    }

    #[test]
    fn a_kernel_that_does_not_tell_is_noted() {
        let said = check_rule(&RULE, "device 0000:00:08.0 class=050000", "0000:00:08.0");
        assert!(said[0].starts_with("notes 0000:00:08.0: cannot tell"), "{said:?}");
    }
}
