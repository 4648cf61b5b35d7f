//! Shared virtual memory: address translation services (PCIe Base 6.0 §10.5.1), page requests (§10.5.2) and process
//! address space ids (§7.8.9).

use super::super::bits::{bit, field8};
use super::{Block, Body};

/// What the ATS registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressTranslation {
    /// Invalidations that the function takes at once, 1 to 31; 0 stands for 32.
    pub invalidate_queue_depth: u8,
    /// The function uses ATS. None if the register could not be read.
    pub enabled: Option<bool>,
    /// Smallest translation unit: 2 to this power times 4 KiB. None if the register could not be read.
    pub smallest_unit: Option<u8>,
}

pub(super) fn decode_ats(block: &mut Block<'_, '_>) -> Option<Body> {
    let capability = block.u16(4)?;
    let control = block.u16(6);
    Some(Body::AddressTranslation(AddressTranslation {
        invalidate_queue_depth: field8(capability, 0, 5),
        enabled: control.map(|control| bit(control, 15)),
        smallest_unit: control.map(|control| field8(control, 0, 5)),
    }))
}

/// What the page request registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The function may send page requests.
    pub enabled: bool,
    /// It has stopped sending them. None if the register could not be read.
    pub stopped: Option<bool>,
    /// Requests that it can have open. None if the register could not be read.
    pub capacity: Option<u32>,
    /// Requests that it may have open. None if the register could not be read.
    pub allocation: Option<u32>,
}

pub(super) fn decode_pri(block: &mut Block<'_, '_>) -> Option<Body> {
    let control = block.u16(4)?;
    Some(Body::PageRequest(PageRequest {
        enabled: bit(control, 0),
        stopped: block.u16(6).map(|status| bit(status, 8)),
        capacity: block.u32(8),
        allocation: block.u32(12),
    }))
}

/// What the PASID registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessAddressSpace {
    /// Requests can ask for execute permission.
    pub execute: bool,
    /// Requests can ask for privileged mode.
    pub privileged: bool,
    /// Bits of an address space id.
    pub width: u8,
    /// The function uses address space ids. None if the register could not be read.
    pub enabled: Option<bool>,
}

pub(super) fn decode_pasid(block: &mut Block<'_, '_>) -> Option<Body> {
    let capability = block.u16(4)?;
    Some(Body::ProcessAddressSpace(ProcessAddressSpace {
        execute: bit(capability, 1),
        privileged: bit(capability, 2),
        width: field8(capability, 8, 5),
        enabled: block.u16(6).map(|control| bit(control, 0)),
    }))
}
