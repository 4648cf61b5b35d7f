//! Opening and reading below a directory, without being led out of it, and without waiting.
//!
//! `openat2` (`openat2(2)`, Linux 5.6) says how links are followed. What the files mean is not known here.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{self, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::kernel::{MAX_NAMES, ReadErrorKind};

/// How often a lookup is tried again that raced with a rename; the manual page asks for it.
const LOOKUPS: usize = 32;
/// Room for an attribute, in bytes: a page, which few fill, and one more to see that there is no more.
const ATTRIBUTE_ROOM: usize = 4097;
/// Room for names of a directory, in bytes; a device's fit at once.
const NAMES_ROOM: usize = 8192;

/// Opens `path` relative to `dir` under the rule `resolve`.
pub(super) fn open_under(
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
pub(super) fn open_in(dir: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    if !name.starts_with('/') && !name.contains("..") {
        match open_under(dir, name, flags, ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {}
            answer => return answer,
        }
    }
    open_under(dir, name, flags, ResolveFlags::BENEATH)
}

/// What an error number means for a reader.
pub(super) fn read_kind(errno: Errno) -> ReadErrorKind {
    match errno {
        Errno::NOENT | Errno::NOTDIR => ReadErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ReadErrorKind::Denied,
        Errno::NODEV | Errno::NXIO => ReadErrorKind::Vanished,
        other => ReadErrorKind::Other(std::io::Error::from(other).to_string()),
    }
}

/// Everything in `file`, in the place of what is in `into`.
pub(super) fn read_all(file: &OwnedFd, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadErrorKind> {
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
pub(super) fn read_attribute(file: &OwnedFd, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadErrorKind> {
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
pub(super) fn read_link(dir: BorrowedFd<'_>, name: &str) -> Result<String, ReadErrorKind> {
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
pub(super) fn read_names(dir: BorrowedFd<'_>) -> Result<Vec<String>, ReadErrorKind> {
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

/// Where a link at `path` with the text `target` leads, relative to the root, as long as nothing on the way is a link; `None`
/// if the text leaves the root or begins there.
///
/// To resolve such a path within the root takes a lock of the whole system (see [`open_in`]) and walks the links again; one
/// without links and `..` stays within by itself.
pub(super) fn led_to(path: &str, target: &str) -> Option<String> {
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
