//! PCI as the specifications know it: addresses, ids, configuration space.
//!
//! This room knows nothing of Linux, sysfs or guests. Byte order is little-endian as on the bus, offsets are in
//! bytes from the start of a function's configuration space.

mod address;
mod id;

pub use address::{AddressError, Part, PciAddress};
pub use id::{ClassCode, IdError, PciId};
