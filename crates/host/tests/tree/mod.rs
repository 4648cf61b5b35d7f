//! A small host as a directory: two bridges, three functions in two groups, a disk with a volume, a bond.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Files with their content.
const FILES: &[(&str, &str)] = &[
    (
        "proc/interrupts",
        "           CPU0       CPU1\n  16:         10          2  IR-IO-APIC   16-fasteoi   ehci_hcd:usb1, aic7xxx\n  30:          1          0  IR-PCI-MSI 1-edge      eth0\n",
    ),
    ("proc/cmdline", "BOOT_IMAGE=/vmlinuz intel_iommu=on vfio_iommu_type1.allow_unsafe_interrupts=1\n"),
    ("proc/sys/kernel/osrelease", "6.1.0-test\n"),
    ("proc/modules", "vfio_pci 16384 0 - Live 0x0\naic7xxx 1 0 - Live 0x0\n"),
    ("proc/self/mountinfo", "36 35 253:0 / / rw - ext4 /dev/mapper/vg-root -\n"),
    (
        "proc/swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-0                               partition\t1\t0\t-2\n",
    ),
    (
        "proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\nbond0\t00000000\t00000000\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
    ),
    ("proc/net/ipv6_route", ""),
    (
        "lib/modules/6.1.0-test/modules.dep",
        "kernel/drivers/vfio/pci/vfio-pci.ko: kernel/drivers/vfio/vfio.ko\nkernel/drivers/vfio/vfio.ko:\n",
    ),
    ("lib/modules/6.1.0-test/modules.builtin", "kernel/drivers/pci/pci-stub.ko\n"),
    ("lib/modules/6.1.0-test/modules.builtin.modinfo", ""),
    ("lib/modules/6.1.0-test/modules.alias", "alias pci:v00009004d00005078sv*sd*bc01sc00i* aic7xxx\n"),
    (
        "etc/modprobe.d/vfio.conf",
        "options vfio-pci ids=9004:5078 disable_vga=1\noptions vfio_iommu_type1 allow_unsafe_interrupts=0\n",
    ),
    ("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"intel_iommu=on\"\n"),
    ("etc/default/grub.d/50-more.cfg", "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX iommu=pt\"\n"),
    ("boot/grub/grub.cfg", "menuentry {\nlinux /vmlinuz-6.1.0-test root=UUID=1 intel_iommu=on\n}\n"),
    ("boot/loader/entries/one.conf", "linux /vmlinuz-6.1.0-test\noptions root=UUID=1\n"),
    ("sys/module/vfio_pci/parameters/nointxmask", "Y\n"),
    (
        "sys/kernel/iommu_groups/3/reserved_regions",
        "0x0000000000001000 0x0000000000001fff direct-relaxable\n0x00000000fee00000 0x00000000feefffff msi\n",
    ),
    ("sys/kernel/iommu_groups/3/type", "DMA-FQ\n"),
    ("sys/kernel/iommu_groups/4/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n"),
    ("sys/kernel/iommu_groups/4/type", "DMA\n"),
    ("sys/bus/pci/slots/5/address", "0000:05:04\n"),
    ("sys/class/iommu/dmar0/x", ""),
    ("sys/firmware/acpi/tables/APIC", ""),
];

/// Functions: directory below `sys/devices`, id, class, group.
const FUNCTIONS: &[(&str, &str, &str, &str, &str)] = &[
    ("pci0000:00/0000:00:1e.0", "0x8086", "0x244e", "0x060401", "3"),
    ("pci0000:00/0000:00:1e.0/0000:05:04.0", "0x9004", "0x5078", "0x010000", "3"),
    ("pci0000:00/0000:00:1f.2", "0x8086", "0x2922", "0x010601", "4"),
];

pub(crate) fn file(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(path, content).expect("written");
}

pub(crate) fn link(root: &Path, path: &str, target: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    symlink(target, path).expect("linked");
}

/// Makes the host below `root`.
pub(crate) fn make(root: &Path) {
    for (path, content) in FILES {
        file(root, path, content);
    }
    for (place, vendor, device, class, group) in FUNCTIONS {
        let name = place.rsplit('/').next().expect("a name");
        let directory = format!("sys/devices/{place}");
        for (attribute, content) in [
            ("vendor", *vendor),
            ("device", *device),
            ("class", *class),
            ("revision", "0x01"),
            ("subsystem_vendor", "0x0000"),
            ("subsystem_device", "0x0000"),
            ("irq", "16"),
            ("enable", "1"),
            ("numa_node", "-1"),
            ("driver_override", "(null)"),
            ("reset_method", "pm bus"),
            ("resource", "0x00000000fe800000 0x00000000fe800fff 0x0000000000040200\n0x0 0x0 0x0"),
        ] {
            file(root, &format!("{directory}/{attribute}"), format!("{content}\n"));
        }
        let mut config = vec![0u8; 256];
        config[..4].copy_from_slice(&[0x04, 0x90, 0x78, 0x50]);
        config[0x3c] = 11;
        config[0x3d] = 1;
        file(root, &format!("{directory}/config"), config);
        link(root, &format!("sys/bus/pci/devices/{name}"), &format!("../../../devices/{place}"));
        let up = "../".repeat(place.split('/').count() + 1);
        link(root, &format!("{directory}/iommu_group"), &format!("{up}kernel/iommu_groups/{group}"));
    }
    let card = "sys/devices/pci0000:00/0000:00:1e.0/0000:05:04.0";
    link(root, &format!("{card}/driver"), "../../../../bus/pci/drivers/aic7xxx");
    let disk = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda";
    for (path, content) in [
        ("dev", "8:0"),
        ("size", "2048"),
        ("device/model", "DISK"),
        ("sda1/dev", "8:1"),
        ("sda1/size", "1024"),
    ] {
        file(root, &format!("sys/devices/{disk}/{path}"), format!("{content}\n"));
    }
    link(root, "sys/class/block/sda", &format!("../../devices/{disk}"));
    link(root, "sys/class/block/sda1", &format!("../../devices/{disk}/sda1"));
    file(root, "sys/devices/virtual/block/dm-0/dev", "253:0\n");
    file(root, "sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
    link(root, "sys/devices/virtual/block/dm-0/slaves/sda1", &format!("../../../../{disk}/sda1"));
    link(root, "sys/class/block/dm-0", "../../devices/virtual/block/dm-0");
    file(root, "sys/devices/virtual/net/bond0/flags", "0x1003\n");
    link(root, "sys/class/net/bond0", "../../devices/virtual/net/bond0");
    let port = "pci0000:00/0000:00:1f.2/net/eth0";
    file(root, &format!("sys/devices/{port}/flags"), "0x1003\n");
    link(root, &format!("sys/devices/{port}/upper_bond0"), "../../../../virtual/net/bond0");
    link(root, "sys/class/net/eth0", &format!("../../devices/{port}"));
}
