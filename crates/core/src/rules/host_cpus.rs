//! `host-cpus`: the VMs together want more processors than the host has beside what it keeps.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "host-cpus",
    page: Page {
        what: "All VMs run, but guests stall now and then: sound crackles, interrupts of passed devices are late, the host \
              answers slowly.",
        why: "Each virtual processor is a thread of the host. Where there are more of them than processors, one waits while \
              another runs, and a guest that waits for a lock whose holder does not run loses that time as well.",
        fix: "Give the VMs fewer processors. What the host shall keep is said by `cpus` in the spec's [host].",
        source: "Documentation/admin-guide/cputopology.rst: /sys/devices/system/cpu/online; virt/kvm/kvm_main.c: \
              kvm_vcpu_on_spin",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let kept = assignment.reserve.cpus;
    let online = &topology.facts().platform.cpu.online;
    // A dom0 sees its own processors only.
    let here = || assignment.vms.iter().filter(|vm| vm.uses_vfio());
    let Some(online) = online.known().copied().filter(|_| here().next().is_some()) else {
        if kept.is_some() {
            let needs = "whether the host has processors for all VMs (/sys/devices/system/cpu/online)";
            findings.push(cannot_know(Subject::Host, needs, fault(online)));
        } else {
            findings
                .skip(Subject::Host, "how many processors the host has is not told, and the spec keeps none");
        }
        return;
    };
    let place = "/sys/devices/system/cpu/online";
    for vm in here().filter(|vm| u32::from(vm.cpus.get()) > online) {
        let summary = format!("{} processors for it alone, the host has {online}", vm.cpus.get());
        findings.push(
            Finding::new(&RULE, Severity::Warns, &vm.name, summary)
                .shown(place, online.to_string())
                .remedy(RemedyKind::SpecChange, format!("cpus = {online} or fewer")),
        );
    }
    let wanted: u32 = here().map(|vm| u32::from(vm.cpus.get())).sum();
    let left = online.saturating_sub(wanted);
    let (severity, summary) = match kept.map(|kept| u32::from(kept.get())) {
        Some(kept) if left < kept => {
            (Severity::Warns, format!("the VMs want {wanted} of {online} processors, the host keeps {kept}"))
        }
        None if wanted > online => {
            (Severity::Notes, format!("the VMs want {wanted} processors, the host has {online}"))
        }
        _ => {
            findings.fine(Subject::Host, format!("the VMs want {wanted} of {online} processors"));
            return;
        }
    };
    findings.push(
        Finding::new(&RULE, severity, Subject::Host, summary)
            .shown(place, online.to_string())
            .remedy(RemedyKind::SpecChange, "give the VMs fewer processors"),
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "vm cpus=3
        platform cpus=8
        device 0000:03:00.0 class=010802
        device 0000:04:00.0 class=010802
        device 0000:05:00.0 class=010802";

    #[test]
    fn processors_that_the_host_keeps_are_warned_about() {
        let host = format!("{HOST}\nreserve cpus=4");
        let said = check_rule(&RULE, &host, "0000:03:00.0 | 0000:04:00.0");
        assert_eq!(said, ["warns host: the VMs want 6 of 8 processors, the host keeps 4"]);
        let two = host.replace("cpus=4", "cpus=2");
        assert!(check_rule(&RULE, &two, "0000:03:00.0 | 0000:04:00.0").is_empty());
    }

    #[test]
    fn more_than_there_are_is_noted_and_for_one_machine_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0 | 0000:04:00.0 | 0000:05:00.0");
        assert_eq!(said, ["notes host: the VMs want 9 processors, the host has 8"]);
        let said = check_rule(&RULE, &HOST.replace("vm cpus=3", "vm cpus=16"), "0000:03:00.0");
        assert_eq!(said[0], "warns vm1: 16 processors for it alone, the host has 8");
    }

    #[test]
    fn an_untold_number_is_unknown_where_the_spec_keeps_some() {
        let host = HOST.replace("platform cpus=8", "reserve cpus=2");
        assert!(check_rule(&RULE, &host, "0000:03:00.0")[0].starts_with("notes host: cannot tell"));
        assert!(check_rule(&RULE, &HOST.replace("platform cpus=8", ""), "0000:03:00.0").is_empty());
    }
}
