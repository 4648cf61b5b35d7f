//! Access to a Linux host: read it, capture it, change it reversibly.

#![deny(unsafe_code)]

pub mod capture;
pub mod kernel;
pub mod live;
mod read;

pub use read::read;
