//! The directory of one running lab host: sockets, logs, disks.
//!
//! It goes with its owner. An owner that was killed leaves it behind; the next one removes it. A lock on a file in it,
//! which ends with the process that holds it, tells the two cases apart.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

const PREFIX: &str = "slotwise-lab-";
const LOCK: &str = "lock";
/// Younger directories may be about to be locked.
const YOUNG: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Directory {
    directory: TempDir,
    _lock: File,
}

impl Directory {
    /// A new one; those that owners left behind are removed.
    pub(super) fn create() -> io::Result<Self> {
        remove_abandoned(&std::env::temp_dir(), YOUNG);
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let lock = File::create_new(directory.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { directory, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// What cannot be looked at or removed belongs to another user, or is being removed by another process.
fn remove_abandoned(parent: &Path, young: Duration) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && old().is_some_and(|age| age >= young)
            && File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            File::create_new(path.join(LOCK)).unwrap()
        };
        let held = make("slotwise-lab-held");
        held.lock().unwrap();
        drop(make("slotwise-lab-left"));
        drop(make("other"));
        remove_abandoned(parent.path(), Duration::from_secs(60));
        assert!(parent.path().join("slotwise-lab-left").exists());
        remove_abandoned(parent.path(), Duration::ZERO);
        assert!(parent.path().join("slotwise-lab-held").exists());
        assert!(!parent.path().join("slotwise-lab-left").exists());
        assert!(parent.path().join("other").exists());
    }
}
