//! `bus-reset-broken`: the function does not come back from a reset of its bus, and this kernel does not know it.

use super::quirks::{NO_BUS_RESET, Resets, listed, resets};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::facts::ResetMethod;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "bus-reset-broken",
    page: Page {
        what: "When a guest starts or ends, the bus of the function is reset, and the link does not come up again: \
              \"Link Down\", \"not ready 65535ms after bus reset; giving up\", configuration space reads ff; some \
              hosts hang when it is read.",
        why: "The chip loses its own state by a hot reset of the link, and only cutting the power starts it anew. \
              Newer kernels know such chips and reset no bus with one; the running one does.",
        fix: "Use a newer kernel, or leave the method out: write the others to the device's reset_method (Linux 5.15 \
              and later), for example echo flr > /sys/bus/pci/devices/…/reset_method; an empty line leaves none.",
        source: "drivers/pci/quirks.c: quirk_no_bus_reset, quirk_nvidia_no_bus_reset; drivers/pci/pci.c: \
              pci_parent_bus_reset, pci_bus_resettable",
    },
    predicts: &["pcie-link-dead"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let kernel = topology.facts().kernel.version();
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let address = function.address;
        let Some((what, since)) = listed(NO_BUS_RESET, function).map(|row| (row.what, row.since)) else {
            let id = word(&function.id);
            let text = format!("{id} is not on the kernel's list of functions that do not survive it");
            findings.skip(address, text);
            continue;
        };
        let resets = resets(topology, function);
        let (severity, summary) = match &resets {
            Resets::Told(methods) if methods.contains(&ResetMethod::Bus) => (
                Severity::Warns,
                format!("{what} does not survive a reset of its bus, which this kernel does"),
            ),
            Resets::Told(_) => {
                findings.fine(address, "this kernel does not reset its bus");
                continue;
            }
            Resets::Foretold(_) | Resets::Unknown(_) if kernel.zip(since).is_some_and(|(k, s)| k >= s) => {
                let since = since.map_or_else(String::new, |since| since.to_string());
                findings.fine(address, format!("kernels since {since} do not reset the bus of {what}"));
                continue;
            }
            Resets::Foretold(_) | Resets::Unknown(_) => (
                Severity::Notes,
                format!("{what} does not survive a reset of its bus: kernels that know do none"),
            ),
        };
        let finding = Finding::new(&RULE, severity, address, summary)
            .shown(format!("/sys/bus/pci/devices/{address}"), word(&function.id))
            .remedy(RemedyKind::HostChange, "use a newer kernel, which resets no bus with this device");
        let Resets::Told(methods) = &resets else {
            findings.push(finding);
            continue;
        };
        let others: Vec<&str> = methods
            .iter()
            .filter(|method| **method != ResetMethod::Bus)
            .map(|method| method.name())
            .collect();
        let text = format!("echo '{}' > /sys/bus/pci/devices/{address}/reset_method", others.join(" "));
        findings.push(finding.remedy(RemedyKind::HostChange, text));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=028000 id=168c:003e reset=pm,bus";

    #[test]
    fn a_listed_function_whose_bus_is_reset_is_warned_about() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:03:00.0"),
            [
                "warns 0000:03:00.0: Atheros QCA6174 does not survive a reset of its bus, which this kernel does"
            ]
        );
    }

    #[test]
    fn a_kernel_that_knows_is_quiet_and_one_that_does_not_tell_is_noted() {
        assert!(check_rule(&RULE, &HOST.replace("pm,bus", "pm"), "0000:03:00.0").is_empty());
        let untold = HOST.replace(" reset=pm,bus", "");
        assert!(check_rule(&RULE, &untold, "0000:03:00.0")[0].starts_with("notes"));
        assert!(check_rule(&RULE, &format!("kernel 5.13.0\n{untold}"), "0000:03:00.0").is_empty());
        assert_eq!(check_rule(&RULE, &format!("kernel 5.10.0\n{untold}"), "0000:03:00.0").len(), 1);
    }

    #[test]
    fn others_of_the_maker_are_quiet() {
        for id in ["168c:0042", "10de:1db6", "1b21:1142"] {
            assert!(check_rule(&RULE, &HOST.replace("168c:003e", id), "0000:03:00.0").is_empty(), "{id}");
        }
        assert_eq!(check_rule(&RULE, &HOST.replace("168c:003e", "10de:2342"), "0000:03:00.0").len(), 1);
    }
}
