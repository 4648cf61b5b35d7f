//! `boot-disk`: the host runs from a disk behind this controller.

use super::{
    Assignment, Evidence, Finding, Findings, Page, Remedy, RemedyKind, Rule, Severity, Subject, cannot_know,
    fault, missing_storage,
};
use crate::pci::PciAddress;
use crate::topology::{Dependent, DependentKind, Topology};

pub(super) const RULE: Rule = Rule {
    id: "boot-disk",
    page: Page {
        what: "A file system that the host runs from, or its swap, lies on a disk behind this function. Taking the \
              function away kills the host.",
        why: "When the driver is unbound the disk disappears under the mounted file system: reads fail, the journal \
              aborts, swapped-out pages are lost. Volumes (LVM, LUKS, md, multipath) only hide which disk it is.",
        fix: "Hand over another controller, move the disk to another controller, or boot the host from elsewhere.",
        source: "mount table (/proc/self/mountinfo) followed through /sys/class/block/*/slaves and partitions down \
              to the PCI function; drivers/scsi/hosts.c: scsi_remove_host",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let usage = &topology.facts().usage;
    let storage = missing_storage(topology);
    for address in assignment.devices() {
        let mut blocks = usage.block.known().into_iter().flatten();
        let has_disk = blocks.any(|block| block.function == Some(address));
        // Which disks a mounted pool lies on matters to functions that have one.
        let pools = usage.pools.iter().filter(|_| has_disk).filter_map(|pool| fault(&pool.members));
        let mut unread = storage.iter().chain(pools);
        if may_have_disks(topology, address)
            && let Some(first) = unread.next()
        {
            let needs = "whether the host runs from a disk of this function";
            let note = cannot_know(Subject::Device(address), needs, Some(first));
            findings.push(
                unread.fold(note, |note, fault| note.shown(fault.place.clone(), fault.kind.to_string())),
            );
        }
        if topology.is_volume_manager(address) && topology.volume_managers() > 1 {
            let behind = topology.behind_volume_managers();
            let mut vital = behind.flat_map(|f| topology.dependents(f)).filter(|d| d.kind.is_vital());
            if let Some(vital) = vital.next() {
                let needs = format!("whether {vital} hangs on this one of several volume management devices");
                findings.push(cannot_know(Subject::Device(address), &needs, None));
            }
        }
        let dependents = topology.dependents(address);
        let vital: Vec<&Dependent> = dependents.iter().filter(|d| d.kind.is_vital()).collect();
        if !vital.is_empty() {
            findings.push(blocked(address, &vital));
        } else if dependents.is_empty() {
            findings.fine(address, "nothing of the host hangs on it");
        } else {
            let used: Vec<String> = dependents.iter().map(ToString::to_string).collect();
            findings.fine(address, format!("the host can live without {}", used.join("; ")));
        }
    }
}

/// Whether disks may hang on a function of its class. Displays, sound, memory, serial ports, inputs, processors, radios and
/// accelerators have none (PCI Code and ID Assignment 1.11 §1).
fn may_have_disks(topology: &Topology, address: PciAddress) -> bool {
    const WITHOUT: [u8; 9] = [0x03, 0x04, 0x05, 0x07, 0x09, 0x0b, 0x0d, 0x11, 0x12];
    let class = topology.function(address).and_then(|f| f.class.known());
    class.is_none_or(|class| !WITHOUT.contains(&class.base()))
}

fn blocked(address: PciAddress, vital: &[&Dependent]) -> Finding {
    let points: Vec<String> = vital
        .iter()
        .map(|d| match &d.kind {
            DependentKind::Mount(point) => point.clone(),
            _ => "swap".to_owned(),
        })
        .collect();
    Finding {
        rule: RULE.id,
        severity: Severity::Blocks,
        subject: Subject::Device(address),
        summary: format!("the host runs from a disk of this function: {}", points.join(", ")),
        why: RULE.page.why.to_owned(),
        evidence: vital
            .iter()
            .map(|d| Evidence::new("/proc/self/mountinfo, /sys/class/block", d.to_string()))
            .collect(),
        remedies: vec![
            Remedy::new(RemedyKind::SpecChange, "hand over another controller"),
            Remedy::new(
                RemedyKind::Hardware,
                "move the host's disk to a controller that stays with the host",
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const LVM: &str = "device 0000:00:1f.2 class=010601
        device 0000:02:04.0 class=010000
        block sda 8:0 function=0000:00:1f.2
        block sda2 8:2 lower=sda
        block dm-0 254:0 lower=sda2 volume=vg0-root
        block sdb 8:16 function=0000:02:04.0
        mount / 254:0 ext4
        mount /srv 8:16 ext4";

    #[test]
    fn a_tree_without_mounts_tells_nothing_of_them() {
        let host = "device 0000:00:1f.2 class=010601\ndevice 0000:00:1b.0 class=040300\nabsent mounts";
        let said = check_rule(&RULE, host, "0000:00:1f.2 0000:00:1b.0");
        assert_eq!(
            said,
            ["notes 0000:00:1f.2: cannot tell: whether the host runs from a disk of this function"]
        );
    }

    #[test]
    fn a_volume_management_device_takes_its_disks_along() {
        let host = "device 0000:00:0e.0 class=010400 id=8086:467f driver=vmd
            device 10000:e1:00.0 class=010802 id=144d:a808 driver=nvme
            block nvme0n1 259:0 function=10000:e1:00.0
            mount / 259:0 ext4";
        assert_eq!(
            check_rule(&RULE, host, "0000:00:0e.0"),
            ["blocks 0000:00:0e.0: the host runs from a disk of this function: /"]
        );
        let two = format!("{host}\ndevice 0000:17:05.5 class=010400 id=8086:28c0 driver=vmd");
        assert!(check_rule(&RULE, &two, "0000:17:05.5")[0].starts_with("notes 0000:17:05.5: cannot tell"));
    }

    #[test]
    fn root_on_a_volume_is_followed_down_to_its_controller() {
        let said = check_rule(&RULE, LVM, "0000:00:1f.2");
        assert_eq!(said, ["blocks 0000:00:1f.2: the host runs from a disk of this function: /"]);
    }

    #[test]
    fn a_disk_that_the_host_can_do_without_does_not_block() {
        assert!(check_rule(&RULE, LVM, "0000:02:04.0").is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_one_note() {
        let host = "device 0000:00:1f.2\nunread mounts\nunread block";
        let said = check_rule(&RULE, host, "0000:00:1f.2");
        assert_eq!(
            said,
            ["notes 0000:00:1f.2: cannot tell: whether the host runs from a disk of this function"]
        );
    }

    #[test]
    fn swap_counts() {
        let host = "device 0000:00:1f.2 class=010601\nblock sda 8:0 function=0000:00:1f.2\nswap /dev/sda";
        assert_eq!(check_rule(&RULE, host, "0000:00:1f.2").len(), 1);
    }
}
