//! `xen-no-free-pirq`: the devices of a Xen guest want more interrupts than Xen gives a guest.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, VmAssignment, cannot_know,
};
use crate::facts::BootFacts;
use crate::pci::PciAddress;
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "xen-no-free-pirq",
    page: Page {
        what: "Xen prints \"domN: no free pirq\", the guest \"xen map irq failed -22\" or \"-28\"; the device that comes last \
              works without its interrupts, or not at all.",
        why: "Each message-signalled interrupt of a guest's devices takes a number of its own, a pirq. Beside one for each \
              interrupt pin of the board a guest has 32 of them, unless Xen was started with extra_guest_irqs. A device \
              with MSI takes one, a device with MSI-X as many as the guest's driver asks for, mostly one for each \
              processor and one more. Interrupt pins have numbers of their own; with Xen 4.1 the guest's lines had to \
              do with those of the board's pins (16 to 23 where there is one I/O APIC), and the second device found none.",
        fix: "Start Xen with extra_guest_irqs=64 (or more), give the VM fewer processors or devices, or limit the vectors in \
              the guest's driver.",
        source: "xen common/domain.c: extra_domU_irqs, domain_create; arch/x86/irq.c: get_free_pirq, allocate_pirq; \
              docs/misc/xen-command-line.pandoc: extra_guest_irqs; QEMU hw/xen/xen_pt_msi.c: msi_msix_setup",
    },
    predicts: &["xen-no-free-pirq"],
    check,
};

/// What a guest has beside the board's pins (`xen/common/domain.c: extra_domU_irqs`).
const DEFAULT_EXTRA: u64 = 32;

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let (extra, place) = extra(topology);
    for vm in &assignment.vms {
        if vm.backend != BackendKind::Xen {
            findings.skip(&vm.name, "it is not Xen's");
            continue;
        }
        let mut needs = Vec::new();
        for address in &vm.devices {
            match need(topology, vm, *address) {
                Some(need) => needs.push((*address, need)),
                None => findings.push(cannot_know(
                    Subject::Device(*address),
                    "how many interrupts it asks for (its capabilities could not be read)",
                    None,
                )),
            }
        }
        let likely: u64 = needs.iter().map(|(_, need)| need.likely).sum();
        let most: u64 = needs.iter().map(|(_, need)| need.most).sum();
        let (severity, summary) = if likely > extra {
            (
                Severity::Warns,
                format!("its devices want about {likely} interrupts, Xen gives a guest {extra}"),
            )
        } else if most > extra {
            (Severity::Notes, format!("its devices can ask for {most} interrupts, Xen gives a guest {extra}"))
        } else {
            findings.fine(&vm.name, format!("its devices ask for {most} interrupts at most, of {extra}"));
            continue;
        };
        let finding = Finding::new(&RULE, severity, &vm.name, summary)
            .shown(place.clone(), format!("{extra} beside the board's pins"));
        let finding = needs.iter().filter(|(_, need)| need.most > 0).take(8).fold(
            finding,
            |finding, (address, need)| {
                finding.shown(format!("/sys/bus/pci/devices/{address}/config"), need.text.clone())
            },
        );
        findings.push(
            finding
                .remedy(
                    RemedyKind::HostChange,
                    format!("start Xen with extra_guest_irqs={}", most.next_power_of_two()),
                )
                .remedy(RemedyKind::SpecChange, "give the VM fewer processors or fewer devices"),
        );
    }
}

/// How many pirqs a device takes.
struct Need {
    likely: u64,
    most: u64,
    text: String,
}

/// None if its capabilities could not be read. Of MSI the device model offers one vector only (`hw/xen/xen_pt_config_init.c:
/// xen_pt_emu_reg_msi`, the multiple message fields read 0).
fn need(topology: &Topology, vm: &VmAssignment, address: PciAddress) -> Option<Need> {
    let features = topology.function(address)?.features();
    let processors = u64::from(vm.cpus.get());
    match (features.msix_vectors, features.msi_vectors) {
        (Some(vectors), _) if vectors > 0 => {
            let most = u64::from(vectors);
            let text = format!("MSI-X with {vectors} vectors");
            Some(Need { likely: most.min(processors + 1), most, text })
        }
        (_, Some(vectors)) if vectors > 0 => Some(Need { likely: 1, most: 1, text: "MSI".to_owned() }),
        (Some(_), Some(_)) => Some(Need { likely: 0, most: 0, text: String::new() }),
        _ => None,
    }
}

/// The number in force, as far as the boot loader's entries tell what Xen was started with.
fn extra(topology: &Topology) -> (u64, String) {
    let entries = topology.facts().boot.known().map_or(&[][..], |boot: &BootFacts| boot.entries.as_slice());
    let told = entries.iter().find_map(|entry| {
        let word = entry
            .hypervisor
            .as_deref()?
            .split_whitespace()
            .find_map(|w| w.strip_prefix("extra_guest_irqs="))?;
        Some((word.split(',').next()?.parse().ok()?, entry.place.clone()))
    });
    told.unwrap_or_else(|| (DEFAULT_EXTRA, "Xen's default (extra_guest_irqs)".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    /// MSI-X with 64 vectors, MSI, neither.
    const HOST: &str = "vm backend=xen memory=2G cpus=4
        device 0000:05:00.0 class=020000 config=256,04:00100000,34:40,40:003f0011
        device 0000:06:00.0 class=030000 config=256,04:00100000,34:40,40:00000005
        device 0000:07:00.0 class=0c0320 config=256";

    #[test]
    fn more_than_xen_gives_is_warned_about() {
        let said = check_rule(&RULE, &HOST.replace("cpus=4", "cpus=32"), "0000:05:00.0");
        assert_eq!(said, ["warns vm1: its devices want about 33 interrupts, Xen gives a guest 32"]);
    }

    #[test]
    fn what_only_a_greedy_driver_would_take_is_noted() {
        let said = check_rule(&RULE, HOST, "0000:05:00.0 0000:06:00.0");
        assert_eq!(said, ["notes vm1: its devices can ask for 65 interrupts, Xen gives a guest 32"]);
    }

    #[test]
    fn few_interrupts_a_higher_limit_and_other_monitors_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:06:00.0 0000:07:00.0").is_empty());
        let raised =
            format!("{HOST}\nboot entry /boot/grub/grub.cfg xen: extra_guest_irqs=128,512 linux: quiet");
        assert!(check_rule(&RULE, &raised, "0000:05:00.0 0000:06:00.0").is_empty());
        assert!(check_rule(&RULE, &HOST.replace("backend=xen", ""), "0000:05:00.0").is_empty());
    }

    #[test]
    fn unread_capabilities_are_noted() {
        let said = check_rule(&RULE, "vm backend=xen\ndevice 0000:05:00.0 unread=config", "0000:05:00.0");
        assert!(said[0].starts_with("notes 0000:05:00.0: cannot tell: how many interrupts"), "{said:?}");
    }
}
