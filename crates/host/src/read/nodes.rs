//! Which PCI function a device node belongs to, from its path.
//!
//! A node is named after the device that the kernel made for it (`drivers/base/core.c: device_get_devnode`), and that device
//! has a link in the directory of its class, so the path alone tells the place in `/sys/devices`. Nodes that udev gave other
//! names show their kernel name once opened, since the names are links. What a class does not tell: NVIDIA's own driver
//! makes its nodes without sysfs devices; it tells their numbers in `/proc/driver/nvidia`.

use std::collections::BTreeMap;

use slotwise_core::facts::UsbDevice;
use slotwise_core::pci::PciAddress;

use super::block::function_below;
use super::{ATTRIBUTE_BYTES, base_name, text};
use crate::kernel::ReadHost;

/// Beginnings of paths below `/dev`, and the class whose devices have such nodes. The first that fits counts.
const CLASSES: [(&str, &str); 29] = [
    ("dri/", "drm"),
    ("accel/", "accel"),
    ("fb", "graphics"),
    ("snd/", "sound"),
    ("hidraw", "hidraw"),
    ("usb/", "usbmisc"),
    ("input/", "input"),
    ("tty", "tty"),
    ("video", "video4linux"),
    ("v4l-subdev", "video4linux"),
    ("vfio/devices/", "vfio-dev"),
    ("infiniband/uverbs", "infiniband_verbs"),
    ("infiniband/", "infiniband_mad"),
    ("ng", "nvme-generic"),
    ("sg", "scsi_generic"),
    ("bsg/", "bsg"),
    ("st", "scsi_tape"),
    ("nst", "scsi_tape"),
    ("sch", "scsi_changer"),
    ("mei", "mei"),
    ("uio", "uio"),
    ("ptp", "ptp"),
    ("i2c-", "i2c-dev"),
    ("drm_dp_aux", "drm_dp_aux_dev"),
    ("cec", "cec"),
    ("watchdog", "watchdog"),
    ("ipmi", "ipmi"),
    ("qat", "qat"),
    ("nvme", "nvme"),
];

/// Block devices that stand on no other device that a person would name.
const NO_DISKS: [&str; 4] = ["loop", "ram", "zram", "nbd"];

/// To whom an open file belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To this function.
    Function(PciAddress),
    /// To a function, or several, that its path alone does not tell: a VFIO group, a volume, all graphics cards.
    Indirectly,
}

/// Answers for paths, each looked up once.
#[derive(Debug)]
pub(super) struct Nodes<'h> {
    host: &'h dyn ReadHost,
    usb: &'h [UsbDevice],
    answers: BTreeMap<String, Option<Belongs>>,
}

impl<'h> Nodes<'h> {
    pub(super) fn new(host: &'h dyn ReadHost, usb: &'h [UsbDevice]) -> Self {
        Self { host, usb, answers: BTreeMap::new() }
    }

    /// To whom the file at `path` belongs; none if to no PCI function.
    pub(super) fn belongs(&mut self, path: &str) -> Option<Belongs> {
        if !may_belong(path) {
            return None;
        }
        if !path.starts_with("/dev/") {
            return configuration(path).map(Belongs::Function);
        }
        if let Some(answer) = self.answers.get(path) {
            return *answer;
        }
        let answer = self.node(path.strip_prefix("/dev/")?);
        self.answers.insert(path.to_owned(), answer);
        answer
    }

    fn node(&self, name: &str) -> Option<Belongs> {
        if let Some(group) = name.strip_prefix("vfio/")
            && !group.contains('/')
        {
            return group.parse::<u32>().is_ok().then_some(Belongs::Indirectly);
        }
        if let Some(place) = name.strip_prefix("bus/usb/") {
            return self.usb(place).map(Belongs::Function);
        }
        if name == "kfd" {
            return Some(Belongs::Indirectly);
        }
        if let Some(number) = name.strip_prefix("nvidia") {
            return Some(self.nvidia(number).map_or(Belongs::Indirectly, Belongs::Function));
        }
        let by_class = CLASSES.iter().find(|(prefix, _)| name.starts_with(prefix)).and_then(|(_, class)| {
            let link = format!("/sys/class/{class}/{}", base_name(name));
            function_below(&self.host.link(&link).ok()?)
        });
        by_class.map(Belongs::Function).or_else(|| self.block(name))
    }

    /// A disk, a partition or a volume. A slash in a kernel name is `!` in sysfs (`lib/kobject.c: kobject_set_name_vargs`).
    fn block(&self, name: &str) -> Option<Belongs> {
        if NO_DISKS.iter().any(|prefix| name.starts_with(prefix)) {
            return None;
        }
        let place = self.host.link(&format!("/sys/class/block/{}", name.replace('/', "!"))).ok()?;
        Some(function_below(&place).map_or(Belongs::Indirectly, Belongs::Function))
    }

    /// `BBB/DDD`.
    fn usb(&self, place: &str) -> Option<PciAddress> {
        let (bus, device) = place.split_once('/')?;
        let (bus, device) = (bus.parse::<u16>().ok()?, device.parse::<u16>().ok()?);
        let here = |usb: &&UsbDevice| usb.bus.known() == Some(&bus) && usb.device.known() == Some(&device);
        self.usb.iter().find(here)?.function
    }

    /// `Device Minor: N` of `/proc/driver/nvidia/gpus/ADDRESS/information` (NVIDIA open-gpu-kernel-modules
    /// kernel-open/nvidia/nv-procfs.c: nv_procfs_read_gpu_info).
    fn nvidia(&self, number: &str) -> Option<PciAddress> {
        let number: u32 = number.parse().ok()?;
        const GPUS: &str = "/proc/driver/nvidia/gpus";
        self.host.list(GPUS).ok()?.iter().find_map(|name| {
            let text = text(self.host, &format!("{GPUS}/{name}/information"), ATTRIBUTE_BYTES).ok()?;
            let row = text.lines().find_map(|line| line.strip_prefix("Device Minor:"))?;
            (row.trim().parse() == Ok(number)).then(|| name.parse().ok()).flatten()
        })
    }
}

/// Whether the path of an open file is one that [`Nodes::belongs`] could answer for, or that tells of guests.
pub(super) fn may_belong(path: &str) -> bool {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let Some(name) = path.strip_prefix("/dev/") else { return configuration(path).is_some() };
    // Terminals of users and memory that programs share have names that they chose.
    let shared = ["shm/", "pts/", "mqueue/", "hugepages/"];
    let virtual_node = matches!(
        name,
        "" | "null" | "zero" | "full" | "random" | "urandom" | "tty" | "ptmx" | "fuse" | "kmsg" | "net/tun"
    );
    !virtual_node && !shared.iter().any(|prefix| name.starts_with(prefix))
}

/// The function whose own registers are open: `config`, `resourceN`, `rom` in its directory, or its file in
/// `/proc/bus/pci` (`drivers/pci/proc.c`).
fn configuration(path: &str) -> Option<PciAddress> {
    if let Some(rest) = path.strip_prefix("/proc/bus/pci/") {
        let (bus, function) = rest.split_once('/')?;
        return format!("{bus}:{function}").parse().ok();
    }
    let rest = path.strip_prefix("/sys/devices/pci")?;
    let (directory, file) = rest.rsplit_once('/')?;
    let registers = matches!(file, "config" | "rom") || file.starts_with("resource");
    if registers { base_name(directory).parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_registers_belong_to_their_function() {
        let address = |path| configuration(path).map(|address| address.to_string());
        let card = Some("0000:05:04.0".to_owned());
        assert_eq!(address("/sys/devices/pci0000:00/0000:00:1e.0/0000:05:04.0/resource2_wc"), card);
        assert_eq!(address("/sys/devices/pci0000:00/0000:00:1e.0/0000:05:04.0/config"), card);
        assert_eq!(address("/proc/bus/pci/05/04.0"), card);
        assert_eq!(address("/proc/bus/pci/0000:05/04.0"), card);
        assert_eq!(address("/sys/devices/pci0000:00/0000:00:1e.0/0000:05:04.0/power/control"), None);
        assert_eq!(address("/home/x/config"), None);
    }
}
