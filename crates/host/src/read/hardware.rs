//! Processor, board, firmware, and the nodes of VFIO.
//!
//! `/proc/cpuinfo` (`arch/x86/kernel/cpu/proc.c: show_cpuinfo`), `/sys/class/dmi/id` (`drivers/firmware/dmi-id.c`),
//! `/proc/device-tree/model`, `/sys/firmware/efi`. Serial numbers and UUIDs of `/sys/class/dmi/id` are not read.

use slotwise_core::facts::{CpuFacts, CpuList, DeviceNode, Fact, FirmwareFacts, ReadFault};

use super::{ATTRIBUTE_BYTES, fact, fault, malformed, text};
use crate::kernel::ReadHost;

const DMI: &str = "/sys/class/dmi/id";

/// UEFI 2.10 §3.3, of the vendor `EFI_GLOBAL_VARIABLE`; a file begins with 4 bytes of attributes
/// (`Documentation/filesystems/efivarfs.rst`).
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Flags that decide about guests and devices (`arch/x86/include/asm/cpufeatures.h`); all others are left out.
const DECIDING: [&str; 15] = [
    "avic",
    "ept",
    "ept_ad",
    "hypervisor",
    "la57",
    "lm",
    "npt",
    "pdpe1gb",
    "sev",
    "sev_es",
    "sev_snp",
    "sme",
    "svm",
    "vmx",
    "x2apic",
];

/// The names of rows of `/proc/cpuinfo` that are read.
pub(crate) const CPU_ROWS: [&str; 7] =
    ["flags", "vendor_id", "model name", "cpu family", "model", "stepping", "address sizes"];

/// Facts of the first processor; other architectures than x86 print other rows, which are absent here.
pub(super) fn cpu(cpuinfo: &Fact<String>) -> CpuFacts {
    let row = |name: &str| cpuinfo.as_ref().and_then(|text| value(text, name));
    let number = |name: &str| row(name).known().and_then(|text| text.parse::<u32>().ok());
    let signature = || Some((number("cpu family")?, number("model")?, number("stepping")?));
    let bits = |what: &str| row("address sizes").and_then(|text| width(text, what));
    let owned = |fact: Fact<&str>| fact.map(str::to_owned);
    CpuFacts {
        vendor: owned(row("vendor_id")),
        model: owned(row("model name")),
        signature: cpuinfo.as_ref().and_then(|_| signature()),
        online: Fact::Absent,
        physical_bits: bits("physical"),
        virtual_bits: bits("virtual"),
        flags: row("flags").map(|text| {
            let deciding = |flag: &&str| DECIDING.contains(flag);
            text.split_ascii_whitespace().filter(deciding).map(str::to_owned).collect()
        }),
    }
}

/// How many processors are online: ranges such as `0-3,8` (`drivers/base/cpu.c: show_cpus_attr`).
pub(super) fn online(host: &dyn ReadHost) -> Fact<u32> {
    const ONLINE: &str = "/sys/devices/system/cpu/online";
    match fact(text(host, ONLINE, ATTRIBUTE_BYTES)) {
        Fact::Known(text) => match CpuList::parse(&text).filter(|list| !list.is_empty()) {
            Some(list) => Fact::Known(list.count()),
            None => Fact::Unreadable(malformed(ONLINE, "expected ranges of numbers")),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    }
}

/// The text behind the first `name:`, up to the end of the first processor.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let first = text.lines().take_while(|line| !line.trim().is_empty());
    let matching = |line: &'t str| line.split_once(':').filter(|(head, _)| head.trim() == name);
    first.filter_map(matching).map(|(_, value)| value.trim()).next()
}

/// `39 bits physical, 48 bits virtual`.
fn width(text: &str, what: &str) -> Option<u8> {
    let part = text.split(',').find(|part| part.trim_end().ends_with(what))?;
    part.split_ascii_whitespace().next()?.parse().ok()
}

pub(super) fn firmware(host: &dyn ReadHost) -> FirmwareFacts {
    let id = |name: &str| named(host, &format!("{DMI}/{name}"));
    let product = match id("product_name") {
        // A device tree says it in one line, which ends in a NUL byte.
        Fact::Absent => named(host, "/proc/device-tree/model"),
        told => told,
    };
    let uefi = fact(host.list("/sys/firmware")).map(|names| names.iter().any(|name| name == "efi"));
    let secure_boot = match (&uefi, fact(host.read(SECURE_BOOT, ATTRIBUTE_BYTES))) {
        // Without UEFI there is nothing that could check.
        (Fact::Known(false) | Fact::Absent, _) => Fact::Absent,
        (_, Fact::Known(bytes)) => match bytes.as_slice() {
            [_, _, _, _, value] => Fact::Known(*value == 1),
            _ => Fact::Unreadable(malformed(SECURE_BOOT, "expected 4 bytes of attributes and a value")),
        },
        (_, Fact::Absent) => Fact::Absent,
        (_, Fact::Unreadable(fault)) => Fact::Unreadable(fault),
    };
    FirmwareFacts {
        system_vendor: id("sys_vendor"),
        product,
        board_vendor: id("board_vendor"),
        board: id("board_name"),
        board_version: id("board_version"),
        bios_vendor: id("bios_vendor"),
        bios_version: id("bios_version"),
        bios_date: id("bios_date"),
        uefi,
        secure_boot,
    }
}

/// A name; an empty one is none.
fn named(host: &dyn ReadHost, path: &str) -> Fact<String> {
    fact(text(host, path, ATTRIBUTE_BYTES)).and_then(|text| {
        let name = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!name.is_empty()).then(|| name.to_owned())
    })
}

/// Nodes by which VFIO and iommufd are used (`drivers/vfio/group.c: vfio_devnode`, `drivers/iommu/iommufd/main.c`).
pub(super) fn vfio_nodes(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<DeviceNode>> {
    let mut paths = vec!["/dev/iommu".to_owned()];
    let listed = fact(host.list("/dev/vfio"));
    for name in listed.known().into_iter().flatten() {
        if name == "devices" {
            let below = host.list("/dev/vfio/devices").unwrap_or_default();
            paths.extend(below.iter().map(|name| format!("/dev/vfio/devices/{name}")));
        } else {
            paths.push(format!("/dev/vfio/{name}"));
        }
    }
    nodes(host, paths, listed, faults)
}

/// Nodes of USB devices, `/dev/bus/usb/BBB/DDD` (`drivers/usb/core/usb.c: usb_devnode`).
pub(super) fn usb_nodes(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<DeviceNode>> {
    const BUSES: &str = "/dev/bus/usb";
    let listed = fact(host.list(BUSES));
    let mut paths = Vec::new();
    for bus in listed.known().into_iter().flatten() {
        let devices = host.list(&format!("{BUSES}/{bus}")).unwrap_or_default();
        paths.extend(devices.iter().map(|device| format!("{BUSES}/{bus}/{device}")));
    }
    nodes(host, paths, listed, faults)
}

/// Who may open each of the nodes; those that are not there are left out.
fn nodes(
    host: &dyn ReadHost,
    paths: Vec<String>,
    listed: Fact<Vec<String>>,
    faults: &mut Vec<ReadFault>,
) -> Fact<Vec<DeviceNode>> {
    let mut nodes = Vec::new();
    for path in paths {
        match host.node(&path) {
            Ok(node) => nodes.push(DeviceNode {
                path,
                mode: node.mode.permissions(),
                user_id: node.user_id,
                group_id: node.group_id,
            }),
            Err(error) if error.is_not_found() => {}
            // One fault is enough: where the directory tells nothing, its nodes do not either.
            Err(error) if listed.known().is_some() => faults.push(fault(&error)),
            Err(_) => {}
        }
    }
    match listed {
        Fact::Absent if nodes.is_empty() => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
        Fact::Known(_) | Fact::Absent => Fact::Known(nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    #[test]
    fn first_processor_is_told() {
        let text = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 94\nmodel name\t: Core i7\nstepping\t: 3\nflags\t\t: fpu vmx ept smap\naddress sizes\t: 39 bits physical, 48 bits virtual\n\nprocessor\t: 1\nflags\t: svm\n";
        let cpu = cpu(&Fact::Known(text.to_owned()));
        assert_eq!(cpu.signature, Fact::Known((6, 94, 3)));
        assert_eq!((cpu.physical_bits, cpu.virtual_bits), (Fact::Known(39), Fact::Known(48)));
        assert_eq!(cpu.flags, Fact::Known(vec!["vmx".to_owned(), "ept".to_owned()]));
        assert_eq!(cpu.model.known().map(String::as_str), Some("Core i7"));
    }

    #[test]
    fn processors_online_are_counted() {
        let host =
            |text: &str| FakeKernel::parse(&format!("file /sys/devices/system/cpu/online {text}")).unwrap();
        assert_eq!(online(&host("0-3,8")), Fact::Known(5));
        assert!(online(&host("3-0")).is_unreadable());
    }

    #[test]
    fn other_architectures_and_damage_are_absent() {
        let arm = cpu(&Fact::Known("processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n".into()));
        assert_eq!((arm.vendor, arm.physical_bits), (Fact::Absent, Fact::Absent));
        let bad = cpu(&Fact::Known("address sizes\t: many bits physical\ncpu family\t: x\n".into()));
        assert_eq!((bad.physical_bits, bad.signature), (Fact::Absent, Fact::Absent));
    }
}
