//! `pm-reset-is-soft`: the reset that the kernel uses is a change of the power state.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::facts::ResetMethod;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "pm-reset-is-soft",
    page: Page {
        what: "Between users the function is reset by going to D3hot and back. Its registers start anew; firmware \
              that runs in it, memory behind it and what hangs on it may go on as before.",
        why: "The power management capability promises only that the function's configuration and internal state are \
              lost (NoSoftRst-). How deep that goes is the maker's choice, and some announce it wrongly.",
        fix: "If the device misbehaves on its second use: give the bus reset first place (echo bus > reset_method) \
              where it is offered, or let the guest shut the device down properly.",
        source: "drivers/pci/pci.c: pci_pm_reset, pci_reset_fn_methods; PCI Bus Power Management 1.2 §3.2.4 \
              (No_Soft_Reset)",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let Some(methods) = function.reset_methods.known() else { continue };
        let [ResetMethod::Pm, rest @ ..] = methods.as_slice() else {
            findings.fine(function.address, "the kernel has a better reset for it, or none");
            continue;
        };
        let address = function.address;
        let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
        let finding = Finding::new(
            &RULE,
            Severity::Notes,
            address,
            "it is reset by D3hot and back only, which may not reach all of it",
        )
        .shown(format!("/sys/bus/pci/devices/{address}/reset_method"), names.join(" "));
        findings.push(if rest.contains(&ResetMethod::Bus) {
            finding.remedy(
                RemedyKind::HostChange,
                format!("echo bus > /sys/bus/pci/devices/{address}/reset_method"),
            )
        } else {
            finding.remedy(RemedyKind::Hardware, "a slot of its own would add the bus reset")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn a_reset_by_power_state_is_noted() {
        for reset in ["pm", "pm,bus"] {
            let said = check_rule(&RULE, &format!("device 0000:03:00.0 reset={reset}"), "0000:03:00.0");
            assert_eq!(
                said,
                ["notes 0000:03:00.0: it is reset by D3hot and back only, which may not reach all of it"]
            );
        }
    }

    #[test]
    fn a_function_level_reset_comes_first_and_is_quiet() {
        assert!(check_rule(&RULE, "device 0000:03:00.0 reset=flr,pm", "0000:03:00.0").is_empty());
        assert!(check_rule(&RULE, "device 0000:03:00.0 reset=", "0000:03:00.0").is_empty());
    }
}
