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
    assert_eq!(error.hint().unwrap(), "there are: scsi-bench");
}

#[test]
fn errors_point_at_line_and_column() {
    expect!["line 23, column 16: unknown IOMMU arm (intel, amd or none)"]
        .assert_eq(&message(&BENCH.replacen("kind = \"intel\"", "kind =       \"arm\"", 1).replacen('#', "\n#", 1)));
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
    expect![[r#""#]].assert_eq(&messages.join("\n"));
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
        ("scsi.slto", "5", expect![""]),
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
        assert_ne!((machine.kernel(), machine.iommu()), (clean.kernel(), clean.iommu()), "{name} changes nothing");
        machine.set_fault(name, FaultState::Off).unwrap();
        assert_eq!((machine.kernel(), machine.iommu()), (clean.kernel(), clean.iommu()), "{name}");
    }
    let mut machine = bench();
    machine.set_fault("nointxmask", FaultState::On).unwrap();
    assert!(machine.kernel().modprobe.contains(&"options vfio-pci nointxmask=1".to_owned()));
    machine.set_fault("iommu-off", FaultState::On).unwrap();
    assert_eq!(machine.kernel().parameters, ["iommu=nopt", "intel_iommu=off"]);
    machine.set_fault("no-intremap", FaultState::On).unwrap();
    assert!(matches!(machine.iommu(), Iommu::Intel { interrupt_remapping: false, .. }));
}

#[test]
fn the_command_line_of_the_scsi_bench() {
    expect![[r#""#]].assert_eq(&arguments(&bench()));
}

#[test]
fn a_machine_without_iommu_has_no_iommu_device() {
    let mut machine = bench();
    machine.set_fault("no-iommu", FaultState::On).unwrap();
    assert!(!arguments(&machine).contains("iommu,"));
}
