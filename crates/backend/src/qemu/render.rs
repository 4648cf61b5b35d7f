//! From a machine to QEMU's command line. Pure: the same machine, capabilities and wiring give the same line.
//!
//! The machine is built from nothing (`-nodefaults -no-user-config`), so that neither QEMU's defaults nor the
//! user's own configuration adds a device. Devices with a chosen slot come first: QEMU gives the others the first
//! free slot in the order of the command line (QEMU `hw/pci/pci.c`, `do_pci_register_device`), and would give
//! away a slot that is asked for later.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use serde_json::{Map, Value};
use slotwise_core::pci::PciAddress;
use slotwise_core::vm::{
    Acceleration, BarAccess, Boot, Console, Disk, DiskBus, DiskImage, DiskWrites, Firmware, GuestSlot,
    HypervisorSignature, IntxDelivery, KernelPayload, LegacyVga, MachineType, OnReboot, OptionRom,
    PassthroughDevice, UsbHostDevice, VmConfig, VmSpec,
};

use super::capabilities::{Capabilities, Kvm, KvmFault};
use super::invocation::{Invocation, Members, doubled_commas};
use super::wiring::{Wiring, channel_by_hand};

/// Why a machine cannot be put into a command line for this QEMU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Acceleration was asked for and cannot be had.
    #[error("machine {machine} needs hardware acceleration, which this host does not offer")]
    NoAcceleration {
        /// The machine's name.
        machine: String,
        /// Why not.
        #[source]
        source: KvmFault,
    },
    /// A device model is not in this QEMU.
    #[error("this QEMU has no device model {model}, which machine {machine} needs")]
    NoModel {
        /// The model's name.
        model: &'static str,
        /// The machine's name.
        machine: String,
    },
}

impl RenderError {
    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoAcceleration { source, .. } => source.hint(),
            Self::NoModel { .. } => {
                "some distributions ship device models in packages of their own, for example \
                 `qemu-device-usb-host` (Fedora) or `qemu-hw-usb-host` (Arch)"
            }
        }
    }
}

/// The command line of `spec`.
///
/// # Errors
/// This QEMU or this host lacks something that the machine cannot do without.
pub fn render(spec: &VmSpec, caps: &Capabilities, wiring: Wiring<'_>) -> Result<Invocation, RenderError> {
    let config = spec.config();
    check_models(config, caps)?;
    let mut line = Invocation::new(caps.program.clone());
    line.flag("-nodefaults");
    line.flag("-no-user-config");
    line.option("-name", Members::new("").with("guest", config.name.as_str()));
    machine(&mut line, config, caps)?;
    firmware(&mut line, &config.firmware);
    if let Boot::Kernel(boot) = &config.boot {
        line.option("-kernel", &boot.kernel);
        match &boot.payload {
            KernelPayload::None => {}
            KernelPayload::Initrd(path) => line.option("-initrd", path),
            KernelPayload::Modules(modules) => line.option("-initrd", module_list(modules)),
        }
        if !boot.arguments.is_empty() {
            line.option("-append", &boot.arguments);
        }
    }
    connections(&mut line, config, wiring);
    hotplug_ports(&mut line, config.machine);
    let (placed, free): (Vec<_>, Vec<_>) = config.devices.iter().partition(|d| d.guest.is_some());
    for device in placed.into_iter().chain(free) {
        line.option("-device", passthrough(config, device));
    }
    disks(&mut line, &config.disks);
    channels(&mut line, config, wiring);
    usb(&mut line, &config.usb);
    Ok(line)
}

/// The id under which QEMU knows a host device, for example `host-0000-03-05-0`.
#[must_use]
pub fn device_id(host: PciAddress) -> String {
    let (domain, bus, device, function) = (host.domain(), host.bus(), host.device(), host.function());
    format!("host-{domain:04x}-{bus:02x}-{device:02x}-{function:x}")
}

/// The members of `device_add` for a device that is plugged into a running machine: at its own slot of the root
/// bus, or behind a port, where there is only one slot.
#[must_use]
pub fn hotplug_properties(place: HotplugPlace, device: &PassthroughDevice) -> Map<String, Value> {
    let text = |value: OsString| Value::String(value.to_string_lossy().into_owned());
    let list = match place {
        HotplugPlace::RootBus(machine) => properties(machine, device),
        HotplugPlace::Port(index) => {
            let behind = PassthroughDevice { guest: None, ..device.clone() };
            let mut list = properties(MachineType::Q35, &behind);
            list.push(("bus", port_id(index).into()));
            list
        }
    };
    list.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// Where a device is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HotplugPlace {
    /// The root bus of such a machine.
    RootBus(MachineType),
    /// The port of this index, see [`MachineType::hotplug_ports`].
    Port(u8),
}

fn check_models(config: &VmConfig, caps: &Capabilities) -> Result<(), RenderError> {
    let disk_on = |bus| config.disks.iter().any(|disk| disk.bus == bus);
    let needed = [
        ("pcie-root-port", config.machine.hotplug_ports() > 0),
        ("vfio-pci", !config.devices.is_empty()),
        ("virtio-blk-pci", disk_on(DiskBus::Virtio)),
        ("ide-hd", disk_on(DiskBus::Ata)),
        ("virtio-serial-pci", !config.channels.is_empty()),
        ("qemu-xhci", !config.usb.is_empty()),
        ("usb-host", !config.usb.is_empty()),
    ];
    let missing = needed.into_iter().find(|(model, needed)| *needed && !caps.devices.contains(*model));
    match missing {
        Some((model, _)) => Err(RenderError::NoModel { model, machine: config.name.to_string() }),
        None => Ok(()),
    }
}

fn machine(line: &mut Invocation, config: &VmConfig, caps: &Capabilities) -> Result<(), RenderError> {
    let accelerated = match (config.acceleration, &caps.kvm) {
        (Acceleration::Emulation, _) | (Acceleration::HardwareElseEmulation, Kvm::Unusable(_)) => false,
        (_, Kvm::Usable) => true,
        (Acceleration::Hardware, Kvm::Unusable(fault)) => {
            let machine = config.name.to_string();
            return Err(RenderError::NoAcceleration { machine, source: fault.clone() });
        }
    };
    // `host` is what the processor has; without one below, `max` is all that can be translated.
    let (accelerator, model) = if accelerated { ("kvm", "host") } else { ("tcg", "max") };
    chipset(line, config);
    line.option("-accel", accelerator);
    line.option(
        "-cpu",
        match (config.cpu.signature, accelerated) {
            (HypervisorSignature::Shown, _) => model.to_owned(),
            (HypervisorSignature::Hidden, true) => format!("{model},kvm=off"),
            // Under TCG the leaf is of TCG's own.
            (HypervisorSignature::Hidden, false) => format!("{model},hypervisor=off,tcg-cpuid=off"),
        },
    );
    line.option("-smp", config.cpu.count.get().to_string());
    line.option("-m", config.memory.to_string());
    line.option("-display", "none");
    if config.on_reboot == OnReboot::End {
        line.flag("-no-reboot");
    }
    Ok(())
}

/// The chipset, with the memory where it is bound. Memory of one node is an object of its own under the name that both chipsets give theirs
/// (QEMU `hw/i386/pc.c`, `pc_machine_class_init`), so that saved states of either form fit the other; `bind` takes no page of
/// another node (QEMU `backends/hostmem.c`, `host_memory_backend_memory_complete`; mbind(2), `MPOL_BIND`).
fn chipset(line: &mut Invocation, config: &VmConfig) {
    const MEMORY: &str = "pc.ram";
    let machine = Members::new(&config.machine.to_string());
    match &config.node {
        Some(node) => {
            let memory = Members::new("memory-backend-ram").with("id", MEMORY);
            let memory = memory.with("size", config.memory.to_string());
            let memory = memory.with("host-nodes", node.number.to_string()).with("policy", "bind");
            line.option("-object", memory);
            line.option("-machine", machine.with("memory-backend", MEMORY));
            line.processors = node.processors.clone();
        }
        None => line.option("-machine", machine),
    }
}

fn firmware(line: &mut Invocation, firmware: &Firmware) {
    match firmware {
        Firmware::Bios => {}
        Firmware::BiosImage(path) => line.option("-bios", path),
        Firmware::Uefi { code, variables } => {
            let flash =
                |unit: &str| Members::new("").with("if", "pflash").with("format", "raw").with("unit", unit);
            line.option("-drive", flash("0").with("readonly", "on").with("file", code));
            line.option("-drive", flash("1").with("file", variables));
        }
    }
}

/// `path arguments,path arguments`, commas doubled (QEMU `hw/i386/multiboot.c`, `load_multiboot`).
fn module_list(modules: &[slotwise_core::vm::BootModule]) -> OsString {
    let mut list = Vec::new();
    for module in modules {
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend(doubled_commas(module.path.as_os_str()));
        if !module.arguments.is_empty() {
            list.push(b' ');
            list.extend(doubled_commas(OsStr::new(&module.arguments)));
        }
    }
    OsString::from_vec(list)
}

/// Control and console.
fn connections(line: &mut Invocation, config: &VmConfig, wiring: Wiring<'_>) {
    let Wiring::Sockets(sockets) = wiring else {
        // Ctrl-A C switches between console and monitor.
        match config.console {
            Console::Serial => line.option("-serial", "mon:stdio"),
            Console::DebugPort => {
                // Its own default is 0xe9 (QEMU hw/char/debugcon.c).
                line.option("-global", "isa-debugcon.iobase=0x402");
                line.option("-debugcon", "mon:stdio");
            }
            Console::None => line.option("-monitor", "stdio"),
        }
        return;
    };
    let socket = |id: &str, path| Members::new("socket").with("id", id).with("path", path);
    line.option("-chardev", socket("own-qmp", sockets.own_qmp()));
    line.option("-mon", "chardev=own-qmp,mode=control");
    line.option("-chardev", listening(socket("qmp", sockets.control())));
    line.option("-mon", "chardev=qmp,mode=control");
    if config.console != Console::None {
        line.option("-chardev", socket("console", sockets.console()));
    }
    match config.console {
        Console::None => {}
        Console::Serial => line.option("-serial", "chardev:console"),
        Console::DebugPort => {
            let port = Members::new("isa-debugcon").with("iobase", "0x402").with("chardev", "console");
            line.option("-device", port);
        }
    }
}

fn listening(socket: Members) -> Members {
    socket.with("server", "on").with("wait", "off")
}

/// The id under which QEMU knows a port, and the bus behind it, for a device that comes at run time.
pub(super) fn port_id(index: u8) -> String {
    format!("port{index}")
}

fn hotplug_ports(line: &mut Invocation, machine: MachineType) {
    let count = machine.hotplug_ports();
    for index in 0..count {
        let port = Members::new("pcie-root-port").with("id", port_id(index)).with("bus", "pcie.0");
        let port = port.with("addr", format!("1c.{index}"));
        let port = if index == 0 { port.with("multifunction", "on") } else { port };
        // Chassis and slot number name the port to the guest's hot-plug driver; they have to differ.
        let number = (index + 1).to_string();
        line.option("-device", port.with("chassis", &number).with("slot", &number));
    }
}

fn passthrough(config: &VmConfig, device: &PassthroughDevice) -> Members {
    let mut members = Members::new("vfio-pci").with("id", device_id(device.host));
    for (name, value) in properties(config.machine, device) {
        members = members.with(name, value);
    }
    // Function 0 has to say that there are others (PCI 3.0 §6.2.1, Header Type bit 7).
    let others = |slot: GuestSlot| {
        let shares = |other: GuestSlot| other.device() == slot.device() && other != slot;
        config.devices.iter().filter_map(|d| d.guest).any(shares)
    };
    match device.guest {
        Some(slot) if slot.function() == 0 && others(slot) => members.with("multifunction", "on"),
        _ => members,
    }
}

/// The properties of QEMU's `vfio-pci` (QEMU `hw/vfio/pci.c`, `vfio_pci_dev_properties`) that differ from their
/// defaults.
fn properties(machine: MachineType, device: &PassthroughDevice) -> Vec<(&'static str, OsString)> {
    let mut list: Vec<(&'static str, OsString)> = vec![("host", device.host.to_string().into())];
    if let Some(slot) = device.guest {
        let bus = match machine {
            MachineType::Pc => "pci.0",
            MachineType::Q35 => "pcie.0",
        };
        list.push(("bus", bus.into()));
        list.push(("addr", slot.to_string().into()));
    }
    match &device.rom {
        OptionRom::Device => {}
        OptionRom::Hidden => list.push(("rombar", "0".into())),
        OptionRom::File(path) => list.push(("romfile", path.into())),
    }
    if device.legacy_vga == LegacyVga::Yes {
        list.push(("x-vga", "on".into()));
    }
    if device.intx == IntxDelivery::ThroughMonitor {
        list.push(("x-no-kvm-intx", "on".into()));
    }
    if device.bars == BarAccess::Trapped {
        list.push(("x-no-mmap", "on".into()));
    }
    list
}

fn disks(line: &mut Invocation, disks: &[Disk]) {
    for (index, disk) in disks.iter().enumerate() {
        let drive = Members::new("").with("if", "none").with("id", format!("disk{index}"));
        let drive = match &disk.image {
            DiskImage::Raw(path) => drive.with("format", "raw").with("file", path),
            DiskImage::Qcow2(path) => drive.with("format", "qcow2").with("file", path),
            // Read only itself; the snapshot on top takes the writes, without which an ATA disk refuses it.
            DiskImage::FatDirectory(path) => {
                let mut file = OsString::from("fat:");
                file.push(path);
                drive.with("format", "raw").with("file", file)
            }
        };
        let discard =
            disk.writes == DiskWrites::Discarded || matches!(disk.image, DiskImage::FatDirectory(_));
        line.option("-drive", if discard { drive.with("snapshot", "on") } else { drive });
        let model = match disk.bus {
            DiskBus::Virtio => "virtio-blk-pci",
            DiskBus::Ata => "ide-hd",
        };
        let device = Members::new(model).with("drive", format!("disk{index}"));
        line.option("-device", device.with("bootindex", (index + 1).to_string()));
    }
}

fn channels(line: &mut Invocation, config: &VmConfig, wiring: Wiring<'_>) {
    if config.channels.is_empty() {
        return;
    }
    line.option("-device", "virtio-serial-pci,id=channels");
    for (index, name) in config.channels.iter().enumerate() {
        let path = match wiring {
            Wiring::Terminal => channel_by_hand(name).into(),
            Wiring::Sockets(sockets) => sockets.channel(index),
        };
        let id = format!("channel{index}");
        line.option("-chardev", listening(Members::new("socket").with("id", &id).with("path", path)));
        let port = Members::new("virtserialport").with("bus", "channels.0").with("chardev", id);
        line.option("-device", port.with("name", name.as_str()));
    }
}

fn usb(line: &mut Invocation, devices: &[UsbHostDevice]) {
    if devices.is_empty() {
        return;
    }
    line.option("-device", "qemu-xhci,id=usb");
    for UsbHostDevice::Id(id) in devices {
        let device = Members::new("usb-host").with("bus", "usb.0");
        let device = device.with("vendorid", format!("{:#06x}", id.vendor));
        line.option("-device", device.with("productid", format!("{:#06x}", id.product)));
    }
}

#[cfg(test)]
mod tests;
