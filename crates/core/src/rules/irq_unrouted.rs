//! `irq-unrouted`: the function's interrupt pin leads nowhere.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, by_vfio, word};
use crate::facts::KernelVersion;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "irq-unrouted",
    page: Page {
        what: "The kernel found no line for the function's interrupt pin. Before Linux 6.15 the VM does not start: \
              \"Failed to set up TRIGGER eventfd signaling for interrupt INTX-0: … No such device\". Later kernels \
              hide the pin, and the device works only by messages.",
        why: "Firmware's routing table has no entry for the pin (\"PCI INT A: no GSI\", \"can't derive routing for \
              PCI INT A\", \"PCI INT A: not connected\"). QEMU sets up INTx for every function that shows a pin, \
              even if the guest uses MSI.",
        fix: "Use another slot, or update the firmware or the kernel.",
        source: "drivers/acpi/pci_irq.c: acpi_pci_irq_enable, acpi_pci_irq_valid; drivers/vfio/pci/vfio_pci_intrs.c: \
              vfio_intx_enable; commits 860be250fc32 and 2bd42b03ab6b (Linux 6.15)",
    },
    predicts: &["host-firmware-bug"],
    check,
};

/// `IRQ_NOTCONNECTED` (`include/linux/interrupt.h`).
const NOT_CONNECTED: u32 = 1 << 31;

/// From here on VFIO shows no pin where there is no line.
const PIN_HIDDEN: KernelVersion = KernelVersion { major: 6, minor: 15 };

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (_, function) in by_vfio(topology, assignment, findings) {
        let address = function.address;
        // Until a device is enabled its number is the firmware's, which says nothing.
        let enabled = function.enabled.known() == Some(&true);
        let Some(irq) = function.irq.known().filter(|irq| **irq == 0 || **irq == NOT_CONNECTED) else {
            findings.fine(address, format!("its interrupt number: {}", word(&function.irq)));
            continue;
        };
        if !enabled || topology.pin(address).is_none() {
            findings.skip(address, "it has no pin, or was never enabled: the number is firmware's");
            continue;
        }
        let hidden = topology.facts().kernel.version().is_some_and(|version| version >= PIN_HIDDEN);
        let (severity, summary) = if hidden {
            (Severity::Notes, "its interrupt pin leads nowhere: the guest sees none and must use MSI")
        } else {
            (Severity::Warns, "its interrupt pin leads nowhere: the VM may not start")
        };
        findings.push(
            Finding::new(&RULE, severity, address, summary)
                .shown(format!("/sys/bus/pci/devices/{address}/irq"), irq.to_string())
                .remedy(RemedyKind::Hardware, "use another slot")
                .remedy(RemedyKind::Firmware, "update the firmware"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "kernel 6.1.0-56-amd64\ndevice 0000:03:00.0 pin=1 irq=0 enabled";

    #[test]
    fn a_pin_without_a_line_is_warned_about_until_kernels_hide_it() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["warns 0000:03:00.0: its interrupt pin leads nowhere: the VM may not start"]);
        let host = HOST.replace("irq=0", "irq=2147483648").replace("6.1.0", "6.15.2");
        assert!(check_rule(&RULE, &host, "0000:03:00.0")[0].starts_with("notes"));
    }

    #[test]
    fn devices_that_were_never_enabled_or_have_no_pin_are_quiet() {
        for host in ["device 0000:03:00.0 pin=1 irq=0", "device 0000:03:00.0 irq=0 enabled"] {
            assert!(check_rule(&RULE, host, "0000:03:00.0").is_empty(), "{host}");
        }
    }
}
