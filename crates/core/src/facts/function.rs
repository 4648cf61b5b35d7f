//! What a host says of one PCI function.

use std::fmt;
use std::str::FromStr;

use super::name::shown;
use super::{DriverName, Fact, FaultKind, ModuleName, NameError, PrintedConfig, ReadFault};
use crate::pci::{ClassCode, ConfigSpace, PciAddress, PciId};

/// Number of an IOMMU group. It moves with hardware and boot: never store it in a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A way to reset a function, by the kernel's name (`drivers/pci/pci.c: pci_reset_fn_methods`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetMethod {
    /// A method the kernel knows for this very device (`quirks.c: pci_dev_reset_methods`).
    DeviceSpecific,
    /// The firmware's `_RST`.
    Acpi,
    /// Function Level Reset (PCIe Base 6.0 §6.6.2).
    Flr,
    /// FLR through the Advanced Features capability of conventional PCI.
    AfFlr,
    /// D3hot and back, where the function loses its state by it.
    Pm,
    /// Secondary bus reset, or the slot's, as the only function behind it.
    Bus,
    /// Reset of the CXL port above.
    CxlBus,
}

impl ResetMethod {
    /// All methods, in the order in which the kernel tries them.
    pub const ALL: [ResetMethod; 7] = [
        ResetMethod::DeviceSpecific,
        ResetMethod::Acpi,
        ResetMethod::Flr,
        ResetMethod::AfFlr,
        ResetMethod::Pm,
        ResetMethod::Bus,
        ResetMethod::CxlBus,
    ];

    /// The kernel's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ResetMethod::DeviceSpecific => "device_specific",
            ResetMethod::Acpi => "acpi",
            ResetMethod::Flr => "flr",
            ResetMethod::AfFlr => "af_flr",
            ResetMethod::Pm => "pm",
            ResetMethod::Bus => "bus",
            ResetMethod::CxlBus => "cxl_bus",
        }
    }
}

impl FromStr for ResetMethod {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == text)
            .ok_or_else(|| NameError::ResetMethod(shown(text)))
    }
}

/// Flags of a resource as the kernel keeps them (`include/linux/ioport.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceFlags(pub u64);

impl ResourceFlags {
    /// `IORESOURCE_IO`.
    #[must_use]
    pub const fn is_io(self) -> bool {
        self.0 & 0x100 != 0
    }

    /// `IORESOURCE_MEM`.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        self.0 & 0x200 != 0
    }

    /// `IORESOURCE_PREFETCH`.
    #[must_use]
    pub const fn is_prefetchable(self) -> bool {
        self.0 & 0x2000 != 0
    }

    /// `IORESOURCE_MEM_64`.
    #[must_use]
    pub const fn is_64bit(self) -> bool {
        self.0 & 0x0010_0000 != 0
    }

    /// `IORESOURCE_UNSET`: no address has been assigned.
    #[must_use]
    pub const fn is_unset(self) -> bool {
        self.0 & 0x2000_0000 != 0
    }
}

/// One row of a function's `resource` file: 0–5 BARs, 6 the expansion ROM, then VF BARs and bridge windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Row number, from 0.
    pub index: u8,
    /// First address, in bytes.
    pub start: u64,
    /// Size in bytes, at least 1.
    pub size: u64,
    /// The kernel's flags.
    pub flags: ResourceFlags,
}

/// SR-IOV as sysfs shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SriovFacts {
    /// Virtual functions that the device could offer.
    pub total_vfs: Fact<u16>,
    /// Virtual functions enabled now.
    pub num_vfs: Fact<u16>,
    /// The physical function, where this is a virtual one.
    pub physical_function: Fact<PciAddress>,
}

/// The buses below a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusRange {
    /// The bus right below.
    pub secondary: u8,
    /// The last bus below.
    pub subordinate: u8,
}

/// What a host says of one PCI function.
#[derive(Clone, Debug)]
pub struct FunctionFacts {
    /// Where it is.
    pub address: PciAddress,
    /// Vendor and device.
    pub id: Fact<PciId>,
    /// Subsystem vendor and device.
    pub subsystem: Fact<PciId>,
    /// Class code.
    pub class: Fact<ClassCode>,
    /// Revision id.
    pub revision: Fact<u8>,
    /// Vendor name, where the source itself printed it.
    pub vendor_name: Option<String>,
    /// Device name, where the source itself printed it.
    pub device_name: Option<String>,
    /// Both names in one, where the source printed them so (`lspci`); only a list of names can tell them apart.
    pub printed_name: Option<String>,
    /// The driver bound now.
    pub driver: Fact<DriverName>,
    /// Drivers or modules that claim this device's ids.
    pub modules: Vec<ModuleName>,
    /// `driver_override` as it stands.
    pub driver_override: Fact<DriverName>,
    /// IOMMU group.
    pub group: Fact<GroupId>,
    /// NUMA node; absent where the platform has none (sysfs says -1).
    pub numa_node: Fact<u32>,
    /// The bridge above; absent on a root bus.
    pub parent: Fact<PciAddress>,
    /// Whether the source says that the function has a PCI Express capability, where it does not give `config`.
    pub express: Fact<bool>,
    /// The buses below it, where the source tells them otherwise than by configuration space.
    pub buses: Fact<BusRange>,
    /// Name of the physical slot.
    pub physical_slot: Fact<String>,
    /// Interrupt number as sysfs shows it. Before the device was ever enabled this is the firmware's number, not
    /// Linux's (`drivers/pci/probe.c: pci_read_irq`).
    pub irq: Fact<u32>,
    /// INTx pin, 1–4 for A–D; absent where the function has none.
    pub interrupt_pin: Fact<u8>,
    /// The Interrupt Line register (0x3c): what firmware wrote there.
    pub interrupt_line: Fact<u8>,
    /// What a text says of its configuration space in words, beside or instead of its bytes.
    pub printed: Option<Box<PrintedConfig>>,
    /// What was read of its configuration space; of a live function only what decoding needs.
    pub config: Fact<ConfigSpace>,
    /// Whether a driver or user has enabled the device (sysfs `enable` above zero).
    pub enabled: Fact<bool>,
    /// Linux interrupt numbers of MSI and MSI-X vectors in use.
    pub msi_irqs: Vec<u32>,
    /// BARs, ROM, windows as assigned.
    pub resources: Fact<Vec<Resource>>,
    /// Reset methods in the kernel's order. Known and empty: the kernel has none. Absent: the kernel does not say
    /// (before 5.15).
    pub reset_methods: Fact<Vec<ResetMethod>>,
    /// `power_state`: D0, D1, D2, D3hot, D3cold, unknown, error.
    pub power_state: Fact<String>,
    /// Whether the kernel may cut the device's power when idle.
    pub d3cold_allowed: Fact<bool>,
    /// Whether the firmware showed its first picture on this device.
    pub boot_vga: Fact<bool>,
    /// Virtual functions.
    pub sriov: SriovFacts,
}

impl FunctionFacts {
    /// A function of which only the address is known.
    #[must_use]
    pub fn at(address: PciAddress) -> Self {
        Self {
            address,
            id: Fact::Absent,
            subsystem: Fact::Absent,
            class: Fact::Absent,
            revision: Fact::Absent,
            vendor_name: None,
            device_name: None,
            printed_name: None,
            driver: Fact::Absent,
            modules: Vec::new(),
            driver_override: Fact::Absent,
            group: Fact::Absent,
            numa_node: Fact::Absent,
            parent: Fact::Absent,
            express: Fact::Absent,
            buses: Fact::Absent,
            physical_slot: Fact::Absent,
            irq: Fact::Absent,
            interrupt_pin: Fact::Absent,
            interrupt_line: Fact::Absent,
            printed: None,
            config: Fact::Absent,
            enabled: Fact::Absent,
            msi_irqs: Vec::new(),
            resources: Fact::Absent,
            reset_methods: Fact::Absent,
            power_state: Fact::Absent,
            d3cold_allowed: Fact::Absent,
            boot_vga: Fact::Absent,
            sriov: SriovFacts::default(),
        }
    }

    /// What of it is there and could not be read. What a text does not tell is not counted: it tells little anyway.
    pub fn faults(&self) -> impl Iterator<Item = &ReadFault> {
        let faults = [
            self.id.fault(),
            self.subsystem.fault(),
            self.class.fault(),
            self.driver.fault(),
            self.driver_override.fault(),
            self.group.fault(),
            self.numa_node.fault(),
            self.parent.fault(),
            self.irq.fault(),
            self.config.fault(),
            self.enabled.fault(),
            self.resources.fault(),
            self.reset_methods.fault(),
            self.power_state.fault(),
            self.d3cold_allowed.fault(),
            self.boot_vga.fault(),
            self.sriov.total_vfs.fault(),
            self.sriov.num_vfs.fault(),
            self.sriov.physical_function.fault(),
        ];
        faults.into_iter().flatten().filter(|fault| fault.kind != FaultKind::NotInSource)
    }

    /// A function of which `source`, a text, tells only the address: everything else is not absent but unknown.
    #[must_use]
    pub fn untold(address: PciAddress, source: &str) -> Self {
        fn unknown<T>(fault: &ReadFault) -> Fact<T> {
            Fact::Unreadable(fault.clone())
        }
        let source = &ReadFault::new(source, FaultKind::NotInSource);
        Self {
            address,
            id: unknown(source),
            subsystem: unknown(source),
            class: unknown(source),
            revision: unknown(source),
            vendor_name: None,
            device_name: None,
            printed_name: None,
            driver: unknown(source),
            modules: Vec::new(),
            driver_override: unknown(source),
            group: unknown(source),
            numa_node: unknown(source),
            parent: unknown(source),
            express: unknown(source),
            buses: unknown(source),
            physical_slot: unknown(source),
            irq: unknown(source),
            interrupt_pin: unknown(source),
            interrupt_line: unknown(source),
            printed: None,
            config: unknown(source),
            enabled: unknown(source),
            msi_irqs: Vec::new(),
            resources: unknown(source),
            reset_methods: unknown(source),
            power_state: unknown(source),
            d3cold_allowed: unknown(source),
            boot_vga: unknown(source),
            sriov: SriovFacts {
                total_vfs: unknown(source),
                num_vfs: unknown(source),
                physical_function: unknown(source),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_methods_round_trip() {
        for method in ResetMethod::ALL {
            assert_eq!(method.name().parse(), Ok(method));
        }
    }
}
