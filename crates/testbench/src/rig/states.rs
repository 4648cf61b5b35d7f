//! Saved states of guests that have booted, kept for later starts.
//!
//! A state is that of one machine, on one build of its monitor, with one kernel and ramdisk (whose name is its content's
//! checksum, the agent in it), in one boot of the host: all that is in its name, so a state that does not fit is not
//! found. The boot is in it because a state holds the guest's clocks, which run on the host's: restored in a later boot,
//! under an emulated host, a guest hung. A state that fails at its restore is removed, and made anew by the boot that
//! follows.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use slotwise_backend::{Backend, BackendError};
use slotwise_core::vm::{Boot, KernelPayload, VmSpec};

/// The most states that are kept: each is about as large as the part of its guest's memory that was written to.
const MAX_KEPT: usize = 8;
const SUFFIX: &str = "state";

/// The folder of saved states.
#[derive(Clone, Debug)]
pub struct SavedStates {
    folder: PathBuf,
    boot: String,
}

impl SavedStates {
    /// States in `folder`, made if it is not there, of the boot of the host that `boot` names (`/proc/sys/kernel/random/boot_id`).
    #[must_use]
    pub fn new(folder: PathBuf, boot: String) -> Self {
        Self { folder, boot }
    }

    /// Where the state of a machine is, or would be.
    ///
    /// # Errors
    ///
    /// The monitor cannot run the machine.
    pub(super) fn path(&self, backend: &dyn Backend, spec: &VmSpec) -> Result<PathBuf, BackendError> {
        let summary = backend.summary();
        let mut digest = Sha256::new();
        let parts = [summary.name, &summary.version, &summary.build, &backend.render(spec)?, &self.boot];
        for part in parts.into_iter().map(str::to_owned).chain(booted(spec).map(|path| identity(&path))) {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        let name: String = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(self.folder.join(name).with_extension(SUFFIX))
    }

    /// Makes room for a new state, and gives a name to write it under until it is whole.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or read.
    pub(super) fn begin(&self, path: &Path) -> io::Result<PathBuf> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let written = |path: &Path| path.metadata().and_then(|found| found.modified());
        let mut kept: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.folder)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|own| own == SUFFIX))
            .filter_map(|path| Some((written(&path).ok()?, path)))
            .collect();
        kept.sort_unstable();
        for (_, old) in kept.iter().take((kept.len() + 1).saturating_sub(MAX_KEPT)) {
            discard(old);
        }
        Ok(path.with_extension(format!("{}.new", std::process::id())))
    }

    /// Gives a whole state its name.
    ///
    /// # Errors
    ///
    /// The file system refuses.
    pub(super) fn keep(&self, new: &Path, path: &Path) -> io::Result<()> {
        fs::rename(new, path)
    }
}

/// Removes a state. One that is gone already needs no removing.
pub(super) fn discard(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The files that a machine boots.
fn booted(spec: &VmSpec) -> impl Iterator<Item = PathBuf> {
    let mut files = Vec::new();
    if let Boot::Kernel(boot) = &spec.config().boot {
        files.push(boot.kernel.clone());
        if let KernelPayload::Initrd(initrd) = &boot.payload {
            files.push(initrd.clone());
        }
    }
    files.into_iter()
}

/// What tells a file from the one that was at its place before.
fn identity(path: &Path) -> String {
    match path.metadata() {
        Ok(found) => format!("{} {} {}.{}", path.display(), found.len(), found.mtime(), found.mtime_nsec()),
        // The start will say so.
        Err(_) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_states_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let states = SavedStates::new(folder.path().to_owned(), "b".to_owned());
        let path = |number: usize| folder.path().join(format!("{number:02}.state"));
        for number in 0..MAX_KEPT + 2 {
            let new = states.begin(&path(number)).unwrap();
            fs::write(&new, "state").unwrap();
            let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::options().write(true).open(&new).unwrap().set_modified(then).unwrap();
            states.keep(&new, &path(number)).unwrap();
        }
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.path()).collect();
        left.sort();
        assert_eq!(left, (2..MAX_KEPT + 2).map(path).collect::<Vec<_>>());
    }

    #[test]
    fn another_content_of_a_file_is_another_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = identity(file.path());
        fs::write(file.path(), "other").unwrap();
        assert_ne!(identity(file.path()), before);
    }
}
