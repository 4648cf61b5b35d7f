//! `vfio-modules-missing`: the kernel has no VFIO, neither built in nor as a module.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault};
use crate::facts::{ModuleName, ModuleState};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "vfio-modules-missing",
    page: Page {
        what: "vfio-pci, or what maps memory for it, is not part of the running kernel and not installed for it. \
              Binding does nothing, or QEMU says \"No available IOMMU models\".",
        why: "vfio-pci is the driver that a function is bound to while a guest has it; vfio_iommu_type1 (or iommufd, \
              or vfio_iommu_spapr_tce on POWER) sets up its DMA. Small kernels (cloud, real-time, self-built) leave \
              them out, and modules of a kernel that was just replaced are gone.",
        fix: "Install the package with the kernel's further modules (Ubuntu: linux-modules-extra, Fedora: \
              kernel-modules), reboot into the kernel that modules are installed for, or build one with \
              CONFIG_VFIO_PCI and CONFIG_VFIO_IOMMU_TYPE1.",
        source: "drivers/vfio/Kconfig, drivers/vfio/pci/Kconfig; drivers/vfio/container.c: \
              vfio_container_ioctl_check_extension; QEMU hw/vfio/container.c: vfio_get_iommu_type",
    },
    predicts: &["device-not-bound"],
    check,
};

/// Any one of them maps guest memory.
const MAPPERS: &[&str] = &["vfio_iommu_type1", "iommufd", "vfio_iommu_spapr_tce"];

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    if !assignment.uses_vfio() {
        findings.skip(Subject::Host, "nothing goes through VFIO");
        return;
    }
    let kernel = &topology.facts().kernel;
    let Some(modules) = kernel.modules.known() else {
        let needs = "whether the kernel has vfio-pci";
        findings.push(cannot_know(Subject::Host, needs, fault(&kernel.modules)));
        return;
    };
    let has = |name: &&str| ModuleName::new(name).is_ok_and(|name| modules.contains_key(&name));
    // Driver directories are there for built-in drivers that have no parameters to show.
    let bound = topology.functions().any(|f| f.driver.known().is_some_and(|d| d.as_str() == "vfio-pci"));
    let mut missing = Vec::new();
    if !has(&"vfio_pci") && !bound {
        missing.push("vfio_pci");
    }
    if !MAPPERS.iter().any(has) {
        missing.push("vfio_iommu_type1");
    }
    if missing.is_empty() {
        let state = |name: &str| ModuleName::new(name).ok().and_then(|name| modules.get(&name));
        let state = state("vfio_pci").map_or("bound to a function", |state| state.name());
        findings
            .fine(Subject::Host, format!("vfio_pci is {state}, and one of {} is there", MAPPERS.join(", ")));
        return;
    }
    // Loaded modules alone do not tell what could be loaded.
    let installed = modules.values().any(|state| *state != ModuleState::Loaded);
    if !installed {
        findings.push(cannot_know(
            Subject::Host,
            &format!("whether {} can be loaded", missing.join(" and ")),
            None,
        ));
        return;
    }
    let release = kernel.release.known().map_or("the running kernel", String::as_str);
    let summary = format!("the kernel has no {}: no function can be handed over", missing.join(" and no "));
    findings.push(
        Finding::new(&RULE, Severity::Blocks, Subject::Host, summary)
            .shown(
                format!("/lib/modules/{release}/modules.dep, modules.builtin, /proc/modules"),
                format!("no {}", missing.join(", no ")),
            )
            .remedy(
                RemedyKind::HostChange,
                "install the modules of the running kernel, or reboot into one that has them",
            ),
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:03:00.0 class=010802\nmodule ahci available\nmodule vfio_pci missing";

    #[test]
    fn a_kernel_without_vfio_is_blocked() {
        let said = check_rule(&RULE, HOST, "0000:03:00.0");
        assert_eq!(said, ["blocks host: the kernel has no vfio_pci: no function can be handed over"]);
        let host = format!("{HOST}\nmodule vfio_iommu_type1 missing");
        let said = check_rule(&RULE, &host, "0000:03:00.0");
        assert!(said[0].contains("no vfio_pci and no vfio_iommu_type1"), "{said:?}");
    }

    #[test]
    fn iommufd_maps_memory_too() {
        let host =
            "device 0000:03:00.0 class=010802\nmodule vfio_iommu_type1 missing\nmodule iommufd built-in";
        assert!(check_rule(&RULE, host, "0000:03:00.0").is_empty());
    }

    #[test]
    fn loaded_modules_alone_prove_nothing() {
        let host = "device 0000:03:00.0 class=010802\nmodule vfio_pci missing";
        let said = check_rule(&RULE, host, "0000:03:00.0");
        assert_eq!(said, ["notes host: cannot tell: whether vfio_pci can be loaded"]);
    }

    #[test]
    fn xen_does_without() {
        assert!(check_rule(&RULE, &format!("{HOST}\nvm backend=xen"), "0000:03:00.0").is_empty());
    }
}
