//! `flr-broken`: the function offers Function Level Reset, and does not survive it.

use super::quirks::{NO_FLR, listed};
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::facts::{Fact, ResetMethod};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "flr-broken",
    page: Page {
        what: "When a guest starts or ends, the function is reset and hangs: \"not ready 65535ms after FLR; giving \
              up\", and from then on it reads ff.",
        why: "The function announces a reset that its maker never got to work. Newer kernels know it and leave the \
              method out; the running one offers it still.",
        fix: "Use a newer kernel, or write another order to the device's reset_method (Linux 5.15 and later), for \
              example echo bus > /sys/bus/pci/devices/…/reset_method.",
        source: "drivers/pci/quirks.c: quirk_no_flr, quirk_no_flr_snet; drivers/pci/pci.c: pcie_flr, pci_dev_wait",
    },
    predicts: &["flr-broken"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let Some(what) = listed(NO_FLR, function).map(|row| row.what) else {
            let id = word(&function.id);
            let text = format!("{id} is not on the kernel's list of functions that do not survive FLR");
            findings.skip(function.address, text);
            continue;
        };
        let used = match &function.reset_methods {
            Fact::Known(methods) => {
                methods.iter().any(|m| matches!(m, ResetMethod::Flr | ResetMethod::AfFlr))
            }
            // Before 5.15 the kernel does not tell, and uses what the function offers.
            Fact::Absent | Fact::Unreadable(_) => {
                let features = function.features();
                features.flr == Some(true) || features.af_flr == Some(true)
            }
        };
        if !used {
            let text = format!("it is {what}, and this kernel does not reset it by FLR");
            findings.fine(function.address, text);
            continue;
        }
        let address = function.address;
        findings.push(
            Finding::new(
                &RULE,
                Severity::Warns,
                address,
                format!("{what} hangs when it is reset by FLR, which this kernel does"),
            )
            .shown(format!("/sys/bus/pci/devices/{address}/reset_method"), "flr")
            .remedy(RemedyKind::HostChange, "use a newer kernel, which leaves FLR out for this device")
            .remedy(
                RemedyKind::HostChange,
                format!("echo bus > /sys/bus/pci/devices/{address}/reset_method"),
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:0b:00.3 class=0c0330 id=1022:149c reset=flr,bus";

    #[test]
    fn a_listed_function_that_is_reset_by_flr_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:0b:00.3");
        assert_eq!(
            said,
            ["warns 0000:0b:00.3: AMD Matisse USB 3.0 hangs when it is reset by FLR, which this kernel does"]
        );
    }

    #[test]
    fn an_old_kernel_uses_what_the_function_offers() {
        let host = HOST.replace("reset=flr,bus", "config=256,04:00100000,34:40,40:00020010,44:10000000");
        assert_eq!(check_rule(&RULE, &host, "0000:0b:00.3").len(), 1);
    }

    #[test]
    fn a_kernel_that_knows_is_quiet() {
        assert!(check_rule(&RULE, &HOST.replace("flr,bus", "bus"), "0000:0b:00.3").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("149c", "43ee"), "0000:0b:00.3").is_empty());
    }

    #[test]
    fn only_the_listed_revision_counts() {
        let host = HOST.replace("1022:149c", "d063:1000 rev=2");
        assert!(check_rule(&RULE, &host, "0000:0b:00.3").is_empty());
        assert_eq!(check_rule(&RULE, &host.replace("rev=2", "rev=1"), "0000:0b:00.3").len(), 1);
    }
}
