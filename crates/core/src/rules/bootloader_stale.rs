//! `bootloader-stale`: what is configured for the next boot, what the boot loader will start, and what runs now differ.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::facts::{BootEntry, BootFacts, BootGenerator, BootTemplate, Fact};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "bootloader-stale",
    page: Page {
        what: "A kernel parameter that matters here was written into the boot loader's configuration, and the kernel does not \
              have it: intel_iommu=on stands in /etc/default/grub, and after a reboot the IOMMU is still off. Or the kernel \
              has it by hand only, and loses it at the next boot.",
        why: "/etc/default/grub and /etc/kernel/cmdline are read by a generator, not by the boot loader. What the loader \
              starts stands in grub.cfg or in /boot/loader/entries, and stays as it was until the generator is run. A \
              change there still needs a reboot.",
        fix: "Run the generator: update-grub (Debian), grub2-mkconfig -o /boot/grub2/grub.cfg (Fedora; with \
              --update-bls-cmdline where entries are separate files, or grubby --update-kernel=ALL --args=…), \
              proxmox-boot-tool refresh, kernel-install add. Then reboot.",
        source: "GRUB manual §6.1 (GRUB_CMDLINE_LINUX), util/grub.d/10_linux.in; grubby(8); kernel-install(8): \
              /etc/kernel/cmdline; Boot Loader Specification, type 1 entries; /proc/cmdline",
    },
    predicts: &["iommu-disabled"],
    check,
};

/// Parameters that decide over handing devices out; a point ends a module's name.
const NAMES: &[&str] = &[
    "intel_iommu",
    "amd_iommu",
    "iommu",
    "iommu.passthrough",
    "iommu.strict",
    "intremap",
    "pcie_acs_override",
    "initcall_blacklist",
    "pci",
    "hugetlb_cma",
    "modprobe.blacklist",
    "module_blacklist",
    "rd.driver.pre",
    "rd.driver.blacklist",
];

/// Modules whose parameters do.
const MODULES: &[&str] =
    &["vfio", "vfio_pci", "vfio_iommu_type1", "iommufd", "kvm", "kvm_intel", "kvm_amd", "xen_pciback"];

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let facts = topology.facts();
    let (Some(running), false) = (facts.kernel.command_line.known(), assignment.vms.is_empty()) else {
        findings.skip(Subject::Host, "the running kernel's command line is not known, or there is no VM");
        return;
    };
    let boot = match &facts.boot {
        Fact::Known(boot) => boot,
        Fact::Absent => {
            findings.skip(Subject::Host, "no boot loader's configuration was found");
            return;
        }
        unread @ Fact::Unreadable(_) => {
            let needs = "whether the next boot has the parameters of this one";
            findings.push(cannot_know(Subject::Host, needs, fault(unread)));
            return;
        }
    };
    let release = facts.kernel.release.known().map_or("", String::as_str);
    let entries = entries_of(boot, release, running);
    let seen = format!(
        "{} entries and {} templates of boot loaders agree with what runs",
        entries.len(),
        templates_of(boot, running).count()
    );
    findings.fine(Subject::Host, seen);
    for template in templates_of(boot, running) {
        let configured: Vec<&str> = relevant(&template.parameters).collect();
        for word in configured.iter().filter(|word| !has(running, word)) {
            if entries.is_empty() {
                findings.push(not_running(template, word));
            } else if entries.iter().all(|entry| !has(&entry.parameters, word)) {
                findings.push(not_generated(template, &entries, word));
            }
        }
    }
    for word in distinct(&entries).into_iter().filter(|word| !has(running, word)) {
        let by = entries
            .iter()
            .find(|entry| has(&entry.parameters, word))
            .map_or("", |entry| entry.place.as_str());
        findings.push(reboot_pending(by, running, word));
    }
    if !entries.is_empty() {
        for word in relevant(running).filter(|word| entries.iter().all(|entry| !has(&entry.parameters, word)))
        {
            findings.push(lost(&entries, word));
        }
    }
}

/// Entries of the running kernel where there are some, else all. Where the kernel says who loaded it (`BOOT_IMAGE=` is
/// GRUB's, `grub-core/loader/i386/linux.c`), a menu of another loader does not count.
fn entries_of<'a>(boot: &'a BootFacts, release: &str, running: &str) -> Vec<&'a BootEntry> {
    let under_xen =
        running.contains("placeholder") || boot.entries.iter().all(|entry| entry.hypervisor.is_some());
    let of_kind = || boot.entries.iter().filter(move |entry| entry.hypervisor.is_some() == under_xen);
    let fitting: Vec<&BootEntry> =
        of_kind().filter(|entry| !release.is_empty() && entry.kernel.ends_with(release)).collect();
    if fitting.is_empty() { of_kind().collect() } else { fitting }
}

/// Templates whose generator makes menus for the loader that started this kernel, as far as that is told.
fn templates_of<'a>(boot: &'a BootFacts, running: &'a str) -> impl Iterator<Item = &'a BootTemplate> {
    let by_grub = running.split_whitespace().any(|word| word.starts_with("BOOT_IMAGE="));
    let by_stub = running.split_whitespace().any(|word| word.starts_with("initrd=\\"));
    boot.templates.iter().filter(move |template| match template.generator {
        BootGenerator::GrubMkconfig => !by_stub,
        BootGenerator::KernelInstall => !by_grub,
    })
}

fn relevant(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace().filter(|word| {
        let name = word.split_once('=').map_or(*word, |(name, _)| name);
        let of_module = name
            .split_once('.')
            .is_some_and(|(module, _)| MODULES.contains(&module.replace('-', "_").as_str()));
        NAMES.contains(&name) || of_module
    })
}

/// Whether a line has the word; dashes and underscores are one (`kernel/params.c: dash2underscore`).
fn has(line: &str, word: &str) -> bool {
    let plain = |word: &str| word.replace('-', "_");
    line.split_whitespace().any(|other| plain(other) == plain(word))
}

fn distinct<'a>(entries: &[&'a BootEntry]) -> Vec<&'a str> {
    let mut words: Vec<&str> = entries.iter().flat_map(|entry| relevant(&entry.parameters)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

const fn generate(generator: BootGenerator) -> &'static str {
    match generator {
        BootGenerator::GrubMkconfig => {
            "update-grub (Debian, Ubuntu), grub2-mkconfig -o /boot/grub2/grub.cfg --update-bls-cmdline (Fedora), grub-mkconfig -o \
             /boot/grub/grub.cfg (others)"
        }
        BootGenerator::KernelInstall => {
            "proxmox-boot-tool refresh (Proxmox), kernel-install add-all (others)"
        }
    }
}

fn not_generated(template: &BootTemplate, entries: &[&BootEntry], word: &str) -> Finding {
    let place = entries.first().map_or("", |entry| entry.place.as_str());
    let summary =
        format!("{word} is configured in {}, but not in what the boot loader starts", template.place);
    let finding = Finding::new(&RULE, Severity::Warns, Subject::Host, summary)
        .shown(template.place.clone(), template.parameters.clone());
    let finding = entries.iter().take(2).fold(finding, |finding, entry| {
        finding.shown(entry.place.clone(), format!("{} {}", entry.kernel, entry.parameters))
    });
    let steps = vec![generate(template.generator).to_owned(), "reboot".to_owned()];
    let remedy = super::Remedy::new(RemedyKind::HostChange, format!("make {place} anew, then reboot"))
        .with_steps(steps);
    Finding { remedies: vec![remedy], ..finding }
}

fn not_running(template: &BootTemplate, word: &str) -> Finding {
    let summary = format!("{word} is configured in {}, and this kernel runs without it", template.place);
    let steps = vec![generate(template.generator).to_owned(), "reboot".to_owned()];
    let remedy = super::Remedy::new(RemedyKind::HostChange, "make the boot loader's menu anew, then reboot")
        .with_steps(steps);
    let finding = Finding::new(&RULE, Severity::Warns, Subject::Host, summary)
        .shown(template.place.clone(), template.parameters.clone());
    Finding { remedies: vec![remedy], ..finding }
}

fn reboot_pending(place: &str, running: &str, word: &str) -> Finding {
    Finding::new(
        &RULE,
        Severity::Notes,
        Subject::Host,
        format!("{word} comes with the next boot: this kernel runs without it"),
    )
    .shown(place, word)
    .shown("/proc/cmdline", running)
    .remedy(RemedyKind::HostChange, "reboot")
}

fn lost(entries: &[&BootEntry], word: &str) -> Finding {
    let place = entries.first().map_or("", |entry| entry.place.as_str());
    Finding::new(
        &RULE,
        Severity::Notes,
        Subject::Host,
        format!("{word} is gone with the next boot: no entry has it"),
    )
    .shown("/proc/cmdline", word)
    .shown(place, entries.first().map_or("", |entry| entry.parameters.as_str()))
    .remedy(
        RemedyKind::HostChange,
        format!("add {word} to the boot loader's configuration and make its menu anew"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "kernel 6.1.0-28-amd64
        cmdline BOOT_IMAGE=/vmlinuz-6.1.0-28-amd64 root=UUID=1 ro quiet
        boot grub /etc/default/grub linux: quiet intel_iommu=on
        boot entry /boot/grub/grub.cfg linux: root=UUID=1 ro quiet
        device 0000:03:00.0 class=010802";

    #[test]
    fn a_parameter_that_the_menu_lacks_is_warned_about() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:03:00.0"),
            [
                "warns host: intel_iommu=on is configured in /etc/default/grub, but not in what the boot loader starts"
            ]
        );
    }

    #[test]
    fn a_menu_that_this_boot_does_not_have_yet_is_noted() {
        let host = HOST.replace("linux: root=UUID=1 ro quiet", "linux: root=UUID=1 ro quiet intel_iommu=on");
        assert_eq!(
            check_rule(&RULE, &host, "0000:03:00.0"),
            ["notes host: intel_iommu=on comes with the next boot: this kernel runs without it"]
        );
    }

    #[test]
    fn a_parameter_given_by_hand_is_noted() {
        let host = HOST
            .replace("linux: quiet intel_iommu=on", "linux: quiet")
            .replace("ro quiet\n", "ro quiet vfio-pci.ids=10de:1c03\n");
        let host =
            host.replace("linux: root=UUID=1 ro quiet vfio-pci.ids=10de:1c03", "linux: root=UUID=1 ro quiet");
        assert_eq!(
            check_rule(&RULE, &host, "0000:03:00.0"),
            ["notes host: vfio-pci.ids=10de:1c03 is gone with the next boot: no entry has it"]
        );
    }

    #[test]
    fn without_a_menu_the_running_kernel_counts() {
        let host = HOST.replace("boot entry /boot/grub/grub.cfg linux: root=UUID=1 ro quiet", "");
        assert_eq!(
            check_rule(&RULE, &host, "0000:03:00.0"),
            [
                "warns host: intel_iommu=on is configured in /etc/default/grub, and this kernel runs without it"
            ]
        );
    }

    #[test]
    fn lines_that_agree_and_other_parameters_are_quiet() {
        let agree = HOST.replace("ro quiet", "ro quiet intel_iommu=on");
        assert!(check_rule(&RULE, &agree, "0000:03:00.0").is_empty());
        let other = HOST.replace("intel_iommu=on", "splash loglevel=3");
        assert!(check_rule(&RULE, &other, "0000:03:00.0").is_empty());
        assert!(check_rule(&RULE, "cmdline quiet\ndevice 0000:03:00.0", "0000:03:00.0").is_empty());
    }

    #[test]
    fn the_template_of_a_loader_that_is_not_in_use_is_quiet() {
        let host = HOST.replace("boot grub /etc/default/grub", "boot install /etc/kernel/cmdline");
        assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty());
    }

    #[test]
    fn a_menu_that_could_not_be_read_is_noted() {
        let host = "cmdline quiet\nunread boot\ndevice 0000:03:00.0";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert_eq!(said, ["notes host: cannot tell: whether the next boot has the parameters of this one"]);
    }
}
