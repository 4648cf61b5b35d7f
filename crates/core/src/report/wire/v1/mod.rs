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
pub use inspect::{Inspect, InspectPart};
pub use plan::Plan;
