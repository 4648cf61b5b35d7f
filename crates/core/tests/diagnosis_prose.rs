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
    // Guides, readmes and release notes.
    "This tool is for those whose GeForce shows Code 43 in the VM. It hides the hypervisor from the driver.",
    "The goal of this project is to get round the AMD reset bug: a Radeon that is passed through hangs when the VM reboots.",
    "Passthrough of a GeForce to Hyper-V: when you install its driver in the VM, you will get error 43.",
    "- **Prevent a hang of passed GPUs** (#12): QEMU aborts with 'vfio: Unable to power on device, stuck in D3'",
    "- **`vfio: Unable to power on device, stuck in D3`** in the log of qm means that the card was not posted",
    "Common errors:\n\nvfio 0000:01:00.0: group 1 is not viable\n\nThe VM works with the GPU passed through.",
    // The guest's own firmware and USB.
    "With PCI passthrough, disable Secure Boot in the VM, it only gets in the way",
    "Snapshots of a VM with USB passthrough are not possible, export the halted VM instead",
    // The vfio-user protocol, and VFIO that is not asked for.
    "vfio_user.c: 734:map_one: *ERROR*: failed to translate IOVA, is the IOMMU disabled?",
    "cloud-hypervisor: vfio-user socket not found",
    "DPDK runs with UIO instead of VFIO",
];

/// Another failure beside a passthrough that works, or that nobody asks about.
const BESIDE: &[&str] = &[
    "The Radeon of the host hangs after suspend; the VM with the other card passed through runs fine.",
    "I reset my password and now the VM's web UI cannot be reached; passthrough of the GPU works.",
    "USB passthrough of my Zigbee stick works, but zigbee2mqtt in the guest says: Error opening serial port /dev/ttyUSB0: permission denied",
    "VFs are created and passed to the guest, but DHCP gets no address on VLAN 20.",
    "qemu-system-x86_64: -drive file=/vm/disk.qcow2: Could not open '/vm/disk.qcow2': Permission denied\n-device vfio-pci,host=01:00.0",
    "Two sockets; the VM is slow because ballooning is on. The GPU passed through is pinned to its own NUMA node.",
    "xl create: libxl: error: xc: panic: not enough memory for HVM guest\npci = [ '03:00.0' ]",
    "error: Failed to start domain 'win10'\nerror: internal error: qemu unexpectedly closed the monitor: qemu-system-x86_64: -netdev tap,fd=30: Device or resource busy\n<hostdev mode='subsystem' type='pci' managed='yes'>",
    "TASK ERROR: start failed: org.freedesktop.systemd1.UnitExists: Unit 101.scope already exists.\nhostpci0: 01:00,pcie=1,x-vga=1",
    "kvm: -drive file=/dev/zvol/rpool/data/vm-100-disk-0: Could not open: No such file or directory\nTASK ERROR: start failed\nhostpci0: 0000:01:00.0",
    "TASK ERROR: VM is locked (backup)\nhostpci0: 0000:03:00,pcie=1",
    "TASK ERROR: unable to parse value of 'numa0' - format error\nhostpci0: 0000:03:00,pcie=1",
    "GPU passthrough works, but the sound of the guest crackles over HDMI and the mouse lags.",
    "The guest's NVIDIA driver installer fails: gcc not found. lspci in the VM shows the card.",
    "nvidia-smi: Failed to initialize NVML: Driver/library version mismatch, in the VM with the passed GPU",
    "CUDA error: out of memory in the guest with the A100 passed through",
    "Docker in the guest: could not select device driver \"\" with capabilities: [[gpu]]. Passthrough itself is fine.",
    "Plex in the VM does not use hardware transcoding although /dev/dri/renderD128 exists; iGPU passed through.",
    "ollama in the VM falls back to CPU, nvidia-smi shows the passed card.",
    "The passed NIC works at 100 Mb/s only, the cable was bad.",
    "ixgbe 0000:03:00.0: failed to load because an unsupported SFP+ module type was detected.\nVFs: none needed",
    "pfSense: passed through igb0 has no carrier; the switch port was disabled.",
    "After the update Windows 11 in the VM bluescreens with MEMORY_MANAGEMENT; without XMP it is stable. GPU passthrough.",
    "FiveM and Valorant refuse to run in the VM, anti-cheat says virtual machine detected. GPU passthrough otherwise OK.",
    "Looking Glass: the host application fails to start, Failed to create DXGI capture. Passthrough works on a monitor.",
    "Looking Glass client: shared memory /dev/shm/looking-glass permission denied",
    "The guest shows only 800x600 since virtio-vga is the primary display; the passed card works as second display.",
    "Moonlight shows a black screen because no dummy plug is in the passed GPU.",
    "ZFS pool in TrueNAS VM degraded: one disk behind the passed HBA has read errors\nzio pool=tank vdev=/dev/sdc error=5",
    "mpt2sas_cm0: log_info(0x31110e05): originator(PL), code(0x11), sub_code(0x0e05)\nsd 2:0:3:0: [sdd] Medium Error in the guest, HBA passed through",
    "ata5.00: failed command: READ FPDMA QUEUED on the host; the NVMe for the VM is passed through and fine",
    "The VM with GPU passthrough starts, but virt-manager says: Error connecting to graphical console: spice is not configured",
    "ERROR: internal error: cannot find suitable CPU model for given data (cpu-passthrough vs host-model)",
    "error: unsupported configuration: CPU mode 'host-passthrough' for aarch64 qemu domain on x86_64 host is not supported by hypervisor",
    "Disk passthrough: /dev/disk/by-id/ata-WDC: the guest cannot read SMART data",
    "TPM passthrough: tpm-passthrough: '/dev/tpm0' is not emulating TPM device. Error: Device or resource busy",
    "virtiofs passthrough of a folder fails: virtiofsd died, permission denied",
    "Audio passthrough via PulseAudio does not work: connection refused",
    "Clipboard and USB redirection of SPICE fail: spice-vdagent is not running",
    "qemu-system-x86_64: -device usb-host,vendorid=0x046d: Property 'usb-host.vendorid' doesn't take value '0x46dz'",
    "qemu-system-x86_64: -device vfio-pci,host=01:00.0,x-foo=on: Property 'vfio-pci.x-foo' not found",
    "error: XML error: Attempted double use of PCI Address 0000:00:05.0",
    "Xen: dom0 runs out of loop devices, xl create fails: Device 51712 (vbd) could not be connected. Hotplug scripts not working.",
    "libxl: error: libxl_exec.c: /etc/xen/scripts/vif-bridge online exited with error status 1\npci = ['00:1b.0']",
    "Qubes: sys-usb starts but the mouse does not work: qubes.InputMouse denied by policy",
    "Qubes: sys-net starts, NetworkManager in it shows no Wi-Fi since firmware iwlwifi-7265D is missing",
    "unraid: VM tab says Libvirt Service failed to start, docker image is full. GPU was passed through before.",
    "unraid: array stopped, parity check errors; the VM with passed NVMe works",
    "Snapshots of the VM's disk fail: qcow2 format needed. GPU passthrough stays.",
    "Backup of the VM with hostpci0 failed: ERROR: job failed with err -5 - Input/output error on storage",
    "migration of the database in the guest is not possible: foreign key error. The GPU VM is passed through.",
    "The memory of the VM cannot be increased: ballooning is not supported with this guest; VFIO card passed",
    "OOM: Killed process 3321 (kvm) total-vm:20000000kB; VM 101 has hostpci0: 01:00.0",
    "hugetlb: not enough huge pages: qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory\n-device vfio-pci,host=0a:00.0",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks in the guest; vfio-pci 0000:01:00.0: enabling device (0000 -> 0003)",
    "Secure boot in the VM: OVMF says Access Denied for the unsigned EFI shell. The GPU is passed through.",
    "I disabled Secure Boot in the guest since the NVIDIA module is unsigned: Key was rejected by service. In the VM with the passed GPU.",
    "NVRM: API mismatch: the client has the version 550.54, but this kernel module has the version 535. (in the guest, GPU passed through)",
    "Guide: if you get Code 43 with NVIDIA cards, hide the hypervisor. My VM with GPU passthrough works, I only want to know how to overclock.",
    "How do I share one GPU between two VMs? Passthrough to one of them works.",
    "Which motherboard has good IOMMU groups? I plan passthrough of two GPUs.",
    "Is it possible to pass through a GPU on a laptop without a MUX? I have not tried yet.",
    "Feature request: show the NUMA node of the passed device in the UI.",
    "Please add VF support to the web interface: SR-IOV devices should be selectable for a VM.",
    "test: skip the vfio tests where the runner has no /dev/kvm",
    "Merge branch 'vfio-fixes': selftests pass",
    "The passed Intel AX210 in the guest: iwlwifi 0000:00:05.0: no suitable firmware found! minimum version required: iwlwifi-ty-a0-gf-a0-59",
    "iwlwifi 0000:06:10.0: Direct firmware load for iwlwifi-so-a0-gf-a0-89.ucode failed with error -2 in HAOS, the card is passed through",
    "Bluetooth: hci0: Failed to load Intel firmware file intel/ibt-0040-0041.sfi (-2), in the VM with passed USB",
    "Coral TPU passed through: apex driver fails to build with kernel 6.8 in the guest: error: implicit declaration of function",
    "gasket-dkms: bad exit status: 10 in the VM, lspci shows the Coral",
    "The guest reports nvme nvme0: Device not ready; aborting initialisation after a power cut; on bare metal too. Passed NVMe is dead.",
    "LSI 9211 passed to TrueNAS: mpt2sas version mismatch P19 vs P20 firmware warning",
    "r8169 on the host: eth0 link down; VFIO VM not affected",
    "kernel: e1000e 0000:00:1f.6 eno1: Detected Hardware Unit Hang; VM 100 with hostpci0 loses network",
    "vmbr0: port 2(tap100i0) entered disabled state; the VM with passed GPU lost network after bridge reload",
    "pvestatd: got timeout; storage 'nas' is not online; VM with hostpci cannot start since its disk is there",
    "kvm: -netdev type=tap,id=net0,ifname=tap100i0: network script /var/lib/qemu-server/pve-bridge failed with status 512\nhostpci0: 01:00",
    "TASK ERROR: can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout\nhostpci0: 01:00,pcie=1",
    "swtpm_setup: Starting vTPM manufacturing\nTASK ERROR: start failed: command '/usr/bin/swtpm' failed: exit code 1\nhostpci0: 01:00",
    "qemu: could not load PC BIOS 'bios-256k.bin'\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: failed to find romfile \"efi-virtio.rom\"\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: could not load kernel 'bzImage': No such file or directory\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -m 64G: cannot set up guest memory 'pc.ram': Cannot allocate memory\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: unsupported machine type pc-q35-9.0\nUse -machine help to list supported machines\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -spice port=5900: failed to initialize spice server\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -vnc :0: Failed to find an available port: Address already in use\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -display gtk: gtk initialization failed\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -object input-linux,id=kbd1,evdev=/dev/input/event5: Could not open '/dev/input/event5': Permission denied\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -audiodev pa,id=snd0: Failed to initialize PA contextaudio: Could not init `pa' audio driver\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -object memory-backend-file,mem-path=/dev/shm/looking-glass: can't open backing store /dev/shm/looking-glass for guest RAM: Permission denied\n-device vfio-pci,host=01:00.0",
    "qemu-system-x86_64: -object memory-backend-file,mem-path=/dev/kvmfr0: can't open backing store /dev/kvmfr0 for guest RAM: Operation not permitted\n-device vfio-pci,host=01:00.0",
    "error: Failed to start domain win10\nerror: Requested operation is not valid: network 'default' is not active\n<hostdev mode='subsystem' type='pci' managed='yes'>",
    "error: internal error: Failed to apply firewall rules iptables: No chain/target/match by that name\n<hostdev managed='yes'>",
    "error: operation failed: pool 'default' already exists; the domain has hostdev",
    "error: Cannot check QEMU binary /usr/bin/kvm-spice: No such file or directory\n<hostdev mode='subsystem' type='pci'>",
    "libvirtd[900]: internal error: End of file from qemu monitor\nkernel: Out of memory: Killed process 4411 (qemu-system-x86)\n<hostdev type='pci'/>",
    "kernel: traps: CPU 3/KVM[4711] general protection fault ip:55d1 sp:7f error:0 in qemu-system-x86_64\nvfio-pci 0000:01:00.0: enabling device (0002 -> 0003)",
    "KVM: entry failed, hardware error 0x80000021\nEAX=00000000 EBX=00000000\n-device vfio-pci,host=01:00.0",
    "kvm [3331]: vcpu0, guest rIP: 0xfffff8 ignored wrmsr: 0xda0 data 0x0\nvfio-pci 0000:01:00.0: enabling device (0000 -> 0003)\nThe guest crashes with CLOCK_WATCHDOG_TIMEOUT on launch of games",
    "amdgpu 0000:03:00.0: [drm] *ERROR* ring gfx_0.0.0 timeout\namdgpu: GPU reset begin!\nThe host's card; 0a:00.0 is bound to vfio-pci for the VM",
    "nouveau 0000:01:00.0: fifo: SCHED_ERROR 0a [CTXSW_TIMEOUT]\nno VM is running; vfio module loaded",
    "i915 0000:00:02.0: [drm] GPU HANG: ecode 9:1:85dffffb, in Xorg [900]\nhost desktop; the dGPU is with vfio-pci for a VM that works",
    "usb 3-2: device descriptor read/64, error -71\nusb 3-2: unable to enumerate USB device\nhost; VM with passed GPU works",
    "xhci_hcd 0000:00:14.0: WARN Event TRB for slot 1 ep 2 with no TDs queued?\nUSB passthrough of a printer works",
    "BTRFS error (device nvme0n1p2): bdev errs: wr 0, rd 12\nvfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)",
    "WARNING: Pool 'rpool' has encountered an uncorrectable I/O failure and has been suspended.\nvfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)",
    "EXT4-fs error (device dm-1): ext4_find_entry\nBuffer I/O error on dev dm-1\nvfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)",
    "mce: [Hardware Error]: Machine check events logged\nEDAC MC0: 1 CE memory read error\nvfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)",
    "watchdog: BUG: soft lockup - CPU#4 stuck for 22s! [kworker/4:1:99] zfs\nvfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)",
    "BUG: unable to handle page fault for address: ffffb\nRIP: 0010:nfs4_open\nvfio-pci 0000:0a:00.0: enabling device (0000 -> 0003)",
    "(XEN) d5 L1TF-vulnerable L4e seen - Shadowing\nxen-pciback 0000:03:00.0: enabling device\nguest runs",
    "vif vif-5-0: Guest Rx stalled\nxen-blkback: backend/vbd/5/51712: prepare for reconnect\npciback: vpci: assign to virtual slot 0",
    "xapi: SR_BACKEND_FAILURE_47 The SR is not available; the VM with other-config:pci=0/0000:03:00.0 does not start",
    "HVM: xl: Unable to find bootable device; pci=['03:00.0'] NIC passed for PXE later",
    "VFs are made at each boot by a udev rule; after a reboot the guest's static route has to be added again, the VF passed through works.",
    "After a reboot the containers are gone since the docker volume was on tmpfs; the VM with SR-IOV NIC works.",
    "The vfs module of samba (vfs_fruit) disappeared after an update; smbd does not start on reboot",
    "CONFIG_KVM_AMD is not set in the guest kernel; nested VMs do not start. GPU passthrough works.",
    "Kernel config: CONFIG_VFIO=m, CONFIG_KVM_VFIO=y, CONFIG_SND missing; no sound on the host",
    "make menuconfig: kvm and vfio enabled; CONFIG_R8169 not set so there is no network",
    "ulimit -l unlimited is set for qemu, passthrough works; ulimit -n is too low for nginx",
    "The audio interface is renamed to \"USB Audio\" by Windows after I installed the card driver; GPU passed through works",
    "I moved the VM disk from local-lvm to nfs, now backups are slow; the GPU at 01:00.0 stays passed through",
    "I replaced the thermal paste of the GPU; the VM with passthrough runs cooler",
    "I removed the old SSD and the RAID is degraded; the VM with the passed NIC works",
    "The snapshot tab is empty for VMs with PCI passthrough, is that normal?",
    "vendor-reset builds fine on 6.8 and my RX 580 resets without trouble",
    "gcc: error building vendor-reset: implicit declaration of function 'PDE_DATA'",
];

#[test]
fn words_of_a_failure_that_tell_of_something_else_are_no_fault() {
    let wrong: Vec<String> = [SILENT, BESIDE]
        .concat()
        .iter()
        .filter_map(|log| {
            let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
            let first = diagnosis.findings.first().map(|finding| (finding.cause.id, finding.confidence));
            (diagnosis.verdict == Verdict::Fault).then(|| format!("{first:?} from {log}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SILENT.len() + BESIDE.len(), wrong.join("\n"));
}

/// The same words where somebody met the failure.
const MET: &[(&str, &str)] = &[
    (
        "nvidia-code-43",
        "This guide is for NVIDIA cards. I followed it, and my GeForce still shows Code 43 in the VM it is passed through to.",
    ),
    (
        "d3cold-power",
        "Start of the VM: 'vfio: Unable to power on device, stuck in D3' is what I get, see (#12)",
    ),
    (
        "secure-boot-lockdown",
        "Secure Boot of the host blocked vfio-pci: the unsigned module for PCI passthrough was refused",
    ),
    ("migration-blocked", "Live migration of the VM failed, since a GPU is passed through with vfio"),
];

#[test]
fn the_same_words_are_a_fault_where_somebody_met_it() {
    for (cause, log) in MET {
        let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
        let first = diagnosis.findings.first().map(|finding| finding.cause.id);
        assert_eq!((diagnosis.verdict, first), (Verdict::Fault, Some(*cause)), "{log}");
    }
}
