//! The control channel between a lab host and whoever drives it.
//!
//! One byte stream carries many exchanges (commands, file transfers), told apart by a number. It runs over a
//! virtio-serial port into the lab host and, in the same form, over the unix socket by which other processes share
//! a running lab. Frames are bounded, and each direction of an exchange has a credit window, so a command whose
//! output nobody reads stops by itself and holds up no other.
//!
//! [`frame`] is the byte layout, [`wire`] the JSON bodies, [`credit`] the windows.

pub mod credit;
pub mod frame;
pub mod wire;

/// Name of the virtio-serial port in the lab host (`/sys/class/virtio-ports/*/name`).
pub const PORT_NAME: &str = "slotwise.lab.control";

/// Version of the conversation; both sides must have the same.
pub const VERSION: u32 = 1;
