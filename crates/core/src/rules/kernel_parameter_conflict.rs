//! `kernel-parameter-conflict`: the kernel command line contradicts itself, or what is planned.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject};
use crate::facts::{Fact, FunctionFacts, Switch};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "kernel-parameter-conflict",
    page: Page {
        what: "A word on the kernel command line switches off what handing over needs, often beside another that \
              switches it on: the IOMMU, interrupt remapping, message-signalled interrupts, or translation for \
              graphics.",
        why: "Command lines grow by advice from many places. intel_iommu= is read word by word, so the last on or \
              off wins; iommu=off beats intel_iommu=on; amd_iommu=on is no option at all and does nothing; iommu=pt \
              is harmless.",
        fix: "Remove the word from the boot loader's configuration, regenerate it, reboot.",
        source: "drivers/iommu/intel/iommu.c: intel_iommu_setup; arch/x86/kernel/pci-dma.c: iommu_setup; \
              drivers/iommu/amd/init.c: parse_amd_iommu_options; drivers/iommu/irq_remapping.c: setup_irqremap; \
              drivers/pci/msi/msi.c: pci_no_msi",
    },
    predicts: &["iommu-disabled", "no-intremap"],
    check,
};

/// Words that switch the IOMMU off.
const OFF: &[(&str, &str)] = &[("iommu", "off"), ("intel_iommu", "off"), ("amd_iommu", "off")];

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    // Under Xen these words concern the dom0 kernel only, and pci=nomsi is a known cure there.
    if !assignment.uses_vfio() {
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    match &topology.facts().kernel.command_line {
        Fact::Known(line) => findings.fine(Subject::Host, format!("nothing in {line:?} stands against it")),
        Fact::Absent => findings.skip(Subject::Host, "there is no kernel command line"),
        Fact::Unreadable(fault) => {
            findings.skip(Subject::Host, format!("the kernel command line is not known: {fault}"));
        }
    }
    if let Some(word) = blocked_module(topology) {
        let summary = format!("{word} keeps the kernel from loading what hands functions over");
        findings.push(told(topology, &word, &summary));
    }
    if topology.facts().iommu.state != Switch::On {
        OFF.iter().filter_map(|(name, value)| last_has(topology, name, value)).for_each(|word| {
            let on = topology.facts().kernel.words("intel_iommu").find(|word| word.contains("on"));
            let summary = match on {
                Some(on) => format!("{word} stands against {on}: the IOMMU stays off"),
                None => format!("{word} switches the IOMMU off"),
            };
            findings.push(told(topology, &word, &summary));
        });
    }
    if topology.facts().iommu.interrupt_remapping != Switch::On
        && let Some(word) = last_has(topology, "intremap", "off")
    {
        findings.push(told(topology, &word, &format!("{word} switches interrupt remapping off")));
    }
    if let Some(word) = last_has(topology, "pci", "nomsi") {
        let summary =
            format!("{word} leaves every device its interrupt wire only, shared as the board has it");
        findings.push(told(topology, &word, &summary));
    }
    let intel_graphics = |f: &FunctionFacts| {
        f.id.known().is_some_and(|id| id.vendor == 0x8086)
            && f.class.known().is_some_and(|c| c.base() == 0x03)
    };
    if let Some(word) = last_has(topology, "intel_iommu", "igfx_off")
        && assignment.devices().filter_map(|device| topology.function(device)).any(intel_graphics)
    {
        let summary = format!("{word} leaves Intel graphics untranslated: they cannot be handed over");
        findings.push(told(topology, &word, &summary));
    }
}

/// A word by which the kernel refuses to load a module of VFIO (`kernel/module/main.c: blacklisted`); what `modprobe` is told
/// to leave alone (`modprobe.blacklist=`) it loads all the same when it is asked for by name.
fn blocked_module(topology: &Topology) -> Option<String> {
    let mut words = topology.facts().kernel.words("module_blacklist");
    let of_vfio = |word: &&str| {
        let (_, modules) = word.split_once('=').unwrap_or_default();
        modules.split(',').any(|module| {
            let module = module.replace('-', "_");
            matches!(module.as_str(), "vfio" | "vfio_pci" | "vfio_pci_core" | "vfio_iommu_type1")
        })
    };
    words.find(of_vfio).map(str::to_owned)
}

/// The last word of that name whose comma-separated values matter, if it ends up with `value`: a later `on` undoes `off`.
fn last_has(topology: &Topology, name: &str, value: &str) -> Option<String> {
    let mut found = None;
    for word in topology.facts().kernel.words(name) {
        let values = word.split_once('=').map_or("", |(_, values)| values);
        for one in values.split(',') {
            if one == value {
                found = Some(format!("{name}={one}"));
            } else if value == "off" && one == "on" {
                found = None;
            }
        }
    }
    found
}

fn told(topology: &Topology, word: &str, summary: &str) -> Finding {
    let line = topology.facts().kernel.command_line.known().cloned().unwrap_or_default();
    Finding::new(&RULE, Severity::Warns, Subject::Host, summary)
        .shown("/proc/cmdline", line)
        .remedy(RemedyKind::HostChange, format!("take {word} off the kernel command line and reboot"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    fn said(line: &str, iommu: &str) -> Vec<String> {
        let host = format!(
            "iommu {iommu}\ncmdline quiet {line}\ndevice 0000:00:02.0 class=030000 id=8086:5912\ndevice 0000:03:00.0 class=010802"
        );
        check_rule(&RULE, &host, "0000:03:00.0")
    }

    #[test]
    fn off_beside_on_is_told_with_both() {
        assert_eq!(
            said("intel_iommu=on iommu=off", "off"),
            ["warns host: iommu=off stands against intel_iommu=on: the IOMMU stays off"]
        );
        assert_eq!(said("intel_iommu=on,off", "off").len(), 1);
    }

    #[test]
    fn the_last_word_wins() {
        assert!(said("intel_iommu=off intel_iommu=on iommu=pt amd_iommu=on", "off").is_empty());
    }

    #[test]
    fn an_iommu_that_is_on_anyway_is_no_conflict() {
        assert!(said("amd_iommu=off", "on").is_empty());
    }

    #[test]
    fn switches_of_interrupts_are_told() {
        assert_eq!(said("intremap=off", "on intremap=off").len(), 1);
        assert_eq!(said("pci=noaer,nomsi", "on").len(), 1);
        assert!(said("pci=realloc", "on").is_empty());
    }

    #[test]
    fn a_module_that_the_kernel_may_not_load_is_told() {
        assert_eq!(
            said("module_blacklist=nouveau,vfio-pci", "on"),
            [
                "warns host: module_blacklist=nouveau,vfio-pci keeps the kernel from loading what hands functions over"
            ]
        );
        assert!(said("module_blacklist=nouveau modprobe.blacklist=vfio-pci", "on").is_empty());
    }

    #[test]
    fn igfx_off_matters_to_graphics_only() {
        assert!(said("intel_iommu=on,igfx_off", "on").is_empty());
        let host = "iommu on\ncmdline intel_iommu=on,igfx_off\ndevice 0000:00:02.0 class=030000 id=8086:5912";
        assert_eq!(check_rule(&RULE, host, "0000:00:02.0").len(), 1);
    }
}
