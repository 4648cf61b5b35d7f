//! `host-storage`: the host has file systems mounted from a disk behind this function, none of which it needs to live.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, missing_storage};
use crate::topology::{DependentKind, Topology};

pub(super) const RULE: Rule = Rule {
    id: "host-storage",
    page: Page {
        what: "A file system of the host is mounted from a disk behind this function. The host goes on without it, \
              but what was not written yet is lost, and whoever uses it gets I/O errors.",
        why: "Unbinding the driver removes the disk at once; a mounted file system is not asked. Once the guest \
              writes to the disk, a host that still has it mounted would damage it.",
        fix: "Unmount the file systems (and stop the volumes made of the disk) before the function is handed over.",
        source: "mount table followed through /sys/class/block/*/slaves; block/genhd.c: del_gendisk; fs/super.c: \
              fs_bdev_mark_dead",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    for address in assignment.devices() {
        let dependents = topology.dependents(address);
        let points: Vec<(String, String)> = dependents
            .iter()
            .filter(|dependent| !dependent.kind.is_vital())
            .filter_map(|dependent| match &dependent.kind {
                DependentKind::Mount(point) => Some((point.clone(), dependent.to_string())),
                _ => None,
            })
            .collect();
        if points.is_empty() && !missing_storage(topology).is_empty() {
            findings.skip(address, "what the host has mounted is not known: see boot-disk");
            continue;
        }
        if points.is_empty() {
            findings.fine(address, "nothing beside the system's own is mounted from it");
            continue;
        }
        let names: Vec<&str> = points.iter().map(|(point, _)| point.as_str()).collect();
        let summary = format!("the host has mounted from a disk of this function: {}", names.join(", "));
        let mut finding = Finding::new(&RULE, Severity::Warns, address, summary);
        for (_, chain) in &points {
            finding = finding.shown("/proc/self/mountinfo, /sys/class/block", chain.clone());
        }
        findings.push(finding.remedy(RemedyKind::HostChange, format!("umount {}", names.join(" "))));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:02:04.0 class=010000
        device 0000:03:00.0 class=010802
        block sdb 8:16 function=0000:02:04.0
        block nvme0n1 259:0 function=0000:03:00.0
        mount / 259:0 ext4
        mount /srv 8:16 ext4";

    #[test]
    fn a_data_disk_that_is_mounted_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:02:04.0");
        assert_eq!(said, ["warns 0000:02:04.0: the host has mounted from a disk of this function: /srv"]);
    }

    #[test]
    fn the_boot_disk_is_left_to_its_own_rule() {
        assert!(check_rule(&RULE, HOST, "0000:03:00.0").is_empty());
    }

    #[test]
    fn a_disk_that_nothing_is_mounted_from_is_quiet() {
        let host = HOST.replace("mount /srv 8:16 ext4", "");
        assert!(check_rule(&RULE, &host, "0000:02:04.0").is_empty());
    }
}
