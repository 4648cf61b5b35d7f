//! One snapshot for each kind of machine.

use std::path::Path;

use expect_test::{Expect, expect};
use slotwise_core::facts::CpuList;
use slotwise_core::vm::{
    BootModule, ChannelName, Cpu, CpuCount, CpuModel, HostNode, KernelBoot, MemorySize, PassthroughDevice,
    UsbId,
};

use super::*;
use crate::process::Tether;
use crate::qemu::capabilities::Version;
use crate::qemu::wiring::Sockets;

fn capabilities() -> Capabilities {
    let models = [
        "vfio-pci",
        "virtio-blk-pci",
        "ide-hd",
        "virtio-serial-pci",
        "qemu-xhci",
        "usb-host",
        "pcie-root-port",
    ];
    Capabilities {
        program: "/usr/bin/qemu-system-x86_64".into(),
        version: Version { major: 7, minor: 2, micro: 22 },
        kvm: Kvm::Usable,
        devices: models.into_iter().map(str::to_owned).collect(),
        tether: Tether::None,
    }
}

fn bench() -> VmConfig {
    VmConfig {
        name: "bench".parse().expect("a name"),
        machine: MachineType::Pc,
        acceleration: Acceleration::Hardware,
        cpu: Cpu { model: CpuModel::Host, count: CpuCount::ONE, signature: HypervisorSignature::Shown },
        memory: MemorySize::from_mib(96).expect("a size"),
        node: None,
        firmware: Firmware::Bios,
        boot: Boot::Kernel(KernelBoot {
            kernel: "/boot/vmlinuz".into(),
            arguments: "console=ttyS0 quiet panic=-1".into(),
            payload: KernelPayload::Initrd("/srv/guest.cpio.gz".into()),
        }),
        disks: Vec::new(),
        devices: vec![device("0000:02:06.0")],
        usb: Vec::new(),
        channels: vec![ChannelName::agent()],
        console: Console::Serial,
        on_reboot: OnReboot::End,
    }
}

fn device(host: &str) -> PassthroughDevice {
    PassthroughDevice::new(host.parse().expect("an address"))
}

fn slot(text: &str) -> GuestSlot {
    text.parse().expect("a slot")
}

fn check(config: VmConfig, wiring: Wiring<'_>, expected: &Expect) {
    let spec = VmSpec::new(config).expect("a machine without faults");
    let line = render(&spec, &capabilities(), wiring).expect("rendered");
    expected.assert_eq(&format!("{line}\n"));
}

fn check_by_hand(config: VmConfig, expected: &Expect) {
    check(config, Wiring::Terminal, expected);
}

#[test]
fn the_bench_on_sockets() {
    let mut config = bench();
    config.devices = vec![device("0000:02:06.0").at(slot("6"))];
    let sockets = Sockets::of(Path::new("/run/user/0/slotwise"), &config.name);
    check(
        config,
        Wiring::Sockets(&sockets),
        &expect![[r#"
        /usr/bin/qemu-system-x86_64 \
          -nodefaults \
          -no-user-config \
          -name guest=bench \
          -machine pc \
          -accel kvm \
          -cpu host \
          -smp 1 \
          -m 96M \
          -display none \
          -no-reboot \
          -kernel /boot/vmlinuz \
          -initrd /srv/guest.cpio.gz \
          -append 'console=ttyS0 quiet panic=-1' \
          -chardev socket,id=own-qmp,path=/run/user/0/slotwise/bench/own-qmp.sock \
          -mon chardev=own-qmp,mode=control \
          -chardev socket,id=qmp,path=/run/user/0/slotwise/bench/qmp.sock,server=on,wait=off \
          -mon chardev=qmp,mode=control \
          -chardev socket,id=console,path=/run/user/0/slotwise/bench/console.sock \
          -serial chardev:console \
          -device vfio-pci,id=host-0000-02-06-0,host=0000:02:06.0,bus=pci.0,addr=06.0 \
          -device virtio-serial-pci,id=channels \
          -chardev socket,id=channel0,path=/run/user/0/slotwise/bench/channel0.sock,server=on,wait=off \
          -device virtserialport,bus=channels.0,chardev=channel0,name=org.slotwise.agent.0
    "#]],
    );
}

#[test]
fn the_bench_by_hand() {
    check_by_hand(
        bench(),
        &expect![[r#"
        /usr/bin/qemu-system-x86_64 \
          -nodefaults \
          -no-user-config \
          -name guest=bench \
          -machine pc \
          -accel kvm \
          -cpu host \
          -smp 1 \
          -m 96M \
          -display none \
          -no-reboot \
          -kernel /boot/vmlinuz \
          -initrd /srv/guest.cpio.gz \
          -append 'console=ttyS0 quiet panic=-1' \
          -serial mon:stdio \
          -device vfio-pci,id=host-0000-02-06-0,host=0000:02:06.0 \
          -device virtio-serial-pci,id=channels \
          -chardev socket,id=channel0,path=org.slotwise.agent.0.sock,server=on,wait=off \
          -device virtserialport,bus=channels.0,chardev=channel0,name=org.slotwise.agent.0
    "#]],
    );
}

#[test]
fn devices_with_a_chosen_slot_come_before_those_without() {
    let mut config = bench();
    config.machine = MachineType::Q35;
    config.channels.clear();
    config.devices = vec![
        device("0000:03:00.0"),
        device("0000:01:00.1").at(slot("2.1")),
        device("10000:01:00.0").at(slot("2.0")),
    ];
    check_by_hand(
        config,
        &expect![[r#"
            /usr/bin/qemu-system-x86_64 \
              -nodefaults \
              -no-user-config \
              -name guest=bench \
              -machine q35 \
              -accel kvm \
              -cpu host \
              -smp 1 \
              -m 96M \
              -display none \
              -no-reboot \
              -kernel /boot/vmlinuz \
              -initrd /srv/guest.cpio.gz \
              -append 'console=ttyS0 quiet panic=-1' \
              -serial mon:stdio \
              -device pcie-root-port,id=port0,bus=pcie.0,addr=1c.0,multifunction=on,chassis=1,slot=1 \
              -device pcie-root-port,id=port1,bus=pcie.0,addr=1c.1,chassis=2,slot=2 \
              -device pcie-root-port,id=port2,bus=pcie.0,addr=1c.2,chassis=3,slot=3 \
              -device pcie-root-port,id=port3,bus=pcie.0,addr=1c.3,chassis=4,slot=4 \
              -device vfio-pci,id=host-0000-01-00-1,host=0000:01:00.1,bus=pcie.0,addr=02.1 \
              -device vfio-pci,id=host-10000-01-00-0,host=10000:01:00.0,bus=pcie.0,addr=02.0,multifunction=on \
              -device vfio-pci,id=host-0000-03-00-0,host=0000:03:00.0
        "#]],
    );
}

#[test]
fn a_graphics_card_with_keyboard_and_uefi() {
    let mut config = bench();
    config.machine = MachineType::Q35;
    config.memory = MemorySize::from_mib(8192).expect("a size");
    config.cpu.signature = HypervisorSignature::Hidden;
    config.cpu.count = CpuCount::new(4).expect("in range");
    config.firmware = Firmware::Uefi { code: "/fw/code,4m.fd".into(), variables: "/vm/vars.fd".into() };
    config.boot = Boot::Firmware;
    config.channels.clear();
    config.console = Console::None;
    config.on_reboot = OnReboot::Restart;
    config.disks = vec![Disk {
        image: DiskImage::Qcow2("/vm/system.qcow2".into()),
        bus: DiskBus::Virtio,
        writes: DiskWrites::Kept,
    }];
    let mut card = device("0000:01:00.0").at(slot("3"));
    card.legacy_vga = LegacyVga::Yes;
    card.rom = OptionRom::File("/vm/card.rom".into());
    config.devices = vec![card, device("0000:01:00.1").at(slot("3.1"))];
    config.usb = vec![UsbHostDevice::Id(UsbId { vendor: 0x046d, product: 0xc330 })];
    check_by_hand(
        config,
        &expect![[r#"
            /usr/bin/qemu-system-x86_64 \
              -nodefaults \
              -no-user-config \
              -name guest=bench \
              -machine q35 \
              -accel kvm \
              -cpu host,kvm=off \
              -smp 4 \
              -m 8G \
              -display none \
              -drive if=pflash,format=raw,unit=0,readonly=on,file=/fw/code,,4m.fd \
              -drive if=pflash,format=raw,unit=1,file=/vm/vars.fd \
              -monitor stdio \
              -device pcie-root-port,id=port0,bus=pcie.0,addr=1c.0,multifunction=on,chassis=1,slot=1 \
              -device pcie-root-port,id=port1,bus=pcie.0,addr=1c.1,chassis=2,slot=2 \
              -device pcie-root-port,id=port2,bus=pcie.0,addr=1c.2,chassis=3,slot=3 \
              -device pcie-root-port,id=port3,bus=pcie.0,addr=1c.3,chassis=4,slot=4 \
              -device vfio-pci,id=host-0000-01-00-0,host=0000:01:00.0,bus=pcie.0,addr=03.0,romfile=/vm/card.rom,x-vga=on,multifunction=on \
              -device vfio-pci,id=host-0000-01-00-1,host=0000:01:00.1,bus=pcie.0,addr=03.1 \
              -drive if=none,id=disk0,format=qcow2,file=/vm/system.qcow2 \
              -device virtio-blk-pci,drive=disk0,bootindex=1 \
              -device qemu-xhci,id=usb \
              -device usb-host,bus=usb.0,vendorid=0x046d,productid=0xc330
        "#]],
    );
}

#[test]
fn a_multiboot_kernel_with_modules_and_a_careful_device() {
    let mut config = bench();
    let module = |path: &str, arguments: &str| BootModule { path: path.into(), arguments: arguments.into() };
    config.boot = Boot::Kernel(KernelBoot {
        kernel: "/os/cpu".into(),
        arguments: "loglevel=4".into(),
        payload: KernelPayload::Modules(vec![module("/os/init", "a,b"), module("/os/mlx4", "")]),
    });
    let mut careful = device("0000:02:04.0");
    careful.rom = OptionRom::Hidden;
    careful.intx = IntxDelivery::ThroughMonitor;
    careful.bars = BarAccess::Trapped;
    config.devices = vec![careful];
    config.channels.clear();
    check_by_hand(
        config,
        &expect![[r#"
        /usr/bin/qemu-system-x86_64 \
          -nodefaults \
          -no-user-config \
          -name guest=bench \
          -machine pc \
          -accel kvm \
          -cpu host \
          -smp 1 \
          -m 96M \
          -display none \
          -no-reboot \
          -kernel /os/cpu \
          -initrd '/os/init a,,b,/os/mlx4' \
          -append loglevel=4 \
          -serial mon:stdio \
          -device vfio-pci,id=host-0000-02-04-0,host=0000:02:04.0,rombar=0,x-no-kvm-intx=on,x-no-mmap=on
    "#]],
    );
}

#[test]
fn a_firmware_guest_with_a_folder_as_disk_under_emulation() {
    let mut config = bench();
    config.acceleration = Acceleration::Emulation;
    config.firmware = Firmware::BiosImage("/fw/bios.bin".into());
    config.boot = Boot::Firmware;
    let ata = |image| Disk { image, bus: DiskBus::Ata, writes: DiskWrites::Discarded };
    config.disks =
        vec![ata(DiskImage::FatDirectory("/suite".into())), ata(DiskImage::Raw("/images/dos.img".into()))];
    config.devices.clear();
    config.channels.clear();
    check_by_hand(
        config,
        &expect![[r#"
            /usr/bin/qemu-system-x86_64 \
              -nodefaults \
              -no-user-config \
              -name guest=bench \
              -machine pc \
              -accel tcg \
              -cpu max \
              -smp 1 \
              -m 96M \
              -display none \
              -no-reboot \
              -bios /fw/bios.bin \
              -serial mon:stdio \
              -drive if=none,id=disk0,format=raw,file=fat:/suite,snapshot=on \
              -device ide-hd,drive=disk0,bootindex=1 \
              -drive if=none,id=disk1,format=raw,file=/images/dos.img,snapshot=on \
              -device ide-hd,drive=disk1,bootindex=2
        "#]],
    );
}

#[test]
fn missing_acceleration_is_an_error_unless_emulation_is_allowed() {
    let mut caps = capabilities();
    caps.kvm = Kvm::Unusable(KvmFault::Missing("/dev/kvm".into()));
    let mut config = bench();
    let spec = VmSpec::new(config.clone()).expect("a machine");
    let error = render(&spec, &caps, Wiring::Terminal).expect_err("no KVM");
    assert!(matches!(error, RenderError::NoAcceleration { .. }));
    assert_eq!(
        std::error::Error::source(&error).map(ToString::to_string).as_deref(),
        Some("/dev/kvm does not exist")
    );
    config.acceleration = Acceleration::HardwareElseEmulation;
    let spec = VmSpec::new(config).expect("a machine");
    let line = render(&spec, &caps, Wiring::Terminal).expect("emulated").to_string();
    assert!(line.contains("-accel tcg") && line.contains("-cpu max"), "{line}");
}

#[test]
fn a_qemu_without_the_device_model_is_refused() {
    let mut caps = capabilities();
    caps.devices.remove("vfio-pci");
    let spec = VmSpec::new(bench()).expect("a machine");
    let error = render(&spec, &caps, Wiring::Terminal).expect_err("no model").to_string();
    assert_eq!(error, "this QEMU has no device model vfio-pci, which machine bench needs");
}

#[test]
fn hotplug_says_what_the_command_line_says() {
    let device = device("0000:02:06.0").at(slot("6"));
    let plugged = hotplug_properties(HotplugPlace::RootBus(MachineType::Pc), &device);
    assert_eq!(
        serde_json::Value::Object(plugged),
        serde_json::json!({"host": "0000:02:06.0", "bus": "pci.0", "addr": "06.0"})
    );
    let plugged = hotplug_properties(HotplugPlace::Port(2), &device);
    assert_eq!(
        serde_json::Value::Object(plugged),
        serde_json::json!({"host": "0000:02:06.0", "bus": "port2"})
    );
    assert_eq!(device_id("0000:02:06.0".parse().expect("an address")), "host-0000-02-06-0");
}

#[test]
fn a_memory_node_binds_memory_and_processors() {
    let mut config = bench();
    config.machine = MachineType::Q35;
    config.node = Some(HostNode { number: 1, processors: CpuList::parse("4-7,12-15") });
    let line = |config: VmConfig| {
        let spec = VmSpec::new(config).expect("a machine without faults");
        render(&spec, &capabilities(), Wiring::Terminal).expect("rendered").to_string()
    };
    let text = line(config.clone());
    let head = "taskset -c 4-7,12-15 /usr/bin/qemu-system-x86_64 \\\n";
    assert!(text.starts_with(head), "{text}");
    for option in [
        "-object memory-backend-ram,id=pc.ram,size=96M,host-nodes=1,policy=bind \\\n",
        "-machine q35,memory-backend=pc.ram \\\n",
        "-m 96M \\\n",
    ] {
        assert!(text.contains(option), "{option} in {text}");
    }
    config.node = Some(HostNode { number: 1, processors: None });
    assert!(line(config).starts_with("/usr/bin/qemu-system-x86_64"), "a node of memory alone");
}
