//! `intx-asserted-at-handover`: the function pulls its interrupt line, and nobody answers.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::facts::Fact;
use crate::pci::decode;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "intx-asserted-at-handover",
    page: Page {
        what: "The function asserts its interrupt while it has no driver. When it is opened, the line fires without \
              end: \"irq N: nobody cared (try booting with the irqpoll option)\", \"Disabling IRQ #N\", and the \
              other devices of the line stop.",
        why: "Firmware or the last user left the device in the middle of its work. Opening it clears the interrupt \
              disable bit before the guest's driver, the only one who could answer, is there. After 99,900 of \
              100,000 unanswered interrupts the kernel shuts the line.",
        fix: "Reset the function first (echo 1 > reset), bind it to vfio-pci before its host driver ever ran, or use \
              a slot whose line nobody else needs.",
        source: "kernel/irq/spurious.c: note_interrupt; drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable; PCI \
              Local Bus 2.3 §6.2.3 (Interrupt Status)",
    },
    predicts: &["intx-shared"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let address = function.address;
        // With a driver, an interrupt in flight is nothing.
        if let Some(driver) = function.driver.known().filter(|driver| !driver.is_vfio()) {
            findings.skip(address, format!("{driver} answers its interrupt until it is handed over"));
            continue;
        }
        let Some(decoded) = function.config.known().and_then(|config| decode(config).ok()) else {
            findings.skip(address, "its status register could not be read");
            continue;
        };
        let header = decoded.header;
        let answers = header.id.vendor != 0xffff;
        let asserted = header.status.intx_pending() && !header.command.intx_disabled();
        if !answers || !asserted || topology.pin(address).is_none() {
            let (status, command) = (header.status.bits(), header.command.bits());
            let text = format!("it asserts no interrupt: status {status:04x}, command {command:04x}");
            findings.fine(address, text);
            continue;
        }
        if let unread @ Fact::Unreadable(_) = &function.driver {
            let needs = "whether a driver answers the interrupt that it asserts";
            findings.push(cannot_know(Subject::Device(address), needs, fault(unread)));
            continue;
        }
        let sharers = topology.line(address).map_or(Vec::new(), |line| topology.sharers(line.irq, address));
        let names: Vec<String> = sharers.iter().map(ToString::to_string).collect();
        let summary = if names.is_empty() {
            "it asserts its interrupt now, with no driver to answer".to_owned()
        } else {
            format!("it asserts its interrupt now, on the line of {}", names.join(", "))
        };
        let text = format!("status {:04x}, command {:04x}", header.status.bits(), header.command.bits());
        findings.push(
            Finding::new(&RULE, Severity::Warns, address, summary)
                .shown(format!("/sys/bus/pci/devices/{address}/config"), text)
                .remedy(
                    RemedyKind::HostChange,
                    format!("reset it first: echo 1 > /sys/bus/pci/devices/{address}/reset"),
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_pending_interrupt_without_driver_is_warned_about() {
        let host = "device 0000:02:04.0 pin=1 config=64,04:00080000";
        let said = check_rule(&RULE, host, "0000:02:04.0");
        assert_eq!(said, ["warns 0000:02:04.0: it asserts its interrupt now, with no driver to answer"]);
    }

    #[test]
    fn masked_served_or_dead_functions_are_quiet() {
        for device in [
            "pin=1 config=64,04:00080400",
            "pin=1 driver=ahci config=64,04:00080000",
            "pin=1 config=dead",
            "pin=1 config=64",
        ] {
            let host = format!("device 0000:02:04.0 {device}");
            assert!(check_rule(&RULE, &host, "0000:02:04.0").is_empty(), "{device}");
        }
    }
}
