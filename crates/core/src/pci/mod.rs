//! PCI as the specifications know it: addresses, ids, configuration space.
//!
//! This room knows nothing of Linux, sysfs or guests. Byte order is little-endian as on the bus, offsets are in
//! bytes from the start of a function's configuration space.

mod address;
mod bar;
mod bits;
mod bridge;
pub mod capability;
mod config;
mod fault;
mod features;
mod function;
mod header;
mod id;
mod selector;

pub use address::{AddressError, Part, PciAddress};
pub use bar::{Bar, BarKind, ROM_INDEX};
pub use bridge::{Bridge, CardBus, Window};
pub use capability::{Body, Capability, PortType, Space};
pub use config::{CONVENTIONAL_SIZE, ConfigReader, ConfigSpace, EXTENDED_SIZE};
pub use fault::Fault;
pub use features::{Feature, Features};
pub use function::{DecodeError, Function, decode, decode_with};
pub use header::{Command, Header, HeaderKind, InterruptPin, Status};
pub use id::{ClassCode, IdError, PciId};
pub use selector::{IdPattern, PatternPart, Selector, SelectorError, SlotPattern};
