//! `pcie-on-conventional-bus`: a PCI Express function on a machine that has conventional PCI only.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::Topology;
use crate::vm::MachineType;

pub(super) const RULE: Rule = Rule {
    id: "pcie-on-conventional-bus",
    page: Page {
        what: "The pc machine has one conventional PCI bus. The guest sees the function without its extended \
              configuration space (bytes 256 to 4095): no AER, no resizable BARs, no link state. Some drivers, of \
              graphics cards above all, take that for a broken card.",
        why: "Conventional PCI has 256 bytes of configuration space. QEMU offers all of it only on a PCI Express \
              bus, which q35 has.",
        fix: "machine = \"q35\" in the spec, unless the guest is too old for it.",
        source: "QEMU hw/vfio/pci.c: vfio_setup_pcie_cap, vfio_add_ext_cap; docs/pcie.txt; PCIe Base 6.0 §7.2",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (vm, address) in assignment.given() {
        if vm.machine != MachineType::Pc || !vm.uses_vfio() {
            findings.skip(address, format!("VM {} is a {} of {}", vm.name, vm.machine, vm.backend.name()));
            continue;
        }
        if topology.is_express(address) != Some(true) {
            findings.skip(address, "it is not known to be PCI Express");
            continue;
        }
        let class = topology.function(address).and_then(|f| f.class.known());
        let display = class.is_some_and(|class| class.base() == 0x03);
        let severity = if display { Severity::Warns } else { Severity::Notes };
        let summary = format!("a PCI Express function on the conventional bus of VM {}", vm.name);
        findings.push(
            Finding::new(&RULE, severity, address, summary)
                .shown(format!("/sys/bus/pci/devices/{address}/config"), "has a PCI Express capability")
                .remedy(RemedyKind::SpecChange, "machine = \"q35\""),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "vm machine=pc
        device 0000:01:00.0 class=030000 express
        device 0000:03:00.0 class=010802 express
        device 0000:05:04.0 class=010000 conventional";

    #[test]
    fn graphics_are_warned_about_and_the_rest_noted() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0 0000:03:00.0");
        assert_eq!(
            said,
            [
                "warns 0000:01:00.0: a PCI Express function on the conventional bus of VM vm1",
                "notes 0000:03:00.0: a PCI Express function on the conventional bus of VM vm1"
            ]
        );
    }

    #[test]
    fn conventional_cards_and_q35_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:05:04.0").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("=pc", "=q35"), "0000:01:00.0").is_empty());
    }
}
