//! What decides IOMMU groups: access control services (PCIe Base 6.0 §7.7.11) and alternative routing-id
//! interpretation (§7.8.8).

use super::super::bits::{bit, field8};
use super::{Block, Body};

/// The bits of the ACS capability and control registers, which have the same layout in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccessControlFlags(u16);

impl AccessControlFlags {
    /// The flags that a register of this value has.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The register's value; bits that have no name included.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Source validation: requests with another port's bus number are refused.
    #[must_use]
    pub fn source_validation(self) -> bool {
        bit(self.0, 0)
    }

    /// Translation blocking: requests that claim to be translated are refused.
    #[must_use]
    pub fn translation_blocking(self) -> bool {
        bit(self.0, 1)
    }

    /// Requests to peers go up to the root complex.
    #[must_use]
    pub fn request_redirect(self) -> bool {
        bit(self.0, 2)
    }

    /// Completions for peers go up to the root complex.
    #[must_use]
    pub fn completion_redirect(self) -> bool {
        bit(self.0, 3)
    }

    /// Requests that came back down are forwarded up.
    #[must_use]
    pub fn upstream_forwarding(self) -> bool {
        bit(self.0, 4)
    }

    /// Which peers may be reached is set peer by peer.
    #[must_use]
    pub fn egress_control(self) -> bool {
        bit(self.0, 5)
    }

    /// Translated requests may go to peers directly.
    #[must_use]
    pub fn direct_translated(self) -> bool {
        bit(self.0, 6)
    }

    /// The four services by which the kernel takes a port for isolated: source validation, both redirects and
    /// upstream forwarding (`REQ_ACS_FLAGS`, drivers/iommu/iommu.c).
    #[must_use]
    pub const fn isolates(self) -> bool {
        const REQUIRED: u16 = 0b1_1101;
        self.0 & REQUIRED == REQUIRED
    }
}

/// What the ACS registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessControl {
    /// What the function can do.
    pub capability: AccessControlFlags,
    /// What is switched on. None if the register could not be read.
    pub control: Option<AccessControlFlags>,
    /// Size of the egress control vector in bits, where there is egress control; 0 stands for 256.
    pub egress_vector_bits: u8,
}

pub(super) fn decode_acs(block: &mut Block<'_, '_>) -> Option<Body> {
    let capability = block.u16(4)?;
    Some(Body::AccessControl(AccessControl {
        capability: AccessControlFlags(capability & 0x00ff),
        control: block.u16(6).map(AccessControlFlags),
        egress_vector_bits: field8(capability, 8, 8),
    }))
}

/// What the ARI registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlternativeRouting {
    /// Functions can be grouped for virtual channel arbitration.
    pub mfvc_groups: bool,
    /// Functions can be grouped for egress control.
    pub acs_groups: bool,
    /// Number of the next function, 0 at the end.
    pub next_function: u8,
}

pub(super) fn decode_ari(block: &mut Block<'_, '_>) -> Option<Body> {
    let capability = block.u16(4)?;
    Some(Body::AlternativeRouting(AlternativeRouting {
        mfvc_groups: bit(capability, 0),
        acs_groups: bit(capability, 1),
        next_function: field8(capability, 8, 8),
    }))
}
