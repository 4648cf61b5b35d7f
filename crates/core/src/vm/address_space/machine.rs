//! The machine that the map is of: chipset, firmware and its release, memory, physical address bits.
//!
//! Sources: QEMU `hw/i386/pc_piix.c: pc_init1`, `hw/i386/pc_q35.c: pc_q35_init`, `hw/i386/pc.c: pc_memory_init,
//! pc_pci_hole64_start` (7.2); Xen `tools/firmware/hvmloader`, `tools/libs/light` (4.1 to 4.22).

use std::fmt;

use super::arith::{GIB, MIB, align_up};
use crate::vm::{MachineType, MemorySize};

/// First address that 32 bits do not reach.
pub(super) const FOUR_GIB: u64 = 4 * GIB;

/// What AMD's processors keep for HyperTransport, both ends included; QEMU from 7.1 marks it reserved where an AMD
/// guest has 40 physical address bits or more (`hw/i386/pc.c: pc_memory_init`, `AMD_HT_START`).
pub(super) const HYPERTRANSPORT: (u64, u64) = (0xfd_0000_0000, 0xff_ffff_ffff);

/// A release of SeaBIOS, for example 1.16.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeaBiosVersion(pub u8, pub u8, pub u8);

/// A stable release of edk2 as year and month, for example 202211.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edk2Release(pub u32);

/// A release of Xen, for example 4.19.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XenVersion(pub u8, pub u8);

/// Who gives BARs their addresses in the guest, and which release of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placer {
    /// SeaBIOS, QEMU's PC BIOS.
    SeaBios(SeaBiosVersion),
    /// OVMF, edk2's UEFI for virtual machines, built for x64.
    Ovmf(Edk2Release),
    /// Xen's hvmloader; the firmware after it keeps what it finds. The chipset is the 440FX then.
    Hvmloader(XenVersion),
}

impl fmt::Display for Placer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeaBios(SeaBiosVersion(major, minor, patch)) => {
                write!(f, "SeaBIOS {major}.{minor}.{patch}")
            }
            Self::Ovmf(Edk2Release(release)) => write!(f, "OVMF edk2-stable{release}"),
            Self::Hvmloader(XenVersion(major, minor)) => write!(f, "hvmloader of Xen {major}.{minor}"),
        }
    }
}

/// Whose processor the guest believes to have (CPUID leaf 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuVendor {
    /// `GenuineIntel`.
    Intel,
    /// `AuthenticAMD`.
    Amd,
}

/// Physical address bits as the guest reads them (CPUID 80000008h), 32 to 52, and whose processor says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PhysBits {
    vendor: CpuVendor,
    bits: u8,
}

impl PhysBits {
    /// Bits from 32 to 52, the architecture's most (AMD APM 2 §5.3; Intel SDM 3A §4.1.4).
    #[must_use]
    pub const fn new(vendor: CpuVendor, bits: u8) -> Option<Self> {
        if bits < 32 || bits > 52 { None } else { Some(Self { vendor, bits }) }
    }

    /// How many.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Whose.
    #[must_use]
    pub const fn vendor(self) -> CpuVendor {
        self.vendor
    }

    /// First address beyond.
    pub(super) const fn end(self) -> u64 {
        1 << self.bits
    }

    /// Whether firmware takes the number for true. QEMU's default of 40 bits is a made-up number, so that firmware
    /// believes only what no default says (SeaBIOS `src/fw/paravirt.c: physbits`; edk2
    /// `OvmfPkg/Library/PlatformInitLib/MemDetect.c: PlatformAddressWidthFromCpuid`).
    pub(super) const fn believed(self) -> bool {
        match self.vendor {
            _ if self.bits >= 41 => true,
            CpuVendor::Intel => self.bits == 36 || self.bits == 39,
            CpuVendor::Amd => self.bits == 40,
        }
    }
}

/// What decides where BARs land, beside the BARs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestMachine {
    /// The chipset.
    pub machine: MachineType,
    /// Who places.
    pub placer: Placer,
    /// Memory.
    pub memory: MemorySize,
    /// Physical address bits; none where nobody knows them: then no firmware is taken to use them, and nothing is checked
    /// against them.
    pub phys_bits: Option<PhysBits>,
    /// What is set otherwise than by default.
    pub tuning: Tuning,
}

/// Sizes that can be set, each left alone by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// The most memory below 4 GiB, in bytes (`max-ram-below-4g` of QEMU).
    pub ram_below_4g: Option<u64>,
    /// OVMF's 64-bit aperture, in bytes (`opt/ovmf/X-PciMmio64Mb`, there in MiB).
    pub aperture64: Option<u64>,
    /// Xen's hole below 4 GiB, in bytes (`mmio_hole` of xl.cfg, there in MiB, 256 to 3840; since 4.5).
    pub mmio_hole: Option<u64>,
}

/// Where memory is, and so where BARs cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ram {
    /// End of memory below 4 GiB (first address after it).
    pub(super) low_end: u64,
    /// End of memory above 4 GiB; 4 GiB where there is none.
    pub(super) high_end: u64,
}

impl Ram {
    pub(super) const fn above_4g(self) -> bool {
        self.high_end > FOUR_GIB
    }
}

impl GuestMachine {
    /// Where memory is.
    pub(super) fn ram(&self) -> Ram {
        let memory = self.memory.bytes();
        let low = memory.min(self.low_limit());
        let high = memory - low;
        let split = Ram { low_end: low, high_end: FOUR_GIB + high };
        // With an AMD processor and a 64-bit hole that would reach HyperTransport's range, memory moves above it.
        let hole_end = align_up(split.high_end, GIB).saturating_add(self.hole64_size());
        if split.above_4g() && self.reserves_hypertransport() && hole_end > HYPERTRANSPORT.0 {
            return Ram { high_end: HYPERTRANSPORT.1 + 1 + high, ..split };
        }
        split
    }

    fn low_limit(&self) -> u64 {
        let memory = self.memory.bytes();
        match (self.placer, self.machine) {
            (Placer::Hvmloader(_), _) => self
                .tuning
                .mmio_hole
                .map_or(super::hvmloader::HOLE_START, |hole| FOUR_GIB.saturating_sub(hole)),
            (_, MachineType::Pc) => {
                let limit = self.tuning.ram_below_4g.unwrap_or(3584 * MIB);
                if memory >= limit { limit.min(3 * GIB) } else { limit }
            }
            (_, MachineType::Q35) => {
                let limit = if memory >= 0xb000_0000 { 2 * GIB } else { 0xb000_0000 };
                limit.min(self.tuning.ram_below_4g.unwrap_or(u64::MAX))
            }
        }
    }

    /// Size of the hole that QEMU announces above memory: 2 GiB on pc, 32 GiB on q35 (`hw/pci-host/i440fx.c`, `q35.c`).
    const fn hole64_size(&self) -> u64 {
        match self.machine {
            MachineType::Pc => 2 * GIB,
            MachineType::Q35 => 32 * GIB,
        }
    }

    /// Whether HyperTransport's range is reserved in this guest.
    pub(super) fn reserves_hypertransport(&self) -> bool {
        self.phys_bits.is_some_and(|phys| phys.vendor() == CpuVendor::Amd && phys.bits() >= 40)
    }

    /// Whether QEMU refuses to start since the announced hole reaches beyond the physical address bits
    /// (`hw/i386/pc.c: pc_memory_init`, from 7.1).
    pub(super) fn beyond_phys_bits(&self) -> bool {
        let end = align_up(self.ram().high_end, GIB).saturating_add(self.hole64_size());
        let xen = matches!(self.placer, Placer::Hvmloader(_));
        !xen && self.phys_bits.is_some_and(|phys| end > phys.end())
    }

    /// First address beyond the physical address bits that firmware believes in.
    pub(super) fn believed_end(&self) -> Option<u64> {
        self.phys_bits.filter(|phys| phys.believed()).map(PhysBits::end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ram(machine: MachineType, mib: u32) -> (u64, u64) {
        let memory = MemorySize::from_mib(mib).expect("memory");
        let placer = Placer::SeaBios(SeaBiosVersion(1, 16, 2));
        let machine = GuestMachine { machine, placer, memory, phys_bits: None, tuning: Tuning::default() };
        (machine.ram().low_end, machine.ram().high_end)
    }

    #[test]
    fn memory_is_split_as_qemu_does() {
        assert_eq!(ram(MachineType::Pc, 3500), (0xdac0_0000, FOUR_GIB));
        assert_eq!(ram(MachineType::Pc, 3584), (3 * GIB, FOUR_GIB + 512 * MIB));
        assert_eq!(ram(MachineType::Q35, 2700), (2700 * MIB, FOUR_GIB));
        assert_eq!(ram(MachineType::Q35, 4096), (2 * GIB, FOUR_GIB + 2 * GIB));
    }

    #[test]
    fn forty_bits_are_believed_of_amd_only() {
        let believed = |vendor, bits| PhysBits::new(vendor, bits).map(PhysBits::believed);
        assert_eq!(believed(CpuVendor::Intel, 40), Some(false));
        assert_eq!(believed(CpuVendor::Amd, 40), Some(true));
        assert_eq!(believed(CpuVendor::Intel, 39), Some(true));
        assert_eq!(believed(CpuVendor::Amd, 46), Some(true));
        assert_eq!(believed(CpuVendor::Intel, 53), None);
    }
}
