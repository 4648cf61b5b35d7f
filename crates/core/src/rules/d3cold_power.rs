//! `d3cold-power`: the function does not answer: it sleeps and cannot be woken, or it is gone from its link.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::pci::{HeaderKind, decode};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "d3cold-power",
    page: Page {
        what: "The function's configuration space reads only ff. Binding to vfio-pci still succeeds; opening it \
              fails with \"Unable to change power state from D3cold to D0, device inaccessible\", libvirt says \
              \"Unknown PCI header type '127'\".",
        why: "The kernel remembers what the function was when it was found. Since then idle power management cut its \
              power and cannot restore it, a reset failed, or the link went down. Reading the file wakes a sleeping \
              device, so one that reads ff did not wake.",
        fix: "Shut the host down and cut its power; then keep the device awake: echo 0 > d3cold_allowed for it and \
              the ports above, power/control on for the port, vfio-pci disable_idle_d3=1.",
        source: "drivers/pci/pci.c: pci_power_up, pci_dev_wait, pci_config_pm_runtime_get; drivers/pci/pci-sysfs.c: \
              pci_read_config; libvirt src/util/virpci.c: virPCIGetHeaderType",
    },
    predicts: &["d3cold-power", "pcie-link-dead"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let address = function.address;
        let decoded = function.config.known().and_then(|config| decode(config).ok());
        // A virtual function's ids read ffff by design, its header type does not (PCIe Base 6.0 §9.3.4.1).
        let dead = decoded
            .is_some_and(|f| f.header.kind == HeaderKind::Unknown(0x7f) && f.header.id.vendor == 0xffff);
        let state = function.power_state.known().map_or("unknown", String::as_str);
        let (severity, summary, shown) = if dead {
            (
                Severity::Blocks,
                "it does not answer: its configuration space reads ff",
                format!("all ones; power state {state}"),
            )
        } else if state == "error" {
            (Severity::Warns, "the kernel could not change its power state", "power_state: error".to_owned())
        } else {
            findings.fine(address, format!("it answers, or nothing says otherwise; power state {state}"));
            continue;
        };
        findings.push(
            Finding::new(&RULE, severity, address, summary)
                .shown(format!("/sys/bus/pci/devices/{address}"), shown)
                .remedy(RemedyKind::Hardware, "shut down, cut the power, start again")
                .remedy(
                    RemedyKind::HostChange,
                    format!("then keep it awake: echo 0 > /sys/bus/pci/devices/{address}/d3cold_allowed"),
                )
                .remedy(RemedyKind::HostChange, "options vfio_pci disable_idle_d3=1"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_function_that_reads_ff_is_blocked() {
        let said = check_rule(&RULE, "device 0000:01:00.0 config=dead power=D3cold", "0000:01:00.0");
        assert_eq!(said, ["blocks 0000:01:00.0: it does not answer: its configuration space reads ff"]);
    }

    #[test]
    fn a_failed_change_of_power_is_warned_about() {
        assert_eq!(check_rule(&RULE, "device 0000:01:00.0 power=error", "0000:01:00.0").len(), 1);
    }

    #[test]
    fn sleep_alone_and_virtual_functions_are_quiet() {
        let asleep = "device 0000:01:00.0 power=D3cold config=64,00:56781234";
        assert!(check_rule(&RULE, asleep, "0000:01:00.0").is_empty());
        let virtual_function = "device 0000:01:10.0 physfn=0000:01:00.0 config=64,00:ffffffff";
        assert!(check_rule(&RULE, virtual_function, "0000:01:10.0").is_empty());
    }
}
