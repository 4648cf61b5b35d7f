//! `migration-blocked`: a guest with a passed device cannot be migrated, saved or snapshotted.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "migration-blocked",
    definition: "A guest with a passed device cannot be migrated, saved or snapshotted.",
    kind: Kind::Fault,
    rule: None,
    clues: &[
        against("said-migration-added", 3.0),
        primary("migration-hostdev", 3.6),
        primary("migration-vfio", 3.0),
        against("header-127", 1.5),
        against("group-not-viable", 1.5),
        // Where a USB device keeps a guest from being saved, no PCI device does.
        primary("told-migration", 2.0).unless(&["usb-handed"]),
        primary("mon-migration", 2.8),
        against("failover-pair", 1.5),
    ],
    look_alikes: &[LookAlike {
        cause: "none-unrelated",
        tell: "then the migration fails on storage or network",
    }],
    settle: &["Which devices of the guest are passed: `virsh dumpxml`, `qm config`"],
    remedies: &[
        "Detach the device before the migration and attach it after",
        "Shut the guest down instead of saving it",
        "Use a device and driver with VFIO migration support",
    ],
    sources: &[
        "QEMU hw/vfio/migration.c: vfio_migration_realize",
        "libvirt src/qemu/qemu_migration.c; Proxmox VE PVE/QemuMigrate.pm",
    ],
    explanation: "The guest holds {device|a passed device}, whose state cannot be moved, so it can be neither migrated nor saved.",
};
