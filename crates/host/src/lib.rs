//! Access to a Linux host: read it, capture it, change it reversibly.

#![deny(unsafe_code)]

pub mod apply;
pub mod capture;
pub mod driverctl;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod journal;
pub mod kernel;
pub mod kernel_messages;
pub mod live;
pub mod lock;
mod read;
pub mod uevent;

pub use read::read;
