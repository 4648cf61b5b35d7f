//! The narrow door to a host: what may be read, and, behind a second door, what may be written.
//!
//! Every path is absolute in the host's own namespace (`/sys/…`, `/proc/…`, `/etc/…`), whatever directory stands for
//! that host's root. Nothing here interprets what it reads. Sizes are in bytes.
//!
//! Readers hold `&dyn ReadHost` and so cannot change a host. Only [`Live`] hands out a [`WriteHost`], and only a host
//! that has shown it is the running one can make a [`Live`].

use std::fmt;
use std::time::Duration;

/// Why a file, a link or a directory could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {path}: {kind}")]
pub struct ReadError {
    /// What was asked for, absolute in the host's namespace.
    pub path: String,
    /// What came in the way.
    pub kind: ReadErrorKind,
}

/// What kept a read from succeeding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadErrorKind {
    /// There is no such file (`ENOENT`, `ENOTDIR`).
    #[error("no such file")]
    NotFound,
    /// The caller may not read it (`EACCES`, `EPERM`; the latter also from kernel lockdown).
    #[error("permission denied")]
    Denied,
    /// The device behind the file is gone (`ENODEV`, `ENXIO`).
    #[error("the device is gone")]
    Vanished,
    /// There is more than the caller's limit; nothing is handed out.
    #[error("longer than {limit_bytes} bytes")]
    TooLarge {
        /// The limit that the caller gave.
        limit_bytes: usize,
    },
    /// The source (a capture) does not tell whether there is such a file.
    #[error("not in this source")]
    NotInSource,
    /// Any other failure, in the words of the system.
    #[error("{0}")]
    Other(String),
}

impl ReadError {
    /// An error about `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, kind: ReadErrorKind) -> Self {
        Self { path: path.into(), kind }
    }

    /// Whether the file does not exist, which for most sysfs attributes is an answer and no fault.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == ReadErrorKind::NotFound
    }
}

/// The reading half of a host.
///
/// Reading never changes a host. Implementations follow symbolic links within the host's namespace and never out of
/// it, and refuse what is not a regular file, so that a fifo in a saved tree cannot hold up a reader.
pub trait ReadHost: fmt::Debug + Send + Sync {
    /// The whole content of the file at `path`.
    ///
    /// # Errors
    /// [`ReadErrorKind::TooLarge`] if there are more than `limit` bytes.
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError>;

    /// The names in the directory at `path`, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// [`ReadErrorKind::TooLarge`] past [`MAX_NAMES`] names.
    fn list(&self, path: &str) -> Result<Vec<String>, ReadError>;

    /// The text of the symbolic link at `path`, not followed.
    ///
    /// # Errors
    /// [`ReadErrorKind::NotFound`] also where there is something that is no link.
    fn link(&self, path: &str) -> Result<String, ReadError>;

    /// Who may open the device node at `path`; opens nothing.
    ///
    /// # Errors
    /// [`ReadErrorKind::NotInSource`] from a host that has files only, as here.
    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        Err(ReadError::new(path, ReadErrorKind::NotInSource))
    }

    /// Opens a directory once, for many reads relative to it.
    ///
    /// # Errors
    /// As for [`ReadHost::list`].
    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError>;

    /// The same where `path` is known to be a link with the text `target`: a host may take the short way there.
    ///
    /// # Errors
    /// As for [`ReadHost::list`].
    fn open_linked_dir(&self, path: &str, _target: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        self.open_dir(path)
    }
}

/// A directory that stays open: the files of one device are read through it, so that they are the same device's
/// files even if its address is given to another in between.
///
/// `name` is a name or a relative path without `..`. Links are followed only within the directory; what a link
/// that leaves it points at is read by its absolute path.
pub trait Directory: fmt::Debug + Sync {
    /// Appends nothing on error; else replaces what is in `into` with the file's content.
    ///
    /// # Errors
    /// As for [`ReadHost::read`]; the path in the error is absolute.
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError>;

    /// The text of the symbolic link `name`.
    ///
    /// # Errors
    /// As for [`ReadHost::link`].
    fn link(&self, name: &str) -> Result<String, ReadError>;

    /// The names in this directory, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// As for [`ReadHost::list`].
    fn list(&self) -> Result<Vec<String>, ReadError>;

    /// The names in the directory `name` in this one, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// As for [`ReadHost::list`].
    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError>;

    /// Opens the file `name` to read parts of it: each double word that is read of a live device's configuration space
    /// costs a bus access, so nobody reads all of it. What is not a device's may be read whole, as here.
    ///
    /// # Errors
    /// As for [`ReadHost::read`].
    fn open_file(&self, name: &str) -> Result<Box<dyn OpenFile + '_>, ReadError> {
        let mut content = Vec::new();
        self.read(name, MAX_PARTIAL_BYTES, &mut content)?;
        Ok(Box::new(WholeFile::new(content)))
    }
}

/// A file that stays open, to be read in parts.
pub trait OpenFile: fmt::Debug {
    /// Fills `into` with the bytes from `offset` on, as far as there are any; returns how many there were.
    ///
    /// # Errors
    /// As for [`ReadHost::read`].
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError>;
}

/// The largest file that is opened to be read in parts, in bytes: a configuration space (PCIe Base 6.0 §7.2.2).
pub const MAX_PARTIAL_BYTES: usize = 4096;

/// A file whose content is at hand.
#[derive(Debug)]
pub(crate) struct WholeFile(Vec<u8>);

impl WholeFile {
    /// A file of which this is the content.
    pub(crate) const fn new(content: Vec<u8>) -> Self {
        Self(content)
    }
}

impl OpenFile for WholeFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..count), rest.get(..count)) {
            into.copy_from_slice(rest);
        }
        Ok(count)
    }
}

/// The most names that a listing gives. A host has some tens of thousands of interrupts and processes at most.
pub const MAX_NAMES: usize = 1 << 17;

/// Why a host could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {target}: {kind}")]
pub struct WriteError {
    /// The path, or the kernel module, that was to be changed.
    pub target: String,
    /// What came in the way.
    pub kind: WriteErrorKind,
}

/// What kept a write from succeeding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteErrorKind {
    /// There is no such file (`ENOENT`, `ENOTDIR`).
    #[error("no such file")]
    NotFound,
    /// The caller may not write it (`EACCES`, `EPERM`, `EROFS`).
    #[error("permission denied")]
    Denied,
    /// The device is gone, or is not bound to the driver that was named (`ENODEV`, `ENXIO`).
    #[error("no such device")]
    Vanished,
    /// Somebody else uses it (`EBUSY`).
    #[error("in use")]
    Busy,
    /// The file system is full (`ENOSPC`, `EDQUOT`).
    #[error("no space left")]
    NoSpace,
    /// Any other failure, in the words of the system.
    #[error("{0}")]
    Other(String),
}

impl WriteError {
    /// An error about `target`.
    #[must_use]
    pub fn new(target: impl Into<String>, kind: WriteErrorKind) -> Self {
        Self { target: target.into(), kind }
    }
}

/// Permission bits of a file, the low twelve bits of `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u16);

impl FileMode {
    /// `rw-r--r--`, what configuration files have.
    pub const CONFIGURATION: Self = Self(0o644);

    /// The low twelve bits of `bits`.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        let [low, high, ..] = (bits & 0o7777).to_le_bytes();
        Self(u16::from_le_bytes([low, high]))
    }

    /// The permission bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// The permission bits as they are kept.
    #[must_use]
    pub const fn permissions(self) -> u16 {
        self.0
    }
}

/// Who may open a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Permission bits.
    pub mode: FileMode,
    /// Owner.
    pub user_id: u32,
    /// Group.
    pub group_id: u32,
}

/// The writing half of a host.
///
/// Each method is one change. None of them journals: `apply` does, and is the only caller.
pub trait WriteHost: ReadHost {
    /// Gives `bytes` to the existing sysfs attribute at `path`, in one `write`, as the kernel expects them.
    ///
    /// # Errors
    /// What the kernel answered.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), WriteError>;

    /// Makes the directory at `path`; its parent exists. A directory that is there already is fine.
    ///
    /// # Errors
    /// What the system answered.
    fn create_dir(&self, path: &str) -> Result<(), WriteError>;

    /// Puts `bytes` in the place of the file at `path`, all or nothing, also across a power cut.
    ///
    /// # Errors
    /// What the system answered; the former file is then still there.
    fn replace_file(&self, path: &str, bytes: &[u8], mode: FileMode) -> Result<(), WriteError>;

    /// Removes the file at `path`. That there is none is an error.
    ///
    /// # Errors
    /// What the system answered.
    fn remove_file(&self, path: &str) -> Result<(), WriteError>;

    /// Removes the empty directory at `path`.
    ///
    /// # Errors
    /// What the system answered, for instance that the directory is not empty.
    fn remove_dir(&self, path: &str) -> Result<(), WriteError>;

    /// The permission bits of the file at `path`.
    ///
    /// # Errors
    /// As for [`ReadHost::read`].
    fn file_mode(&self, path: &str) -> Result<FileMode, ReadError>;

    /// Loads a kernel module and what it depends on; `parameters` are pairs of name and value.
    ///
    /// # Errors
    /// What `modprobe` said.
    fn load_module(&self, name: &str, parameters: &[(String, String)]) -> Result<(), WriteError>;

    /// Unloads a kernel module and what only it needed.
    ///
    /// # Errors
    /// [`WriteErrorKind::Busy`] if it is in use.
    fn unload_module(&self, name: &str) -> Result<(), WriteError>;

    /// Asks `done` again and again until it says yes or `limit` is over; says whether it did.
    fn wait(&self, limit: Duration, done: &mut dyn FnMut() -> bool) -> bool;
}

/// The boot that a host is in: `/proc/sys/kernel/random/boot_id`, a UUID in text form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootId(String);

/// A text that is not a boot id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a boot id (expected a UUID)")]
pub struct BootIdError {
    text: String,
}

impl BootId {
    /// A boot id from its text; space around it is ignored.
    ///
    /// # Errors
    /// If it has not the form 8-4-4-4-12 of hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, BootIdError> {
        let bare = text.trim();
        let groups: Vec<&str> = bare.split('-').collect();
        let hex = bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if hex && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(BootIdError { text: bare.chars().take(40).collect() })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Proof that a host is the one that runs, and the only way to its writing half.
///
/// A saved tree cannot make one, so nothing can be applied to a capture.
#[derive(Debug)]
pub struct Live<'h> {
    host: Box<dyn WriteHost + 'h>,
    boot_id: BootId,
}

impl<'h> Live<'h> {
    /// Only for hosts of this crate, once they have shown what they are.
    pub(crate) fn new(host: Box<dyn WriteHost + 'h>, boot_id: BootId) -> Self {
        Self { host, boot_id }
    }

    /// The host's writing half.
    #[must_use]
    pub fn host(&self) -> &dyn WriteHost {
        &*self.host
    }

    /// The boot that this host is in.
    #[must_use]
    pub fn boot_id(&self) -> &BootId {
        &self.boot_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_id_is_a_uuid() {
        let text = "7d6fd1a8-3d3a-4c6a-9d6e-1f8f4a0c2b11";
        assert_eq!(BootId::parse(&format!("{text}\n")).map(|id| id.to_string()).as_deref(), Ok(text));
        for other in
            ["", "x", "7d6fd1a8-3d3a-4c6a-9d6e", "7d6fd1a8-3d3a-4c6a-9d6e1-f8f4a0c2b11", &"a".repeat(36)]
        {
            assert!(BootId::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn file_mode_keeps_twelve_bits() {
        assert_eq!(FileMode::from_bits(0o100_644), FileMode::CONFIGURATION);
        assert_eq!(FileMode::from_bits(0o104_755).bits(), 0o4755);
    }

    #[test]
    fn errors_name_what_was_read() {
        let error = ReadError::new("/sys/bus/pci/rescan", ReadErrorKind::Denied);
        assert_eq!(error.to_string(), "cannot read /sys/bus/pci/rescan: permission denied");
    }
}
