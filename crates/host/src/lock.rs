//! One Slotwise at work on a host: an advisory lock on a file that says who has it.
//!
//! The lock is `flock(2)`: the kernel drops it when its holder ends, however it ends, so it is never stale. The file
//! stays, since removing it would let two programs lock two files of one name. Times are seconds since 1970, UTC.

mod lend;

use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, FdFlags};

pub use lend::Lender;

/// Where the lock of a host lies by default: one for the host, wherever its journals are, and gone with its boot.
pub const HOST_LOCK: &str = "/run/slotwise.lock";
/// The longest text that a lock file is believed, in bytes.
const MAX_OWNER_BYTES: usize = 4096;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub pid: u32,
    /// What it does, as the user typed it; one line.
    pub command: String,
    /// Since when, in seconds since 1970, UTC.
    pub since_unix_s: u64,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}, `{}`", self.pid, self.command)
    }
}

impl Owner {
    fn to_text(&self) -> String {
        let command: String =
            self.command.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1024).collect();
        format!("{} {} {command}\n", self.pid, self.since_unix_s)
    }

    fn from_text(text: &str) -> Option<Self> {
        // Without its newline the text is being written this moment.
        let mut words = text.strip_suffix('\n')?.splitn(3, ' ');
        let pid = words.next()?.parse().ok()?;
        let since_unix_s = words.next()?.parse().ok()?;
        Some(Self { pid, since_unix_s, command: words.next()?.to_owned() })
    }
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another slotwise is at work on this host{}", .owner.as_ref().map(|o| format!(" ({o})")).unwrap_or_default())]
    Held {
        /// That process, if it has said so yet.
        owner: Option<Owner>,
    },
    /// The file cannot be opened, locked or written.
    #[error("cannot lock {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What came in the way.
        #[source]
        source: std::io::Error,
    },
}

impl LockError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Held { .. } => "wait until it has ended; nothing was changed",
            Self::File { .. } => "changing a host takes root",
        }
    }
}

/// The right to change a host. Given up when it is dropped or its process ends.
#[derive(Debug)]
pub struct HostLock {
    file: OwnedFd,
    path: PathBuf,
    /// Closed after the lock, which tells its lender that it is back.
    _lease: Option<UnixStream>,
}

impl HostLock {
    /// Takes the lock at `path` for `owner`, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] if another has it.
    pub fn acquire(path: &Path, owner: &Owner) -> Result<Self, LockError> {
        let fail = |errno: Errno| LockError::File { path: path.to_owned(), source: errno.into() };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = fs::open(path, flags, Mode::from_raw_mode(0o644)).map_err(fail)?;
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held { owner: read_owner(&file) }),
            Err(errno) => return Err(fail(errno)),
        }
        fs::ftruncate(&file, 0).map_err(fail)?;
        rustix::io::pwrite(&file, owner.to_text().as_bytes(), 0).map_err(fail)?;
        Ok(Self { file, path: path.to_owned(), _lease: None })
    }

    /// Lets programs that this process starts hold the lock with it, until the last of them has ended: a `modprobe` that
    /// outlives its killed owner still changes the host, and so does a monitor that has a device.
    ///
    /// # Errors
    /// [`LockError::File`] if the descriptor's flags cannot be set.
    pub fn share_with_children(&self) -> Result<(), LockError> {
        rustix::io::fcntl_setfd(&self.file, FdFlags::empty())
            .map_err(|errno| LockError::File { path: self.path.clone(), source: errno.into() })
    }
}

fn read_owner(file: &OwnedFd) -> Option<Owner> {
    let mut text = vec![0; MAX_OWNER_BYTES];
    let count = rustix::io::pread(file, &mut text, 0).ok()?;
    Owner::from_text(std::str::from_utf8(text.get(..count)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { pid: 4711, command: "slotwise apply bench.toml".to_owned(), since_unix_s: 1_700_000_000 }
    }

    #[test]
    fn second_instance_is_told_who_has_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = HostLock::acquire(&path, &owner()).unwrap();
        let error = HostLock::acquire(&path, &owner()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "another slotwise is at work on this host (process 4711, `slotwise apply bench.toml`)"
        );
        drop(lock);
        HostLock::acquire(&path, &owner()).unwrap();
    }

    #[test]
    fn a_program_that_outlives_its_owner_keeps_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = HostLock::acquire(&path, &owner()).unwrap();
        lock.share_with_children().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        drop(lock);
        assert!(matches!(HostLock::acquire(&path, &owner()), Err(LockError::Held { .. })));
        child.kill().unwrap();
        child.wait().unwrap();
        // A program that another test started in between may have the descriptor too, for a while.
        let free = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            HostLock::acquire(&path, &owner()).is_ok()
        });
        assert!(free);
    }

    /// The other process of the next test, which runs this one with a path in the environment.
    #[test]
    #[ignore = "holds a lock until it is killed; started by the next test"]
    fn holder() {
        let Some(path) = std::env::var_os("SLOTWISE_TEST_LOCK") else { return };
        let owner = Owner { pid: std::process::id(), ..owner() };
        let _lock = HostLock::acquire(Path::new(&path), &owner).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(60));
    }

    #[test]
    fn killed_process_gives_up_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lock::tests::holder", "--ignored"])
            .env("SLOTWISE_TEST_LOCK", &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Not by trying the lock: the child could then find it taken.
        let start = std::time::Instant::now();
        let said = || Owner::from_text(&std::fs::read_to_string(&path).ok()?);
        while said().is_none() {
            assert!(start.elapsed().as_secs() < 20, "no lock was taken");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let Err(LockError::Held { owner: Some(held_by) }) = HostLock::acquire(&path, &owner()) else {
            panic!("the child does not hold the lock")
        };
        assert_eq!(held_by.pid, child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        HostLock::acquire(&path, &owner()).unwrap();
    }

    #[test]
    fn what_a_killed_owner_left_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(
            &path,
            "4711 1700000000 slotwise apply a much longer command line than the next one\n",
        )
        .unwrap();
        let lock = HostLock::acquire(&path, &owner()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), owner().to_text());
        drop(lock);
    }

    #[test]
    fn owner_that_has_not_said_who_it_is_stays_unnamed() {
        for text in ["", "4711", "4711 17", "x 1 a\n", "4711 1700000000 half"] {
            assert_eq!(Owner::from_text(text), None, "{text:?}");
        }
        assert_eq!(Owner::from_text(&owner().to_text()), Some(owner()));
    }

    #[test]
    fn lock_in_no_directory_names_the_file() {
        let error = HostLock::acquire(Path::new("/nonexistent/lock"), &owner()).unwrap_err();
        assert_eq!(error.to_string(), "cannot lock /nonexistent/lock");
    }
}
