//! The machine around the devices: chipset, processors, acceleration, console.

use std::fmt;
use std::str::FromStr;

use super::GuestSlot;
use crate::facts::CpuList;

/// The chipset that the guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MachineType {
    /// Intel 440FX with PIIX: one conventional PCI bus, what old guests and old firmware know.
    Pc,
    /// Intel Q35 with ICH9: PCI Express root complex.
    Q35,
}

/// A text that names no machine type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a machine type (pc or q35)")]
pub struct UnknownMachineType(String);

impl MachineType {
    /// How many PCI Express root ports the machine has for devices that come at run time: none on pc, whose
    /// bus takes them anywhere; four on q35, at functions 0 to 3 of device 1c, where ICH9 has its ports too (ICH9
    /// data sheet, table 5-1). The root bus itself takes none there: hot-plug is a matter of ports (PCIe Base 6.0
    /// §6.7).
    #[must_use]
    pub const fn hotplug_ports(self) -> u8 {
        match self {
            MachineType::Pc => 0,
            MachineType::Q35 => 4,
        }
    }

    /// What the chipset itself has in `slot` of the root bus, if anything.
    ///
    /// pc: host bridge 00.0 and the PIIX3 functions at 01 (82441FX and 82371SB data sheets; QEMU
    /// `hw/i386/pc_piix.c`). q35: host bridge 00.0 and the ICH9 functions at 1f (Intel ICH9 data sheet,
    /// table 5-1; QEMU `hw/i386/pc_q35.c`) beside [`Self::hotplug_ports`]. The whole device number is taken: a monitor puts functions there.
    #[must_use]
    pub fn occupant(self, slot: GuestSlot) -> Option<&'static str> {
        match (self, slot.device()) {
            (_, 0) => Some("host bridge"),
            (MachineType::Pc, 1) => Some("PIIX3 ISA bridge, IDE and power management"),
            (MachineType::Q35, 0x1c) => Some("ports for devices that come at run time"),
            (MachineType::Q35, 0x1f) => Some("ICH9 LPC bridge, SATA and SMBus"),
            _ => None,
        }
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MachineType::Pc => "pc",
            MachineType::Q35 => "q35",
        })
    }
}

impl FromStr for MachineType {
    type Err = UnknownMachineType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pc" | "i440fx" => Ok(MachineType::Pc),
            "q35" => Ok(MachineType::Q35),
            _ => Err(UnknownMachineType(text.chars().take(40).collect())),
        }
    }
}

/// How the guest's instructions may be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceleration {
    /// On the processor, or the machine does not start.
    Hardware,
    /// On the processor where that is possible, else translated.
    HardwareElseEmulation,
    /// Translated. Passthrough works, tens of times slower.
    Emulation,
}

/// The processor that the guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Which model.
    pub model: CpuModel,
    /// How many.
    pub count: CpuCount,
    /// Whether the guest can tell that it runs under a hypervisor.
    pub signature: HypervisorSignature,
}

/// A processor model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuModel {
    /// The host's processor; all that can be emulated, where instructions are translated.
    Host,
}

/// Whether the guest is told of the hypervisor in CPUID leaf 0x40000000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HypervisorSignature {
    /// It is told, and may use paravirtual clocks.
    Shown,
    /// It is not told. Some GPU drivers refuse to start when they see a hypervisor.
    Hidden,
}

/// The most processors that a specification may ask for: 8-bit xAPIC ids, of which 0xff is the broadcast (Intel
/// SDM 3A §11.6.1). More would need x2APIC and a guest IOMMU with interrupt remapping.
pub const MAX_CPUS: u16 = 255;

/// A number of processors, 1 to [`MAX_CPUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuCount(u16);

impl CpuCount {
    /// One processor.
    pub const ONE: Self = Self(1);

    /// A count, if it is in range.
    #[must_use]
    pub const fn new(count: u16) -> Option<Self> {
        if count == 0 || count > MAX_CPUS { None } else { Some(Self(count)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A memory node of the host that a VM is bound to: its memory is of that node alone, and it runs on that node's processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNode {
    /// The node's number.
    pub number: u32,
    /// Its processors; none where they are not known, or where the node has memory alone: the VM then runs on any.
    pub processors: Option<CpuList>,
}

/// The guest's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Console {
    /// A 16550 UART at the first serial port (0x3f8).
    Serial,
    /// The debug port of PC firmware (0x402), one way: what SeaBIOS and OVMF say of their work.
    DebugPort,
    /// None.
    None,
}

/// What happens when the guest reboots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnReboot {
    /// It starts again.
    Restart,
    /// The machine ends, as a test wants it.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chipset_slots_are_known() {
        let slot = |device| GuestSlot::new(device, 0).expect("in range");
        assert_eq!(MachineType::Pc.occupant(slot(2)), None);
        assert!(MachineType::Pc.occupant(slot(1)).is_some());
        assert!(MachineType::Q35.occupant(slot(0x1f)).is_some());
        assert!(MachineType::Q35.occupant(slot(0x1c)).is_some());
        assert_eq!(MachineType::Pc.occupant(slot(0x1c)), None);
        assert_eq!(MachineType::Q35.occupant(slot(1)), None);
    }

    #[test]
    fn machine_names_round_trip_and_others_are_quoted() {
        for machine in [MachineType::Pc, MachineType::Q35] {
            assert_eq!(machine.to_string().parse(), Ok(machine));
        }
        let error = "pc98".parse::<MachineType>().map_err(|e| e.to_string());
        assert_eq!(error, Err("\"pc98\" is not a machine type (pc or q35)".into()));
    }

    #[test]
    fn cpu_counts_out_of_range_are_refused() {
        assert_eq!(CpuCount::new(0), None);
        assert_eq!(CpuCount::new(MAX_CPUS + 1), None);
        assert_eq!(CpuCount::new(2).map(CpuCount::get), Some(2));
    }
}
