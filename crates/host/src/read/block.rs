//! Block devices: which PCI function each hangs under, and which are made of which.
//!
//! `/sys/class/block` (`Documentation/ABI/stable/sysfs-block`, `testing/sysfs-block-dm`). Device-mapper (LVM, LUKS,
//! multipath), md and bcache tell what they are made of in `slaves/`. What user space cannot learn here: the members
//! of a ZFS pool, and what a loop device's file or a network block device stands on.

use slotwise_core::facts::{BlockDevice, Fact, FaultKind, ReadFault, StoragePool, UsageFacts};
use slotwise_core::pci::PciAddress;

use super::mounts::dev_number;
use super::{ATTRIBUTE_BYTES, base_name, fact, fault, malformed, names, text};
use crate::kernel::{ReadError, ReadHost};

const BLOCK: &str = "/sys/class/block";
const BTRFS: &str = "/sys/fs/btrfs";

/// Sizes in sysfs are in sectors of this many bytes, whatever the device's own (`include/linux/types.h`: `sector_t`).
const SECTOR_BYTES: u64 = 512;

pub(super) fn block_devices(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<BlockDevice>> {
    fact(host.list(BLOCK)).map(|listed| {
        let mut devices: Vec<BlockDevice> = Vec::new();
        for name in listed {
            match device(host, &name) {
                Ok(Some(device)) => devices.push(device),
                Ok(None) => faults.push(malformed(&format!("{BLOCK}/{name}/dev"), "expected MAJOR:MINOR")),
                Err(error) => faults.push(fault(&error)),
            }
        }
        multipath_heads(host, &mut devices);
        devices
    })
}

fn device(host: &dyn ReadHost, name: &str) -> Result<Option<BlockDevice>, ReadError> {
    let path = format!("{BLOCK}/{name}");
    let attribute = |file: &str| match text(host, &format!("{path}/{file}"), ATTRIBUTE_BYTES) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    };
    // A hidden path of a multipath NVMe namespace has no number.
    let number = match attribute("dev")? {
        Some(text) => dev_number(&text),
        None => Some(slotwise_core::facts::DevNumber { major: 0, minor: 0 }),
    };
    let Some(number) = number else { return Ok(None) };
    let place = host.link(&path).unwrap_or_default();
    let mut lower = host.list(&format!("{path}/slaves")).unwrap_or_default();
    // A partition's directory lies within that of its disk, which lies in `block/`.
    let mut above = place.rsplit('/').skip(1);
    if let (Some(disk), Some("block")) = (above.next(), above.next()) {
        lower.push(disk.to_owned());
    }
    let model = [attribute("device/vendor")?, attribute("device/model")?];
    let model: Vec<String> = model.into_iter().flatten().filter(|part| !part.starts_with("0x")).collect();
    Ok(Some(BlockDevice {
        name: name.to_owned(),
        number,
        function: function_below(&place),
        lower,
        volume: attribute("dm/name")?,
        model: (!model.is_empty()).then(|| model.join(" ")),
        bytes: attribute("size")?.and_then(|size| size.parse::<u64>().ok()?.checked_mul(SECTOR_BYTES)),
    }))
}

/// The last PCI function in the place of a device: what it hangs under.
pub(super) fn function_below(place: &str) -> Option<PciAddress> {
    place.rsplit('/').find_map(|part| part.parse().ok())
}

/// With native NVMe multipath a namespace's disk hangs under its subsystem, which is no PCI device
/// (`drivers/nvme/host/multipath.c`); its paths, `nvmeXcYnZ` for `nvmeXnZ`, hang under their controllers. Some kernels
/// hide the paths from `/sys/class/block`; then the subsystem's links to its controllers tell.
fn multipath_heads(host: &dyn ReadHost, devices: &mut [BlockDevice]) {
    let names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    for device in devices.iter_mut().filter(|device| device.function.is_none()) {
        let Some((subsystem, namespace)) =
            device.name.strip_prefix("nvme").and_then(|rest| rest.split_once('n'))
        else {
            continue;
        };
        if namespace.is_empty() || !namespace.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let (head, tail) = (format!("nvme{subsystem}c"), format!("n{namespace}"));
        let is_path = |name: &&String| name.starts_with(&head) && name.ends_with(&tail);
        device.lower.extend(names.iter().filter(is_path).cloned());
        if device.lower.is_empty() {
            let directory = format!("/sys/class/nvme-subsystem/nvme-subsys{subsystem}");
            let controllers = host.list(&directory).unwrap_or_default();
            device.function = controllers
                .iter()
                .filter(|name| name.strip_prefix("nvme").is_some_and(|rest| rest.parse::<u32>().is_ok()))
                .find_map(|name| function_below(&host.link(&format!("{directory}/{name}")).ok()?));
        }
    }
}

/// File systems on several devices: btrfs says which, ZFS is only known to be there.
pub(super) fn pools(
    host: &dyn ReadHost,
    usage: &UsageFacts,
    faults: &mut Vec<ReadFault>,
) -> Vec<StoragePool> {
    let mut pools = Vec::new();
    for name in names(host, BTRFS, faults) {
        // The others are `features` and `debug`.
        let is_uuid = name.len() == 36 && name.bytes().filter(|b| *b == b'-').count() == 4;
        if is_uuid {
            let members = fact(host.list(&format!("{BTRFS}/{name}/devices")));
            pools.push(StoragePool { fs_type: "btrfs".to_owned(), name, members });
        }
    }
    let mounts = usage.mounts.known().into_iter().flatten();
    let mut zfs: Vec<&str> = mounts
        .filter(|mount| mount.fs_type == "zfs")
        .filter_map(|mount| mount.source.split('/').next())
        .collect();
    zfs.sort_unstable();
    zfs.dedup();
    for name in zfs {
        let kind =
            FaultKind::Failed("the kernel does not tell the members of a ZFS pool in files".to_owned());
        pools.push(StoragePool {
            fs_type: "zfs".to_owned(),
            name: name.to_owned(),
            members: Fact::Unreadable(ReadFault { place: format!("zpool {}", base_name(name)), kind }),
        });
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_is_the_last_address_on_the_way() {
        let place = "../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0/nvme/nvme0/nvme0n1/nvme0n1p1";
        assert_eq!(function_below(place).map(|a| a.to_string()).as_deref(), Some("0000:03:00.0"));
        assert_eq!(function_below("../../devices/virtual/block/dm-0"), None);
    }
}
