//! Advanced features for conventional functions (PCI ECN "Advanced Capabilities for Conventional PCI"; PCIe Base 6.0
//! §7.9.22).

use super::super::bits::bit;
use super::{Block, Body};

/// What the AF registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvancedFeatures {
    /// Pending transactions can be asked for; the kernel wants this too before it uses [`Self::flr`]
    /// (`pci_af_flr`, drivers/pci/pci.c).
    pub transactions_pending_capable: bool,
    /// Function-level reset is supported.
    pub flr: bool,
    /// Transactions are pending now. None if the status register could not be read.
    pub transactions_pending: Option<bool>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let capabilities = block.u8(3)?;
    Some(Body::AdvancedFeatures(AdvancedFeatures {
        transactions_pending_capable: bit(capabilities, 0),
        flr: bit(capabilities, 1),
        transactions_pending: block.u8(5).map(|status| bit(status, 0)),
    }))
}
