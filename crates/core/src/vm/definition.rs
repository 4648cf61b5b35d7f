//! The whole machine, checked.

use std::collections::BTreeSet;

use super::{
    Acceleration, Boot, ChannelName, Console, Cpu, Disk, DiskBus, Firmware, GuestSlot, HostNode,
    KernelPayload, LegacyVga, MachineType, MemorySize, OnReboot, PassthroughDevice, UsbHostDevice, VmName,
};
use crate::pci::PciAddress;

/// The most devices, disks or channels of each kind that a specification may list: the root bus has 32 device
/// numbers of 8 functions, and two of the numbers are the chipset's.
pub const MAX_DEVICES: usize = 240;

/// Everything that a machine is made of; not yet checked, see [`VmSpec::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmConfig {
    /// Its name, unique on a host.
    pub name: VmName,
    /// The chipset.
    pub machine: MachineType,
    /// How instructions are executed.
    pub acceleration: Acceleration,
    /// The processors.
    pub cpu: Cpu,
    /// How much memory.
    pub memory: MemorySize,
    /// The memory node of the host that it is bound to; none where the host's kernel chooses.
    pub node: Option<HostNode>,
    /// What starts it.
    pub firmware: Firmware,
    /// What the firmware hands over to.
    pub boot: Boot,
    /// Disks, in boot order.
    pub disks: Vec<Disk>,
    /// PCI functions of the host.
    pub devices: Vec<PassthroughDevice>,
    /// USB devices of the host.
    pub usb: Vec<UsbHostDevice>,
    /// Channels to programs in the guest.
    pub channels: Vec<ChannelName>,
    /// The serial console.
    pub console: Console,
    /// What a reboot does.
    pub on_reboot: OnReboot,
}

/// Something in a [`VmConfig`] that no machine can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VmFault {
    /// One host function twice.
    #[error("host device {0} is given twice")]
    DeviceTwice(PciAddress),
    /// Two devices at one place.
    #[error("guest slot {slot} is asked for by {first} and {second}")]
    SlotTwice {
        /// The place.
        slot: GuestSlot,
        /// Who asked first.
        first: PciAddress,
        /// Who asked as well.
        second: PciAddress,
    },
    /// A place that belongs to the chipset.
    #[error("guest slot {slot} asked for by {device} is taken by the {machine} machine's {occupant}")]
    SlotOfChipset {
        /// The place.
        slot: GuestSlot,
        /// Who asked.
        device: PciAddress,
        /// The machine type.
        machine: MachineType,
        /// What is there.
        occupant: &'static str,
    },
    /// A function above 0 with nothing at function 0: a guest that probes function 0 finds nothing and stops
    /// (PCI 3.0 §3.2.2.3.4).
    #[error(
        "guest slot {slot} asked for by {device} is out of the guest's sight without a function 0 beside it"
    )]
    NoFunctionZero {
        /// The place.
        slot: GuestSlot,
        /// Who asked.
        device: PciAddress,
    },
    /// More than one device with legacy VGA.
    #[error("legacy VGA is asked for by {first} and {second}, and only one device can have it")]
    LegacyVgaTwice {
        /// Who asked first.
        first: PciAddress,
        /// Who asked as well.
        second: PciAddress,
    },
    /// One USB device twice.
    #[error("USB device {0} is given twice")]
    UsbTwice(super::UsbId),
    /// One channel name twice.
    #[error("channel {0} is given twice")]
    ChannelTwice(ChannelName),
    /// More ATA disks than the chipset has ports.
    #[error("{count} ATA disks, and the {machine} machine has ports for {ports}")]
    TooManyAtaDisks {
        /// How many are listed.
        count: usize,
        /// The machine type.
        machine: MachineType,
        /// How many ports it has.
        ports: usize,
    },
    /// A list beyond [`MAX_DEVICES`].
    #[error("{count} {what} are more than the {MAX_DEVICES} that a machine can have")]
    TooMany {
        /// Devices, disks and so on.
        what: &'static str,
        /// How many are listed.
        count: usize,
    },
    /// An empty list of multiboot modules.
    #[error("list of multiboot modules is empty")]
    NoModules,
    /// Multiboot modules with UEFI: the loader for them is a BIOS option ROM.
    #[error("multiboot modules cannot be loaded by UEFI firmware")]
    ModulesWithUefi,
}

/// A machine that can exist. Whether a host can run it is not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSpec(VmConfig);

impl VmSpec {
    /// Checks a configuration.
    ///
    /// # Errors
    /// All faults at once, in the order of the fields.
    pub fn new(config: VmConfig) -> Result<Self, Vec<VmFault>> {
        let mut faults = Vec::new();
        check_lengths(&config, &mut faults);
        // A list beyond its limit is not looked at any further.
        if faults.is_empty() {
            check_boot(&config, &mut faults);
            check_addresses(&config, &mut faults);
            check_slots(&config, &mut faults);
            check_names(&config, &mut faults);
        }
        if faults.is_empty() { Ok(Self(config)) } else { Err(faults) }
    }

    /// What the machine is made of.
    #[must_use]
    pub const fn config(&self) -> &VmConfig {
        &self.0
    }

    /// Gives the configuration back, to change it and check again.
    #[must_use]
    pub fn into_config(self) -> VmConfig {
        self.0
    }
}

fn check_lengths(config: &VmConfig, faults: &mut Vec<VmFault>) {
    let lists = [
        ("disks", config.disks.len()),
        ("host devices", config.devices.len()),
        ("USB devices", config.usb.len()),
        ("channels", config.channels.len()),
    ];
    let long = lists.into_iter().filter(|(_, count)| *count > MAX_DEVICES);
    faults.extend(long.map(|(what, count)| VmFault::TooMany { what, count }));
}

fn check_boot(config: &VmConfig, faults: &mut Vec<VmFault>) {
    if let Boot::Kernel(boot) = &config.boot
        && let KernelPayload::Modules(modules) = &boot.payload
    {
        if modules.is_empty() {
            faults.push(VmFault::NoModules);
        }
        if matches!(config.firmware, Firmware::Uefi { .. }) {
            faults.push(VmFault::ModulesWithUefi);
        }
    }
    // PIIX3: two channels of two drives; ICH9 AHCI: six ports.
    let ports = match config.machine {
        MachineType::Pc => 4,
        MachineType::Q35 => 6,
    };
    let count = config.disks.iter().filter(|disk| disk.bus == DiskBus::Ata).count();
    if count > ports {
        faults.push(VmFault::TooManyAtaDisks { count, machine: config.machine, ports });
    }
}

fn check_addresses(config: &VmConfig, faults: &mut Vec<VmFault>) {
    let mut seen = BTreeSet::new();
    let mut vga: Option<PciAddress> = None;
    for device in &config.devices {
        if !seen.insert(device.host) {
            faults.push(VmFault::DeviceTwice(device.host));
        }
        if device.legacy_vga == LegacyVga::Yes {
            match vga {
                None => vga = Some(device.host),
                Some(first) => faults.push(VmFault::LegacyVgaTwice { first, second: device.host }),
            }
        }
    }
}

fn check_slots(config: &VmConfig, faults: &mut Vec<VmFault>) {
    let asked = |device: &PassthroughDevice| Some((device.guest?, device.host));
    let wanted: Vec<(GuestSlot, PciAddress)> = config.devices.iter().filter_map(asked).collect();
    for (index, &(slot, device)) in wanted.iter().enumerate() {
        if let Some(&(_, first)) = wanted.iter().take(index).find(|(other, _)| *other == slot) {
            faults.push(VmFault::SlotTwice { slot, first, second: device });
        }
        let machine = config.machine;
        if let Some(occupant) = machine.occupant(slot) {
            faults.push(VmFault::SlotOfChipset { slot, device, machine, occupant });
        } else if slot.function() != 0
            && !wanted.iter().any(|(other, _)| other.device() == slot.device() && other.function() == 0)
        {
            faults.push(VmFault::NoFunctionZero { slot, device });
        }
    }
}

fn check_names(config: &VmConfig, faults: &mut Vec<VmFault>) {
    let mut ids = BTreeSet::new();
    for UsbHostDevice::Id(id) in &config.usb {
        if !ids.insert(id) {
            faults.push(VmFault::UsbTwice(*id));
        }
    }
    let mut names = BTreeSet::new();
    for name in &config.channels {
        if !names.insert(name) {
            faults.push(VmFault::ChannelTwice(name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::{
        BootModule, CpuCount, CpuModel, DiskImage, DiskWrites, HypervisorSignature, KernelBoot, UsbId,
    };

    fn config() -> VmConfig {
        VmConfig {
            name: "bench".parse().expect("a name"),
            machine: MachineType::Pc,
            acceleration: Acceleration::Hardware,
            cpu: Cpu { model: CpuModel::Host, count: CpuCount::ONE, signature: HypervisorSignature::Shown },
            memory: MemorySize::from_mib(96).expect("a size"),
            node: None,
            firmware: Firmware::Bios,
            boot: Boot::Firmware,
            disks: Vec::new(),
            devices: Vec::new(),
            usb: Vec::new(),
            channels: Vec::new(),
            console: Console::Serial,
            on_reboot: OnReboot::End,
        }
    }

    fn device(host: &str, slot: &str) -> PassthroughDevice {
        PassthroughDevice::new(host.parse().expect("an address")).at(slot.parse().expect("a slot"))
    }

    fn faults(config: VmConfig) -> Vec<String> {
        let Err(faults) = VmSpec::new(config) else { return Vec::new() };
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let mut config = config();
        config.devices = vec![
            device("02:04.0", "1"),
            device("02:04.0", "6"),
            device("02:05.0", "6"),
            device("02:06.0", "7.1"),
        ];
        let id = UsbHostDevice::Id(UsbId { vendor: 0x046d, product: 0xc330 });
        config.usb = vec![id, id];
        config.channels = vec![ChannelName::agent(), ChannelName::agent()];
        assert_eq!(
            faults(config),
            [
                "host device 0000:02:04.0 is given twice",
                "guest slot 01.0 asked for by 0000:02:04.0 is taken by the pc machine's PIIX3 ISA bridge, IDE and power management",
                "guest slot 06.0 is asked for by 0000:02:04.0 and 0000:02:05.0",
                "guest slot 07.1 asked for by 0000:02:06.0 is out of the guest's sight without a function 0 beside it",
                "USB device 046d:c330 is given twice",
                "channel org.slotwise.agent.0 is given twice",
            ]
        );
    }

    #[test]
    fn a_multifunction_card_with_function_zero_is_fine() {
        let mut config = config();
        config.devices = vec![device("01:00.1", "6.1"), device("01:00.0", "6.0")];
        assert!(faults(config).is_empty());
    }

    #[test]
    fn two_devices_with_legacy_vga_are_refused() {
        let mut config = config();
        config.devices = vec![device("01:00.0", "6"), device("02:00.0", "7")];
        config.devices.iter_mut().for_each(|d| d.legacy_vga = LegacyVga::Yes);
        assert_eq!(
            faults(config),
            ["legacy VGA is asked for by 0000:01:00.0 and 0000:02:00.0, and only one device can have it"]
        );
    }

    #[test]
    fn ata_disks_beyond_the_ports_are_refused() {
        let mut config = config();
        let disk =
            Disk { image: DiskImage::Raw("d".into()), bus: DiskBus::Ata, writes: DiskWrites::Discarded };
        config.disks = vec![disk; 5];
        assert_eq!(faults(config.clone()), ["5 ATA disks, and the pc machine has ports for 4"]);
        config.machine = MachineType::Q35;
        assert!(faults(config).is_empty());
    }

    #[test]
    fn multiboot_modules_need_a_list_and_a_bios() {
        let mut config = config();
        let payload = KernelPayload::Modules(Vec::<BootModule>::new());
        config.boot = Boot::Kernel(KernelBoot { kernel: "k".into(), arguments: String::new(), payload });
        config.firmware = Firmware::Uefi { code: "c".into(), variables: "v".into() };
        assert_eq!(
            faults(config),
            ["list of multiboot modules is empty", "multiboot modules cannot be loaded by UEFI firmware"]
        );
    }

    #[test]
    fn a_flood_of_devices_is_refused_before_it_is_compared() {
        let mut config = config();
        config.devices = vec![device("01:00.0", "6"); MAX_DEVICES + 1];
        assert_eq!(faults(config), ["241 host devices are more than the 240 that a machine can have"]);
    }
}
