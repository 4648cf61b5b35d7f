//! The IOMMU as a whole.

use std::collections::BTreeMap;

use super::{Fact, GroupId};
use crate::pci::PciAddress;

/// Whose IOMMU it is; the names are those of the JSON contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IommuVendor {
    /// Intel VT-d (ACPI DMAR).
    Intel,
    /// AMD-Vi (ACPI IVRS).
    Amd,
    /// ARM SMMU v1 to v3.
    Smmu,
    /// IBM POWER TCE.
    Power,
    /// virtio-iommu.
    Virtio,
    /// The host has none.
    None,
    /// Nothing tells.
    #[default]
    Unknown,
}

impl IommuVendor {
    /// The name in `slotwise.inspect/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            IommuVendor::Intel => "intel",
            IommuVendor::Amd => "amd",
            IommuVendor::Smmu => "smmu",
            IommuVendor::Power => "power",
            IommuVendor::Virtio => "virtio",
            IommuVendor::None => "none",
            IommuVendor::Unknown => "unknown",
        }
    }
}

/// On, off, or nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// In use.
    On,
    /// Not in use.
    Off,
    /// Nothing tells.
    #[default]
    Unknown,
}

impl Switch {
    /// The name in `slotwise.inspect/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Switch::On => "on",
            Switch::Off => "off",
            Switch::Unknown => "unknown",
        }
    }
}

/// Why a range of DMA addresses is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReservedKind {
    /// Intel Reserved Memory Region Reporting.
    Rmrr,
    /// AMD I/O Virtualization Memory Definition.
    Ivmd,
    /// The window for message-signalled interrupts.
    Msi,
    /// Must be mapped one to one, origin not told (`direct` of `reserved_regions`).
    Direct,
    /// As `Direct`, but the device may be assigned without the mapping (`direct-relaxable`: graphics and USB devices
    /// of Intel platforms, `drivers/iommu/intel/iommu.c: device_rmrr_is_relaxable`).
    DirectRelaxable,
    /// Never usable for DMA (`reserved`), for example the HyperTransport range of AMD platforms.
    Reserved,
}

impl ReservedKind {
    /// The name in `slotwise.inspect/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReservedKind::Rmrr => "rmrr",
            ReservedKind::Ivmd => "ivmd",
            ReservedKind::Msi => "msi",
            ReservedKind::Direct | ReservedKind::DirectRelaxable => "direct",
            ReservedKind::Reserved => "reserved",
        }
    }
}

/// A range of DMA addresses that a guest's memory must not use, or that a device needs mapped one to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedRegion {
    /// Why.
    pub kind: ReservedKind,
    /// First byte.
    pub start: u64,
    /// Last byte, inclusive.
    pub end: u64,
    /// Functions it concerns; empty where the source does not name them.
    pub devices: Vec<PciAddress>,
}

/// What the host says of one IOMMU group, beside its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// Type of the default domain (`type`, Linux 5.11 and later): `DMA`, `DMA-FQ`, `identity`, `blocked`.
    pub default_domain: Option<String>,
    /// Name that the group's maker gave it; most have none.
    pub name: Option<String>,
}

impl GroupFacts {
    /// Whether this is a group of VFIO's no-IOMMU mode, which protects from nothing (`drivers/vfio/group.c:
    /// vfio_noiommu_group_alloc`).
    #[must_use]
    pub fn is_no_iommu(&self) -> bool {
        self.name.as_deref() == Some("vfio-noiommu")
    }
}

/// What the host says of its IOMMU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IommuFacts {
    /// Whether DMA remapping is in use.
    pub state: Switch,
    /// Whose.
    pub vendor: IommuVendor,
    /// Whether interrupts go through remapping.
    pub interrupt_remapping: Switch,
    /// Hardware units (`/sys/class/iommu`): `dmar0`, `ivhd0`, `smmu3.0x…`.
    pub units: Fact<Vec<String>>,
    /// Width of the narrowest unit's DMA addresses, in bits (Intel: the smaller of MGAW and the widest supported page
    /// table, VT-d 4.1 §11.4.2). Absent where the source does not tell.
    pub address_bits: Fact<u8>,
    /// Firmware tables found: `DMAR`, `IVRS`, `IORT`, `VIOT`.
    pub tables: Vec<String>,
    /// Groups by number, where the source lists the groups themselves; their members are told by the functions.
    pub groups: BTreeMap<GroupId, GroupFacts>,
    /// Reserved ranges.
    pub reserved: Vec<ReservedRegion>,
    /// Functions that the kernel refused to give to anybody for a 1:1 mapping that firmware demands, with its words; a kernel log
    /// tells of them.
    pub one_to_one: BTreeMap<PciAddress, String>,
    /// What decided `state` and `interrupt_remapping`: source and its words.
    pub evidence: Vec<(String, String)>,
}
