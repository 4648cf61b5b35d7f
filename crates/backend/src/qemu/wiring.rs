//! Where a machine's console, control and channels are connected, and the folder that holds their sockets.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use slotwise_core::vm::{ChannelName, VmName};

/// The most bytes that a Unix socket's path can have: `sun_path` holds 108 with the final zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// How a machine is connected to the outside.
#[derive(Clone, Copy, Debug)]
pub enum Wiring<'a> {
    /// Console and monitor on the terminal, to be started by hand; channels as sockets in the current folder.
    Terminal,
    /// Everything on sockets, for a program.
    Sockets(&'a Sockets),
}

/// The paths of a running machine's sockets. Which of them exist is [`RuntimeFolder`]'s concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    folder: PathBuf,
}

impl Sockets {
    /// The sockets of the machine `name`, under the folder for all machines.
    #[must_use]
    pub fn of(machines: &Path, name: &VmName) -> Self {
        Self { folder: machines.join(name.as_str()) }
    }

    /// The folder that holds them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where we listen for the machine's QMP of our own; QEMU connects.
    #[must_use]
    pub fn own_qmp(&self) -> PathBuf {
        self.folder.join("own-qmp.sock")
    }

    /// Where QEMU listens for QMP clients of other processes, one at a time.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.folder.join("qmp.sock")
    }

    /// Where we listen for the serial console; QEMU connects, so that not a byte is lost.
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.folder.join("console.sock")
    }

    /// Where QEMU listens for the host's side of a channel.
    #[must_use]
    pub fn channel(&self, index: usize) -> PathBuf {
        self.folder.join(format!("channel{index}.sock"))
    }
}

/// The file name of a channel's socket when the machine is started by hand.
pub(super) fn channel_by_hand(name: &ChannelName) -> String {
    format!("{name}.sock")
}

/// Why a machine's folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file system operation failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What we were at.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder that others may enter.
    #[error("folder {} belongs to user {owner} with mode {mode:03o}, and it has to be ours alone", path.display())]
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A machine of that name answers.
    #[error("machine {name} is running already")]
    Running {
        /// Its name.
        name: VmName,
    },
    /// Too deep for sockets.
    #[error("socket path {} has {length} bytes, and a Unix socket's can have {MAX_SOCKET_PATH}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
}

impl RuntimeError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// What to do next, where we know.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Running { .. } => Some("end it, or give this one another name"),
            Self::PathTooLong { .. } => Some("set XDG_RUNTIME_DIR to a shorter path"),
            Self::NotPrivate { .. } => Some("remove it, or set XDG_RUNTIME_DIR to a folder of your own"),
            Self::Io { .. } => None,
        }
    }
}

/// A machine's own folder, mode 0700; dropping it removes it.
#[derive(Debug)]
pub struct RuntimeFolder {
    sockets: Sockets,
    /// Locked (flock(2)) as long as we live, so that nobody takes the folder for a leftover before the machine
    /// answers.
    _lock: File,
}

impl RuntimeFolder {
    /// Makes the folder of the machine `name` under `machines`, which is made as well if it is missing. What a
    /// machine that is gone left there is removed.
    ///
    /// # Errors
    /// A machine of that name is running, the folder is not ours alone, or the path is too long for sockets.
    pub fn create(machines: &Path, name: &VmName) -> Result<Self, RuntimeError> {
        let sockets = Sockets::of(machines, name);
        // The longest name in the folder.
        let longest = sockets.channel(usize::from(u8::MAX));
        let length = longest.as_os_str().len();
        if length > MAX_SOCKET_PATH {
            return Err(RuntimeError::PathTooLong { path: longest, length });
        }
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.recursive(true).create(machines).map_err(RuntimeError::io("create folder", machines))?;
        check_private(machines)?;
        // One at a time, from here to the end of the function.
        let _turn = lock(machines, FlockOperation::LockExclusive)?;
        let folder = sockets.folder();
        if folder.symlink_metadata().is_ok() {
            check_private(folder)?;
            let busy = || RuntimeError::Running { name: name.clone() };
            let _stale = lock(folder, FlockOperation::NonBlockingLockExclusive).map_err(|_| busy())?;
            if UnixStream::connect(sockets.control()).is_ok() {
                return Err(busy());
            }
            fs::remove_dir_all(folder).map_err(RuntimeError::io("remove stale folder", folder))?;
        }
        builder.recursive(false).create(folder).map_err(RuntimeError::io("create folder", folder))?;
        let _lock = lock(folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { sockets, _lock })
    }

    /// The sockets in it.
    #[must_use]
    pub const fn sockets(&self) -> &Sockets {
        &self.sockets
    }
}

fn lock(folder: &Path, operation: FlockOperation) -> Result<File, RuntimeError> {
    let file = File::open(folder).map_err(RuntimeError::io("open folder", folder))?;
    flock(&file, operation).map_err(|errno| RuntimeError::io("lock folder", folder)(errno.into()))?;
    Ok(file)
}

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        // A leftover is recognised and removed by the next machine of that name.
        let _ = fs::remove_dir_all(self.sockets.folder());
    }
}

fn check_private(path: &Path) -> Result<(), RuntimeError> {
    let found = fs::symlink_metadata(path).map_err(RuntimeError::io("look at folder", path))?;
    let (owner, mode) = (found.uid(), found.permissions().mode() & 0o777);
    if !found.is_dir() || owner != rustix::process::geteuid().as_raw() || mode & 0o077 != 0 {
        return Err(RuntimeError::NotPrivate { path: path.to_owned(), owner, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn name() -> VmName {
        "bench".parse().expect("a name")
    }

    /// A private folder, whatever the process's umask.
    fn machines(parent: &tempfile::TempDir) -> PathBuf {
        let path = parent.path().join("machines");
        DirBuilder::new().mode(0o700).recursive(true).create(&path).expect("created");
        path
    }

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = RuntimeFolder::create(&parent.path().join("new"), &name()).expect("created");
        let path = folder.sockets().folder().to_owned();
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_machine_of_that_name_is_refused() {
        let parent = tempfile::tempdir().expect("a folder");
        let first = RuntimeFolder::create(&machines(&parent), &name()).expect("created");
        let second = RuntimeFolder::create(&machines(&parent), &name());
        assert!(matches!(second, Err(RuntimeError::Running { .. })));
        drop(first);
        assert!(RuntimeFolder::create(&machines(&parent), &name()).is_ok());
    }

    #[test]
    fn a_leftover_is_removed_unless_a_machine_answers_in_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let sockets = Sockets::of(&machines(&parent), &name());
        DirBuilder::new().mode(0o700).create(sockets.folder()).expect("created");
        let listener = UnixListener::bind(sockets.control()).expect("bound");
        let refused = RuntimeFolder::create(&machines(&parent), &name());
        assert!(matches!(refused, Err(RuntimeError::Running { .. })));
        // A dead machine leaves its socket behind, and nobody answers.
        drop(listener);
        let folder = RuntimeFolder::create(&machines(&parent), &name()).expect("the leftover goes");
        assert!(!folder.sockets().control().exists());
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let parent = tempfile::tempdir().expect("a folder");
        fs::set_permissions(machines(&parent), PermissionsExt::from_mode(0o755)).expect("set");
        let refused = RuntimeFolder::create(&machines(&parent), &name());
        assert!(matches!(refused, Err(RuntimeError::NotPrivate { mode: 0o755, .. })), "{refused:?}");
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused_before_anything_is_made() {
        let deep = PathBuf::from("/tmp").join("d".repeat(90));
        assert!(matches!(RuntimeFolder::create(&deep, &name()), Err(RuntimeError::PathTooLong { .. })));
        assert!(!deep.exists());
    }
}
