//! Members of ZFS pools, by the labels that udev found on disks.
//!
//! The kernel tells the members of a pool to the programs of ZFS only (`ioctl` on `/dev/zfs`). But udev probes every block
//! device when it appears and keeps what it found in `/run/udev/data/bMAJOR:MINOR` (systemd `src/libsystemd/sd-device`): for a
//! member of a pool `ID_FS_TYPE=zfs_member`, and in `ID_FS_LABEL` the pool's name (util-linux
//! `libblkid/src/superblocks/zfs.c`). A disk that was given to a pool after it was probed is not found, so a pool of which no
//! member is found is unknown, never empty.

use slotwise_core::facts::{BlockDevice, Fact, FaultKind, ReadFault, StoragePool, UsageFacts};

use super::text;
use crate::kernel::ReadHost;

const DATABASE: &str = "/run/udev/data";

/// Records have some KiB.
const RECORD_BYTES: usize = 1 << 18;

/// Pools that something is mounted from. The database is read only if there are any.
pub(super) fn pools(host: &dyn ReadHost, usage: &UsageFacts) -> Vec<StoragePool> {
    let mounts = usage.mounts.known().into_iter().flatten();
    let mut names: Vec<&str> = mounts
        .filter(|mount| mount.fs_type == "zfs")
        .filter_map(|mount| mount.source.split('/').next())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Vec::new();
    }
    let labelled = |device: &BlockDevice| {
        let record = text(host, &format!("{DATABASE}/b{}", device.number), RECORD_BYTES).ok()?;
        Some((label(&record)?.to_owned(), device.name.clone()))
    };
    let labels: Vec<(String, String)> =
        usage.block.known().into_iter().flatten().filter_map(labelled).collect();
    let pool = |name: &str| {
        let members: Vec<String> =
            labels.iter().filter(|(pool, _)| pool == name).map(|(_, device)| device.clone()).collect();
        let unknown = || {
            ReadFault::new(
                format!("zpool {name}"),
                FaultKind::Failed("no disk is labelled as a member of this ZFS pool".to_owned()),
            )
        };
        let members = if members.is_empty() { Fact::Unreadable(unknown()) } else { Fact::Known(members) };
        StoragePool { fs_type: "zfs".to_owned(), name: name.to_owned(), members }
    };
    names.into_iter().map(pool).collect()
}

/// The pool's name in the record of one of its members.
fn label(record: &str) -> Option<&str> {
    let property = |name: &str| {
        record.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(name)?.strip_prefix('='))
    };
    (property("ID_FS_TYPE") == Some("zfs_member")).then(|| property("ID_FS_LABEL")).flatten()
}

/// What is needed of a record: it holds serial numbers as well.
pub(crate) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    path.strip_prefix(DATABASE)?.strip_prefix("/b")?;
    let record = String::from_utf8_lossy(bytes);
    let pool = label(&record).map(|pool| format!("E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL={pool}\n"));
    Some(pool.unwrap_or_default().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_of_a_member_is_its_pool() {
        let record = "S:disk/by-id/x\nE:ID_FS_LABEL=rpool\nE:ID_FS_TYPE=zfs_member\nE:ID_SERIAL=secret\n";
        assert_eq!(label(record), Some("rpool"));
        assert_eq!(label(&record.replace("zfs_member", "ext4")), None);
        let short = reduced("/run/udev/data/b8:1", record.as_bytes()).expect("a record");
        let short = String::from_utf8(short).expect("text");
        assert_eq!((label(&short), short.contains("secret")), (Some("rpool"), false));
        assert_eq!(reduced("/run/udev/data/c13:64", b""), None);
    }
}
