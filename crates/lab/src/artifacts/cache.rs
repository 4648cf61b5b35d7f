//! A directory of results, named by kind and a hash of their inputs.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::ArtifactError;

/// Entries of a kind that are kept whatever their age: some machines and payloads take turns.
const KEPT: usize = 4;
/// Younger entries are kept: a lab that is just starting may not have opened its files yet.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// The user's cache directory for the lab: `$XDG_CACHE_HOME/slotwise/lab`, else `~/.cache/slotwise/lab`.
///
/// # Errors
/// Neither variable is set to an absolute path.
pub fn default_directory() -> Result<PathBuf, ArtifactError> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("slotwise/lab"))
        .ok_or(ArtifactError::NoCache)
}

/// An open cache.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
}

impl Cache {
    pub(super) fn open(directory: &Path) -> Result<Self, ArtifactError> {
        fs::create_dir_all(directory).map_err(|source| ArtifactError::io("create", directory, source))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The entry of this kind and key; `build` makes it when it is not there, at the path it is given.
    pub(super) fn entry(
        &self,
        kind: &str,
        extension: &str,
        key: &str,
        build: impl FnOnce(&Path) -> Result<(), ArtifactError>,
    ) -> Result<PathBuf, ArtifactError> {
        let path = self.directory.join(format!("{kind}-{key}.{extension}"));
        if let Ok(file) = File::open(&path) {
            // The time of last use, for pruning: of access, since entries are inputs of others by their time of
            // modification. On a cache that cannot be written it does not matter.
            let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
            return Ok(path);
        }
        let work = tempfile::Builder::new()
            .prefix(".work-")
            .tempdir_in(&self.directory)
            .map_err(|source| ArtifactError::io("create a directory in", &self.directory, source))?;
        let unfinished = work.path().join("result");
        build(&unfinished)?;
        fs::rename(&unfinished, &path).map_err(|source| ArtifactError::io("rename", &unfinished, source))?;
        Ok(path)
    }

    /// Removes entries nobody used lately. A file that cannot be removed stays for the next time.
    pub(super) fn prune(&self) {
        let Ok(listing) = fs::read_dir(&self.directory) else { return };
        let now = SystemTime::now();
        let mut entries: Vec<(String, SystemTime, PathBuf)> = listing
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let used = entry.metadata().ok()?.accessed().ok()?;
                Some((name.split('-').next()?.to_owned(), used, entry.path()))
            })
            .collect();
        entries.sort_by(|a, b| (&a.0, b.1).cmp(&(&b.0, a.1)));
        let mut kind = String::new();
        let mut seen = 0;
        for (this, used, path) in entries {
            if this != kind {
                (kind, seen) = (this, 0);
            }
            seen += 1;
            let old = now.duration_since(used).is_ok_and(|age| age > GRACE);
            if kind == ".work" && old {
                let _ = fs::remove_dir_all(&path);
            } else if kind != ".work" && old && seen > KEPT {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_built_once_and_a_failed_build_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        let build = |target: &Path| fs::write(target, "x").map_err(|e| ArtifactError::io("write", target, e));
        let path = cache.entry("root", "img", "k", build).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        cache.entry("root", "img", "k", |_| Err(ArtifactError::NoCache)).unwrap();
        cache.entry("root", "img", "other", |_| Err(ArtifactError::NoCache)).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn pruning_keeps_the_young_and_the_last_used_of_each_kind() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        let age = |name: &str, hours: u64| {
            let file = File::create(directory.path().join(name)).unwrap();
            let used = SystemTime::now() - Duration::from_secs(hours * 3600);
            file.set_times(FileTimes::new().set_accessed(used)).unwrap();
        };
        (2..10).for_each(|hours| age(&format!("root-{hours}.img"), hours));
        age("payload-9.img", 90);
        age("payload-0.img", 0);
        cache.prune();
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(
            left,
            ["payload-0.img", "payload-9.img", "root-2.img", "root-3.img", "root-4.img", "root-5.img"]
        );
    }
}
