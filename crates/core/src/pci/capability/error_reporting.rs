//! Errors: advanced error reporting (PCIe Base 6.0 §7.8.4) and downstream port containment (§7.9.14).

use super::super::bits::{bit, field8};
use super::{Block, Body};

/// What the AER registers say: bit layouts are those of §7.8.4.2 to §7.8.4.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvancedErrorReporting {
    /// Uncorrectable errors seen.
    pub uncorrectable_status: u32,
    /// Uncorrectable errors not reported.
    pub uncorrectable_mask: u32,
    /// Uncorrectable errors that count as fatal.
    pub uncorrectable_severity: u32,
    /// Correctable errors seen.
    pub correctable_status: u32,
    /// Correctable errors not reported.
    pub correctable_mask: u32,
    /// Capabilities and control.
    pub control: u32,
    /// Header of the packet that met the first error.
    pub header_log: [u32; 4],
}

pub(super) fn decode_aer(block: &mut Block<'_, '_>) -> Option<Body> {
    Some(Body::AdvancedErrorReporting(AdvancedErrorReporting {
        uncorrectable_status: block.u32(0x04)?,
        uncorrectable_mask: block.u32(0x08)?,
        uncorrectable_severity: block.u32(0x0c)?,
        correctable_status: block.u32(0x10)?,
        correctable_mask: block.u32(0x14)?,
        control: block.u32(0x18)?,
        header_log: [block.u32(0x1c)?, block.u32(0x20)?, block.u32(0x24)?, block.u32(0x28)?],
    }))
}

/// What the DPC registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownstreamPortContainment {
    /// The root port has further registers.
    pub root_port_extensions: bool,
    /// Software can trigger containment.
    pub software_trigger: bool,
    /// What triggers it: 0 nothing, 1 fatal errors, 2 fatal and non-fatal errors.
    pub trigger: u8,
    /// The port is contained: its link is down. None if the register could not be read.
    pub triggered: Option<bool>,
    /// Requester id of the function that sent the error. None if the register could not be read.
    pub source: Option<u16>,
}

pub(super) fn decode_dpc(block: &mut Block<'_, '_>) -> Option<Body> {
    let capability = block.u16(4)?;
    let control = block.u16(6)?;
    Some(Body::DownstreamPortContainment(DownstreamPortContainment {
        root_port_extensions: bit(capability, 5),
        software_trigger: bit(capability, 7),
        trigger: field8(control, 0, 2),
        triggered: block.u16(8).map(|status| bit(status, 0)),
        source: block.u16(10),
    }))
}
