//! Block devices: which PCI function each hangs under, and which are made of which.
//!
//! `/sys/class/block` (`Documentation/ABI/stable/sysfs-block`, `testing/sysfs-block-dm`). Device-mapper (LVM, LUKS,
//! multipath), md and bcache tell what they are made of in `slaves/`. The members of a ZFS pool, and the pool of a ZFS volume, are
//! not in sysfs; udev's database has them (`zfs_pools.rs`). What user space cannot learn here: what a loop device's file or a
//! network block device stands on.

use slotwise_core::facts::{BlockDevice, DevNumber, Fact, ReadFault, StoragePool, UsageFacts};
use slotwise_core::pci::PciAddress;

use super::mounts::dev_number;
use super::{ATTRIBUTE_BYTES, fact, fault, malformed, names, text, zfs_pools};
use crate::kernel::{ReadError, ReadHost};

const BLOCK: &str = "/sys/class/block";
const BTRFS: &str = "/sys/fs/btrfs";

/// Sizes in sysfs are in sectors of this many bytes, whatever the device's own (`include/linux/types.h`: `sector_t`).
const SECTOR_BYTES: u64 = 512;

/// No device has this number.
const HIDDEN: DevNumber = DevNumber { major: 0, minor: 0 };

pub(super) fn block_devices(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<BlockDevice>> {
    fact(host.list(BLOCK)).map(|listed| {
        let mut devices: Vec<BlockDevice> =
            listed.into_iter().map(|name| device(host, name, faults)).collect();
        multipath_heads(host, &mut devices);
        devices
    })
}

/// One device. What cannot be read of it is told; the device is kept, since what stands on it may be in use.
fn device(host: &dyn ReadHost, name: String, faults: &mut Vec<ReadFault>) -> BlockDevice {
    let path = format!("{BLOCK}/{name}");
    let mut attribute = |file: &str| {
        let text = or_none(text(host, &format!("{path}/{file}"), ATTRIBUTE_BYTES), faults);
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let [number, volume, size] = ["dev", "dm/name", "size"].map(&mut attribute);
    let model = ["device/vendor", "device/model"].map(&mut attribute);
    // A number in place of the vendor's name is that of another bus (virtio, MMC).
    let model: Vec<String> = model.into_iter().flatten().filter(|part| !part.starts_with("0x")).collect();
    // A hidden path of a multipath NVMe namespace has no number.
    let number = number.map_or(Some(HIDDEN), |text| dev_number(&text)).unwrap_or_else(|| {
        faults.push(malformed(&format!("{path}/dev"), "expected MAJOR:MINOR"));
        HIDDEN
    });
    let place = or_none(host.link(&path), faults);
    let mut lower = or_none(host.list(&format!("{path}/slaves")), faults);
    // A partition's directory lies within that of its disk, which lies in `block/`.
    let mut above = place.rsplit('/').skip(1);
    if let (Some(disk), Some("block")) = (above.next(), above.next()) {
        lower.push(disk.to_owned());
    }
    BlockDevice {
        function: function_below(&place),
        name,
        number,
        lower,
        volume,
        model: (!model.is_empty()).then(|| model.join(" ")),
        bytes: size.and_then(|size| size.parse::<u64>().ok()?.checked_mul(SECTOR_BYTES)),
    }
}

/// What was read, or nothing; that it could not be read is told.
pub(super) fn or_none<T: Default>(answer: Result<T, ReadError>, faults: &mut Vec<ReadFault>) -> T {
    answer.unwrap_or_else(|error| {
        if !error.is_not_found() {
            faults.push(fault(&error));
        }
        T::default()
    })
}

/// The last PCI function in the place of a device: what it hangs under. Only names with all their digits count: those of
/// serial ports look like addresses that people shorten (`00:04:0.0` in `drivers/tty/serial/serial_base_bus.c`).
pub(super) fn function_below(place: &str) -> Option<PciAddress> {
    let whole = |part: &str| part.parse::<PciAddress>().ok().filter(|address| address.to_string() == part);
    place.rsplit('/').find_map(whole)
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

/// File systems on several devices.
pub(super) fn pools(
    host: &dyn ReadHost,
    usage: &UsageFacts,
    volumes: &[zfs_pools::Volume],
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
    pools.extend(zfs_pools::pools(host, usage, volumes));
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
        assert_eq!(function_below("../../devices/pnp0/00:04/00:04:0/00:04:0.0/tty/ttyS0"), None);
    }
}
