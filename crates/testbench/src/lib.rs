//! The device test bench: suites, transports, guests, the matrix, comparison of runs.
//!
//! Without the feature `bench` only [`wire`] is built: the types that the bench and the agent in a guest share.

#![forbid(unsafe_code)]

pub mod wire;

#[cfg(feature = "bench")]
pub mod capability;
#[cfg(feature = "bench")]
pub mod console;
#[cfg(feature = "bench")]
mod embedded;
#[cfg(all(test, feature = "bench"))]
mod fake;
#[cfg(feature = "bench")]
mod frames;
#[cfg(feature = "bench")]
pub mod guest;
#[cfg(feature = "bench")]
pub mod matrix;
#[cfg(feature = "bench")]
pub mod report;
#[cfg(feature = "bench")]
pub mod rig;
#[cfg(feature = "bench")]
pub mod run;
#[cfg(feature = "bench")]
pub mod scsi;
#[cfg(feature = "bench")]
pub mod sight;
#[cfg(feature = "bench")]
pub mod source;
#[cfg(feature = "bench")]
pub mod suite;
#[cfg(feature = "bench")]
pub mod transport;
