//! Sound requests on sound hosts, on which no rule may block or warn: a rule that does is a false alarm.

use super::fixture::check_all;
use super::{Finding, Severity};
use crate::topology::fixture::BENCH;

/// A workstation: the host keeps the processor's graphics, boots from NVMe and is reached by its onboard card; a graphics
/// card with its sound, prepared for VFIO, goes to a VM.
const WORKSTATION: &str = "
    vm machine=q35 memory=16G
    kernel 6.8.0-45-generic
    cmdline BOOT_IMAGE=/vmlinuz root=UUID=1 ro quiet intel_iommu=on iommu=pt console=tty0
    iommu on intremap=on vendor=intel width=39 table=DMAR
    platform virtualization=on lockdown=none memlock=unlimited uid=0
    claim BOOTFB e0000000 e07e8fff
    module kvm_intel loaded
    module vfio_pci loaded
    module nouveau available
    device 0000:00:01.0 class=060400 express pin=1 irq=122 group=2 driver=pcieport enabled
    device 0000:00:02.0 class=030000 id=8086:5912 express pin=1 irq=127 group=0 driver=i915 enabled boot_vga bars=0:de000000:1000000:140204,2:d0000000:10000000:14220c,6:c0000:20000:212
    device 0000:00:14.0 class=0c0330 id=8086:a36d express pin=1 irq=125 group=4 driver=xhci_hcd enabled
    device 0000:00:1f.6 class=020000 id=8086:15bc express pin=1 irq=126 group=7 driver=e1000e enabled
    device 0000:01:00.0 class=030000 id=1002:744c express pin=1 irq=16 group=2 parent=0000:00:01.0 driver=vfio-pci reset=bus bars=0:f0000000:10000000:14220c,4:e000:100:40101,6:df000000:20000:4e200
    device 0000:01:00.1 class=040300 id=1002:ab30 express pin=2 irq=17 group=2 parent=0000:00:01.0 driver=vfio-pci reset=
    device 0000:02:00.0 class=010802 id=144d:a808 express pin=1 irq=16 group=9 driver=nvme enabled reset=flr,bus bars=0:df100000:4000:140204
    block nvme0n1 259:0 function=0000:02:00.0
    mount / 259:0 ext4
    net eno1 function=0000:00:1f.6 default
    session 192.0.2.7 eno1
    irq 16 IR-IO-APIC pin=16 i801_smbus
    irq 122 IR-PCI-MSI pin=0 PCIe_PME
    reserved msi fee00000 feefffff 0000:00:01.0 0000:01:00.0 0000:01:00.1 0000:02:00.0
    reserved relaxable 7a000000 7c7fffff 0000:00:02.0
";

/// A server: a spare NVMe disk and a virtual network function on AMD go to VMs of libvirt.
const SERVER: &str = "
    vm machine=q35 memory=64G backend=libvirt
    kernel 6.12.9
    cmdline root=/dev/sda1 console=ttyS0,115200 amd_iommu=on
    iommu on intremap=on vendor=amd table=IVRS
    platform virtualization=on lockdown=none memlock=8388608 uid=0
    module kvm_amd loaded
    module vfio_pci available
    device 0000:40:01.1 class=060400 express group=20 driver=pcieport enabled
    device 0000:40:01.2 class=060400 express group=21 driver=pcieport enabled
    device 0000:41:00.0 class=010802 id=144d:a824 express group=22 numa=0 parent=0000:40:01.1 driver=nvme enabled reset=flr,bus bars=0:b0100000:8000:140204
    device 0000:42:00.0 class=020000 id=8086:1592 express group=23 numa=0 parent=0000:40:01.2 driver=ice enabled vfs=64 reset=flr bars=0:b2000000:2000000:14220c,7:b6000000:800000:14220c
    device 0000:42:01.0 class=020000 id=8086:1889 express group=24 numa=0 parent=0000:40:01.2 driver=iavf physfn=0000:42:00.0 reset=flr enabled bars=0:b6000000:20000:14220c
    device 0000:45:00.0 class=030000 id=1a03:2000 group=25 numa=0 driver=ast enabled boot_vga
    device 0000:46:00.0 class=010601 id=1022:7901 express group=26 numa=0 driver=ahci enabled
    block sda 8:0 function=0000:46:00.0
    mount / 8:0 xfs
    net enp66s0f0 function=0000:42:00.0 default
    reserved msi fee00000 feefffff 0000:41:00.0 0000:42:00.0 0000:42:01.0
    reserved reserved fd00000000 ffffffffff 0000:41:00.0 0000:42:00.0 0000:42:01.0
";

/// A dom0 of Xen, which has no IOMMU groups: a card that was given to pciback at boot.
const DOM0: &str = "
    vm backend=xen memory=2G
    kernel 6.1.0-28-amd64
    cmdline root=/dev/sda1 xen-pciback.hide=(03:00.0)
    iommu off intremap=off
    module xen_pciback loaded
    module vfio_pci missing
    module ahci built-in
    device 0000:00:1f.2 class=010601 express driver=ahci enabled
    device 0000:00:19.0 class=020000 express driver=e1000e enabled
    device 0000:03:00.0 class=0c0330 id=1912:0014 express driver=pciback reset=bus bars=0:f7d00000:2000:140204
    block sda 8:0 function=0000:00:1f.2
    mount / 8:0 ext4
    net eth0 function=0000:00:19.0 default
";

fn alarms(host: &str, devices: &str) -> Vec<String> {
    let loud = |finding: &Finding| finding.severity != Severity::Notes;
    let shown = |f: &Finding| format!("{} {} {}: {}", f.severity.name(), f.rule, f.subject, f.summary);
    check_all(host, devices).iter().filter(|finding| loud(finding)).map(shown).collect()
}

#[test]
fn a_card_in_a_free_slot_of_the_bench_raises_no_alarm() {
    let moved = BENCH
        .replace(
            "0000:02:04.0 class=010000 id=1000:0012 pin=1 irq=23",
            "0000:02:06.0 class=010000 id=1000:0012 pin=1 irq=21",
        )
        .replace("pin=23 sym53c8xx eth1", "pin=23 eth1");
    let host = format!("{moved}\nirq 21 IR-IO-APIC pin=21 sym53c8xx");
    assert_eq!(alarms(&host, "0000:02:06.0"), Vec::<String>::new());
}

#[test]
fn a_graphics_card_that_was_prepared_raises_no_alarm() {
    assert_eq!(alarms(WORKSTATION, "0000:01:00.0 0000:01:00.1"), Vec::<String>::new());
}

#[test]
fn a_spare_disk_and_a_virtual_function_raise_no_alarm() {
    assert_eq!(alarms(SERVER, "0000:41:00.0 | 0000:42:01.0"), Vec::<String>::new());
}

#[test]
fn a_card_of_xens_pciback_raises_no_alarm() {
    assert_eq!(alarms(DOM0, "0000:03:00.0"), Vec::<String>::new());
}

#[test]
fn the_same_hosts_raise_alarms_where_they_should() {
    let rules = |host, devices| check_all(host, devices).iter().map(|f| f.rule).collect::<Vec<_>>();
    assert!(rules(WORKSTATION, "0000:02:00.0").contains(&"boot-disk"));
    assert!(rules(WORKSTATION, "0000:00:1f.6").contains(&"management-nic"));
    assert!(rules(SERVER, "0000:45:00.0").contains(&"last-console"));
}
