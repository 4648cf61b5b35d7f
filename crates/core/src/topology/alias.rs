//! The id under which a function's DMA arrives, where it is another than its own.
//!
//! Conventional PCI carries no id of the requester: bridges put one in (`drivers/pci/search.c:
//! pci_for_each_dma_alias`; PCI Express to PCI/PCI-X Bridge 1.0 §2.3). Quirks of single devices are not known here.

use super::Topology;
use crate::pci::PciAddress;

/// An id that stands for a function's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaAlias {
    /// The topmost bridge that puts an id in.
    pub bridge: PciAddress,
    /// That id, as the address it spells; often one that no function has.
    pub seen_as: PciAddress,
}

impl Topology {
    /// The alias of a function's requester id; none if it arrives as it is, and where the bridges above do not tell what
    /// they are.
    #[must_use]
    pub fn dma_alias(&self, address: PciAddress) -> Option<DmaAlias> {
        let mut below = address;
        let mut found = None;
        for bridge in self.bridges_above(address) {
            let (Some(below_express), Some(express)) = (self.is_express(below), self.is_express(bridge))
            else {
                break;
            };
            if !below_express {
                let of_bus = PciAddress::new(below.domain(), below.bus(), 0, 0);
                let seen_as = if express { of_bus.ok()? } else { bridge };
                found = Some(DmaAlias { bridge, seen_as });
            }
            below = bridge;
        }
        found.filter(|alias| alias.seen_as != address)
    }
}
