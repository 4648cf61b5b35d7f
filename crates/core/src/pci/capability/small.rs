//! Capabilities of a register or two.

use super::super::bits::{bit, field, field8, field16};
use super::super::header::split_id;
use super::{Block, Body};

/// Vital product data (PCI 3.0 appendix I). Its data is behind an address register: reading takes writing.
pub(super) fn vital_product_data(_: &mut Block<'_, '_>) -> Option<Body> {
    Some(Body::VitalProductData)
}

/// Slot identification (PCI-to-PCI Bridge 1.2 §13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotIdentification {
    /// Slots in the chassis, 0 to 31.
    pub slots: u8,
    /// The bridge is the first of its chassis.
    pub first_in_chassis: bool,
    /// Number of the chassis.
    pub chassis: u8,
}

pub(super) fn slot_identification(block: &mut Block<'_, '_>) -> Option<Body> {
    let [slots, chassis] = block.u16(2)?.to_le_bytes();
    Some(Body::SlotIdentification(SlotIdentification {
        slots: field8(slots, 0, 5),
        first_in_chassis: bit(slots, 5),
        chassis,
    }))
}

/// Vendor-specific, standard list (PCI 3.0 appendix H): the length comes first.
pub(super) fn vendor_specific(block: &mut Block<'_, '_>) -> Option<Body> {
    block.u8(2).map(Body::VendorSpecific)
}

/// Debug port (EHCI 1.0 appendix C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugPort {
    /// Which BAR the registers are in: 1 stands for the first.
    pub bar: u8,
    /// Bytes from the start of the BAR.
    pub offset: u16,
}

pub(super) fn debug_port(block: &mut Block<'_, '_>) -> Option<Body> {
    let value = block.u16(2)?;
    Some(Body::DebugPort(DebugPort { bar: field8(value, 13, 3), offset: field16(value, 0, 13) }))
}

/// Subsystem ids of a bridge (PCI-to-PCI Bridge 1.2 §3.2.5.13).
pub(super) fn subsystem(block: &mut Block<'_, '_>) -> Option<Body> {
    block.u32(4).map(|ids| Body::Subsystem(split_id(ids)))
}

/// Serial ATA host controller (AHCI 1.3.1 §2.4): where its index and data registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SataHba {
    /// Major and minor revision.
    pub revision: (u8, u8),
    /// BAR, as 4 to 9 for the first to the sixth, or 15 for configuration space. None if not readable.
    pub location: Option<u8>,
    /// Offset into it, in units of four bytes. None if not readable.
    pub offset: Option<u32>,
}

pub(super) fn sata_hba(block: &mut Block<'_, '_>) -> Option<Body> {
    let revision = block.u16(2)?;
    let registers = block.u32(4);
    Some(Body::SataHba(SataHba {
        revision: (field8(revision, 4, 4), field8(revision, 0, 4)),
        location: registers.map(|value| field8(value, 0, 4)),
        offset: registers.map(|value| field(value, 4, 20)),
    }))
}

/// Device serial number (PCIe Base 6.0 §7.9.3).
pub(super) fn serial_number(block: &mut Block<'_, '_>) -> Option<Body> {
    let (low, high) = (block.u32(4)?, block.u32(8)?);
    Some(Body::SerialNumber(u64::from(high) << 32 | u64::from(low)))
}

/// Vendor-specific, extended list (PCIe Base 6.0 §7.9.5 and §7.9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedVendor {
    /// Whose it is, where the capability says so (designated vendor-specific); else the function's vendor.
    pub vendor: Option<u16>,
    /// Which of the vendor's.
    pub id: u16,
    /// Its revision.
    pub revision: u8,
    /// Its length in bytes, header included.
    pub length: u16,
}

pub(super) fn extended_vendor(block: &mut Block<'_, '_>) -> Option<Body> {
    let header = block.u32(4)?;
    Some(Body::ExtendedVendor(ExtendedVendor {
        vendor: None,
        id: field16(header, 0, 16),
        revision: field8(header, 16, 4),
        length: field16(header, 20, 12),
    }))
}

pub(super) fn designated_vendor(block: &mut Block<'_, '_>) -> Option<Body> {
    let header = block.u32(4)?;
    Some(Body::ExtendedVendor(ExtendedVendor {
        vendor: Some(field16(header, 0, 16)),
        id: block.u16(8)?,
        revision: field8(header, 16, 4),
        length: field16(header, 20, 12),
    }))
}
