//! `guest-root-lost`: with a controller of real disks in it, the guest's own disk may no longer be called what it was.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity};
use crate::topology::Topology;
use crate::vm::BackendKind;

pub(super) const RULE: Rule = Rule {
    id: "guest-root-lost",
    page: Page {
        what: "The guest's kernel starts and then waits for its root file system, or stops with \"VFS: Unable to mount root \
              fs\", \"ALERT! /dev/sda1 does not exist\", Windows with INACCESSIBLE_BOOT_DEVICE.",
        why: "Linux numbers SCSI and ATA disks (sda, sdb …) in the order in which they are found, and a passed controller \
              may be found before the machine's own. Firmware may also try its disks first. A guest that was installed on \
              the passed controller lacks the driver for a virtual one, and the other way round. In a Xen HVM domain the \
              paravirtual drivers take the emulated disks away when they load, and need a free interrupt for their own.",
        fix: "Name the root by UUID or label in the guest's boot loader and fstab, have both controllers' drivers in its \
              initramfs, and give the disk to boot from the first place (bootindex).",
        source: "Linux Documentation/admin-guide/devices.txt; drivers/scsi/sd.c: sd_probe (ida_alloc); init/do_mounts.c; \
              drivers/xen/platform-pci.c, arch/x86/xen/platform-pci-unplug.c: xen_unplug_emulated_devices; QEMU \
              docs/bootindex.txt",
    },
    predicts: &["guest-root-lost"],
    check,
};

/// Sub-classes of mass storage whose disks Linux calls sd: SCSI, IDE, RAID, ATA, SATA, SAS (PCI Code and ID Assignment 1.11
/// §1.2). NVMe disks have names of their own.
const CALLED_SD: [u16; 6] = [0x0100, 0x0101, 0x0104, 0x0105, 0x0106, 0x0107];

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for (vm, address) in assignment.given() {
        let Some(class) = topology.function(address).and_then(|f| f.class.known()) else {
            findings.skip(address, "its class is not known");
            continue;
        };
        if !CALLED_SD.contains(&class.base_and_sub()) {
            findings.skip(address, format!("it has no disks that are called sd (class {class})"));
            continue;
        }
        let summary = format!("disks of VM {} may be named anew beside those of this controller", vm.name);
        let finding = Finding::new(&RULE, Severity::Notes, address, summary)
            .shown(format!("/sys/bus/pci/devices/{address}/class"), class.to_string())
            .remedy(RemedyKind::SpecChange, "name the guest's root file system by UUID");
        findings.push(if vm.backend == BackendKind::Xen {
            finding.remedy(RemedyKind::SpecChange, "or attach the controller after the guest has booted")
        } else {
            finding
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:02:04.0 class=010000
        device 0000:03:00.0 class=010802
        device 0000:04:00.0 class=020000";

    #[test]
    fn a_disk_controller_is_noted() {
        assert_eq!(
            check_rule(&RULE, HOST, "0000:02:04.0"),
            ["notes 0000:02:04.0: disks of VM vm1 may be named anew beside those of this controller"]
        );
    }

    #[test]
    fn nvme_whose_disks_have_other_names_and_other_classes_are_quiet() {
        assert!(check_rule(&RULE, HOST, "0000:03:00.0 0000:04:00.0").is_empty());
    }
}
