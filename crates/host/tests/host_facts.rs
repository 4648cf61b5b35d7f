//! Who holds devices, what hangs on them, and what the host has: read from a tree, and the same from its capture.

mod tree;

use std::path::Path;

use slotwise_core::facts::{
    Fact, Facts, FaultKind, HeldBy, MachineState, ModprobeCommand, Monitor, Origin, SourceKind,
};
use slotwise_core::pci::PciAddress;
use slotwise_core::topology::Topology;
use slotwise_host::capture;
use slotwise_host::kernel::{Directory, FileMode, NodeStatus, ReadError, ReadErrorKind, ReadHost};
use slotwise_host::live::LiveHost;

const CARD: &str = "pci0000:00/0000:00:1e.0/0000:05:04.0";
const DISKS: &str = "pci0000:00/0000:00:1f.2";

fn origin() -> Origin {
    Origin::Saved { kind: SourceKind::Directory, name: "test".to_owned() }
}

fn address(text: &str) -> PciAddress {
    text.parse().expect("an address")
}

/// The small host, with more on it.
fn host(more: impl FnOnce(&Path)) -> (tempfile::TempDir, LiveHost) {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    more(dir.path());
    let host = LiveHost::at(dir.path()).expect("a host");
    (dir, host)
}

fn files(root: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        tree::file(root, path, content);
    }
}

/// The facts of a host, and those that its capture gives; both are the same.
fn both(host: &dyn ReadHost) -> (Facts, String) {
    let capture = capture::capture(host, origin());
    let mut file = Vec::new();
    capture.write(&mut file).expect("written");
    let again = slotwise_host::read(&capture::from_bytes(&file).expect("a capture"), origin());
    assert_eq!(capture.facts.usage, again.usage);
    assert_eq!(capture.facts.kernel, again.kernel);
    assert_eq!(capture.facts.platform, again.platform);
    assert_eq!(capture.facts.faults, again.faults);
    let text = zstd::decode_all(file.as_slice()).expect("zstd");
    (capture.facts, String::from_utf8_lossy(&text).into_owned())
}

/// Processes: kernel threads, a graphics server, QEMU, a shell of somebody.
fn processes(root: &Path) {
    let open = |pid: u32, name: &str, paths: &[&str]| {
        tree::file(root, &format!("proc/{pid}/comm"), format!("{name}\n"));
        std::fs::create_dir_all(root.join(format!("proc/{pid}/fd"))).expect("made");
        for (number, path) in paths.iter().enumerate() {
            tree::link(root, &format!("proc/{pid}/fd/{number}"), path);
        }
    };
    open(2, "kthreadd", &[]);
    open(100, "Xorg", &["/dev/null", "/dev/dri/card0", "/dev/dri/card0", "/dev/tty7", "socket:[1]"]);
    open(200, "qemu-system-x86", &["/dev/kvm", "/dev/vfio/vfio", "/dev/vfio/3", "/home/alice/disk.img"]);
    open(300, "alices-shell", &["/dev/pts/1", "/home/alice/secret.txt"]);
    open(400, "smartd", &["/dev/sda", "/dev/sda1 (deleted)", "/dev/dm-0"]);
    open(500, "flashrom", &[&format!("/sys/devices/{CARD}/resource0")]);
    tree::file(
        root,
        "proc/200/cmdline",
        "qemu-system-x86_64\0-name\0guest=win10\0-vnc\0password=hunter2\0-device\0vfio-pci,host=05:04.0\0",
    );
    tree::link(root, "sys/class/drm/card0", &format!("../../devices/{CARD}/drm/card0"));
    tree::link(root, "sys/class/tty/tty7", "../../devices/virtual/tty/tty7");
}

fn shown(held: &HeldBy) -> String {
    let function = held.function.map_or_else(String::new, |function| format!(" {function}"));
    format!("{} {} {}{function}", held.pid, held.name, held.path)
}

const HELD: [&str; 6] = [
    "100 Xorg /dev/dri/card0 0000:05:04.0",
    "200 qemu-system-x86 /dev/vfio/3",
    "400 smartd /dev/dm-0",
    "400 smartd /dev/sda 0000:00:1f.2",
    "400 smartd /dev/sda1 0000:00:1f.2",
    "500 flashrom ",
];

#[test]
fn open_device_nodes_are_found_with_their_function() {
    let (_dir, host) = host(processes);
    let (facts, text) = both(&host);
    let held = facts.usage.open_handles.known().expect("all processes");
    let mut shown: Vec<String> = held.iter().map(shown).collect();
    assert_eq!(shown.pop(), Some(format!("{}/sys/devices/{CARD}/resource0 0000:05:04.0", HELD[5])));
    assert_eq!(shown, HELD[..5]);
    for private in ["alice", "hunter2", "socket"] {
        assert!(!text.contains(private), "{private}");
    }
    assert!(text.contains("processes without device nodes"));
}

#[test]
fn running_machine_is_told_by_its_command_line_and_its_group() {
    let (_dir, host) = host(processes);
    let (facts, _) = both(&host);
    let topology = Topology::new(facts);
    let machine = topology.machines(address("0000:05:04.0"));
    let [machine] = machine[..] else { panic!("{machine:?}") };
    assert_eq!((machine.name.as_deref(), machine.state), (Some("win10"), MachineState::Process(200)));
    // The bridge is in the group that it has open; but it is known to have another member of it.
    assert!(topology.machines(address("0000:00:1e.0")).is_empty());
    assert_eq!(topology.held_by(address("0000:00:1e.0")).len(), 1);
}

#[test]
fn that_nobody_was_found_counts_only_where_all_are_seen() {
    let (dir, host) = host(processes);
    std::fs::write(dir.path().join("proc/2/comm"), "bash\n").expect("written");
    let (facts, _) = both(&host);
    assert!(facts.usage.open_handles.is_unreadable());
    assert_eq!(facts.usage.handles_seen.len(), 6);
    let (_dir, host) = self::host(|_| {});
    assert!(both(&host).0.usage.open_handles.is_unreadable());
}

/// A host whose owner may not look into one process, and that has device nodes.
#[derive(Debug)]
struct Guarded<'h>(&'h LiveHost);

impl ReadHost for Guarded<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        self.0.read(path, limit)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        if path == "/run/libvirt/qemu" {
            return Err(ReadError::new(path, ReadErrorKind::Denied));
        }
        self.0.list(path)
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        self.0.link(path)
    }

    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        match path {
            "/dev/vfio/vfio" => {
                Ok(NodeStatus { mode: FileMode::from_bits(0o20666), user_id: 0, group_id: 0 })
            }
            "/dev/vfio/3" => Ok(NodeStatus { mode: FileMode::from_bits(0o20660), user_id: 0, group_id: 107 }),
            _ => Err(ReadError::new(path, ReadErrorKind::NotFound)),
        }
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        if path == "/proc/400/fd" {
            return Err(ReadError::new(path, ReadErrorKind::Denied));
        }
        self.0.open_dir(path)
    }
}

#[test]
fn what_an_ordinary_user_cannot_see_is_told() {
    let (_dir, host) = host(|root| {
        processes(root);
        files(root, &[("dev/vfio/vfio", ""), ("dev/vfio/3", "")]);
    });
    let (facts, _) = both(&Guarded(&host));
    let fault = facts.usage.open_handles.fault().expect("not all were seen");
    assert_eq!((fault.place.as_str(), &fault.kind), ("/proc/*/fd of some processes", &FaultKind::Denied));
    assert_eq!(facts.usage.handles_seen.iter().map(|held| held.pid).collect::<Vec<_>>(), [100, 200, 500]);
    // What was found of machines stays; that there may be more is told beside it.
    assert_eq!(facts.usage.machines.known().map(Vec::len), Some(1));
    assert!(facts.faults.iter().any(|fault| fault.place == "/run/libvirt/qemu"));
}

#[test]
fn nodes_of_vfio_are_told_with_who_may_open_them() {
    let (_dir, host) = host(|root| files(root, &[("dev/vfio/vfio", ""), ("dev/vfio/3", "")]));
    let (facts, _) = both(&Guarded(&host));
    let nodes = facts.platform.vfio_nodes.known().expect("nodes");
    let rows: Vec<_> = nodes.iter().map(|node| (node.path.as_str(), node.mode, node.group_id)).collect();
    assert_eq!(rows, [("/dev/vfio/3", 0o660, 107), ("/dev/vfio/vfio", 0o666, 0)]);
    // Files in the place of nodes, as in a saved tree, tell nothing of them.
    let (facts, _) = both(&host);
    assert_eq!(facts.platform.vfio_nodes, Fact::Known(Vec::new()));
    assert!(facts.faults.iter().any(|fault| fault.place == "/dev/vfio/3"));
}

#[test]
fn machines_of_libvirt_and_xen_are_found() {
    let domain = "<domain type='kvm' id='1'><name>a</name><devices><graphics passwd='hunter2'/><hostdev type='pci'><source><address domain='0' bus='5' slot='4' function='0'/></source></hostdev></devices></domain>";
    let running = format!("<domstatus state='running' pid='4711'>{domain}</domstatus>");
    let (_dir, host) = host(|root| {
        files(
            root,
            &[
                ("run/libvirt/qemu/a.xml", &running),
                ("etc/libvirt/qemu/a.xml", domain),
                ("etc/libvirt/qemu/broken.xml", "<domain"),
                ("etc/libvirt/qemu/networks/default.xml", "<network/>"),
                (
                    "var/lib/xen/userdata-d.3.u-u.libxl-json",
                    r#"{"c_info":{"name":"x"},"b_info":{"passwd":"hunter2"},"pcidevs":[{"bdf":{"bus":5,"dev":4}}]}"#,
                ),
            ],
        );
    });
    let (facts, text) = both(&host);
    let machines = facts.usage.machines.known().expect("machines");
    let rows: Vec<_> =
        machines.iter().map(|m| (m.monitor, m.name.as_deref(), m.state, m.functions.len())).collect();
    assert_eq!(
        rows,
        [
            (Monitor::Libvirt, Some("a"), MachineState::Process(4711), 1),
            (Monitor::Libvirt, Some("a"), MachineState::Defined, 1),
            (Monitor::Xen, Some("x"), MachineState::Domain(3), 1)
        ]
    );
    assert!(facts.faults.iter().any(|fault| fault.place.ends_with("broken.xml")));
    assert!(!text.contains("hunter2"));
}

#[test]
fn screens_inputs_sound_and_usb_hang_on_their_function() {
    let (_dir, host) = host(|root| {
        let usb = format!("sys/devices/{CARD}/usb1/1-2");
        files(
            root,
            &[
                ("proc/consoles", "tty0                 -WU (EC  p  )    4:7\nttyS4 -W- (E p a) 4:68\n"),
                (&format!("sys/devices/{CARD}/drm/card0/card0-HDMI-A-1/status"), "connected\n"),
                (&format!("sys/devices/{CARD}/drm/card0/card0-HDMI-A-1/enabled"), "enabled\n"),
                (&format!("sys/devices/{CARD}/drm/card0/card0-DP-1/status"), "melted\n"),
                (&format!("sys/devices/{CARD}/sound/card1/id"), "HDMI\n"),
                (&format!("{usb}/busnum"), "1\n"),
                (&format!("{usb}/devnum"), "5\n"),
                (&format!("{usb}/idVendor"), "046d\n"),
                (&format!("{usb}/idProduct"), "c330\n"),
                (&format!("{usb}/bDeviceClass"), "00\n"),
                (&format!("{usb}/product"), "Keyboard\n"),
                (&format!("{usb}/serial"), "SERIAL123\n"),
                (&format!("{usb}/input/input3/name"), "Keyboard\n"),
                ("sys/devices/virtual/misc/uhid/input/input9/name", "Alice's headset\n"),
                ("proc/2/comm", "kthreadd\n"),
                ("proc/9/comm", "libusb-user\n"),
                ("sys/devices/virtual/vtconsole/vtcon1/name", "(M) frame buffer device\n"),
                ("sys/devices/virtual/vtconsole/vtcon1/bind", "1\n"),
                (&format!("sys/devices/{CARD}/graphics/fb0/name"), "amdgpudrmfb\n"),
            ],
        );
        for (path, target) in [
            ("sys/class/drm/card0-HDMI-A-1", format!("../../devices/{CARD}/drm/card0/card0-HDMI-A-1")),
            ("sys/class/drm/card0-DP-1", format!("../../devices/{CARD}/drm/card0/card0-DP-1")),
            ("sys/class/drm/renderD128", format!("../../devices/{CARD}/drm/renderD128")),
            ("sys/class/graphics/fb0", format!("../../devices/{CARD}/graphics/fb0")),
            ("sys/class/vtconsole/vtcon1", "../../devices/virtual/vtconsole/vtcon1".to_owned()),
            ("sys/class/sound/card1", format!("../../devices/{CARD}/sound/card1")),
            ("sys/class/sound/timer", "../../devices/virtual/sound/timer".to_owned()),
            ("sys/class/input/input3", format!("../../devices/{CARD}/usb1/1-2/input/input3")),
            ("sys/class/input/event3", format!("../../devices/{CARD}/usb1/1-2/input/input3/event3")),
            ("sys/class/input/input9", "../../devices/virtual/misc/uhid/input/input9".to_owned()),
            ("sys/class/tty/ttyS4", format!("../../devices/{DISKS}/tty/ttyS4")),
            ("sys/bus/usb/devices/1-2", format!("../../../devices/{CARD}/usb1/1-2")),
            ("sys/bus/usb/devices/1-2:1.0", format!("../../../devices/{CARD}/usb1/1-2/1-2:1.0")),
            ("proc/9/fd/0", "/dev/bus/usb/001/005".to_owned()),
        ] {
            tree::link(root, path, &target);
        }
    });
    // Names of wireless devices are replaced in captures, so only this half is compared.
    let facts = slotwise_host::read(&host, origin());
    let told = capture::capture(&host, origin());
    let mut file = Vec::new();
    told.write(&mut file).expect("written");
    let text = zstd::decode_all(file.as_slice()).expect("zstd");
    let text = String::from_utf8_lossy(&text);
    assert!(!text.contains("Alice") && !text.contains("SERIAL123"));
    let held = facts.usage.open_handles.known().expect("all processes");
    assert_eq!(
        held.iter().map(shown).collect::<Vec<_>>(),
        ["9 libusb-user /dev/bus/usb/001/005 0000:05:04.0"]
    );
    let screens = facts.usage.attached.screens.known().expect("screens");
    assert!(screens.iter().any(|screen| screen.connector == "DP-1" && screen.connected.is_unreadable()));
    let topology = Topology::new(facts);
    let lines = |at| topology.dependents(address(at)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        lines("0000:05:04.0"),
        [
            "screen HDMI-A-1 on card0",
            "frame buffer fb0 (amdgpudrmfb)",
            "console tty0 on fb0 (amdgpudrmfb)",
            "input Keyboard",
            "sound card card1 on HDMI",
            "USB device Keyboard on port 1-2"
        ]
    );
    assert!(lines("0000:00:1f.2").contains(&"console ttyS4".to_owned()));
}

#[test]
fn memory_and_its_limits_are_read() {
    let pool = |place: &str, total: &str| {
        [("nr_hugepages", total), ("free_hugepages", "3\n"), ("resv_hugepages", "1\n")]
            .map(|(file, content)| (format!("{place}/{file}"), content.to_owned()))
    };
    let (_dir, host) = host(|root| {
        let node = "sys/devices/system/node/node0";
        let mut all: Vec<(String, String)> = vec![
            ("proc/meminfo".to_owned(), "MemTotal: 16 kB\nMemAvailable: 8 kB\n".to_owned()),
            (format!("{node}/meminfo"), "Node 0 MemTotal: 16 kB\nNode 0 MemFree: 4 kB\n".to_owned()),
            (
                "etc/security/limits.d/vm.conf".to_owned(),
                "alice - memlock 64\n@kvm - memlock unlimited\n".to_owned(),
            ),
            (
                "etc/systemd/system/libvirtd.service.d/memlock.conf".to_owned(),
                "[Service]\nEnvironment=SECRET=hunter2\nLimitMEMLOCK=infinity\n".to_owned(),
            ),
        ];
        all.extend(pool("sys/kernel/mm/hugepages/hugepages-2048kB", "8\n"));
        all.extend(pool("sys/kernel/mm/hugepages/hugepages-1048576kB", "many\n"));
        all.extend(pool(&format!("{node}/hugepages/hugepages-2048kB"), "8\n"));
        for (path, content) in &all {
            tree::file(root, path, content);
        }
    });
    let facts = slotwise_host::read(&host, origin());
    let memory = &facts.platform.memory;
    assert_eq!(
        (memory.total_bytes.clone(), memory.available_bytes.clone()),
        (Fact::Known(16384), Fact::Known(8192))
    );
    assert_eq!(memory.nodes.known().and_then(|nodes| nodes.get(&0)).map(|node| node.free_bytes), Some(4096));
    let pools = memory.huge_pages.known().expect("pools");
    let rows: Vec<_> = pools.iter().map(|pool| (pool.page_bytes, pool.node, pool.free.clone())).collect();
    assert_eq!(
        rows,
        [
            (2 << 20, None, Fact::Known(3)),
            (1 << 30, None, Fact::Known(3)),
            (2 << 20, Some(0), Fact::Known(3))
        ]
    );
    assert!(pools[1].total.is_unreadable());
    let settings: Vec<_> = memory
        .memlock
        .known()
        .expect("settings")
        .iter()
        .map(|setting| format!("{}={}", setting.scope, setting.value))
        .collect();
    assert_eq!(settings, ["alice -=64", "@kvm -=unlimited", "LimitMEMLOCK=infinity"]);
    let told = capture::capture(&host, origin());
    let mut file = Vec::new();
    told.write(&mut file).expect("written");
    let text = String::from_utf8_lossy(&zstd::decode_all(file.as_slice()).expect("zstd")).into_owned();
    assert!(text.contains("user - memlock 64") && !text.contains("alice") && !text.contains("hunter2"));
}

#[test]
fn processor_and_firmware_are_told_and_serial_numbers_stay() {
    let secure_boot = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let make = |value: &'static [u8]| {
        host(move |root| {
            files(
                root,
                &[
                    (
                        "proc/cpuinfo",
                        "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 33\nstepping\t: 2\nflags\t: svm npt aes\naddress sizes\t: 48 bits physical, 48 bits virtual\n\nprocessor\t: 1\nflags\t: svm\n",
                    ),
                    ("sys/class/dmi/id/board_vendor", "ASUSTeK\n"),
                    ("sys/class/dmi/id/board_name", "PRIME X570\n"),
                    ("sys/class/dmi/id/board_serial", "SERIAL123\n"),
                    ("sys/class/dmi/id/bios_version", "4021\n"),
                    ("sys/class/dmi/id/bios_date", "08/10/2021\n"),
                ],
            );
            tree::file(root, secure_boot, value);
        })
    };
    let (_dir, host) = make(&[6, 0, 0, 0, 1]);
    let (facts, text) = both(&host);
    let (cpu, firmware) = (&facts.platform.cpu, &facts.platform.firmware);
    assert_eq!(
        (cpu.signature.clone(), cpu.physical_bits.clone()),
        (Fact::Known((25, 33, 2)), Fact::Known(48))
    );
    assert_eq!(cpu.flags, Fact::Known(vec!["svm".to_owned(), "npt".to_owned()]));
    assert_eq!(firmware.board.known().map(String::as_str), Some("PRIME X570"));
    assert_eq!((firmware.uefi.clone(), firmware.secure_boot.clone()), (Fact::Known(true), Fact::Known(true)));
    assert_eq!(firmware.system_vendor, Fact::Absent);
    assert!(!text.contains("SERIAL123"));
    let (_dir, host) = make(&[1]);
    assert!(both(&host).0.platform.firmware.secure_boot.is_unreadable());
}

#[test]
fn configuration_of_kernel_and_modules_is_read() {
    let (_dir, host) = host(|root| {
        files(
            root,
            &[
                (
                    "boot/config-6.1.0-test",
                    "CONFIG_VFIO_PCI=m\n# CONFIG_VFIO_PCI_VGA is not set\nCONFIG_CMDLINE=\"hunter2\"\n",
                ),
                ("boot/initrd.img-6.1.0-test", "\x1f\u{8b}"),
                ("etc/modprobe.d/order.conf", "softdep aic7xxx pre: vfio-pci\nblacklist aic7xxx\n"),
                ("etc/modules", "# of alice\nvfio-pci\n"),
            ],
        );
    });
    let (facts, text) = both(&host);
    let kernel = &facts.kernel;
    let config = kernel.config.known().expect("a configuration");
    assert_eq!(
        (config.has("CONFIG_VFIO_PCI"), config.has("CONFIG_VFIO_PCI_VGA"), config.has("CONFIG_KVM")),
        (Some(true), Some(false), None)
    );
    let directives: Vec<_> =
        kernel.modprobe.known().expect("read").iter().map(|d| (d.command, d.module.as_str())).collect();
    assert_eq!(directives, [(ModprobeCommand::Softdep, "aic7xxx"), (ModprobeCommand::Blacklist, "aic7xxx")]);
    assert_eq!(kernel.early_modules.known().map(Vec::len), Some(1));
    let fault = kernel.initramfs.fault().expect("not unpacked");
    assert_eq!(fault.place, "/boot/initrd.img-6.1.0-test");
    assert!(!text.contains("hunter2") && !text.contains("alice"));
}

#[test]
fn file_systems_are_followed_through_every_kind_of_volume() {
    let (_dir, host) = host(|root| {
        let virtual_disk = |name: &str, number: &str, below: &[&str]| {
            tree::file(root, &format!("sys/devices/virtual/block/{name}/dev"), format!("{number}\n"));
            tree::link(
                root,
                &format!("sys/class/block/{name}"),
                &format!("../../devices/virtual/block/{name}"),
            );
            for lower in below {
                tree::link(root, &format!("sys/devices/virtual/block/{name}/slaves/{lower}"), "x");
            }
        };
        // md on a multipath device and a partition; LUKS on md; LVM on LUKS.
        virtual_disk("dm-1", "253:1", &["sda"]);
        virtual_disk("md0", "9:0", &["dm-1", "sda1"]);
        virtual_disk("dm-2", "253:2", &["md0"]);
        virtual_disk("dm-3", "253:3", &["dm-2"]);
        virtual_disk("zd0", "230:0", &[]);
        for (name, volume) in [("dm-1", "mpatha"), ("dm-2", "cryptroot"), ("dm-3", "vg-home")] {
            tree::file(root, &format!("sys/devices/virtual/block/{name}/dm/name"), format!("{volume}\n"));
        }
        files(
            root,
            &[
                (
                    "proc/self/mountinfo",
                    "36 35 253:3 / /home rw - ext4 /dev/mapper/vg-home rw\n40 35 0:50 / /tank rw - zfs tank/data rw\n\
                     41 35 230:0 / /volume rw - ext4 /dev/zd0 rw\n",
                ),
                ("run/udev/data/b230:0", "S:zvol/tank/secret\nE:DEVTYPE=disk\n"),
                (
                    "run/udev/data/b8:0",
                    "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\nE:ID_SERIAL=SERIAL123\n",
                ),
            ],
        );
    });
    let (facts, text) = both(&host);
    assert!(!text.contains("SERIAL123") && !text.contains("secret"));
    let topology = Topology::new(facts);
    let lines: Vec<String> =
        topology.dependents(address("0000:00:1f.2")).iter().map(ToString::to_string).collect();
    assert!(lines.contains(&"/tank on sda".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("/volume on zd0 on sda")), "{lines:?}");
    let home = lines.iter().find(|line| line.starts_with("/home")).expect("a chain");
    assert!(home.starts_with("/home on dm-3 (vg-home) on dm-2 (cryptroot) on md0 on "), "{home}");
}

#[test]
fn a_zfs_pool_without_labels_is_unknown() {
    let (_dir, host) =
        host(|root| files(root, &[("proc/self/mountinfo", "40 35 0:50 / / rw - zfs rpool/ROOT rw\n")]));
    let (facts, _) = both(&host);
    assert!(facts.usage.pools.iter().all(|pool| pool.members.is_unreadable()));
    assert_eq!(facts.usage.pools.len(), 1);
}

#[test]
fn a_default_route_is_followed_through_vlan_bridge_and_bond() {
    let (_dir, host) = host(|root| {
        // eth0 → bond0 → bond0.5 (VLAN) → br0, which has the route.
        for name in ["br0", "bond0.5"] {
            tree::file(root, &format!("sys/devices/virtual/net/{name}/flags"), "0x1003\n");
            tree::link(root, &format!("sys/class/net/{name}"), &format!("../../devices/virtual/net/{name}"));
        }
        tree::link(root, "sys/devices/virtual/net/bond0/upper_bond0.5", "../bond0.5");
        tree::link(root, "sys/devices/virtual/net/bond0.5/upper_br0", "../br0");
        let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let route = "br0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        tree::file(root, "proc/net/route", format!("{head}{route}"));
    });
    let facts = slotwise_host::read(&host, origin());
    let network = facts.usage.network.known().expect("interfaces");
    let port = network.iter().find(|interface| interface.name == "eth0").expect("eth0");
    assert!(port.default_route);
}

#[test]
fn a_source_that_was_never_asked_leaves_all_of_it_unknown() {
    let facts = slotwise_host::read(&capture::Snapshot::default(), origin());
    let (usage, platform, kernel) = (&facts.usage, &facts.platform, &facts.kernel);
    assert!(usage.open_handles.is_unreadable() && usage.machines.is_unreadable());
    assert!(usage.attached.screens.is_unreadable() && usage.attached.usb.is_unreadable());
    assert!(platform.memory.total_bytes.is_unreadable() && platform.memory.huge_pages.is_unreadable());
    assert!(platform.memory.memlock.is_unreadable() && platform.vfio_nodes.is_unreadable());
    assert!(platform.cpu.model.is_unreadable() && platform.firmware.board.is_unreadable());
    assert!(platform.firmware.uefi.is_unreadable() && platform.firmware.secure_boot.is_unreadable());
    assert!(kernel.config.is_unreadable() && kernel.modprobe.is_unreadable());
    assert!(kernel.early_modules.is_unreadable() && kernel.initramfs.is_unreadable());
}
