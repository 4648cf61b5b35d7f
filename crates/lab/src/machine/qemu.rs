//! The QEMU command line of a machine.
//!
//! Options are those of QEMU 7.0 and later. The lab's own devices (two read-only disks and the control port) are
//! virtio functions in [`LAB_SLOTS`], use MSI-X, and so take part in no interrupt sharing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Bus, Device, Disk, Iommu, Machine, Role};
use crate::artifacts::{PAYLOAD_SERIAL, ROOT_SERIAL};
use crate::channel::PORT_NAME;

/// Slots of `pcie.0` that hold the lab's own devices.
pub const LAB_SLOTS: std::ops::RangeInclusive<u8> = 0x1b..=0x1d;

/// Kernel parameters the lab needs: the console is kept as a log and should cost no time (each character is an exit
/// to the emulator), a panic ends the machine.
///
/// `no_timer_check`: under emulation on a busy machine too few ticks can come in the time that the kernel watches its
/// timer for, and it panics (`arch/x86/kernel/apic/io_apic.c`, `timer_irq_works`).
const LAB_PARAMETERS: &str = "console=ttyS0 quiet panic=-1 no_timer_check";

/// Files and sockets of one boot.
#[derive(Clone, Debug)]
pub struct BootFiles {
    /// Kernel image.
    pub kernel: PathBuf,
    /// Initial RAM file system.
    pub initramfs: PathBuf,
    /// Image of the distribution's files.
    pub root: PathBuf,
    /// Image of what the caller puts in.
    pub payload: PathBuf,
    /// Unix socket on which the lab listens for the control port.
    pub control: PathBuf,
    /// Log of the kernel console.
    pub console: PathBuf,
    /// Folder of the disks' images, each `NAME.img`.
    pub disks: PathBuf,
}

/// The arguments, without the program.
#[must_use]
pub fn qemu_arguments(machine: &Machine, files: &BootFiles) -> Vec<OsString> {
    let mut line = Line(Vec::new());
    line.add("-name", &format!("slotwise-lab-{}", machine.name));
    line.words(&["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    // split: the IOMMU remaps interrupts of the I/O APIC, which must then be QEMU's.
    line.add("-machine", "q35,kernel-irqchip=split");
    line.add("-accel", "tcg,thread=multi");
    line.add("-cpu", &machine.cpu);
    line.add("-smp", &machine.processors.to_string());
    line.add("-m", &format!("{}M", machine.memory.0 >> 20));
    if machine.nodes > 1 {
        nodes(&mut line, machine);
    }
    if let Some(iommu) = iommu(machine.iommu) {
        line.add("-device", &iommu);
    }
    for (index, device) in machine.devices.iter().enumerate() {
        self::device(machine, &mut line, index, device);
    }
    for disk in &machine.disks {
        self::disk(&mut line, files, disk);
    }
    lab_devices(&mut line, files);
    line.path("-kernel", "", &files.kernel);
    line.path("-initrd", "", &files.initramfs);
    let parameters = machine.kernel.parameters.join(" ");
    line.add("-append", format!("{LAB_PARAMETERS} {parameters}").trim_end());
    line.0
}

/// Memory nodes: processors and RAM in shares, what is left over to the last.
fn nodes(line: &mut Line, machine: &Machine) {
    let count = u64::from(machine.nodes);
    let (processors, mib) = (u64::from(machine.processors), machine.memory.0 >> 20);
    for node in 0..count {
        let last = node + 1 == count;
        let size = mib / count + if last { mib % count } else { 0 };
        let share = processors / count;
        let (first, end) = (node * share, if last { processors } else { (node + 1) * share });
        line.add("-object", &format!("memory-backend-ram,id=node{node},size={size}M"));
        let cpus = format!("cpus={first}-{}", end.saturating_sub(1));
        line.add("-numa", &format!("node,nodeid={node},{cpus},memdev=node{node}"));
    }
}

fn iommu(iommu: Iommu) -> Option<String> {
    match iommu {
        Iommu::None => None,
        Iommu::Amd { interrupt_remapping } => Some(format!("amd-iommu,intremap={}", on(interrupt_remapping))),
        Iommu::Intel { interrupt_remapping, caching_mode, address_bits } => Some(format!(
            "intel-iommu,intremap={},caching-mode={},aw-bits={address_bits}",
            on(interrupt_remapping),
            on(caching_mode)
        )),
    }
}

fn device(machine: &Machine, line: &mut Line, index: usize, device: &Device) {
    let bus = match &device.bus {
        Bus::Root => "pcie.0".to_owned(),
        Bus::Behind(bridge) => id(bridge),
    };
    let (name, model, slot) = (id(&device.name), device.model.name(), device.slot);
    let mut text = format!("{model},id={name},bus={bus},addr={slot:#x}");
    match device.model.role() {
        // A chassis and slot number must be the machine's only such pair (PCIe Base 6.0 §7.5.3.9).
        Role::Bridge { last_slot: 0 } => text.push_str(&format!(",chassis={},slot={}", index + 1, index + 1)),
        Role::Network => {
            line.add("-netdev", &format!("user,id={name}-net,restrict=on"));
            let mac = machine.mac(&device.name).unwrap_or_default();
            // No option ROM: nothing boots from these cards, and the firmware would spend a second on each.
            text.push_str(&format!(",netdev={name}-net,mac={mac},romfile="));
        }
        Role::Memory => {
            let bytes = device.size.map_or(0, |size| size.0);
            line.add(
                "-object",
                &format!("memory-backend-ram,id={name}-memory,size={bytes},share=on,reserve=off"),
            );
            text.push_str(&format!(",memdev={name}-memory"));
        }
        Role::Disk => {
            // Nothing is kept of what is written, and no file is needed (block/null.c).
            line.add("-drive", &format!("if=none,id={name}-drive,driver=null-co,size=16M,read-zeroes=on"));
            text.push_str(&format!(",drive={name}-drive,serial={name}"));
        }
        Role::Bridge { .. } | Role::Scsi | Role::Plain => {}
    }
    line.add("-device", &text);
}

fn disk(line: &mut Line, files: &BootFiles, disk: &Disk) {
    let name = id(&disk.name);
    line.path(
        "-drive",
        &format!("if=none,id={name}-drive,format=raw,cache=unsafe,file="),
        &files.disks.join(format!("{}.img", disk.name)),
    );
    line.add(
        "-device",
        &format!(
            "scsi-hd,id={name},bus={}.0,scsi-id={},drive={name}-drive,vendor={},product={},ver={},scsi_version={},serial={}",
            id(&disk.controller), disk.target, disk.vendor, disk.product, disk.revision, disk.scsi_version, disk.serial
        ),
    );
}

fn lab_devices(line: &mut Line, files: &BootFiles) {
    let mut slots = LAB_SLOTS;
    let mut slot = || slots.next().unwrap_or_default();
    for (serial, image) in [(ROOT_SERIAL, &files.root), (PAYLOAD_SERIAL, &files.payload)] {
        line.path("-drive", &format!("if=none,id={serial},format=raw,readonly=on,file="), image);
        line.add(
            "-device",
            &format!("virtio-blk-pci,drive={serial},serial={serial},bus=pcie.0,addr={:#x}", slot()),
        );
    }
    line.path("-chardev", "socket,id=lab-control,path=", &files.control);
    line.add("-device", &format!("virtio-serial-pci,id=lab-serial,bus=pcie.0,addr={:#x}", slot()));
    line.add("-device", &format!("virtserialport,bus=lab-serial.0,chardev=lab-control,name={PORT_NAME}"));
    line.path("-chardev", "file,id=lab-console,path=", &files.console);
    line.add("-serial", "chardev:lab-console");
}

/// QEMU's id of a thing. The bus behind a bridge is a property of the bridge under the bridge's own id, so an id must
/// not be the name of a property a device has (`port` is one of a root port).
fn id(name: &str) -> String {
    format!("dev-{name}")
}

const fn on(state: bool) -> &'static str {
    if state { "on" } else { "off" }
}

struct Line(Vec<OsString>);

impl Line {
    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn add(&mut self, option: &str, value: &str) {
        self.words(&[option, value]);
    }

    /// Appends a path; where it stands among options, a comma in it is doubled (QEMU's option syntax).
    fn path(&mut self, option: &str, before: &str, path: &Path) {
        use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
        let mut value = before.as_bytes().to_vec();
        for &byte in path.as_os_str().as_bytes() {
            if byte == b',' && !before.is_empty() {
                value.push(byte);
            }
            value.push(byte);
        }
        self.0.push(option.into());
        self.0.push(OsString::from_vec(value));
    }
}
