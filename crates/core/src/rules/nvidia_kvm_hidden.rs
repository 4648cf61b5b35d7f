//! `nvidia-kvm-hidden`: older NVIDIA drivers in the guest refuse to run under a hypervisor.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "nvidia-kvm-hidden",
    page: Page {
        what: "Windows shows the card with Code 43, or the driver in a Linux guest says that no supported GPU was \
              found, although everything was handed over well.",
        why: "NVIDIA's drivers before 465.89 (March 2021) stop on consumer cards when CPUID shows a hypervisor. \
              Later ones allow one GPU in a guest.",
        fix: "Install driver 465.89 or later in the guest; for older ones hide the hypervisor: kvm=off and another \
              vendor id (hv_vendor_id) on QEMU's -cpu, <kvm><hidden state='on'/></kvm> in libvirt.",
        source: "NVIDIA knowledge base 5173 (GeForce GPU Passthrough for Windows Virtual Machine); QEMU \
              target/i386/cpu.c: kvm property; libvirt domain XML, features/kvm",
    },
    predicts: &["nvidia-code-43"],
    check,
};

const NVIDIA: u16 = 0x10de;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let display = function.class.known().is_some_and(|class| class.base() == 0x03);
        let Some(id) = function.id.known().filter(|id| display && id.vendor == NVIDIA) else {
            findings.skip(function.address, "it is no display of NVIDIA's");
            continue;
        };
        findings.push(
            Finding::new(
                &RULE,
                Severity::Notes,
                function.address,
                "its driver in the guest must be 465.89 or later, or not see the hypervisor",
            )
            .shown(format!("/sys/bus/pci/devices/{}", function.address), id.to_string())
            .remedy(RemedyKind::SpecChange, "for older drivers hide the hypervisor (kvm=off)"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    #[test]
    fn an_nvidia_display_is_noted() {
        let said = check_rule(&RULE, "device 0000:01:00.0 class=030000 id=10de:1c03", "0000:01:00.0");
        assert_eq!(
            said,
            [
                "notes 0000:01:00.0: its driver in the guest must be 465.89 or later, or not see the hypervisor"
            ]
        );
    }

    #[test]
    fn its_sound_and_other_vendors_are_quiet() {
        for device in ["class=040300 id=10de:10f1", "class=030000 id=1002:744c"] {
            let host = format!("device 0000:01:00.0 {device}");
            assert!(check_rule(&RULE, &host, "0000:01:00.0").is_empty(), "{device}");
        }
    }
}
