//! What a journal is written on: a file, synced after each line.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::JournalError;

/// The most that a journal may hold: the steps of the largest plan with some files among them.
pub const MAX_JOURNAL_BYTES: u64 = 64 << 20;

/// Where lines go. A test puts one in its place that is full.
pub(crate) trait Medium: Debug {
    /// Takes the room for `bytes` more.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;

    /// Puts `line` at the end and waits until it is on disk.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
}

/// A file, at whose end is written.
#[derive(Debug)]
pub(crate) struct FileMedium {
    file: File,
    end: u64,
}

impl FileMedium {
    /// A new file; that there is one already is an error.
    pub(crate) fn create(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        Ok(Self { file: file.map_err(|source| JournalError::file("make", path, source))?, end: 0 })
    }

    /// An existing file; what follows its last newline is cut off.
    pub(super) fn resume(path: &Path) -> Result<Self, JournalError> {
        let fail = |source| JournalError::file("write to", path, source);
        let content = read(path)?.unwrap_or_default();
        let whole = whole_lines(&content).len();
        let end = u64::try_from(whole).map_err(|error| fail(io::Error::other(error)))?;
        let file = OpenOptions::new().write(true).open(path).map_err(fail)?;
        file.set_len(end).map_err(fail)?;
        Ok(Self { file, end })
    }
}

impl Medium for FileMedium {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.end, bytes) {
            // A file system that cannot say beforehand; then the first line that finds no room is the sign.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let put = |file: &mut File, end: u64| {
            file.seek(SeekFrom::Start(end))?;
            file.write_all(line)?;
            file.sync_all()
        };
        if let Err(error) = put(&mut self.file, self.end) {
            // A line that may not be on disk must not be taken for one; if this fails too, it has no newline.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += u64::try_from(line.len()).map_err(io::Error::other)?;
        Ok(())
    }
}

/// The part of `content` whose lines are whole: up to its last newline, and without a last line of which blocks are
/// missing. A power cut leaves those as zeros, which JSON has none of.
pub(super) fn whole_lines(content: &[u8]) -> &[u8] {
    let upto_newline =
        |content: &[u8]| content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let whole = content.get(..upto_newline(content)).unwrap_or_default();
    let before = upto_newline(whole.strip_suffix(b"\n").unwrap_or_default());
    let last = whole.get(before..).unwrap_or_default();
    if last.contains(&0) { whole.get(..before).unwrap_or_default() } else { whole }
}

/// The content of the journal at `path`; none if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    let fail = |source| JournalError::file("read", path, source);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        answer => answer.map_err(fail)?,
    };
    let mut content = Vec::new();
    file.take(MAX_JOURNAL_BYTES + 1).read_to_end(&mut content).map_err(fail)?;
    match u64::try_from(content.len()) {
        Ok(length) if length <= MAX_JOURNAL_BYTES => Ok(Some(content)),
        _ => Err(JournalError::TooLarge { path: path.to_owned() }),
    }
}
