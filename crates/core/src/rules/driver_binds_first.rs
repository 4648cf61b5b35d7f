//! `driver-binds-first`: vfio-pci was told to take the function at boot, and a host driver was faster.

use super::vfio_ids;
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::facts::{ModuleName, ModuleState};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "driver-binds-first",
    page: Page {
        what: "The kernel command line tells vfio-pci to take this id, or its host driver is built in, and after \
              boot the host driver has the function all the same.",
        why: "vfio-pci.ids works only on functions that have no driver when vfio-pci registers. A driver that is \
              part of the kernel image, or comes earlier in the initramfs, has bound them by then; softdep orders \
              modules only, never what is built in.",
        fix: "Bind by driver_override from the initramfs (driverctl set-override), or put vfio-pci before the host \
              driver in the initramfs; unbinding at run time works too where nothing uses the device.",
        source: "drivers/vfio/pci/vfio_pci.c: vfio_pci_fill_ids; drivers/base/bus.c: bus_add_driver; \
              drivers/pci/pci-driver.c: pci_match_device; modprobe.d(5)",
    },
    predicts: &["driver-autobind-race", "device-not-bound"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some((parameter, entries)) = vfio_ids::configured(topology) else {
        findings.skip(super::Subject::Host, "vfio-pci was told no ids");
        return;
    };
    let modules = topology.facts().kernel.modules.known();
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let Some(driver) = function.driver.known().filter(|d| !d.is_vfio()) else {
            findings.fine(function.address, format!("no host driver has it: {}", word(&function.driver)));
            continue;
        };
        if !entries.iter().any(|entry| entry.matches(function)) {
            let text = format!("vfio-pci.ids={} does not name {}", parameter.value, word(&function.id));
            findings.skip(function.address, text);
            continue;
        }
        let state = ModuleName::new(driver.as_str()).ok().and_then(|name| modules?.get(&name));
        let built_in = state == Some(&ModuleState::BuiltIn);
        // Told in modprobe.d beside a module, the initramfs is to blame.
        if parameter.place != "kernel command line" && !built_in {
            findings.skip(function.address, format!("{driver} is a module: see initramfs-missing-vfio"));
            continue;
        }
        let how = if built_in { "is built into the kernel and" } else { "was loaded before vfio-pci and" };
        let address = function.address;
        findings.push(
            Finding::new(
                &RULE,
                Severity::Warns,
                address,
                format!("{driver} {how} has it, although vfio-pci was told to take it"),
            )
            .shown(parameter.place.clone(), format!("vfio-pci.ids={}", parameter.value))
            .shown(format!("/sys/bus/pci/devices/{address}/driver"), driver.to_string())
            .remedy(
                RemedyKind::HostChange,
                format!("bind exactly this device early: driverctl set-override {address} vfio-pci"),
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:00:14.0 class=0c0330 id=8086:a36d driver=xhci_hcd
        module xhci_hcd built-in
        param vfio_pci.ids=8086:a36d";

    #[test]
    fn a_built_in_driver_comes_first() {
        let said = check_rule(&RULE, HOST, "0000:00:14.0");
        assert_eq!(
            said,
            [
                "warns 0000:00:14.0: xhci_hcd is built into the kernel and has it, although vfio-pci was told to take it"
            ]
        );
    }

    #[test]
    fn ids_on_the_command_line_that_came_too_late_are_told_of_modules_too() {
        let host = HOST.replace("built-in", "loaded").replace("param ", "configured kernel command line ");
        let said = check_rule(&RULE, &host, "0000:00:14.0");
        assert!(said[0].contains("xhci_hcd was loaded before vfio-pci"), "{said:?}");
    }

    #[test]
    fn a_module_beside_modprobe_d_is_left_to_the_initramfs() {
        let host =
            HOST.replace("built-in", "loaded").replace("param ", "configured /etc/modprobe.d/vfio.conf ");
        assert!(check_rule(&RULE, &host, "0000:00:14.0").is_empty());
    }

    #[test]
    fn other_ids_or_vfio_in_place_are_quiet() {
        for (from, to) in [("ids=8086:a36d", "ids=8086:0001"), ("driver=xhci_hcd", "driver=vfio-pci")] {
            assert!(check_rule(&RULE, &HOST.replace(from, to), "0000:00:14.0").is_empty(), "{to}");
        }
    }
}
