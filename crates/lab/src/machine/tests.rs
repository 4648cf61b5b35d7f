use super::*;
use expect_test::expect;

fn bench() -> Machine {
    Machine::builtin("scsi-bench").unwrap()
}

const BENCH: &str = include_str!("../../data/machines/scsi-bench.toml");

fn message(text: &str) -> String {
    let error = Machine::parse(text).unwrap_err();
    format!("{error} ({})", error.hint().unwrap_or_default())
}

fn files() -> BootFiles {
    BootFiles {
        kernel: "/c/vmlinux".into(),
        initramfs: "/c/initramfs.cpio".into(),
        root: "/c/root.img".into(),
        payload: "/c/payload.img".into(),
        control: "/r/control.sock".into(),
        console: "/r/a,b.log".into(),
        disks: "/r".into(),
    }
}

fn arguments(machine: &Machine) -> String {
    let words: Vec<_> =
        qemu_arguments(machine, &files()).iter().map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ").replace(" -", "\n-")
}

#[test]
fn every_machine_built_in_parses_and_is_called_what_it_is_listed_as() {
    for (name, summary) in Machine::list() {
        assert_eq!(Machine::builtin(name).unwrap().name(), name);
        assert!(!summary.is_empty());
    }
}

#[test]
fn an_unknown_machine_lists_those_there_are() {
    let error = Machine::builtin("scsi").unwrap_err();
    assert_eq!(error.to_string(), "no lab machine is called scsi");
    assert_eq!(error.hint().unwrap(), "there are: scsi-bench, pcie-bench, function-bench");
}

#[test]
fn errors_point_at_line_and_column() {
    let short = "name = \"x\"\nsummary = \"ä\"\nhost = { cpu = \"EPYC\", processors = 1, memory = \"1G\" }\n";
    let text = format!("{short}iommu = {{ kind = \"arm\" }}");
    expect!["line 4, column 18: unknown IOMMU arm (intel, amd or none)"].assert_eq(&message(&text));
    let lines = [
        ("slot = 0xa", "slot = 4"),
        ("slot = 0xa", "slot = 32"),
        ("slot = 0x13", "slot = 0x1c"),
        ("bus = \"port\"", "bus = \"prot\""),
        ("bus = \"port\"\nslot = 0", "bus = \"port\"\nslot = 1"),
        ("controller = \"scsi\"", "controller = \"nic0\""),
        ("target = 2", "target = 7"),
        ("model = \"rtl8139\"", "model = \"rtl8193\""),
        ("size = \"64M\"", "size = \"64\""),
        ("vendor = \"SEAGATE\"", "vendor = \"SEAGATE,,\""),
        ("up = true", "upp = true"),
        ("name = \"nic1\"", "name = \"nic0\""),
    ];
    let messages: Vec<_> = lines.iter().map(|(from, to)| message(&BENCH.replacen(from, to, 1))).collect();
    expect![[r#"
        line 57, column 8: slot 0x4 of bridge is taken (one device for each slot)
        line 57, column 8: slot 32 (slots 0 to 31 on bridge)
        line 70, column 8: slot 0x1c of pcie.0 is not free (0 and 0x1f are the chipset's, 0x1b to 0x1d the lab's own; take one of 1 to 0x1a)
        line 44, column 7: no bus prot (pcie.0, or the name of a bridge or root port declared above)
        line 45, column 8: slot 1 (slots 0 to 0 on port)
        line 75, column 14: no SCSI controller nic0 (the name of a SCSI controller)
        line 76, column 10: SCSI ID 7 (0 to 15 without 7, which is the controller's own)
        line 55, column 9: unknown device model rtl8193 (one of: pcie-root-port, pcie-pci-bridge, lsi53c895a, lsi53c810, dc390, rtl8139, e1000, e1000e, nec-usb-xhci, nvme, ivshmem-plain)
        line 82, column 8: size "64" (a number with K, M, G or T: 64M)
        line 77, column 10: INQUIRY text "SEAGATE,," (1 to 8 printable ASCII characters without comma)
        line 64, column 1: unknown field `upp`, expected one of `name`, `model`, `bus`, `slot`, `up`, `size` ()
        line 67, column 8: name nic0 is taken (a name of its own)"#]].assert_eq(&messages.join("\n"));
}

#[test]
fn settings_change_one_value_and_leave_the_machine_alone_when_they_fail() {
    let mut machine = bench();
    machine.set("scsi.slot", "6").unwrap();
    assert_eq!(machine.devices().iter().find(|device| device.name == "scsi").unwrap().slot, 6);
    machine.set("scsi.slot", "0x7").unwrap();
    machine.set("host.memory", "8G").unwrap();
    assert_eq!(machine.memory(), Bytes(8 << 30));
    let before = machine.clone();
    for (key, value, expected) in [
        ("scsi.slot", "10", expect!["cannot set scsi.slot to 10: slot 0xa of bridge is taken"]),
        (
            "scsi.slto",
            "5",
            expect![
                "cannot set scsi.slto to 5: unknown field `slto`, expected one of `name`, `model`, `bus`, `slot`, `up`, `size`"
            ],
        ),
        ("disc.target", "5", expect!["the machine has no setting disc.target"]),
        ("fault.nointx", "on", expect!["the machine has no setting fault.nointx"]),
        ("slot", "5", expect!["the machine has no setting slot"]),
    ] {
        let error = machine.set(key, value).unwrap_err();
        expected.assert_eq(&error.to_string());
        assert!(error.hint().is_some() || matches!(error, MachineError::Setting { .. }), "{key}");
    }
    assert_eq!(machine, before);
}

#[test]
fn faults_change_what_they_declare_and_can_be_taken_back() {
    let clean = bench();
    for (name, fault) in clean.faults() {
        assert!(!fault.on, "{name}");
        let mut machine = bench();
        machine.set_fault(name, FaultState::On).unwrap();
        assert_ne!(
            (machine.kernel(), machine.iommu()),
            (clean.kernel(), clean.iommu()),
            "{name} changes nothing"
        );
        machine.set_fault(name, FaultState::Off).unwrap();
        assert_eq!((machine.kernel(), machine.iommu()), (clean.kernel(), clean.iommu()), "{name}");
    }
    let mut machine = bench();
    machine.set_fault("nointxmask", FaultState::On).unwrap();
    assert!(machine.kernel().modprobe.contains(&"options vfio-pci nointxmask=1".to_owned()));
    machine.set_fault("iommu-off", FaultState::On).unwrap();
    assert_eq!(machine.kernel().parameters, ["iommu=pt", "intel_iommu=off"]);
    machine.set_fault("no-intremap", FaultState::On).unwrap();
    assert!(matches!(machine.iommu(), Iommu::Intel { interrupt_remapping: false, .. }));
}

#[test]
fn the_command_line_of_the_scsi_bench() {
    expect![[r#"
        -name slotwise-lab-scsi-bench
        -nodefaults
        -no-user-config
        -no-reboot
        -display none
        -machine q35,kernel-irqchip=split
        -accel tcg,thread=multi
        -cpu EPYC
        -smp 2
        -m 4096M
        -device intel-iommu,intremap=on,caching-mode=on,aw-bits=48
        -device pcie-root-port,id=dev-port,bus=pcie.0,addr=0x3,chassis=1,slot=1
        -device pcie-pci-bridge,id=dev-bridge,bus=dev-port,addr=0x0
        -device lsi53c895a,id=dev-scsi,bus=dev-bridge,addr=0x4
        -netdev user,id=dev-neighbour-net,restrict=on
        -device rtl8139,id=dev-neighbour,bus=dev-bridge,addr=0xa,netdev=dev-neighbour-net,mac=52:54:00:51:07:00,romfile=
        -netdev user,id=dev-nic0-net,restrict=on
        -device e1000,id=dev-nic0,bus=pcie.0,addr=0x10,netdev=dev-nic0-net,mac=52:54:00:51:07:01,romfile=
        -netdev user,id=dev-nic1-net,restrict=on
        -device e1000,id=dev-nic1,bus=pcie.0,addr=0x13,netdev=dev-nic1-net,mac=52:54:00:51:07:02,romfile=
        -drive if=none,id=dev-disk-drive,format=raw,cache=unsafe,file=/r/disk.img
        -device scsi-hd,id=dev-disk,bus=dev-scsi.0,scsi-id=2,drive=dev-disk-drive,vendor=SEAGATE,product=ST32550N,ver=0021,scsi_version=2,serial=SLOTWISE01
        -drive if=none,id=lab-root,format=raw,readonly=on,file=/c/root.img
        -device virtio-blk-pci,drive=lab-root,serial=lab-root,bus=pcie.0,addr=0x1b
        -drive if=none,id=lab-payload,format=raw,readonly=on,file=/c/payload.img
        -device virtio-blk-pci,drive=lab-payload,serial=lab-payload,bus=pcie.0,addr=0x1c
        -chardev socket,id=lab-control,path=/r/control.sock
        -device virtio-serial-pci,id=lab-serial,bus=pcie.0,addr=0x1d
        -device virtserialport,bus=lab-serial.0,chardev=lab-control,name=slotwise.lab.control
        -chardev file,id=lab-console,path=/r/a,,b.log
        -serial chardev:lab-console
        -kernel /c/vmlinux
        -initrd /c/initramfs.cpio
        -append console=ttyS0 quiet panic=-1 no_timer_check intel_iommu=on iommu=pt"#]].assert_eq(&arguments(&bench()));
}

#[test]
fn a_machine_without_iommu_has_no_iommu_device() {
    let mut machine = bench();
    machine.set_fault("no-iommu", FaultState::On).unwrap();
    assert!(!arguments(&machine).contains("iommu,"));
}
