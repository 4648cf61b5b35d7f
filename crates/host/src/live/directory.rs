//! A directory of a host that stays open, and its files.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::lookup::{open_in, read_all, read_attribute, read_kind, read_link, read_names};
use crate::kernel::{Directory, MAX_PARTIAL_BYTES, OpenFile, ReadError, ReadErrorKind, WholeFile};

/// A directory of a [`LiveHost`] that stays open.
#[derive(Debug)]
pub(super) struct LiveDirectory {
    /// Where names start from (`O_PATH`).
    pub(super) dir: OwnedFd,
    pub(super) path: String,
    /// Whether it is the kernel's, to be read in parts.
    pub(super) kernel: bool,
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
