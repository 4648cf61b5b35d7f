//! Messages as programs print them in the company that they come in, to tell causes with the same lines apart, and working
//! setups and other failures beside them. Formats are those of the kernel, QEMU, DPDK, libxl and Proxmox VE; numbers are ours.

use slotwise_core::diagnose::{Input, Verdict, diagnose};
/// What must be named, or `none`, and a log.
const LOGS: &[(&str, &str)] = &[
    (
        "ats-timeout",
        "[ 511.1] DMAR: DRHD: handling fault status reg 40\n[ 511.1] DMAR: Invalidation Time-out Error (ITE) cleared\n[ 511.1] DMAR: QI HEAD: Device-TLB Invalidation qw0 = 0x300000003, qw1 = 0x7f\nvfio-pci 0000:03:00.0: GPU passed to the VM",
    ),
    (
        "hotplug-no-bus-window",
        "guest kernel: pcieport 0000:00:02.0: pciehp: Slot(0): Card present\n[ 33.1] pci 0000:01:00.0: BAR 0: no space for [mem size 0x10000000 64bit pref]\n[ 33.1] pci 0000:01:00.0: BAR 0: failed to assign [mem size 0x10000000 64bit pref]",
    ),
    (
        "iommu-not-coherent",
        "qemu-system-aarch64: -device vfio-pci,host=0000:01:00.0: vfio 0000:01:00.0: failed to get device: IOMMU cannot enforce cache coherency, not supported\nVFIO needs IOMMU_CAP_CACHE_COHERENCY, missing on this SMMU",
    ),
    (
        "hugepage-pin",
        "qemu-system-x86_64: VFIO_MAP_DMA failed: Bad address\nkernel booted with hugetlb_cma=64G, guest memory on 1G huge pages; vfio_pin_pages_remote fails with longterm pin in CMA",
    ),
    (
        "numa-mismatch",
        "The passed NIC is on NUMA node 1 while the VM's vCPUs and memory are pinned to NUMA node 0; throughput halved compared with the host",
    ),
    (
        "kvm-vfio-kernel-config",
        "qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: Failed to add group 12 to KVM VFIO device: Invalid argument",
    ),
    (
        "no-vga-arbitration",
        "x-vga=on: with the Intel IGD on the host and i915 not participating in VGA arbitration, the guest's VGA writes go to the host's card and corrupt the host screen",
    ),
    (
        "pf-driver-reloaded",
        "i40e 0000:3b:00.0: Unable to deallocate VFs while they are assigned to guests - modprobe -r i40e\niavf 0000:00:05.0: Reset warning received from the PF\nguest lost its VF",
    ),
    (
        "xen-map-irq",
        "libxl: error: libxl_pci.c:1489:pci_add_dm_done: Domain 5:xc_domain_irq_permission irq=16: Invalid argument\npciback 0000:03:00.0: xen_map irq failed -28 for 5 domain",
    ),
    (
        "xen-pciback-not-loaded",
        "libxl: error: libxl_pci.c:757:libxl__device_pci_assignable_add: failed to access /sys/bus/pci/drivers/pciback: No such file or directory",
    ),
    (
        "no-intremap",
        "[ 2.1] DMAR-IR: [Firmware Bug]: ioapic 2 has no mapping iommu, interrupt remapping will be disabled\nqemu: vfio: failed to set iommu for container: Operation not permitted",
    ),
    (
        "rmrr",
        "[ 400.1] vfio-pci 0000:05:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.\nDMAR: RMRR base: 0x000000be5d5000 end: 0x000000be5f6fff",
    ),
    (
        "ivrs-1to1",
        "vfio-pci 0000:c1:00.3: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.\nAMD-Vi: Using global IVHD EFR:0x246577efa2254afa, EFR2:0x0",
    ),
    (
        "iommu-disabled",
        "vfio-pci 0000:01:00.0: probe with driver vfio-pci failed with error -22\n$ ls /sys/kernel/iommu_groups/\n$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet",
    ),
    (
        "iommu-disabled",
        "EAL: Requested device 0000:01:00.0 cannot be used\nEAL: 0000:01:00.0 not managed by VFIO driver, skipping\nvfio-pci: probe of 0000:01:00.0 failed with error -22\ndmesg: DMAR: IOMMU disabled",
    ),
    (
        "memlock",
        "EAL: cannot set up DMA remapping, error 12 (Cannot allocate memory)\nEAL: 0000:05:00.0 DMA remapping failed, error 12 (Cannot allocate memory)\nvfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded",
    ),
    (
        "flr-broken",
        "[ 93.1] vfio-pci 0000:02:00.0: not ready 1023ms after FLR; waiting\n[ 94.1] vfio-pci 0000:02:00.0: not ready 32767ms after FLR; waiting\n[ 95.1] vfio-pci 0000:02:00.0: not ready 65535ms after FLR; giving up\nkvm: vfio: Unable to power on device, stuck in D3",
    ),
    (
        "pcie-link-dead",
        "vfio-pci 0000:65:00.0: Unable to change power state from D0 to D3hot, device inaccessible\npcieport 0000:64:00.0: pciehp: Slot(2): Link Down\npcieport 0000:64:00.0: pciehp: Slot(2): Card not present",
    ),
    (
        "aer-error-storm",
        "pcieport 0000:00:1c.4: AER: Multiple Uncorrected (Non-Fatal) error received: 0000:05:00.0\nvfio-pci 0000:05:00.0: PCIe Bus Error: severity=Uncorrected (Non-Fatal), type=Transaction Layer, (Requester ID)\nvfio-pci 0000:05:00.0:   device [1b21:0612] error status/mask=00100000/00000000\nvfio-pci 0000:05:00.0: AER: can't recover (no error_detected callback)\npcieport 0000:00:1c.4: AER: device recovery failed",
    ),
    (
        "iova-reserved",
        "qemu-system-aarch64: -device vfio-pci,host=0001:01:00.0: vfio 0001:01:00.0: failed to setup container for group 5: memory listener initialization failed: Region mach-virt.ram: vfio_dma_map(0xaaaaf4b2c3d0, 0x40000000, 0x80000000, 0xffff0c000000) = -22 (Invalid argument)",
    ),
    (
        "host-mmio-window",
        "pci 0000:01:00.0: BAR 1 [mem size 0x400000000 64bit pref]: can't assign; no space\npci 0000:01:00.0: BAR 1 [mem size 0x400000000 64bit pref]: failed to assign\nvfio-pci 0000:01:00.0: can't enable device: BAR 1 [mem size 0x400000000 64bit pref] not assigned\nkvm: -device vfio-pci,host=0000:01:00.0: vfio 0000:01:00.0: error getting device from group 12: Invalid argument",
    ),
    (
        "driver-autobind-race",
        "error: Failed to start domain 'win10'\nerror: internal error: Failed to bind PCI device '0000:01:00.2' to vfio-pci: xhci_hcd took the device first, udev rebinds it: Device or resource busy",
    ),
    (
        "secure-boot-lockdown",
        "[ 12.0] Lockdown: qemu-system-x86: direct PCI access is restricted; see man kernel_lockdown.7\nvfio passthrough",
    ),
    (
        "vf-not-enabled",
        "error: internal error: network 'passthrough' uses a direct mode, but none are available; no VFs on enp5s0f0 (sriov_numvfs is 0)",
    ),
    (
        "option-rom-bar-shadow",
        "pci 0000:01:00.0: Video device with shadowed ROM at [mem 0x000c0000-0x000dffff]\nThe dumped ROM of the primary GPU is the shadow copy, tainted by the BIOS at boot; the guest shows a black screen with it",
    ),
    (
        "none",
        "[ 1.1] AMD-Vi: Unable to read/write to IOMMU perf counter.\n[ 1.2] pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40\n[ 1.3] vfio-pci 0000:0a:00.0: vgaarb: changed VGA decodes\n[ 9.0] vfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)\nThe VM runs without problems.",
    ),
    (
        "none",
        "sd 0:0:0:0: [sda] tag#0 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_SENSE\nblk_update_request: critical medium error, dev sda, sector 1234\nVM 100 hostpci0: 01:00.0 stopped with io-error",
    ),
    ("none", "TASK ERROR: storage 'local-lvm' does not exist\nhostpci0: 0000:01:00,pcie=1"),
    (
        "none",
        "qemu-system-x86_64: -netdev tap,id=net0: could not configure /dev/net/tun (tap0): Operation not permitted\n-device vfio-pci,host=01:00.0",
    ),
    (
        "none",
        "Windows bluescreen VIDEO_TDR_FAILURE nvlddmkm.sys inside the VM after a driver update, reinstalling the driver in the guest fixed it",
    ),
    (
        "none",
        "[    0.000000] DMAR: IOMMU enabled\n[    1.2] DMAR: [Firmware Bug]: RMRR entry for device 06:00.0 is broken - applying workaround\n[ 5.0] vfio_pci: add [10de:1b81[ffffffff:ffffffff]] class 0x000000/00000000\n[ 60.1] vfio-pci 0000:06:00.0: enabling device (0000 -> 0003)\npassthrough works as expected",
    ),
    (
        "none",
        "x86/PAT: reserve_memtype failed [mem 0x3ffffff00000-0x3fffffffffff], track uncached-minus, req uncached-minus\nmpt3sas 0000:02:00.0: failed to map the controller",
    ),
    (
        "none",
        "DMAR: DRHD: handling fault status reg 3\nDMAR: [DMA Read] Request device [06:00.0] PASID ffffffff fault addr 1a5e12000 [fault reason 06] PTE Read access is not set\nthe driver of the switch programs its DMA engine wrongly",
    ),
    (
        "none",
        "amdgpu 0000:04:00.0: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff\namdgpu 0000:04:00.0: amdgpu: Unable to locate a BIOS ROM\namdgpu 0000:04:00.0: amdgpu: Fatal error during GPU init",
    ),
    (
        "none",
        "kvm: vfio: Cannot reset device 0000:7a:00.6, depends on group 29 which is not owned.\nThis is benign, the VM starts anyway",
    ),
    (
        "bar-held-by-host-driver",
        "x86/PAT: CPU 3/KVM:1842 conflicting memory types 6000000000-6400000000 write-combining<->uncached-minus\nqemu-system-x86_64: vfio 0000:01:00.0: Failed to mmap 0000:01:00.0 BAR 1. Performance may be slow",
    ),
    (
        "none",
        "GPU passthrough works on my X570 with a 6700 XT, no reset bug, Resizable BAR is enabled as well and everything runs fine",
    ),
    (
        "pf-driver-reloaded",
        "The script takes i915 off the PF and binds it to vfio-pci; that destroys the VFs. TASK ERROR: no pci device info for device '0000:00:02.1'",
    ),
    (
        "ats-timeout",
        "iommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0000:43:00.0 address=0x10023c6a0]\nvfio-pci 0000:43:00.0: resetting",
    ),
    (
        "d3cold-power",
        "AMD-Vi: Completion-Wait loop timed out\niommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0000:06:00.0 address=0x1001e4600]\nGPU passthrough works again with the commit reverted that moves the unused device into a low power state with runtime PM",
    ),
];
#[test]
fn each_log_gives_its_cause_or_none() {
    let wrong: Vec<String> = LOGS
        .iter()
        .filter_map(|(cause, log)| {
            let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
            let first = diagnosis.findings.first().map(|finding| finding.cause.id);
            let got = if diagnosis.verdict == Verdict::Fault { first.unwrap_or("none") } else { "none" };
            (got != *cause).then(|| format!("{cause}: {got} from {log:.60}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), LOGS.len(), wrong.join("\n"));
}

/// Failures of hosts and guests that no passthrough is named beside, with the words that passthrough failures have, too:
/// permission, busy, timeout, reset, memory.
const OTHERS: &[&str] = &[
    "mount: /mnt: permission denied.",
    "rsync: failed to set times on \"/backup\": Operation not permitted (1)",
    "kvm: could not open disk image /var/lib/vz/images/100/vm-100-disk-0.qcow2: Permission denied",
    "bash: fork: Cannot allocate memory",
    "Out of memory: Killed process 2231 (qemu-system-x86) total-vm:18874368kB, anon-rss:16777216kB",
    "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
    "usb 1-4: device descriptor read/64, error -110",
    "ata3: COMRESET failed (errno=-16)",
    "ata3.00: failed command: READ FPDMA QUEUED",
    "nvme nvme0: I/O 12 QID 4 timeout, reset controller",
    "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10",
    "e1000e 0000:00:1f.6 eno1: Detected Hardware Unit Hang",
    "igb 0000:02:00.0 eth0: Reset adapter",
    "i40e 0000:3b:00.0: VSI seid 390 Tx ring 0 disable timeout",
    "mlx5_core 0000:81:00.0: mlx5_cmd_check:810: ENABLE_HCA(0x104) timeout",
    "umount: /dev/sdb1: target is busy: Device or resource busy",
    "mdadm: Cannot open /dev/sdc: Device or resource busy",
    "ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy",
    "pvcreate: Can't open /dev/sdb exclusively.  Mounted filesystem?",
    "Error: VM 101 is locked (backup)",
    "error: Failed to start domain 'web': error: internal error: cannot load AppArmor profile 'libvirt-c2a'",
    "error: Cannot get interface MTU on 'br0': No such device",
    "TASK ERROR: command 'apt-get update' failed: exit code 100",
    "systemd[1]: libvirtd.service: Failed with result 'timeout'.",
    "iwlwifi 0000:04:00.0: Failed to start INIT ucode: -110",
    "amdgpu 0000:0b:00.0: amdgpu: GPU reset begin!",
    "amdgpu 0000:0b:00.0: amdgpu: ring gfx timeout, but soft recovered",
    "nouveau 0000:01:00.0: fifo: fault 00 [READ] at 0000000000000000",
    "NVRM: Xid (PCI:0000:01:00): 31, pid=1234, MMU Fault",
    "NVRM: API mismatch: the client has the version 535.54, but this kernel module has the version 535.86.",
    "kernel BUG at mm/slub.c:305!",
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "thunderbolt 0000:05:00.0: failed to send driver ready to ICM",
    "xhci_hcd 0000:00:14.0: HC died; cleaning up",
    "pcieport 0000:00:1c.0: AER: Corrected error received: 0000:00:1c.0",
    "pcieport 0000:00:1d.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
    "snd_hda_intel 0000:00:1f.3: azx_get_response timeout, switching to polling mode",
    "ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0.XHC.RHUB.HS11], AE_NOT_FOUND",
    "pci 0000:03:00.0: BAR 6: failed to assign [mem size 0x00080000 pref]",
    "pci 0000:00:15.0: can't claim BAR 0 [mem 0xdf0ff000-0xdf0fffff 64bit]: no compatible bridge window",
    "i915 0000:00:02.0: [drm] *ERROR* GT0: GUC: TLB invalidation response timed out",
    "Windows: Your device ran into a problem. Stop code: INACCESSIBLE_BOOT_DEVICE after switching the disk from SATA to VirtIO",
    "docker: Error response from daemon: could not select device driver \"nvidia\" with capabilities: [[gpu]].",
    "Failed to initialize NVML: Driver/library version mismatch",
    "lxc-start: 105: conf.c: run_buffer: 352 Script exited with status 2",
    "zpool import: cannot import 'tank': no such pool available",
    "VirtualBox: VERR_VMX_NO_VMX; kvm: disabled by bios",
    "qemu-img: Could not open 'x.qcow2': Failed to get \"write\" lock",
    "drbd: resource busy, cannot detach",
    "iSCSI connection timed out, session reset",
    "libusb: error [get_usbfs_fd] libusb couldn't open USB device /dev/bus/usb/001/004, errno=13",
    "r8169 0000:03:00.0: can't disable ASPM; OS doesn't have ASPM control",
    "DMAR: [Firmware Bug]: Your BIOS is broken; bad RMRR [0x000000008f800000-0x0000000091ffffff]",
    "DMAR: DRHD: handling fault status reg 3",
    "AMD-Vi: Completion-Wait loop timed out",
    "hv_vmbus: probe failed; vmbus timeout",
    "vmxnet3 0000:0b:00.0 ens192: tx hang",
    // A word of a passthrough is in them, and nothing of one failed.
    "use IOMMU passthrough mode for Intel IPUs\nDMAR: [DMA Read] Request device [00:05.0] fault addr 76406000 [fault reason 06] PTE Read access is not set",
    "GPU-memory RDMA fails with local protection error, DMAR: [DMA Read] Request device [0000:95:00.0] fault addr 0x224041000000",
    "nvme 0000:XX:00.0: Unable to change power state from D3cold to D0, device inaccessible\nnvme nvme1: Disabling device after reset failure: -19",
    "[    2.1] vfio_pci: add [10de:2204[ffffffff:ffffffff]] class 0x000000/00000000\n[  900.1] mlx5_core 0000:81:00.0: Unable to change power state from D3cold to D0, device inaccessible",
    "[    2.1] VFIO - User Level meta-driver version: 0.3\n[  900.1] NVRM: GPU at PCI:0000:01:00: fell off the bus\nNVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.",
    "WARNING: CPU: 2 PID: 1 at drivers/iommu/amd/init.c:980 enable_iommus_vapic+0x343/0x3a0\nModules linked in: vfio_pci vfio",
    "vmd 0000:64:05.5: Bound to PCI domain 10000\nDMAR: VT-d detected Invalidation Time-out Error: SID ffff",
    "Can the IOMMU be left off? With no iommu dma mapping of the BARs, why does vfio map them at all?",
    "vfio: support noiommu mode. On a system with no IOMMU, or with the IOMMU turned off, vfio-pci can still be used.",
    "Falls back to vfio no-iommu (with a warning) when no IOMMU is available.",
    "Hot-unplug failed: unsupported by the port device 'pcie-root-port-3', as expected of a case for hotplug=off on pcie-root-port",
    "The root buses do not support hot-plug, so devices plugged into them cannot be hot-plugged; with hotplug_vfio_on_root_bus it works for me",
    "vfio resets each device with an FLR when it is attached; so we skip the FLR of nvme devices, and failed to update reset_method is only logged",
    "The DMAR table of this board was corrupt until BIOS 1.12; since then VT-d is on and the passthrough runs fine",
    "A malformed DMAR table makes the kernel taint itself. This patch prints the table's address.",
    "DMAR: RMRR entry for device 06:00.0 looks bogus, says the board's manual, and VT-d takes it as it is",
    "Keep the IOVA allocator off the MSI window at 0xfee00000, as the reserved IOVA ranges of the IOMMU say",
    "The reserved range of HyperTransport is taken out of the IOVA space by the IOMMU driver, so that nothing is mapped there",
    "1 TiB of RAM and an IOMMU in the host, and everything works as expected",
    "mmap of the BAR is done by the host driver; rmmod nouveau afterwards",
    "Is it possible to give the same PCI device to two virtual machines at the same time?",
    "The pool is still busy with a scrub; the other VM with the PCI device runs fine",
    "The VBIOS of the card is corrupt, the GPU cannot boot, Code 43 in Windows; a programmer rewrote its flash chip",
    "PCI passthrough works with my LSI HBA.\nIn dmesg I have:\n> [    0.098731] DMAR: [Firmware Bug]: No firmware reserved region can\n> cover this RMRR [0x00000000000e8000-0x00000000000e8fff], contact BIOS\n> vendor for fixes\n> [    0.098794] DMAR: [Firmware Bug]: Your BIOS is broken; bad RMRR\n> [0x00000000000e8000-0x00000000000e8fff]",
];

#[test]
fn failures_without_a_passthrough_beside_them_name_no_cause() {
    for log in OTHERS {
        let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
        let found: Vec<_> = diagnosis.findings.iter().map(|finding| finding.cause.id).collect();
        assert_ne!(diagnosis.verdict, Verdict::Fault, "{log}: {found:?}");
    }
}
