//! `id-match-hits-other-device`: an id given to vfio-pci also names a function that shall stay with the host.

use super::vfio_ids;
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::facts::FunctionFacts;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "id-match-hits-other-device",
    page: Page {
        what: "vfio-pci takes every function with an id that it is told, so the twin of a card that is handed over \
              is lost to the host: a disk, a network or USB controller that is missing after the next boot.",
        why: "ids= and new_id know vendor and device only, not the slot. Two cards of one model, or the several USB \
              controllers of a chipset, have the same id.",
        fix: "Take the id out of vfio-pci's configuration; driver_override (driverctl set-override) names exactly \
              one function. Where subsystem ids differ, vvvv:dddd:ssss:ssss tells the twins apart.",
        source: "drivers/vfio/pci/vfio_pci.c: vfio_pci_fill_ids; drivers/pci/pci-driver.c: pci_add_dynid, \
              pci_match_device; Documentation/ABI/testing/sysfs-bus-pci",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some((parameter, entries)) = vfio_ids::configured(topology) else {
        findings.skip(Subject::Host, "vfio-pci was told no ids");
        return;
    };
    let wanted: Vec<&FunctionFacts> =
        assignment.devices().filter_map(|device| topology.function(device)).collect();
    findings
        .fine(Subject::Host, format!("ids={} names nothing else beside what is given away", parameter.value));
    for entry in entries {
        // Ids of things that this plan has nothing to do with are somebody else's business.
        if !wanted.iter().any(|function| entry.matches(function)) {
            continue;
        }
        for twin in topology.functions().filter(|f| entry.matches(f) && !assignment.takes(f.address)) {
            let id = twin.id.known().map_or_else(String::new, ToString::to_string);
            let driver = twin.driver.known().map_or("none", |driver| driver.as_str());
            findings.push(
                Finding::new(
                    &RULE,
                    Severity::Warns,
                    Subject::Device(twin.address),
                    format!("vfio-pci takes it too by id {id}, though it stays with the host"),
                )
                .shown(parameter.place.clone(), format!("vfio-pci.ids={}", parameter.value))
                .shown(format!("/sys/bus/pci/devices/{}", twin.address), format!("{id}, driver {driver}"))
                .remedy(
                    RemedyKind::HostChange,
                    "take the id out of vfio-pci's configuration: the plan binds by driver_override",
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=020000 id=15b3:1003
        device 0000:04:00.0 class=020000 id=15b3:1003 driver=mlx4_core
        param vfio_pci.ids=15b3:1003";

    #[test]
    fn the_twin_that_stays_is_told() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(
            said,
            ["warns 0000:04:00.0: vfio-pci takes it too by id 15b3:1003, though it stays with the host"]
        );
    }

    #[test]
    fn twins_that_both_go_and_foreign_ids_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:03:00.0 0000:04:00.0").is_empty());
        assert!(
            check_rule(&RULE, &HOST.replace("ids=15b3:1003", "ids=10de:1c03"), "0000:03:00.0").is_empty()
        );
    }
}
