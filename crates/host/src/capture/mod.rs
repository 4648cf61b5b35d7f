//! Captures: everything that reading asked a host for, in one file.
//!
//! A capture is made by reading through a [`Recorder`], so it holds what the reader needs, with every absence and every
//! refusal, by construction. Reading it gives the facts that reading the host gave, save for what was made unreadable to
//! keep secrets (see [`Snapshot::redact`]). What a capture does not tell is unreadable, never absent.
//!
//! The file is a tar archive in a zstd frame. `manifest.toml` tells links, listings and failures ([`wire::v1`]); below
//! `tree/` lie the files by their path on the host, text as it was, bytes as hexadecimal text. Unpacked, it can be read by
//! people, and by [`open`] as well. Captures come from strangers: sizes, counts and paths are bounded, and nothing in one
//! is ever followed on the reader's disk.

mod archive;
mod dump;
mod record;
mod redact;
mod reduce;
mod snapshot;
pub mod wire;

use std::io::Write;

use slotwise_core::facts::{Facts, Origin};

pub use archive::{CaptureError, from_bytes, open};
pub use record::Recorder;
pub use snapshot::Snapshot;

use crate::kernel::ReadHost;

/// A host, read and recorded.
#[derive(Debug)]
pub struct Capture {
    /// What was read, before anything was made unreadable.
    pub facts: Facts,
    /// What was recorded, without secrets.
    pub snapshot: Snapshot,
    /// What was made unreadable, for people.
    pub redacted: Vec<String>,
}

/// Reads `host` and records what was read, then takes out of the record what must not leave the host.
#[must_use]
pub fn capture(host: &dyn ReadHost, origin: Origin) -> Capture {
    let recorder = Recorder::new(host);
    let facts = crate::read(&recorder, origin);
    let mut snapshot = recorder.finish();
    let host_name = host.read("/proc/sys/kernel/hostname", 256).unwrap_or_default();
    let redacted = snapshot.redact(String::from_utf8_lossy(&host_name).trim());
    Capture { facts, snapshot, redacted }
}

impl Capture {
    /// Writes the capture file.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), CaptureError> {
        let kernel = self.facts.kernel.release.known().cloned();
        archive::write(&self.snapshot, kernel, &self.redacted, out)
    }
}
