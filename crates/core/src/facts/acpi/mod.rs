//! ACPI tables that say what an IOMMU must leave alone: DMAR (Intel), IVRS (AMD).
//!
//! Reads bytes of whole tables, little-endian, header included. Layouts: ACPI 6.5 §5.2.6 (header), Intel VT-d 4.1 §8,
//! AMD I/O Virtualization (48882 rev 3.08) §5.2. Tables come from firmware and are damaged often enough
//! (`drivers/iommu/intel/dmar.c` has four messages for it): every structure is bounded by its own length and the
//! table's, and what follows a structure of impossible length is not read.

mod dmar;
mod dump;
mod ivrs;
mod source;

pub use dmar::{DeviceScope, Dmar, DmarStructure, ScopeKind};
pub use dump::{DumpedTable, from_acpidump};
pub(super) use dump::{head as dump_head, row as dump_row};
pub use ivrs::{Ivmd, IvmdScope, Ivrs, IvrsBlock};
pub use source::from_acpi;
pub(super) use source::{is_table, join};

/// Length of the header that every table has.
pub const HEADER_BYTES: usize = 36;

/// The most structures that a table is read for; a real one has some tens.
const MOST_STRUCTURES: usize = 4096;

/// Why bytes are not the table they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcpiError {
    /// There are fewer bytes than the table's header, or fixed part, has.
    #[error("ACPI table is shorter than its header")]
    Short,
    /// The signature is another.
    #[error("ACPI table has not the signature {expected}")]
    Signature {
        /// What the first four bytes should be.
        expected: &'static str,
    },
}

/// The bytes of a table as far as its header's length says, and no farther than there are any.
fn body<'t>(bytes: &'t [u8], signature: &'static str, fixed: usize) -> Result<&'t [u8], AcpiError> {
    if bytes.get(..4).ok_or(AcpiError::Short)? != signature.as_bytes() {
        return Err(AcpiError::Signature { expected: signature });
    }
    let length = u32_at(bytes, 4).and_then(|length| usize::try_from(length).ok()).ok_or(AcpiError::Short)?;
    let table = bytes.get(..length).unwrap_or(bytes);
    if table.len() < fixed { Err(AcpiError::Short) } else { Ok(table) }
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}
