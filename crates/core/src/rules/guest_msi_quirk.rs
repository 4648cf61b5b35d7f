//! `guest-msi-quirk`: a guest's own way with message-signalled interrupts keeps them from arriving.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "guest-msi-quirk",
    page: Page {
        what: "The device is found and its driver loads, but its interrupts do not arrive: a picture without vertical sync, \
              commands that time out. Xen prints \"Unsupported delivery mode 3\".",
        why: "A Linux guest in a Xen HVM domain does not program the message that its device shall send; it writes one with \
              delivery mode 3, which no hardware has, to ask Xen for an event channel in its place. Xen 4.1 under xend, \
              and device models that do not know the request or still have the message of a guest that was restarted, \
              deliver it as it stands, and mode 3 goes nowhere. Guests that see a virtual APIC of the processor do without \
              the trick.",
        fix: "If the interrupts are missed: boot the guest's kernel with pci=nomsi (or xen_nopv), so that it uses the \
              interrupt line; use a later Xen; restart the domain instead of rebooting within it.",
        source: "Linux arch/x86/pci/xen.c: XEN_PIRQ_MSI_DATA, xen_hvm_setup_msi_irqs, xen_hvm_msi_init \
              (XEN_HVM_CPUID_X2APIC_VIRT); xen arch/x86/hvm/vmsi.c: vmsi_deliver; xen-users, \"The saga of Heterodyne's PCI \
              Passthrough\"",
    },
    predicts: &["xen-msi-delivery-mode"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (vm, address) in assignment.given() {
        if vm.backend != BackendKind::Xen {
            findings.skip(address, format!("VM {} is not Xen's", vm.name));
            continue;
        }
        let Some(features) = topology.function(address).map(crate::facts::FunctionFacts::features) else {
            continue;
        };
        let counts = [("MSI", features.msi_vectors), ("MSI-X", features.msix_vectors)];
        let Some((name, vectors)) =
            counts.into_iter().find_map(|(n, v)| v.filter(|v| *v > 0).map(|v| (n, v)))
        else {
            findings.fine(address, "neither MSI nor MSI-X is known of it");
            continue;
        };
        let summary =
            format!("in VM {} a Linux guest asks for its messages by a way that old Xen drops", vm.name);
        findings.push(
            Finding::new(&RULE, Severity::Notes, address, summary)
                .shown(format!("/sys/bus/pci/devices/{address}/config"), format!("{name}, {vectors} vectors"))
                .remedy(
                    RemedyKind::SpecChange,
                    "if interrupts are missed: pci=nomsi on the guest's kernel command line",
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "vm backend=xen memory=2G
        device 0000:01:00.0 class=030000 config=256,04:00100000,34:40,40:00000005
        device 0000:00:1d.0 class=0c0320 pin=1 config=256";

    #[test]
    fn messages_of_a_xen_guest_are_noted() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:01:00.0"),
            ["notes 0000:01:00.0: in VM vm1 a Linux guest asks for its messages by a way that old Xen drops"]
        );
    }

    #[test]
    fn devices_with_a_wire_only_and_other_monitors_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:00:1d.0").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("vm backend=xen", "vm"), "0000:01:00.0").is_empty());
    }
}
