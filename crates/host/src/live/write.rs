//! The writing half of the running host. Made only by [`LiveHost::live`].

use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{LiveHost, mode_of};
use crate::kernel::{
    Directory, FileMode, NodeStatus, ReadError, ReadHost, WriteError, WriteErrorKind, WriteHost,
};

/// Where `modprobe` is looked for, whatever the caller's environment says.
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";
/// How long `wait` sleeps between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// The running host, to be changed.
#[derive(Debug)]
pub(super) struct LiveWriter<'h> {
    host: &'h LiveHost,
}

impl<'h> LiveWriter<'h> {
    pub(super) fn new(host: &'h LiveHost) -> Self {
        Self { host }
    }
}

/// What an error number means for a writer.
fn write_kind(errno: Errno) -> WriteErrorKind {
    match errno {
        Errno::NOENT | Errno::NOTDIR => WriteErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => WriteErrorKind::Denied,
        Errno::NODEV | Errno::NXIO => WriteErrorKind::Vanished,
        Errno::BUSY => WriteErrorKind::Busy,
        Errno::NOSPC | Errno::DQUOT => WriteErrorKind::NoSpace,
        other => WriteErrorKind::Other(std::io::Error::from(other).to_string()),
    }
}

fn io_kind(error: &std::io::Error) -> WriteErrorKind {
    Errno::from_io_error(error).map_or_else(|| WriteErrorKind::Other(error.to_string()), write_kind)
}

/// The directory that `path` lies in.
fn parent(path: &str) -> &Path {
    Path::new(path).parent().unwrap_or(Path::new("/"))
}

/// Makes what has happened in the directory of `path` last.
fn sync_parent(path: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::fsync(fs::open(parent(path), flags, Mode::empty())?)
}

/// Runs `modprobe` with `arguments`.
fn modprobe(target: &str, arguments: &[String]) -> Result<(), WriteError> {
    let fail = |kind| WriteError::new(format!("module {target}"), kind);
    let output = Command::new("modprobe")
        .args(arguments)
        .env_clear()
        .env("PATH", PROGRAMS)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| fail(WriteErrorKind::Other(format!("modprobe: {error}"))))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(400).collect();
    // kmod's words (tools/modprobe.c, libkmod/libkmod-module.c) when `delete_module` or a holder refuses.
    Err(fail(if said.contains("is in use") || said.contains("Resource temporarily unavailable") {
        WriteErrorKind::Busy
    } else if said.contains("not found in directory") {
        WriteErrorKind::NotFound
    } else if said.contains("Operation not permitted") || said.contains("Permission denied") {
        WriteErrorKind::Denied
    } else {
        WriteErrorKind::Other(said)
    }))
}

impl ReadHost for LiveWriter<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        self.host.read(path, limit)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        self.host.list(path)
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        self.host.link(path)
    }

    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        self.host.node(path)
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        self.host.open_dir(path)
    }
}

impl WriteHost for LiveWriter<'_> {
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let fail = |errno| WriteError::new(path, write_kind(errno));
        let file = fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        // One call: to sysfs, the rest of a short write would be a value of its own. Not tried again after a
        // signal either, since the kernel may have begun.
        match rustix::io::write(file.as_fd(), bytes).map_err(fail)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(WriteError::new(path, WriteErrorKind::Other("the kernel took a part only".to_owned()))),
        }
    }

    fn create_dir(&self, path: &str) -> Result<(), WriteError> {
        let fail = |errno| WriteError::new(path, write_kind(errno));
        match fs::mkdirat(fs::CWD, path, Mode::from_raw_mode(0o755)) {
            Ok(()) => sync_parent(path).map_err(fail),
            Err(Errno::EXIST) if Path::new(path).is_dir() => Ok(()),
            Err(errno) => Err(fail(errno)),
        }
    }

    fn remove_dir(&self, path: &str) -> Result<(), WriteError> {
        fs::unlinkat(fs::CWD, path, AtFlags::REMOVEDIR)
            .and_then(|()| sync_parent(path))
            .map_err(|errno| WriteError::new(path, write_kind(errno)))
    }

    fn replace_file(&self, path: &str, bytes: &[u8], mode: FileMode) -> Result<(), WriteError> {
        let fail = |error: std::io::Error| WriteError::new(path, io_kind(&error));
        if self.host.link(path).is_ok() {
            // A rename would put the file in the place of the link and leave what it points at.
            return Err(WriteError::new(path, WriteErrorKind::Other("it is a symbolic link".to_owned())));
        }
        let permissions = std::fs::Permissions::from_mode(mode.bits());
        let mut file = tempfile::Builder::new()
            .prefix(".slotwise-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(parent(path))
            .map_err(fail)?;
        file.write_all(bytes).map_err(fail)?;
        // Set apart from the making, because the umask has no say in it.
        file.as_file().set_permissions(permissions).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist(path).map_err(|error| fail(error.error))?;
        sync_parent(path).map_err(|errno| WriteError::new(path, write_kind(errno)))
    }

    fn remove_file(&self, path: &str) -> Result<(), WriteError> {
        fs::unlinkat(fs::CWD, path, AtFlags::empty())
            .and_then(|()| sync_parent(path))
            .map_err(|errno| WriteError::new(path, write_kind(errno)))
    }

    fn file_mode(&self, path: &str) -> Result<FileMode, ReadError> {
        mode_of(self.host, path).map(FileMode::from_bits)
    }

    fn load_module(&self, name: &str, parameters: &[(String, String)]) -> Result<(), WriteError> {
        let mut arguments = vec!["--".to_owned(), name.to_owned()];
        arguments.extend(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        modprobe(name, &arguments)
    }

    fn unload_module(&self, name: &str) -> Result<(), WriteError> {
        modprobe(name, &["-r".to_owned(), "--".to_owned(), name.to_owned()])
    }

    fn wait(&self, limit: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        let start = Instant::now();
        loop {
            if done() {
                return true;
            }
            if start.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The running host's file functions, in a directory of the test's own.
    fn in_directory(test: impl FnOnce(&LiveWriter<'_>, &str)) {
        let dir = tempfile::tempdir().unwrap();
        let host = LiveHost::running().unwrap();
        test(&LiveWriter::new(&host), dir.path().to_str().unwrap());
    }

    #[test]
    fn file_is_replaced_with_its_mode_and_nothing_is_left_over() {
        in_directory(|host, dir| {
            let path = format!("{dir}/conf");
            for (text, mode) in [("one", 0o644), ("two", 0o600)] {
                host.replace_file(&path, text.as_bytes(), FileMode::from_bits(mode)).unwrap();
                assert_eq!(host.read(&path, 64).unwrap(), text.as_bytes());
                assert_eq!(host.file_mode(&path).unwrap().bits(), mode);
                assert_eq!(host.list(dir).unwrap(), ["conf"]);
            }
            host.remove_file(&path).unwrap();
            assert_eq!(host.remove_file(&path).unwrap_err().kind, WriteErrorKind::NotFound);
        });
    }

    #[test]
    fn link_is_not_replaced() {
        in_directory(|host, dir| {
            let path = format!("{dir}/link");
            std::os::unix::fs::symlink("elsewhere", &path).unwrap();
            assert!(host.replace_file(&path, b"x", FileMode::CONFIGURATION).is_err());
            assert_eq!(host.link(&path).unwrap(), "elsewhere");
        });
    }

    #[test]
    fn directory_is_made_once_and_removed_only_when_empty() {
        in_directory(|host, dir| {
            let path = format!("{dir}/conf.d");
            host.create_dir(&path).unwrap();
            host.create_dir(&path).unwrap();
            host.replace_file(&format!("{path}/a"), b"x", FileMode::CONFIGURATION).unwrap();
            assert!(host.remove_dir(&path).is_err());
            host.remove_file(&format!("{path}/a")).unwrap();
            host.remove_dir(&path).unwrap();
            assert!(host.list(&path).unwrap_err().is_not_found());
        });
    }

    #[test]
    fn attribute_that_is_not_there_is_not_made() {
        in_directory(|host, dir| {
            let path = format!("{dir}/unbind");
            assert_eq!(host.write(&path, b"x").unwrap_err().kind, WriteErrorKind::NotFound);
            assert!(host.list(dir).unwrap().is_empty());
        });
    }

    #[test]
    fn waiting_ends() {
        in_directory(|host, _| {
            assert!(!host.wait(Duration::ZERO, &mut || false));
            let mut asked = 0;
            assert!(host.wait(Duration::from_secs(5), &mut || {
                asked += 1;
                asked == 2
            }));
        });
    }

    #[test]
    fn module_that_does_not_exist_is_an_error_that_names_it() {
        in_directory(|host, _| {
            // Without a modprobe on this machine the error is another; it names the module all the same.
            let error = host.load_module("slotwise_no_such_module", &[]).unwrap_err();
            assert_eq!(error.target, "module slotwise_no_such_module");
        });
    }
}
