//! The lab's [`Target`] as an iSCSI target on a socket (RFC 7143), so that an emulated adapter, or any initiator, sends
//! its command bytes to the firmware.
//!
//! QEMU passes a guest's command descriptor blocks through `scsi-generic` and its iSCSI driver:
//! `-drive if=none,id=d0,file.driver=iscsi,…` on an emulated adapter; see [`Portal::qemu_drive`].
//!
//! What is a parallel bus's is mapped so: the LUN of a header is that of IDENTIFY; LOGICAL UNIT RESET is BUS DEVICE RESET,
//! TARGET WARM RESET the RESET condition, TARGET COLD RESET power off and on; the two initiators of the bus are the first
//! two iSCSI initiator ports that log in, and a session's end lets go of what its initiator held (I_T nexus loss). Sense
//! goes with the status, fetched as an adapter's driver does. Time that the firmware takes passes here.
//!
//! What it does not do: authentication, digests, several connections a session, error recovery above level 0. It
//! believes nothing: units, text, transfers, tasks and connections are bounded, and whoever breaks the protocol loses the
//! connection, not the target.

mod connection;
mod keys;
mod login;
mod nexus;
mod portal;
mod service;
mod task;
mod write;

#[cfg(test)]
mod tests;

pub use portal::{Portal, PortalError};
pub use service::Observed;

use crate::target::Target;

/// The target's name.
pub const TARGET_NAME: &str = "iqn.2026-01.org.slotwise:firmware";
