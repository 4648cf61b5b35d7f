//! `pm-reset-is-soft`: the reset that the kernel uses is a change of the power state.

use super::quirks::{pm_reset_without_effect, resets};
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
              (No_Soft_Reset); drivers/pci/quirks.c: quirk_no_pm_reset",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let address = function.address;
        let resets = resets(topology, function);
        let Some(methods) = resets.methods() else {
            findings.skip(address, "which resets it has is not known, see no-reset");
            continue;
        };
        let [ResetMethod::Pm, rest @ ..] = methods else {
            let names = if methods.is_empty() { "none".to_owned() } else { resets.names() };
            findings.fine(address, format!("D3hot is not the first of its resets: {names}"));
            continue;
        };
        let (severity, summary) = match pm_reset_without_effect(function) {
            Some(what) => (
                Severity::Warns,
                format!("it is reset by D3hot and back only, which has no effect on {what}"),
            ),
            None => {
                let text = "it is reset by D3hot and back only, which may not reach all of it";
                (Severity::Notes, text.to_owned())
            }
        };
        let shown = resets.shown(address);
        let finding = Finding::new(&RULE, severity, address, summary).shown(shown.source, shown.text);
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
    fn a_reset_that_is_known_to_do_nothing_is_warned_about() {
        let host = "device 0000:05:00.0 class=030000 id=1002:1638 reset=pm";
        let said = check_rule(&RULE, host, "0000:05:00.0");
        assert_eq!(
            said,
            ["warns 0000:05:00.0: it is reset by D3hot and back only, which has no effect on AMD's graphics"]
        );
    }

    #[test]
    fn a_function_level_reset_comes_first_and_is_quiet() {
        assert!(check_rule(&RULE, "device 0000:03:00.0 reset=flr,pm", "0000:03:00.0").is_empty());
        assert!(check_rule(&RULE, "device 0000:03:00.0 reset=", "0000:03:00.0").is_empty());
    }
}
