//! Version 1: `slotwise.inspect/1`, `slotwise.plan/1` and `slotwise.compare/1`.
//!
//! Addresses and sizes of PCI space are hexadecimal strings, counts are numbers, unknown is null.

mod compare;
mod fingerprint;
mod inspect;
mod partition;
mod plan;

pub use compare::Compare;
pub use fingerprint::{MAX_SAVED_BYTES, SavedPlan, SavedPlanError};
pub use inspect::Inspect;
pub use plan::Plan;

/// An address or a size of PCI space.
fn hex(value: u64) -> String {
    format!("{value:#x}")
}

/// A 16-bit id, four lower-case digits.
fn id(value: u16) -> String {
    format!("{value:04x}")
}
