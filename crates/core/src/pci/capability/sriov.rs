//! Single-root I/O virtualization (PCIe Base 6.0 §9.3.3).

use super::super::bar::Bar;
use super::super::bits::bit;
use super::{Block, Body};

/// What the SR-IOV registers of a physical function say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrIov {
    /// Virtual functions exist now.
    pub enabled: bool,
    /// Virtual functions answer memory accesses.
    pub memory_enabled: bool,
    /// Routing ids of virtual functions go by ARI.
    pub ari_hierarchy: bool,
    /// Virtual functions that there are without migration.
    pub initial_vfs: u16,
    /// Virtual functions that there can be.
    pub total_vfs: u16,
    /// Virtual functions that are set up.
    pub num_vfs: u16,
    /// Distance of the first virtual function's routing id from the physical function's.
    pub first_vf_offset: u16,
    /// Distance between routing ids of virtual functions.
    pub vf_stride: u16,
    /// Device id of the virtual functions; their vendor id is the physical function's.
    pub vf_device: u16,
    /// Page sizes that the virtual functions' BARs can be aligned to: bit n for 4 KiB times 2 to the n.
    pub supported_page_sizes: u32,
    /// The page size in use, same form.
    pub system_page_size: u32,
    /// BARs of the virtual functions: address of the first one's. A BAR that is not readable is left out.
    pub vf_bars: Vec<Bar>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let control = block.u16(0x08)?;
    Some(Body::SrIov(SrIov {
        enabled: bit(control, 0),
        memory_enabled: bit(control, 3),
        ari_hierarchy: bit(control, 4),
        initial_vfs: block.u16(0x0c)?,
        total_vfs: block.u16(0x0e)?,
        num_vfs: block.u16(0x10)?,
        first_vf_offset: block.u16(0x14)?,
        vf_stride: block.u16(0x16)?,
        vf_device: block.u16(0x1a)?,
        supported_page_sizes: block.u32(0x1c)?,
        system_page_size: block.u32(0x20)?,
        vf_bars: block.bars(0x24, 6).into_iter().map(|bar| Bar { enabled: bit(control, 3), ..bar }).collect(),
    }))
}
