//! Capabilities: the two lists, and what the registers of each capability say.
//!
//! [`walk`] finds them, [`table`] names them and says which function decodes which; one capability is one file, or a
//! row of the table where only its presence matters. Layouts come from PCI 3.0 §6.7, PCIe Base 6.0 §7.5 to §7.9 and
//! pciutils `lib/header.h`; each file cites its own section.
//!
//! Registers that could not be read are none in a body, and the capability is named in the function's faults. A body
//! says what the registers say: whether a feature can be relied on is for the rules to judge.

mod advanced_features;
mod agp;
mod enhanced_allocation;
mod error_reporting;
mod express;
mod hypertransport;
mod isolation;
mod latency;
mod msi;
mod msix;
mod pci_x;
mod power_management;
mod resizable_bar;
mod small;
mod sriov;
mod table;
mod translation;
mod walk;

use std::fmt;

pub use advanced_features::AdvancedFeatures;
pub use agp::Agp;
pub use enhanced_allocation::{EnhancedAllocation, EnhancedAllocationEntry, FixedBuses};
pub use error_reporting::{AdvancedErrorReporting, DownstreamPortContainment};
pub use express::{Device2, Express, ExpressDevice, Link, LinkSpeed, PortType, Slot, TagSupport};
pub use hypertransport::{HyperTransport, HyperTransportKind};
pub use isolation::{AccessControl, AccessControlFlags, AlternativeRouting};
pub use latency::{L1Substates, LatencyTolerance};
pub use msi::Msi;
pub use msix::{MsiX, TableLocation};
pub use pci_x::PciX;
pub use power_management::{PowerManagement, PowerState};
pub use resizable_bar::ResizableBar;
pub use small::{DebugPort, ExtendedVendor, SataHba, SlotIdentification};
pub use sriov::SrIov;
pub use table::{capability_name, from_lspci};
pub use translation::{AddressTranslation, PageRequest, ProcessAddressSpace};
pub(super) use walk::walk;

use super::bar::Bar;
use super::config::Registers;
use super::fault::Fault;
use super::header::HeaderKind;
use super::id::PciId;

/// Which list a capability is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// The list of conventional PCI, ids of 8 bits.
    Standard,
    /// The list of PCI Express from 0x100 on, ids of 16 bits.
    Extended,
}

impl Space {
    /// The name in `slotwise.inspect/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Extended => "extended",
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One capability of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Where it starts, in bytes from the start of configuration space.
    pub offset: u16,
    /// Which list it is in.
    pub space: Space,
    /// Its id; 8 bits in the standard list.
    pub id: u16,
    /// Its version; 0 in the standard list, where a version is a matter of each capability.
    pub version: u8,
    /// Its name in kebab case, `unknown` if no specification that we know names the id.
    pub name: &'static str,
    /// What its registers say.
    pub body: Body,
}

/// What the registers of a capability say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing beyond its presence is decoded.
    Opaque,
    /// Its registers could not be read.
    Unreadable,
    /// Power management.
    PowerManagement(PowerManagement),
    /// Accelerated graphics port.
    Agp(Agp),
    /// Vital product data: reached through the capability's registers, not contained in them.
    VitalProductData,
    /// Slot identification of an expansion chassis.
    SlotIdentification(SlotIdentification),
    /// Message-signalled interrupts.
    Msi(Msi),
    /// PCI-X.
    PciX(PciX),
    /// HyperTransport.
    HyperTransport(HyperTransport),
    /// Vendor-specific, standard list: its length in bytes.
    VendorSpecific(u8),
    /// Debug port of a USB host controller.
    DebugPort(DebugPort),
    /// Subsystem ids of a bridge, as they read.
    Subsystem(PciId),
    /// PCI Express.
    Express(Express),
    /// MSI-X.
    MsiX(MsiX),
    /// Serial ATA host controller.
    SataHba(SataHba),
    /// Advanced features of conventional functions.
    AdvancedFeatures(AdvancedFeatures),
    /// Enhanced allocation.
    EnhancedAllocation(EnhancedAllocation),
    /// Advanced error reporting.
    AdvancedErrorReporting(AdvancedErrorReporting),
    /// Device serial number, as the 64 bits of an EUI-64.
    SerialNumber(u64),
    /// Vendor-specific and designated vendor-specific, extended list.
    ExtendedVendor(ExtendedVendor),
    /// Access control services.
    AccessControl(AccessControl),
    /// Alternative routing-id interpretation.
    AlternativeRouting(AlternativeRouting),
    /// Address translation services.
    AddressTranslation(AddressTranslation),
    /// Single-root I/O virtualization.
    SrIov(SrIov),
    /// Page request interface.
    PageRequest(PageRequest),
    /// Process address space ids.
    ProcessAddressSpace(ProcessAddressSpace),
    /// Resizable BARs of a function, or of its virtual functions.
    ResizableBars(Vec<ResizableBar>),
    /// Downstream port containment.
    DownstreamPortContainment(DownstreamPortContainment),
    /// Latency tolerance reporting.
    LatencyTolerance(LatencyTolerance),
    /// L1 power-management substates.
    L1Substates(L1Substates),
}

/// The registers of one capability, addressed from its start.
struct Block<'r, 'a> {
    registers: &'r mut Registers<'a>,
    faults: &'r mut Vec<Fault>,
    offset: u16,
    header: HeaderKind,
}

impl Block<'_, '_> {
    fn u8(&mut self, at: u16) -> Option<u8> {
        self.registers.u8(self.offset.checked_add(at)?)
    }

    fn u16(&mut self, at: u16) -> Option<u16> {
        self.registers.u16(self.offset.checked_add(at)?)
    }

    fn u32(&mut self, at: u16) -> Option<u32> {
        self.registers.u32(self.offset.checked_add(at)?)
    }

    fn bars(&mut self, at: u16, count: u8) -> Vec<Bar> {
        let offset = self.offset.saturating_add(at);
        super::bar::decode_block(self.registers, offset, count, self.faults)
    }
}
