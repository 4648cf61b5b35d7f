//! Members of ZFS pools, by the labels that udev found on disks, and the pools of ZFS volumes, by the links that udev made.
//!
//! The kernel tells the members of a pool to the programs of ZFS only (`ioctl` on `/dev/zfs`). But udev probes every block
//! device when it appears and keeps what it found in `/run/udev/data/bMAJOR:MINOR` (systemd `src/libsystemd/sd-device`): for a
//! member of a pool `ID_FS_TYPE=zfs_member`, and in `ID_FS_LABEL` the pool's name (util-linux
//! `libblkid/src/superblocks/zfs.c`). A disk that was given to a pool after it was probed is not found, so a pool of which no
//! member is found is unknown, never empty. A volume (`zdN`) has a link `zvol/POOL/…/VOLUME` (OpenZFS
//! `udev/rules.d/60-zvol.rules.in`), which the same records keep.

use slotwise_core::facts::{BlockDevice, Fact, FaultKind, ReadFault, StoragePool, UsageFacts};

use super::text;
use crate::kernel::ReadHost;

const DATABASE: &str = "/run/udev/data";

/// Records have some KiB.
const RECORD_BYTES: usize = 1 << 18;

/// Volumes are called so (OpenZFS `include/sys/fs/zfs.h`: `ZVOL_DEV_NAME`), with a number behind it.
const VOLUME: &str = "zd";

/// A volume, and the pool that it is part of.
pub(super) struct Volume {
    device: String,
    pool: String,
}

/// Pools that something is mounted from or that a volume is part of. The database is read only if there are any.
pub(super) fn pools(host: &dyn ReadHost, usage: &UsageFacts, volumes: &[Volume]) -> Vec<StoragePool> {
    let mounts = usage.mounts.known().into_iter().flatten();
    let mut names: Vec<&str> = mounts
        .filter(|mount| mount.fs_type == "zfs")
        .filter_map(|mount| mount.source.split('/').next())
        .collect();
    names.extend(volumes.iter().map(|volume| volume.pool.as_str()));
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

/// Puts every volume on the members of its pool, as far as these are known.
pub(super) fn put_volumes(volumes: &[Volume], usage: &mut UsageFacts) {
    for volume in volumes {
        let of_it = |known: &&StoragePool| known.fs_type == "zfs" && known.name == volume.pool;
        let members = usage.pools.iter().find(of_it).and_then(|pool| pool.members.known()).cloned();
        let device = match &mut usage.block {
            Fact::Known(devices) => devices.iter_mut().find(|device| device.name == volume.device),
            Fact::Absent | Fact::Unreadable(_) => None,
        };
        if let (Some(device), Some(members)) = (device, members) {
            device.lower.extend(members);
        }
    }
}

/// The volumes among the block devices. A partition of one lies on it.
pub(super) fn volumes(host: &dyn ReadHost, usage: &UsageFacts) -> Vec<Volume> {
    let is_volume = |device: &&BlockDevice| {
        let number = device.name.strip_prefix(VOLUME);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let told = |device: &BlockDevice| {
        let record = text(host, &format!("{DATABASE}/b{}", device.number), RECORD_BYTES).ok()?;
        Some(Volume { device: device.name.clone(), pool: pool_of_volume(&record)?.to_owned() })
    };
    usage.block.known().into_iter().flatten().filter(is_volume).filter_map(told).collect()
}

/// The pool in the record of a volume.
fn pool_of_volume(record: &str) -> Option<&str> {
    record.lines().find_map(|line| line.strip_prefix("S:zvol/")?.split_once('/')).map(|(pool, _)| pool)
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
    let member = label(&record).map(|pool| format!("E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL={pool}\n"));
    // The volume's own name says who uses it.
    let volume = pool_of_volume(&record).map(|pool| format!("S:zvol/{pool}/-\n"));
    Some(format!("{}{}", member.unwrap_or_default(), volume.unwrap_or_default()).into_bytes())
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
        let volume = b"S:disk/by-id/x\nS:zvol/rpool/data/vm-100-secret\n";
        let short = reduced("/run/udev/data/b230:0", volume).expect("a record");
        assert_eq!(short, b"S:zvol/rpool/-\n");
        assert_eq!(pool_of_volume("S:zvol/rpool/-\n"), Some("rpool"));
    }
}
