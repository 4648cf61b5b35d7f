//! One log per cause, made of the messages as the programs print them (format strings of the kernel, QEMU, libvirt,
//! Proxmox VE and Xen; numbers are ours). The first finding must be the cause.

use slotwise_core::diagnose::{self, Input, Kind, Verdict, diagnose};

const LOGS: &[(&str, &str)] = &[
    (
        "acpi-dmar-broken",
        "[    0.004000] DMAR: Parse DMAR table failure.\n[    0.5] vfio-pci: probe of 0000:01:00.0 failed with error -22",
    ),
    (
        "acpi-dmar-broken",
        "Your BIOS is broken; DMAR reported at address fed90000 returns all ones!\nBIOS vendor: ; Ver: ; Product Version:",
    ),
    ("acpi-dmar-broken", "(XEN) [VT-D]Failed to parse ACPI DMAR.  Disabling VT-d."),
    (
        "acs-check",
        "error: internal error: Device 0000:04:00.0 is behind a switch lacking ACS and cannot be assigned",
    ),
    (
        "aer-error-storm",
        "vfio_err_notifier_handler(0000:05:00.0) Unrecoverable error detected. Please collect any data possible and then kill the guest\n[  9.1] pcieport 0000:00:03.0: AER: Uncorrected (Fatal) error received: id=0018\n[  9.2] vfio-pci 0000:05:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer",
    ),
    (
        "ats-timeout",
        "[ 100.1] AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0b:00.0 address=0x7fa6b0e40]\n[ 100.2] AMD-Vi: Completion-Wait loop timed out\nvfio passthrough guest shut down",
    ),
    (
        "ats-timeout",
        "[ 50.1] DMAR: VT-d detected Invalidation Time-out Error: SID 300\n[ 50.2] vfio-pci 0000:03:00.0: resetting",
    ),
    (
        "bar-held-by-framebuffer",
        "[ 12.3] vfio-pci 0000:01:00.0: BAR 3: can't reserve [mem 0xf0000000-0xf1ffffff 64bit pref]\nf1000000-f17e8fff : efifb",
    ),
    (
        "bar-held-by-framebuffer",
        "[ 12.3] vfio-pci 0000:0a:00.0: BAR 0: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]",
    ),
    (
        "bar-held-by-host-driver",
        "x86/PAT: CPU 0/KVM:2231 conflicting memory types e0000000-f0000000 write-combining<->uncached-minus\nx86/PAT: reserve_memtype failed [mem 0xe0000000-0xefffffff], track uncached-minus, req uncached-minus\nqemu-system-x86_64: vfio 0000:01:00.0: Failed to mmap 0000:01:00.0 BAR 1. Performance may be slow",
    ),
    (
        "d3cold-power",
        "vfio-pci 0000:0c:00.0: Refused to change power state from D3hot to D0\nkvm: vfio: Unable to power on device, stuck in D3",
    ),
    ("d3cold-power", "vfio-pci 0000:0c:00.0: not ready 65535ms after PM D3hot->D0; giving up"),
    (
        "device-in-use",
        "error: Requested operation is not valid: PCI device 0000:0a:00.0 is in use by driver QEMU, domain win10",
    ),
    ("device-in-use", "TASK ERROR: PCI device '0000:01:00.0' already in use by VMID '101'"),
    (
        "device-in-use",
        "vfio-pci 0000:65:00.0: Relaying device request to user (#10)\nvfio-pci 0000:65:00.0: Relaying device request to user (#20)",
    ),
    (
        "device-not-bound",
        "step bind-0000:02:06.0 failed; everything is as it was: vfio-pci did not take 0000:02:06.0",
    ),
    (
        "device-not-bound",
        "qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio: error opening /dev/vfio/1: No such file or directory\nqemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio: failed to get group 1",
    ),
    (
        "device-not-bound",
        "qemu-system-x86_64: -device vfio-pci,host=0000:02:04.0: vfio 0000:02:04.0: Could not open '/dev/vfio/9': No such file or directory",
    ),
    (
        "device-not-bound",
        "error: Operation not supported: Unmanaged PCI device 0000:03:00.0 must be manually detached from the host",
    ),
    (
        "dma-entry-limit",
        "kvm: VFIO_MAP_DMA failed: No space left on device\nkvm: vfio_dma_map(0x55d, 0x1f0000000, 0x1000, 0x7f0) = -28 (No space left on device)",
    ),
    (
        "dma-fault-sibling",
        "[ 88.1] DMAR: DRHD: handling fault status reg 2\n[ 88.2] DMAR: [DMA Write] Request device [07:00.1] fault addr ffe00000 [fault reason 02] Present bit in context entry is clear\nPassing through the Marvell 88SE9230, only function 0 is on vfio-pci, the phantom function 1 faults and the guest fails",
    ),
    (
        "driver-autobind-race",
        "error: Failed to bind PCI device '0000:00:14.0' to vfio-pci: Device or resource busy",
    ),
    (
        "driver-autobind-race",
        "As soon as I unbind the USB controller, xhci_hcd grabs it again before vfio-pci, passthrough fails\nqemu: vfio 0000:0a:00.3: failed to open /dev/vfio/18: No such file or directory",
    ),
    (
        "flr-broken",
        "vfio-pci 0000:05:00.0: not ready 1023ms after FLR; waiting\nvfio-pci 0000:05:00.0: not ready 65535ms after FLR; giving up",
    ),
    (
        "group-not-viable",
        "qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio: error, group 1 is not viable, please ensure all devices within the iommu_group are bound to their vfio bus driver.\nqemu-system-x86_64: vfio: failed to get group 1",
    ),
    (
        "guest-mmio-window",
        "PCI: out of I/O address space\nPCI: out of 32bit address space\nvfio-pci passthrough",
    ),
    (
        "guest-mmio-window",
        "qemu-system-x86_64: Address space limit 0xffffffffff < 0x1fffffffffff phys-bits too low (40)",
    ),
    (
        "guest-mmio-window",
        "Hypervisor detected: KVM\npci 0000:00:05.0: BAR 1: no space for [mem size 0x400000000 64bit pref]\npci 0000:00:05.0: BAR 1: failed to assign [mem size 0x400000000 64bit pref]\nvfio passed GPU",
    ),
    (
        "guest-root-lost",
        "VM with hostpci0: 03:00.0 (HBA passthrough) no longer boots:\nGave up waiting for root file system device.\nALERT! UUID=1234 does not exist. Dropping to a shell!",
    ),
    (
        "host-driver-in-use",
        "error: Failed to unbind PCI device '0000:01:00.0' from nvidia: Device or resource busy",
    ),
    (
        "host-firmware-bug",
        "internal error: Unknown PCI header type '127' for device '0000:0b:00.0'\nStarted after the BIOS update to AGESA 0.0.7.2; downgrading the BIOS fixes it. Ryzen X470",
    ),
    (
        "host-kernel-bug-iommu",
        "[ 30.0] WARNING: CPU: 3 PID: 4242 at drivers/iommu/intel/iommu.c:1234 domain_context_mapping_one+0x12/0x34\n[ 30.1] RIP: 0010:domain_context_mapping_one+0x12/0x34\n[ 30.2] vfio_iommu_type1_attach_group",
    ),
    (
        "host-mmio-window",
        "vfio-pci 0000:41:00.0: can't enable device: BAR 1 [mem size 0x1000000000 64bit pref] not assigned\npci 0000:41:00.0: BAR 1: no space for [mem size 0x1000000000 64bit pref]\npci 0000:41:00.0: BAR 1: failed to assign [mem size 0x1000000000 64bit pref]",
    ),
    (
        "host-mmio-window",
        "NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:\nNVRM: BAR1 is 0M @ 0x0 (PCI:0000:41:00.0)\npassthrough host has no Above 4G decoding",
    ),
    (
        "hotplug-no-bus-window",
        "pcieport 0000:00:02.1: pciehp: Slot(0-1): Card present\npci 0000:02:00.0: BAR 0: no space for [mem size 0x10000000 64bit pref]\npci 0000:02:00.0: BAR 0: failed to assign [mem size 0x10000000 64bit pref]\nhotplug of the hostdev into the guest",
    ),
    ("hotplug-no-slot", "error: internal error: No more available PCI slots"),
    ("hotplug-no-slot", "Error: Bus 'pcie.0' does not support hotplugging"),
    (
        "hugepage-pin",
        "hugetlb_cma: reserve 8192 MiB, up to 4096 MiB per node\nqemu-system-x86_64: vfio_container_dma_map(0x55, 0x0, 0x40000000, 0x7f) = -14 (Bad address)",
    ),
    (
        "intx-shared",
        "genirq: Flags mismatch irq 16. 00000000 (vfio-intx(0000:05:00.0)) vs. 00000080 (ehci_hcd:usb1)",
    ),
    ("intx-shared", "qemu: vfio 0000:05:00.0: Error: Failed to setup INTx fd: Device or resource busy"),
    ("intx-shared", "(XEN) Cannot bind IRQ16 to dom1. In use by 'ehci_hcd:usb1'."),
    (
        "intx-shared",
        "irq 18: nobody cared (try booting with the \"irqpoll\" option)\nhandlers:\n[<ffffffff>] vfio_intx_handler [vfio_pci]\nDisabling IRQ #18",
    ),
    (
        "ioas-map-failed",
        "qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0,iommufd=iommufd0: IOMMU_IOAS_MAP failed: No space left on device",
    ),
    (
        "iommu-address-width",
        "intel_iommu_map: iommu width (39) is not sufficient for the mapped address (8000000000)",
    ),
    ("iommu-address-width", "qemu-system-x86_64: vfio 0000:01:00.0: aw-bits 48 > host aw-bits 39"),
    ("iommu-disabled", "TASK ERROR: Cannot prepare PCI pass-through, IOMMU not present"),
    (
        "iommu-disabled",
        "error: unsupported configuration: host doesn't support passthrough of host PCI devices",
    ),
    (
        "iommu-disabled",
        "libxl: error: libxl_create.c:1: passthrough not supported on this platform\n(XEN) I/O virtualisation disabled",
    ),
    ("iommu-disabled", "vfio-pci: probe of 0000:01:00.0 failed with error -22"),
    (
        "iommu-group-changed-after-hotplug",
        "After I installed a second NVMe drive the IOMMU groups have changed and the VM does not start:\nvfio 0000:01:00.0: failed to open /dev/vfio/14: No such file or directory",
    ),
    (
        "iommu-not-coherent",
        "vfio-pci 0000:00:02.0: IOMMU does not support cache coherency, VFIO refuses the device",
    ),
    ("iommu-unsupported", "DMAR: dmar0: No supported address widths. Not attempting DMA translation."),
    ("iommu-unsupported", "I want passthrough with vfio but my i5-2500K does not support VT-d"),
    (
        "iommufd-cdev-missing",
        "qemu-system-x86_64: -device vfio-pci,host=0000:02:00.0,iommufd=iommufd0: vfio 0000:02:00.0: failed to find vfio-dev/vfioX/dev",
    ),
    (
        "iova-reserved",
        "qemu: vfio 0000:01:00.0: failed to setup container for group 5: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x55, 0x100000000, 0xff30000000, 0x7f) = -22 (Invalid argument)",
    ),
    (
        "ivrs-1to1",
        "AMD-Vi: AMD IOMMU\nvfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.",
    ),
    ("kvm-vfio-kernel-config", "qemu-system-x86_64: Failed to create KVM VFIO device: No such device"),
    (
        "mac-policy-denied",
        "audit: type=1400 apparmor=\"DENIED\" operation=\"open\" profile=\"libvirt-1234\" name=\"/dev/vfio/12\" pid=1 comm=\"qemu-system-x86\" requested_mask=\"wr\"\nvfio 0000:01:00.0: failed to open /dev/vfio/12: Permission denied",
    ),
    (
        "mac-policy-denied",
        "type=AVC msg=audit(1.1:2): avc:  denied  { read write } for  pid=3 comm=\"qemu-kvm\" path=\"/dev/vfio/7\" scontext=system_u:system_r:svirt_t:s0 tcontext=system_u:object_r:vfio_device_t:s0",
    ),
    (
        "mdev-missing",
        "error: device not found: mediated device 'c2177883-f1bb-47f0-914d-32a22e3a8804' not found",
    ),
    (
        "memlock",
        "vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded\nqemu: VFIO_MAP_DMA: -12\nvfio_dma_map(0x1, 0x0, 0xa0000, 0x7f) = -12 (Cannot allocate memory)",
    ),
    (
        "memlock",
        "error: internal error: cannot limit locked memory of process 4242 to 17716740096: Operation not permitted\nhostdev",
    ),
    (
        "migration-blocked",
        "error: Requested operation is not valid: cannot migrate a domain with <hostdev mode='subsystem' type='pci'>",
    ),
    ("migration-blocked", "ERROR: can't migrate VM which uses local devices: hostpci0"),
    (
        "msix-table-mmap",
        "vfio 0000:04:00.0: hardware reports invalid configuration, MSIX PBA outside of specified BAR",
    ),
    (
        "name-changed-after-slot-move",
        "qemu: -device vfio-pci,host=07:00.0: vfio 0000:07:00.0: no such host device: No such file or directory\nI moved the card to another slot",
    ),
    (
        "name-changed-after-slot-move",
        "error: Device 0000:07:00.0 not found: could not access /sys/bus/pci/devices/0000:07:00.0/config: No such file or directory",
    ),
    (
        "name-changed-after-slot-move",
        "TASK ERROR: PCI device mapping invalid (hardware probably changed): 'path' does not match",
    ),
    (
        "no-intremap",
        "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param \"allow_unsafe_interrupts\" to enable VFIO IOMMU support on this platform\nvfio: failed to set iommu for container: Operation not permitted",
    ),
    (
        "no-intremap",
        "AMD-Vi: [Firmware Bug]: : IOAPIC[9] not in IVRS table\nAMD-Vi: Disabling interrupt remapping\nqemu: vfio 0000:01:00.0: failed to setup container for group 13: failed to set iommu for container: Operation not permitted",
    ),
    (
        "no-reset",
        "error: internal error: Unable to reset PCI device 0000:00:1b.0: no FLR, PM reset or bus reset available",
    ),
    (
        "no-reset",
        "error: internal error: Active 0000:03:00.1 devices on bus with 0000:03:00.0, not doing bus reset",
    ),
    (
        "no-vga-arbitration",
        "qemu-system-x86_64: -device vfio-pci,host=01:00.0,x-vga=on: vfio 0000:01:00.0: device does not support requested feature x-vga",
    ),
    (
        "numa-mismatch",
        "GPU passthrough VM is slow: its memory is on the wrong NUMA node, the card is on node 1",
    ),
    (
        "nvidia-code-43",
        "Windows has stopped this device because it has reported problems. (Code 43)\nNVIDIA GeForce GTX 970 passthrough",
    ),
    (
        "option-rom-bar-shadow",
        "passthrough of the boot GPU: the dumped rom is the shadow copy that the BIOS modified at boot\nvfio-pci: Cannot read device rom at 0000:01:00.0\nDevice option ROM contents are probably invalid (check dmesg).",
    ),
    (
        "pciback-not-seized",
        "pciback 0000:05:00.0: Couldn't locate PCI device (0000:05:00.0)! perhaps already in-use?\nxen-pciback.hide=(05:00.0)",
    ),
    (
        "pcie-link-dead",
        "NVRM: Xid (PCI:0000:0a:00): 79, pid=1, GPU has fallen off the bus.\nvfio passthrough",
    ),
    (
        "pcie-link-dead",
        "pcieport 0000:00:01.0: Data Link Layer Link Active not set in 1000 msec\nvfio-pci 0000:01:00.0: not ready 65535ms after bus reset; giving up",
    ),
    (
        "pf-driver-reloaded",
        "ixgbe 0000:01:00.0: Unloading driver while VFs are assigned - VFs will not be deallocated\nvfio-pci 0000:01:10.0: Relaying device request to user (#0)",
    ),
    (
        "reset-broken-amd",
        "vfio-pci 0000:28:00.0: vfio_bar_restore: reset recovery - restoring BARs\nvfio-pci 0000:28:00.0: vfio_bar_restore: reset recovery - restoring BARs\n28:00.0 VGA compatible controller: AMD/ATI Vega 10 [1002:687f]\nThe second start of the VM after shutdown gives a black screen until I reboot the host",
    ),
    (
        "rmrr",
        "vfio-pci 0000:04:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.\nvfio: failed to set iommu for container: Operation not permitted",
    ),
    ("rmrr", "(XEN) [VT-D] It's disallowed to assign 0000:00:1d.0 with shared RMRR at 7b800000 for d1."),
    (
        "rom-invalid",
        "vfio-pci 0000:01:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff\nvfio-pci: Cannot read device rom at 0000:01:00.0\nDevice option ROM contents are probably invalid (check dmesg).\nno signal on the monitor",
    ),
    (
        "secure-boot-lockdown",
        "Lockdown: setpci: direct PCI access is restricted; see man kernel_lockdown.7\nvfio",
    ),
    ("sriov-mmio", "ixgbe 0000:03:00.0: not enough MMIO resources for SR-IOV"),
    (
        "usb-permission",
        "qemu-system-x86_64: libusb_open: -3 [ACCESS]\nqemu-system-x86_64: failed to open /dev/bus/usb/001/004: Permission denied",
    ),
    ("vf-not-enabled", "error: internal error: No usable Vf's present on SRIOV PF enp4s0f0"),
    (
        "vfio-permission",
        "qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: failed to open /dev/vfio/12: Permission denied",
    ),
    ("vfio-permission", "qemu: vfio: error opening /dev/vfio/1: Operation not permitted"),
    ("xen-map-irq", "xen map irq failed -22\nehci_hcd 0000:00:05.0: PCI INT A: failed to register GSI"),
    (
        "xen-map-irq",
        "libxl: error: libxl_pci.c:1: pci_add_dm_done: xc_physdev_map_pirq irq=17 (error=-1): Operation not permitted",
    ),
    ("xen-msi-delivery-mode", "(XEN) vmsi.c:122:d32767 Unsupported delivery mode 3"),
    ("xen-no-free-pirq", "(XEN) physdev.c:182: dom7: no free pirq"),
    (
        "xen-not-assignable",
        "libxl: error: libxl_pci.c:1: libxl__device_pci_add: PCI device 0:5:0.0 is not assignable",
    ),
    (
        "xen-pciback-not-loaded",
        "libxl: error: libxl_pci.c:1: libxl_device_pci_assignable_list: Looks like pciback driver is not loaded",
    ),
    ("xen-subpage-bar", "Error: pci: 0000:00:1d.0: non-page-aligned MMIO BAR found.\nxend Xen passthrough"),
];

const HARMLESS: &[&str] = &[
    "[ 1.0] DMAR: IOMMU enabled\n[ 1.1] DMAR: No ATSR found\n[ 1.2] DMAR-IR: Enabled IRQ remapping in x2apic mode",
    "AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.",
    "vfio-pci 0000:01:00.0: vfio_bar_restore: reset recovery - restoring BARs\nEverything works fine, is this harmless?",
    "vfio-pci 0000:01:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff\nthe passthrough works fine",
    "pci 0000:01:00.0: BAR 1: no space for [mem size 0x10000000 64bit pref]\npci 0000:01:00.0: BAR 1: failed to assign [mem size 0x10000000 64bit pref]\npci 0000:01:00.0: BAR 1: assigned [mem 0x4000000000-0x400fffffff 64bit pref]\nvfio_pci: add [10de:1eb1[ffffffff:ffffffff]] class 0x000000/00000000",
    "error writing '1' to '/sys/bus/pci/devices/0000:01:00.0/reset': Inappropriate ioctl for device\nfailed to reset PCI device '0000:01:00.0', but trying to continue as not all devices need a reset",
    "vfio: Cannot reset device 0000:00:1f.3, no available reset mechanism.\nThe VM works fine with the passed sound card",
    "qemu-system-x86_64: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?",
    "vfio-pci 0000:65:00.0: enabling device (0000 -> 0003)\nvfio-pci 0000:65:00.0: vfio_ecap_init: hiding ecap 0x1e@0x258\nvgaarb: VGA decodes changed: olddecodes=io+mem,decodes=none:owns=none",
    "vfio-pci 0000:05:00.0: not ready 1023ms after FLR; waiting\nvfio-pci 0000:05:00.0: not ready 2047ms after FLR; waiting\nvfio-pci 0000:05:00.0: ready 4095ms after FLR",
    "DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.\nDMAR-IR: Use 'intremap=no_x2apic_optout' to override the BIOS setting.\nDMAR-IR: Enabled IRQ remapping in xapic mode",
];

const UNRELATED: &[&str] = &[
    "genirq: Flags mismatch irq 14. 00200081 (foo) vs. 00200081 (bar)",
    "irq 16: nobody cared (try booting with the \"irqpoll\" option)\nhandlers:\n[<0>] usb_hcd_irq\nDisabling IRQ #16",
    "kvm: -device vfio-pci,host=01:00.0: Property 'vfio-pci.foo' not found",
    "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory\n-device vfio-pci,host=01:00.0",
    "error: Requested operation is not valid: network 'default' is not active",
    "qemu-system-x86_64: -drive file=a.qcow2: Failed to get \"write\" lock\nIs another process using the image [a.qcow2]?",
    "kvm: disabled by bios\nqemu: Could not access KVM kernel module: No such file or directory\nqemu: failed to initialize kvm: No such file or directory",
    "cp: error writing 'vm-100-disk-0.raw': No space left on device\nhostpci0: 01:00.0",
    "TASK ERROR: can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout\nhostpci0: 01:00",
    "amdgpu 0000:03:00.0: [drm] *ERROR* ring gfx_0.0.0 timeout, signaled seq=1, emitted seq=3\n[drm] GPU HANG",
];

fn first(log: &str) -> (Verdict, Vec<(&'static str, f64)>) {
    let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
    (diagnosis.verdict, diagnosis.findings.iter().map(|found| (found.cause.id, found.confidence)).collect())
}

#[test]
fn each_cause_is_first_on_its_own_messages() {
    let mut wrong = Vec::new();
    for (cause, log) in LOGS {
        let (verdict, found) = first(log);
        if verdict != Verdict::Fault || found.first().is_none_or(|(id, _)| id != cause) {
            wrong.push(format!(
                "{cause}: {verdict:?} {:.2?} from {log:.70}",
                found.iter().take(3).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), LOGS.len(), wrong.join("\n"));
}

#[test]
fn long_logs_give_the_same_cause_where_a_program_printed_it() {
    let filler =
        "[    1.000000] usb 1-1: New USB dev found, idVendor=1d6b, idProduct=0002, bcd 6.01\n".repeat(26_000);
    let mut other = Vec::new();
    for (cause, log) in LOGS {
        let (_, found) = first(&format!("{filler}{log}\n{filler}"));
        if found.first().is_none_or(|(id, _)| id != cause) {
            other.push(format!("{cause}: {log:.60}"));
        }
    }
    println!("{} of {} need the prose around them:\n{}", other.len(), LOGS.len(), other.join("\n"));
    assert!(other.len() * 12 <= LOGS.len(), "{}", other.join("\n"));
}

#[test]
fn explanations_name_what_the_log_names_and_leave_no_slot_open() {
    for (cause, log) in LOGS {
        let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
        for finding in &diagnosis.findings {
            let text = &finding.explanation;
            assert!(text.ends_with('.') && !text.contains(['{', '}', '|', '#']), "{cause}: {text}");
            assert!(!text.contains("  ") && !text.contains(" ,") && !text.contains("()"), "{cause}: {text}");
        }
    }
    let log =
        "genirq: Flags mismatch irq 16. 00000000 (vfio-intx(0000:05:00.0)) vs. 00000080 (ehci_hcd:usb1)";
    let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
    let text = &diagnosis.findings[0].explanation;
    assert!(
        ["0000:05:00.0", "interrupt 16", "ehci_hcd:usb1"].iter().all(|part| text.contains(part)),
        "{text}"
    );
}

#[test]
fn every_fault_has_a_log_here() {
    for id in diagnose::ids() {
        let is_fault = diagnose::cause(id).is_some_and(|cause| cause.kind == Kind::Fault);
        assert!(!is_fault || LOGS.iter().any(|(cause, _)| *cause == id), "{id} has no log");
    }
}

#[test]
fn frightening_lines_of_working_setups_are_harmless() {
    for log in HARMLESS {
        let (verdict, found) = first(log);
        assert_eq!(verdict, Verdict::NoFault, "{log}: {found:?}");
        assert!(found.iter().any(|(id, _)| *id == "none-harmless"), "{log}: {found:?}");
    }
}

#[test]
fn notes_on_working_setups_are_no_faults_and_come_first() {
    for (note, log) in [
        (
            "unsafe-interrupts-required-note",
            "vfio-pci 0000:01:00.0: MSI interrupts are not secure, they cannot be isolated by the platform. Check that platform features like interrupt remapping are enabled. Use the \"allow_unsafe_interrupts\" module parameter to override",
        ),
        (
            "x2apic-opt-out",
            "DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.\nDMAR-IR: Use 'intremap=no_x2apic_optout' to override the BIOS setting.\nDMAR-IR: Enabled IRQ remapping in xapic mode",
        ),
    ] {
        let (verdict, found) = first(log);
        assert_eq!(verdict, Verdict::NoFault, "{log}: {found:?}");
        assert_eq!(found.first().map(|(id, _)| *id), Some(note), "{found:?}");
    }
}

#[test]
fn failures_that_are_not_of_a_passthrough_are_unrelated() {
    for log in UNRELATED {
        let (verdict, found) = first(log);
        assert_eq!(verdict, Verdict::NoFault, "{log}: {found:?}");
        assert!(found.iter().any(|(id, _)| *id == "none-unrelated"), "{log}: {found:?}");
    }
}

#[test]
fn registers_and_stack_traces_of_a_host_are_no_prose() {
    let listing = b"IOMMU Group 5:\n00:1c.0 PCI bridge [0604]: Intel Corporation Device [8086:9d10]\n\tI/O behind bridge: [disabled] [16-bit]\n\tKernel driver in use: pcieport\n";
    assert!(said(listing).is_none(), "{:?}", said(listing));
    let trace = b"xhci_hcd 0000:39:00.0: Unable to change power state from D3cold to D0, device inaccessible\n[38183.298561]  usb_unbind_interface+0x1c3/0x280 [usbcore]\n[38183.298696]  device_release_driver_internal+0x19f/0x200\n";
    assert!(said(trace).is_none(), "{:?}", said(trace));
}

/// The fault that a log is said to show.
fn said(log: &[u8]) -> Option<&'static str> {
    let diagnosis = diagnose(&[Input { name: "-", bytes: log }]);
    (diagnosis.verdict == Verdict::Fault).then(|| diagnosis.findings[0].cause.id)
}
