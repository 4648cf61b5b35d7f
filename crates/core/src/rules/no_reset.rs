//! `no-reset`: the kernel has no way to reset the function between users.

use super::bus_reset_takes_siblings::not_resettable;
use super::cannot_know;
use super::{
    Assignment, Evidence, Finding, Findings, Page, Remedy, RemedyKind, Rule, Severity, Subject, fault,
};
use crate::facts::Fact;
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
    for address in assignment.devices() {
        let Some(function) = topology.function(address) else { continue };
        match &function.reset_methods {
            Fact::Known(methods) if methods.is_empty() && !whole_bus_goes(topology, assignment, address) => {
                findings.push(none(address));
            }
            Fact::Known(methods) if methods.is_empty() => {
                findings.fine(address, "all that is below its bridge goes with it, and the bus can be reset");
            }
            Fact::Known(methods) => {
                let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
                findings.fine(address, format!("the kernel can reset it: {}", names.join(", ")));
            }
            Fact::Absent => findings.push(cannot_know(
                Subject::Device(address),
                "which resets the function has (the kernel tells since 5.15)",
                None,
            )),
            unreadable @ Fact::Unreadable(_) => findings.push(cannot_know(
                Subject::Device(address),
                "which resets the function has",
                fault(unreadable),
            )),
        }
    }
}

/// Whether the function can be reset by VFIO although the kernel lists no method: all that hangs on the reset line is
/// given to one VM.
fn whole_bus_goes(topology: &Topology, assignment: &Assignment, address: PciAddress) -> bool {
    let bus = topology.reset_companions(address).is_some_and(|companions| !companions.is_empty());
    let vm = assignment.given().find(|(_, device)| *device == address).map(|(vm, _)| vm);
    bus && vm.is_some_and(|vm| vm.uses_vfio() && not_resettable(topology, vm, address).is_empty())
}

fn none(address: PciAddress) -> Finding {
    Finding {
        rule: RULE.id,
        severity: Severity::Warns,
        subject: Subject::Device(address),
        summary: "no way to reset the function between users".to_owned(),
        why: RULE.page.why.to_owned(),
        evidence: vec![Evidence::new(
            format!("/sys/bus/pci/devices/{address}/reset_method"),
            "empty: the kernel has no method",
        )],
        remedies: vec![Remedy::new(
            RemedyKind::Hardware,
            "move the card to a slot of its own, so that its bus can be reset",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
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
    fn a_kernel_that_does_not_tell_is_noted() {
        let said = check_rule(&RULE, "device 0000:00:08.0 class=050000", "0000:00:08.0");
        assert!(said[0].starts_with("notes 0000:00:08.0: cannot tell"), "{said:?}");
    }
}
