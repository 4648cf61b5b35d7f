//! A host as a tree of files: the running one, or a directory that holds another's `sys`, `proc`, `etc`.
//!
//! Every path is opened with `openat2` and `RESOLVE_IN_ROOT` (`openat2(2)`, Linux 5.6), so that no symbolic link of a
//! saved tree, absolute or with `..`, leads out of it. Only regular files are read, so that nothing in such a tree
//! can block a reader. What the files mean is not known here.

mod directory;
mod lookup;
mod write;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};

use self::directory::LiveDirectory;
use self::lookup::{led_to, open_under, read_all, read_kind, read_link, read_names};
use crate::kernel::{BootId, Directory, FileMode, Live, NodeStatus, ReadError, ReadErrorKind, ReadHost};
use write::LiveWriter;

/// `SYSFS_MAGIC` of `include/uapi/linux/magic.h`.
const SYSFS_MAGIC: u64 = 0x6265_6572;
/// `PROC_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const PROC_MAGIC: u64 = 0x9fa0;
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

/// Whether a file system is of the type with that number.
fn is_type(found: &fs::StatFs, magic: u64) -> bool {
    // `f_type` is signed or not, and of 32 or 64 bits, as the architecture has it.
    u64::try_from(found.f_type).is_ok_and(|number| number == magic)
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
