//! Texts with the words by which people tell of a failure, told of something else: none of them is a fault of a passthrough.

use slotwise_core::diagnose::{Input, Verdict, diagnose};

/// Each group has the words of one row of what people tell.
const SILENT: &[&str] = &[
    // Locked memory.
    "Elasticsearch: memory locking requested but memory is not locked, increase RLIMIT_MEMLOCK",
    "GPU passthrough works fine. On the same host, bpftool says that memlock is too low, set it to unlimited.",
    "rdma: ibv_reg_mr failed, increase locked memory in limits.conf. The VF is passed through and works.",
    // Migration.
    "We migrated the passthrough VM from ESXi, the GPU works. The old snapshot files cannot be deleted.",
    "Database migration failed: unsupported column type",
    "After migration to a new SSD the guest does not boot, the GPU passed through is seen by OVMF and works.",
    // Lockdown.
    "Kernel lockdown prevents hibernation on my laptop; GPU passthrough works fine otherwise.",
    "LOCK_DOWN_KERNEL\n- No unsigned modules.\n- Restrict PCI BAR access.\nIs it possible to reflect this in the script?",
    "The prison is on lockdown: visits are not allowed.",
    // A security policy.
    "AppArmor blocks /dev/shm/looking-glass, the GPU passthrough itself works.",
    "SELinux is enforcing. The disk image is not visible to qemu.",
    "apparmor was said to deny virtiofsd its mount: not allowed",
    // Code 43 of other devices than an NVIDIA GPU.
    "iGPU passthrough works until Hyper-V is enabled inside the Windows VM, then the iGPU shows Code 43",
    "Windows has stopped this device because it has reported problems. (Code 43) for the USB Bluetooth adapter of the VM",
    "The Wi-Fi adapter shows code 43 in the guest after sleep",
    // Code 12.
    "My laptop shows Code 12 (cannot find enough free resources) for the SD reader, no VM here",
    "error code 12 from the licence server",
    "step 12: resources are freed",
    // USB of others.
    "libusb_open failed: LIBUSB_ERROR_ACCESS when my scanner is opened by the app",
    "The file in the guest is not owned by the user, take ownership first",
    "/dev/bus/usb/001/004 not owned by plugdev, adb: no permissions",
    // NUMA.
    "huge pages are not properly mapped, numactl prints nothing",
    "numad: threads are placed well; GPU passthrough works fine",
    "mysqld: NUMA interleave not aligned",
    // Power states.
    "It seems like the nouveau driver fails to change power state and crashes the machine when many VMs run",
    "amdgpu: can't change power state from D3hot, the screen of the host gets stuck",
    "laptop stuck in a low power state after resume",
    // dom0.
    "Updates of dom0 still don't work, the module is loaded",
    "dom0: the sound driver is loaded but still silent",
    "qubes.hide_all_usb is on my command line and USB works in sys-usb",
    // The vfio-user protocol, and VFIO that is not asked for.
    "vfio_user.c: 734:map_one: *ERROR*: failed to translate IOVA, is the IOMMU disabled?",
    "cloud-hypervisor: vfio-user socket not found",
    "DPDK runs with UIO instead of VFIO",
];

#[test]
fn words_of_a_failure_that_tell_of_something_else_are_no_fault() {
    let wrong: Vec<String> = SILENT
        .iter()
        .filter_map(|log| {
            let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
            let first = diagnosis.findings.first().map(|finding| (finding.cause.id, finding.confidence));
            (diagnosis.verdict == Verdict::Fault).then(|| format!("{first:?} from {log}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SILENT.len(), wrong.join("\n"));
}
