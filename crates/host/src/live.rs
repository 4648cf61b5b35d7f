//! A host as a tree of files: the running one, or a directory that holds another's `sys`, `proc`, `etc`.
//!
//! Every path is opened with `openat2` and `RESOLVE_IN_ROOT` (`openat2(2)`, Linux 5.6), so that no symbolic link of a
//! saved tree, absolute or with `..`, leads out of it. Only regular files are read, so that nothing in such a tree
//! can block a reader. What the files mean is not known here.

mod write;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::kernel::{
    BootId, Directory, FileMode, Live, MAX_NAMES, MAX_PARTIAL_BYTES, NodeStatus, OpenFile, ReadError,
    ReadErrorKind, ReadHost, WholeFile,
};
use write::LiveWriter;

/// `SYSFS_MAGIC` of `include/uapi/linux/magic.h`.
const SYSFS_MAGIC: u64 = 0x6265_6572;
/// `PROC_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const PROC_MAGIC: u64 = 0x9fa0;
/// How often a lookup is tried again that raced with a rename; the manual page asks for it.
const LOOKUPS: usize = 32;
/// Room for an attribute, in bytes: a page, which few fill, and one more to see that there is no more.
const ATTRIBUTE_ROOM: usize = 4097;
/// Room for names of a directory, in bytes; a device's fit at once.
const NAMES_ROOM: usize = 8192;

/// A host that is read through the file system.
#[derive(Debug)]
pub struct LiveHost {
    root: OwnedFd,
    /// Whether `/sys` is the kernel's: then reading configuration space reads devices.
    kernel: bool,
}

/// Why a host cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum NotLive {
    /// It is a directory with another host's files.
    #[error("cannot change a saved host: its files are not those of the running system")]
    Saved,
    /// `/sys` or `/proc` is not the kernel's.
    #[error("cannot change this host: {path} is not mounted")]
    NotMounted {
        /// Where the file system should be.
        path: &'static str,
    },
    /// The boot has no name.
    #[error("cannot tell this boot from another")]
    BootId(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl NotLive {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Saved => "plans can be made from a saved host, but only the host itself can carry them out",
            Self::NotMounted { .. } => {
                "in a container, run it on the host, or give it the host's /sys and /proc"
            }
            Self::BootId(_) => "/proc/sys/kernel/random/boot_id must be readable",
        }
    }
}

impl LiveHost {
    /// The running host.
    ///
    /// # Errors
    /// If `/` cannot be opened.
    pub fn running() -> Result<Self, ReadError> {
        Self::at(Path::new("/"))
    }

    /// The host whose files lie under `root`, which may be a saved one.
    ///
    /// # Errors
    /// If `root` is no directory that can be opened.
    pub fn at(root: &Path) -> Result<Self, ReadError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(root, flags, Mode::empty())
            .map_err(|errno| ReadError::new(root.display().to_string(), read_kind(errno)))?;
        let sys = open_under(root.as_fd(), "sys", OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::IN_ROOT);
        let kernel = sys.is_ok_and(|sys| fs::fstatfs(sys).is_ok_and(|found| is_type(&found, SYSFS_MAGIC)));
        Ok(Self { root, kernel })
    }

    /// A saved host that is read as sparingly as a running one.
    #[cfg(test)]
    pub(crate) fn taken_for_running(self) -> Self {
        Self { kernel: true, ..self }
    }

    /// Proof that this is the running host, and its writing half.
    ///
    /// # Errors
    /// If the root is not the root of this process, or its `/sys` and `/proc` are not the kernel's.
    pub fn live(&self) -> Result<Live<'_>, NotLive> {
        let same = |a: &fs::Stat, b: &fs::Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        match (fs::fstat(&self.root), fs::stat("/")) {
            (Ok(ours), Ok(process)) if same(&ours, &process) => {}
            _ => return Err(NotLive::Saved),
        }
        for (path, magic) in [("/sys", SYSFS_MAGIC), ("/proc", PROC_MAGIC)] {
            if !fs::statfs(path).is_ok_and(|found| is_type(&found, magic)) {
                return Err(NotLive::NotMounted { path });
            }
        }
        let text = self
            .read("/proc/sys/kernel/random/boot_id", 64)
            .map_err(|error| NotLive::BootId(Box::new(error)))?;
        let boot_id = BootId::parse(&String::from_utf8_lossy(&text))
            .map_err(|error| NotLive::BootId(Box::new(error)))?;
        Ok(Live::new(Box::new(LiveWriter::new(self)), boot_id))
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, ReadError> {
        open_under(self.root.as_fd(), path, flags, ResolveFlags::IN_ROOT)
            .map_err(|errno| ReadError::new(path, read_kind(errno)))
    }
}

/// Whether a file system is of the type with that number.
fn is_type(found: &fs::StatFs, magic: u64) -> bool {
    // `f_type` is signed or not, and of 32 or 64 bits, as the architecture has it.
    u64::try_from(found.f_type).is_ok_and(|number| number == magic)
}

/// Opens `path` relative to `dir` under the rule `resolve`.
fn open_under(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    // Non-blocking, so that opening a fifo of a saved tree returns. `openat2` takes neither flag with `O_PATH`.
    let quick =
        if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NOCTTY | OFlags::NONBLOCK };
    let flags = flags | quick | OFlags::CLOEXEC;
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..LOOKUPS {
        match fs::openat2(dir, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens `name` in `dir`, and nothing outside of it.
///
/// A path without `..` leads out only over a link. Where there is none, as of nearly all attributes, that is all there is to
/// see to; `RESOLVE_BENEATH` follows links as far as they stay within, but takes a lock of the whole system for each file
/// (`fs/namespace.c: path_is_under`), which several threads would wait for.
fn open_in(dir: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    if !name.starts_with('/') && !name.contains("..") {
        match open_under(dir, name, flags, ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {}
            answer => return answer,
        }
    }
    open_under(dir, name, flags, ResolveFlags::BENEATH)
}

/// What an error number means for a reader.
fn read_kind(errno: Errno) -> ReadErrorKind {
    match errno {
        Errno::NOENT | Errno::NOTDIR => ReadErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ReadErrorKind::Denied,
        Errno::NODEV | Errno::NXIO => ReadErrorKind::Vanished,
        other => ReadErrorKind::Other(std::io::Error::from(other).to_string()),
    }
}

/// Everything in `file`, in the place of what is in `into`.
fn read_all(file: &OwnedFd, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadErrorKind> {
    let stat = fs::fstat(file).map_err(read_kind)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadErrorKind::Other("not a regular file".to_owned()));
    }
    into.clear();
    let failure = loop {
        into.reserve(if into.is_empty() { ATTRIBUTE_ROOM } else { into.len() });
        match rustix::io::read(file, spare_capacity(into)) {
            Ok(0) => return Ok(()),
            Ok(_) if into.len() > limit => break ReadErrorKind::TooLarge { limit_bytes: limit },
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => break read_kind(errno),
        }
    };
    into.clear();
    Err(failure)
}

/// Everything in the attribute `file`, in the place of what is in `into`.
///
/// Takes one read where [`read_all`] takes three calls: sysfs hands an attribute out whole
/// (`Documentation/filesystems/sysfs.rst`: "the entire attribute"), as a disk does a small file, so what is short of
/// the room is all there is. Reading at an offset refuses what could hold up a reader: fifos, sockets, terminals
/// (`ESPIPE` of `pread(2)`).
fn read_attribute(file: &OwnedFd, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadErrorKind> {
    into.clear();
    into.reserve(ATTRIBUTE_ROOM);
    let failure = loop {
        let (room, offset) = (into.capacity() - into.len(), into.len() as u64);
        match rustix::io::pread(file, spare_capacity(into), offset) {
            Ok(_) if into.len() > limit => break ReadErrorKind::TooLarge { limit_bytes: limit },
            Ok(count) if count < room => return Ok(()),
            Ok(_) => into.reserve(ATTRIBUTE_ROOM),
            Err(Errno::INTR) => {}
            Err(errno) => break read_kind(errno),
        }
    };
    into.clear();
    Err(failure)
}

/// The target of the link `name` in `dir`.
fn read_link(dir: BorrowedFd<'_>, name: &str) -> Result<String, ReadErrorKind> {
    match fs::readlinkat(dir, name, Vec::new()) {
        Ok(text) => Ok(text
            .into_string()
            .unwrap_or_else(|error| String::from_utf8_lossy(error.into_cstring().as_bytes()).into_owned())),
        // What is there is no link.
        Err(Errno::INVAL | Errno::NOENT) => Err(ReadErrorKind::NotFound),
        Err(errno) => Err(read_kind(errno)),
    }
}

/// The sorted names in the directory `dir`, which was opened to be listed once.
fn read_names(dir: BorrowedFd<'_>) -> Result<Vec<String>, ReadErrorKind> {
    let mut names = Vec::new();
    let mut room = [MaybeUninit::uninit(); NAMES_ROOM];
    let mut entries = RawDir::new(dir, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(read_kind)?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." {
            continue;
        }
        if names.len() == MAX_NAMES {
            return Err(ReadErrorKind::TooLarge { limit_bytes: MAX_NAMES });
        }
        names.push(name.into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

impl ReadHost for LiveHost {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        let file = self.open(path, OFlags::RDONLY)?;
        let mut content = Vec::new();
        read_all(&file, limit, &mut content).map_err(|kind| ReadError::new(path, kind))?;
        Ok(content)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let dir = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        read_names(dir.as_fd()).map_err(|kind| ReadError::new(path, kind))
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        let file = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        read_link(file.as_fd(), "").map_err(|kind| ReadError::new(path, kind))
    }

    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        let file = self.open(path, OFlags::PATH)?;
        let stat = fs::statat(&file, "", AtFlags::EMPTY_PATH)
            .map_err(|errno| ReadError::new(path, read_kind(errno)))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice {
            return Err(ReadError::new(path, ReadErrorKind::Other("not a device node".to_owned())));
        }
        Ok(NodeStatus {
            mode: FileMode::from_bits(stat.st_mode),
            user_id: stat.st_uid,
            group_id: stat.st_gid,
        })
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        let dir = self.open(path, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Box::new(LiveDirectory { dir, path: path.to_owned(), kernel: self.kernel }))
    }

    fn open_linked_dir(&self, path: &str, target: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let short = led_to(path, target)
            .and_then(|place| open_under(self.root.as_fd(), &place, flags, ResolveFlags::NO_SYMLINKS).ok());
        match short {
            Some(dir) => Ok(Box::new(LiveDirectory { dir, path: path.to_owned(), kernel: self.kernel })),
            None => self.open_dir(path),
        }
    }
}

/// Where a link at `path` with the text `target` leads, relative to the root, as long as nothing on the way is a link; `None`
/// if the text leaves the root or begins there.
///
/// To resolve such a path within the root takes a lock of the whole system (see [`open_in`]) and walks the links again; one
/// without links and `..` stays within by itself.
fn led_to(path: &str, target: &str) -> Option<String> {
    let (directory, _) = path.strip_prefix('/')?.rsplit_once('/')?;
    if target.starts_with('/') {
        return None;
    }
    let mut place: Vec<&str> = directory.split('/').collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(place.pop()?),
            name => place.push(name),
        }
    }
    (!place.is_empty()).then(|| place.join("/"))
}

/// A directory of a [`LiveHost`] that stays open.
#[derive(Debug)]
struct LiveDirectory {
    /// Where names start from (`O_PATH`).
    dir: OwnedFd,
    path: String,
    kernel: bool,
}

impl LiveDirectory {
    fn error(&self, name: &str, kind: ReadErrorKind) -> ReadError {
        ReadError::new(format!("{}/{name}", self.path.trim_end_matches('/')), kind)
    }

    fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd, ReadError> {
        open_in(self.dir.as_fd(), name, flags).map_err(|errno| self.error(name, read_kind(errno)))
    }

    /// Whether what one read gives is all there is: not so in procfs, which hands out records.
    fn is_of_attributes(&self) -> bool {
        !self.path.starts_with("/proc")
    }
}

impl Directory for LiveDirectory {
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        let file = self.open(name, OFlags::RDONLY)?;
        let read = if self.is_of_attributes() { read_attribute } else { read_all };
        read(&file, limit, into).map_err(|kind| self.error(name, kind))
    }

    fn link(&self, name: &str) -> Result<String, ReadError> {
        // A name that is one component cannot lead out of the directory.
        let answer = if name.contains('/') {
            let file = self.open(name, OFlags::PATH | OFlags::NOFOLLOW)?;
            read_link(file.as_fd(), "")
        } else {
            read_link(self.dir.as_fd(), name)
        };
        answer.map_err(|kind| self.error(name, kind))
    }

    fn list(&self) -> Result<Vec<String>, ReadError> {
        let dir = open_in(self.dir.as_fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY);
        dir.map_err(read_kind)
            .and_then(|dir| read_names(dir.as_fd()))
            .map_err(|kind| ReadError::new(self.path.clone(), kind))
    }

    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError> {
        let dir = self.open(name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        read_names(dir.as_fd()).map_err(|kind| self.error(name, kind))
    }

    fn open_file(&self, name: &str) -> Result<Box<dyn OpenFile + '_>, ReadError> {
        if !self.kernel {
            let mut content = Vec::new();
            self.read(name, MAX_PARTIAL_BYTES, &mut content)?;
            return Ok(Box::new(WholeFile::new(content)));
        }
        let file = self.open(name, OFlags::RDONLY)?;
        Ok(Box::new(LiveFile { file, directory: self, name: name.to_owned() }))
    }
}

/// A file of a [`LiveDirectory`] that stays open.
#[derive(Debug)]
struct LiveFile<'d> {
    file: OwnedFd,
    directory: &'d LiveDirectory,
    name: String,
}

impl OpenFile for LiveFile<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match rustix::io::pread(&self.file, rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.directory.error(&self.name, read_kind(errno))),
            }
        }
        Ok(done)
    }
}

/// The permission bits of the file at `path`, in the running host.
fn mode_of(host: &LiveHost, path: &str) -> Result<u32, ReadError> {
    let file = host.open(path, OFlags::PATH)?;
    let stat =
        fs::statat(&file, "", AtFlags::EMPTY_PATH).map_err(|errno| ReadError::new(path, read_kind(errno)))?;
    Ok(stat.st_mode)
}

#[cfg(test)]
mod tests {
    use std::fs as std_fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A saved host with a device, and links that try to leave it.
    fn saved() -> (tempfile::TempDir, LiveHost) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("host");
        let device = root.join("sys/devices/pci0000:00/0000:00:02.0");
        std_fs::create_dir_all(&device).unwrap();
        std_fs::create_dir_all(root.join("sys/bus/pci/devices")).unwrap();
        std_fs::write(device.join("vendor"), "0x1af4\n").unwrap();
        std_fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../../../devices/pci0000:00/0000:00:02.0", root.join("sys/bus/pci/devices/0000:00:02.0"))
            .unwrap();
        symlink("/sys/devices", root.join("absolute")).unwrap();
        symlink(dir.path().join("secret"), root.join("out")).unwrap();
        symlink("../../../../../../../../secret", device.join("up")).unwrap();
        let host = LiveHost::at(&root).unwrap();
        (dir, host)
    }

    #[test]
    fn files_are_read_through_links_within_the_root() {
        let (_dir, host) = saved();
        let path = "/sys/bus/pci/devices/0000:00:02.0/vendor";
        assert_eq!(host.read(path, 64).unwrap(), b"0x1af4\n");
        assert_eq!(host.list("/absolute").unwrap(), ["pci0000:00"]);
        let link = host.link("/sys/bus/pci/devices/0000:00:02.0").unwrap();
        assert_eq!(link, "../../../devices/pci0000:00/0000:00:02.0");
    }

    #[test]
    fn no_path_escapes_the_root() {
        let (dir, host) = saved();
        let secret = dir.path().join("secret");
        let device = host.open_dir("/sys/bus/pci/devices/0000:00:02.0").unwrap();
        for path in ["/out", "/../secret", "/sys/../../secret", secret.to_str().unwrap()] {
            assert!(host.read(path, 64).unwrap_err().is_not_found(), "{path}");
        }
        let mut into = b"kept only until the first try".to_vec();
        for name in ["up", "../../../../../secret", "/etc/hostname"] {
            assert!(device.read(name, 64, &mut into).is_err(), "{name}");
        }
    }

    #[test]
    fn short_way_behind_a_link_stays_in_the_root() {
        for (target, leads_to) in [
            ("../../../devices/pci0000:00/0000:00:02.0", Some("sys/devices/pci0000:00/0000:00:02.0")),
            ("./0000:00:03.0/", Some("sys/bus/pci/devices/0000:00:03.0")),
            ("../../../../secret", Some("secret")),
            ("../../../../../secret", None),
            ("../../../..", None),
            ("/etc", None),
        ] {
            assert_eq!(led_to("/sys/bus/pci/devices/0000:00:02.0", target).as_deref(), leads_to, "{target}");
        }
    }

    #[test]
    fn what_a_links_text_cannot_tell_is_found_by_the_link() {
        let (_dir, host) = saved();
        let path = "/sys/bus/pci/devices/0000:00:02.0";
        let mut into = Vec::new();
        let over_a_link = "../../../../absolute/pci0000:00/0000:00:02.0";
        for target in [&*host.link(path).unwrap(), "../../../../../elsewhere", "/elsewhere", over_a_link] {
            host.open_linked_dir(path, target).unwrap().read("vendor", 64, &mut into).unwrap();
            assert_eq!(into, b"0x1af4\n", "{target}");
        }
        assert!(host.open_linked_dir("/out", "../secret").is_err());
    }

    #[test]
    fn limit_refuses_and_hands_out_nothing() {
        let (_dir, host) = saved();
        let device = host.open_dir("/sys/bus/pci/devices/0000:00:02.0").unwrap();
        let mut into = Vec::new();
        device.read("vendor", 7, &mut into).unwrap();
        assert_eq!(into, b"0x1af4\n");
        let error = device.read("vendor", 6, &mut into).unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::TooLarge { limit_bytes: 6 });
        assert_eq!(error.path, "/sys/bus/pci/devices/0000:00:02.0/vendor");
        assert!(into.is_empty());
    }

    #[test]
    fn fifo_and_directory_are_refused_at_once() {
        let (dir, host) = saved();
        let fifo = dir.path().join("host/fifo");
        fs::mknodat(fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for path in ["/fifo", "/sys"] {
            let error = host.read(path, 64).unwrap_err();
            assert!(matches!(error.kind, ReadErrorKind::Other(_)), "{path}: {error}");
        }
    }

    #[test]
    fn what_is_no_link_has_no_target() {
        let (_dir, host) = saved();
        assert!(host.link("/sys/bus/pci/devices/0000:00:02.0/vendor").unwrap_err().is_not_found());
        let device = host.open_dir("/sys/bus/pci/devices/0000:00:02.0").unwrap();
        assert!(device.link("driver").unwrap_err().is_not_found());
        assert_eq!(device.link("up").unwrap(), "../../../../../../../../secret");
        assert_eq!(device.list().unwrap(), ["up", "vendor"]);
    }

    #[test]
    fn saved_host_cannot_be_changed() {
        let (_dir, host) = saved();
        assert!(matches!(host.live(), Err(NotLive::Saved)));
    }

    #[test]
    fn running_host_proves_itself_by_its_boot() {
        let host = LiveHost::running().unwrap();
        match host.live() {
            Ok(live) => {
                let text = std_fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
                assert_eq!(live.boot_id().as_str(), text.trim());
            }
            // In a container without sysfs; then nothing may be changed either.
            Err(NotLive::NotMounted { path }) => assert_ne!(fs::statfs(path).unwrap().f_type, 0),
            Err(error) => panic!("{error}"),
        }
    }
}
