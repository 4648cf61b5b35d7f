//! `intx-shared`: the function's INTx line has other users, and it needs the line for itself.
//!
//! VFIO asks for the line shared if the function can mask its interrupt by itself (DisINTx, Command bit 10, since PCI
//! 2.3), else exclusively, and then any registered handler makes the request fail. Which slot would do is told with it:
//! the wire rotates with the device number.

mod advice;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::masking::{Masking, given_by_line, masking};
use super::{
    Assignment, Evidence, Finding, Findings, Page, Remedy, RemedyKind, Rule, Severity, Subject, VmAssignment,
    by_vfio, cannot_know, fault,
};
use crate::facts::Fact;
use crate::pci::PciAddress;
use crate::topology::{LineReading, Sharer, Topology};

pub(super) const RULE: Rule = Rule {
    id: "intx-shared",
    page: Page {
        what: "The VM does not start: \"Failed to set up TRIGGER eventfd signaling for interrupt INTX-0: \
              VFIO_DEVICE_SET_IRQS failure: Device or resource busy\"; the kernel log has \"genirq: Flags mismatch \
              irq N\" with both users of the line.",
        why: "A device that cannot mask its own interrupt (made before PCI 2.3, listed as broken, or vfio-pci loaded \
              with nointxmask) must have its interrupt line for itself, or a guest could block the host's other \
              users of the line. Another driver holds the same line.",
        fix: "Move the card to a slot whose line is free (behind a bridge the line changes with each slot), unbind \
              the other user of the line, let the other user use MSI, or drop nointxmask if the device can mask \
              after all.",
        source: "drivers/vfio/pci/vfio_pci_intrs.c: vfio_intx_enable; drivers/vfio/pci/vfio_pci_core.c: \
              vfio_pci_core_enable; kernel/irq/manage.c: __setup_irq; PCI Local Bus 2.3 §6.2.2",
    },
    predicts: &["intx-shared"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    // Xen shares a guest's line with dom0, whatever the device can mask (`xen/drivers/passthrough/x86/hvm.c:
    // pt_irq_create_bind`, BIND_PIRQ__WILL_SHARE).
    let given = OnceCell::new();
    for (_, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        if function.sriov.physical_function.known().is_some() {
            // PCIe Base 6.0 §9.3.4.1: Interrupt Line and Pin of a virtual function are zero.
            findings.skip(address, "it is a virtual function, which has no interrupt pin");
            continue;
        }
        if let unreadable @ Fact::Unreadable(_) = &function.interrupt_pin {
            let needs = "whether the function uses an interrupt line";
            findings.push(cannot_know(Subject::Device(address), needs, fault(unreadable)));
            continue;
        }
        if topology.pin(address).is_none() {
            findings.skip(address, "it has no interrupt pin");
            continue;
        }
        let masking = masking(topology, function);
        if matches!(masking, Masking::Works) {
            findings.skip(address, "it can mask its interrupt, so the line may be shared");
            continue;
        }
        let Some(line) = topology.line(address) else {
            findings.push(line_unknown(topology, address, &masking));
            continue;
        };
        let given = given.get_or_init(|| given_by_line(topology, assignment));
        let users = Users::of(topology, assignment, given, &line, address);
        if users.is_empty() {
            findings.fine(address, format!("IRQ {} has no other user", line.irq));
        } else {
            findings.push(shared(topology, address, &line, &users, masking));
        }
    }
}

/// Who else wants the line when the partition is in force.
struct Users<'a> {
    /// Of the host: those whose function leaves it let go of the line.
    staying: Vec<Sharer>,
    /// Functions that are given away too.
    given: Vec<(&'a VmAssignment, PciAddress)>,
}

impl<'a> Users<'a> {
    fn of(
        topology: &Topology,
        assignment: &Assignment,
        given: &BTreeMap<u32, Vec<(&'a VmAssignment, PciAddress)>>,
        line: &LineReading,
        address: PciAddress,
    ) -> Self {
        let mut staying = topology.sharers(line.irq, address);
        staying.retain(|sharer| !sharer.function.is_some_and(|function| assignment.takes(function)));
        let others = given.get(&line.irq).into_iter().flatten();
        Self { staying, given: others.filter(|(_, other)| *other != address).copied().collect() }
    }

    fn is_empty(&self) -> bool {
        self.staying.is_empty() && self.given.is_empty()
    }

    fn names(&self) -> String {
        let staying = self.staying.iter().map(ToString::to_string);
        let given = self.given.iter().map(|(vm, other)| format!("{other} of VM {}", vm.name));
        staying.chain(given).collect::<Vec<_>>().join(", ")
    }
}

fn shared(
    topology: &Topology,
    address: PciAddress,
    line: &LineReading,
    users: &Users,
    masking: Masking,
) -> Finding {
    let names = users.names();
    let mut evidence = vec![Evidence::new(
        "/proc/interrupts",
        topology
            .interrupt(line.irq)
            .map_or_else(String::new, |row| format!("{}: {} {}", row.irq, row.chip, row.handlers.join(", "))),
    )];
    if let Some(wire) = topology.wire(address) {
        let pin = topology.pin(address).map_or_else(String::new, |pin| format!("INT{pin} "));
        evidence.push(Evidence::new("routing", format!("{pin}reaches {wire}, {line}")));
    }
    for (_, other) in &users.given {
        let reading = topology.line(*other).map_or_else(String::new, |line| line.to_string());
        evidence.push(Evidence::new(format!("/sys/bus/pci/devices/{other}/irq"), reading));
    }
    let (severity, summary, why) = match masking {
        Masking::Missing(told) => {
            evidence.push(told);
            let summary = format!("IRQ {} is also used by {names}: the VM will not start", line.irq);
            (Severity::Blocks, summary, RULE.page.why.to_owned())
        }
        Masking::Works | Masking::Unknown => {
            let summary =
                format!("IRQ {} is also used by {names}: works only if the card masks INTx", line.irq);
            let why = "Nothing readable tells whether this conventional PCI device has the interrupt disable bit of PCI \
                       2.3. If it has, the line can be shared; if not, the VM will not start.";
            (Severity::Warns, summary, why.to_owned())
        }
    };
    Finding {
        rule: RULE.id,
        severity,
        subject: Subject::Device(address),
        summary,
        why,
        evidence,
        remedies: remedies(topology, address, line, users),
    }
}

fn remedies(topology: &Topology, address: PciAddress, line: &LineReading, users: &Users) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if let Some(remedy) = advice::slots(topology, address, line.irq) {
        remedies.push(remedy);
    }
    let functions: Vec<PciAddress> = users.staying.iter().filter_map(|sharer| sharer.function).collect();
    if !functions.is_empty() && functions.len() == users.staying.len() {
        let list: Vec<String> = functions.iter().map(ToString::to_string).collect();
        let text = format!("let the host do without {} while the VM runs", list.join(", "));
        let steps = list.iter().map(|function| format!("unbind {function}")).collect();
        remedies.push(Remedy::new(RemedyKind::HostChange, text).with_steps(steps));
    }
    if !users.given.is_empty() {
        let list: Vec<String> = users.given.iter().map(|(_, other)| other.to_string()).collect();
        let text = format!("give away either this function or {}, not both at a time", list.join(", "));
        remedies.push(Remedy::new(RemedyKind::SpecChange, text));
    }
    let switched_off = topology.facts().kernel.parameter("vfio_pci", "nointxmask");
    if switched_off.is_some_and(crate::facts::ParameterValue::is_on) {
        let text = "load vfio-pci without nointxmask, if the card is known to mask its interrupt";
        remedies.push(Remedy::new(RemedyKind::HostChange, text));
    }
    remedies
}

fn line_unknown(topology: &Topology, address: PciAddress, masking: &Masking) -> Finding {
    let needs = "which interrupt line the slot has and who shares it (load the card's host driver once, then plan again)";
    let severity = if matches!(masking, Masking::Missing(_)) { Severity::Warns } else { Severity::Notes };
    let wire = topology.wire(address).map(|wire| Evidence::new("routing", format!("its pin reaches {wire}")));
    Finding {
        severity,
        evidence: wire.into_iter().collect(),
        ..cannot_know(Subject::Device(address), needs, None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;
    use crate::topology::fixture::BENCH;

    #[test]
    fn a_line_with_another_user_blocks_a_card_that_may_not_mask() {
        let said = check_rule(&RULE, BENCH, "0000:02:04.0");
        assert_eq!(
            said,
            ["blocks 0000:02:04.0: IRQ 23 is also used by eth1 (0000:00:13.0): the VM will not start"]
        );
    }

    #[test]
    fn a_virtual_function_uses_no_line_whatever_could_be_read_of_it() {
        let host = "device 0000:05:00.0 class=020000\ndevice 0000:05:10.0 class=020000 physfn=0000:05:00.0 unread=pin";
        assert!(check_rule(&RULE, host, "0000:05:10.0").is_empty());
        assert_eq!(check_rule(&RULE, &host.replace("physfn=0000:05:00.0 ", ""), "0000:05:10.0").len(), 1);
    }

    #[test]
    fn without_nointxmask_an_old_card_is_only_warned_about() {
        let host = BENCH.replace("nointxmask=Y", "nointxmask=N");
        let said = check_rule(&RULE, &host, "0000:02:04.0");
        assert_eq!(
            said,
            [
                "warns 0000:02:04.0: IRQ 23 is also used by eth1 (0000:00:13.0): works only if the card masks INTx"
            ]
        );
    }

    #[test]
    fn the_storys_adaptec_is_known_not_to_mask() {
        let host = BENCH.replace("nointxmask=Y", "nointxmask=N").replace("1000:0012", "9004:5078");
        assert!(check_rule(&RULE, &host, "0000:02:04.0")[0].starts_with("blocks"));
    }

    #[test]
    fn a_card_in_a_free_slot_is_quiet() {
        let host = BENCH
            .replace(
                "0000:02:04.0 class=010000 id=1000:0012 pin=1 irq=23",
                "0000:02:06.0 class=010000 pin=1 irq=21",
            )
            .replace("pin=23 sym53c8xx eth1", "pin=23 eth1")
            + "irq 21 IR-IO-APIC pin=21 sym53c8xx";
        assert!(check_rule(&RULE, &host, "0000:02:06.0").is_empty());
    }

    #[test]
    fn two_given_functions_of_one_line_stand_in_each_others_way() {
        for devices in ["0000:02:04.0 0000:00:13.0", "0000:02:04.0 | 0000:00:13.0"] {
            let said = check_rule(&RULE, BENCH, devices);
            assert_eq!(said.len(), 2, "{said:?}");
            assert!(said.iter().all(|line| line.starts_with("blocks")), "{said:?}");
        }
        let said = check_rule(&RULE, BENCH, "0000:02:04.0 | 0000:00:13.0");
        assert_eq!(
            said[0],
            "blocks 0000:02:04.0: IRQ 23 is also used by 0000:00:13.0 of VM vm2: the VM will not start"
        );
    }

    #[test]
    fn a_given_function_that_needs_no_line_leaves_it_alone() {
        let host = BENCH.replace("nointxmask=Y", "nointxmask=N").replace("1000:0012", "9004:5078");
        let pinless = host.replace("0000:00:13.0 class=020000 pin=1", "0000:00:13.0 class=020000 pin=0");
        assert!(check_rule(&RULE, &pinless, "0000:02:04.0 0000:00:13.0").is_empty());
        let hidden =
            host.replace("0000:00:13.0 class=020000", "0000:00:13.0 id=8086:1572 express class=020000");
        assert!(check_rule(&RULE, &hidden, "0000:02:04.0 0000:00:13.0").is_empty());
    }

    #[test]
    fn a_function_without_a_pin_shares_nothing() {
        let host = BENCH.replace("pin=1 irq=23 group=8", "pin=0 irq=23 group=8");
        assert!(check_rule(&RULE, &host, "0000:02:04.0").is_empty());
    }

    #[test]
    fn a_line_that_cannot_be_told_is_said_to_be_unknown() {
        let host = "device 0000:05:00.0 class=010000 pin=1 irq=11\nparam vfio_pci.nointxmask=1";
        assert!(check_rule(&RULE, host, "0000:05:00.0")[0].starts_with("warns 0000:05:00.0: cannot tell"));
    }
}
