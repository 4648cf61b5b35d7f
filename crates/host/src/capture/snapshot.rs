//! What a host answered, in memory: a host that can be read again.

use std::collections::BTreeMap;

use crate::kernel::{Directory, FileMode, NodeStatus, OpenFile, ReadError, ReadErrorKind, ReadHost};

/// What was asked for and what the answer was.
pub(super) type Answers<T> = BTreeMap<String, Result<T, ReadErrorKind>>;

/// The answers of a host. What was never asked reads as [`ReadErrorKind::NotInSource`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) files: Answers<Content>,
    pub(super) links: Answers<String>,
    pub(super) lists: Answers<Vec<String>>,
}

/// A file as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All of it.
    Whole(Vec<u8>),
    /// The bytes that were asked for; the others are `None`.
    Parts(Parts),
}

/// Bytes of a file that was read in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) bytes: Vec<Option<u8>>,
    /// Where the file ends, in bytes, if a read came to its end.
    pub(super) end: Option<usize>,
}

impl Parts {
    /// The most bytes of a file that is read in parts.
    pub(super) const MOST: usize = crate::kernel::MAX_PARTIAL_BYTES;

    /// Keeps what a read of `wanted` bytes at `offset` gave.
    pub(super) fn record(&mut self, offset: usize, read: &[u8], wanted: usize) {
        for (place, byte) in (offset..Self::MOST).zip(read) {
            if place >= self.bytes.len() {
                self.bytes.resize(place + 1, None);
            }
            if let Some(slot) = self.bytes.get_mut(place) {
                *slot = Some(*byte);
            }
        }
        // A read that begins past the end does not tell where the end is, only that it lies before.
        if read.len() < wanted {
            let seen = offset.saturating_add(read.len());
            self.end = Some(self.end.map_or(seen, |end| end.min(seen)));
        }
    }
}

impl Snapshot {
    fn file(&self, path: &str) -> Result<&Content, ReadError> {
        self.answer(&self.files, path)
    }

    fn answer<'s, T>(&'s self, answers: &'s Answers<T>, path: &str) -> Result<&'s T, ReadError> {
        match answers.get(path) {
            Some(Ok(value)) => Ok(value),
            Some(Err(kind)) => Err(ReadError::new(path, kind.clone())),
            None if self.is_unlisted(path) => Err(ReadError::new(path, ReadErrorKind::NotFound)),
            None => Err(ReadError::new(path, ReadErrorKind::NotInSource)),
        }
    }

    /// Whether the directory of `path` was listed, and `path` was not in it: then it was not asked for because there
    /// was no such thing.
    fn is_unlisted(&self, path: &str) -> bool {
        let Some((directory, name)) = path.rsplit_once('/') else { return false };
        let listed = self.lists.get(directory).and_then(|names| names.as_ref().ok());
        listed.is_some_and(|names| !names.iter().any(|listed| listed == name))
    }

    fn has_below(&self, path: &str) -> bool {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below = |key: Option<&String>| key.is_some_and(|key| key.starts_with(&prefix));
        below(self.files.range(prefix.clone()..).next().map(|(key, _)| key))
            || below(self.links.range(prefix.clone()..).next().map(|(key, _)| key))
    }
}

/// The longest text of a device node.
const NODE_BYTES: usize = 128;

/// In the place of a device node a capture has a text: nobody reads the node itself.
pub(super) fn node_text(node: &NodeStatus) -> String {
    format!("device node, mode {:04o}, user {}, group {}\n", node.mode.bits(), node.user_id, node.group_id)
}

fn node_from(text: &str) -> Option<NodeStatus> {
    let (mode, rest) = text.trim_end().strip_prefix("device node, mode ")?.split_once(", user ")?;
    let (user, group) = rest.split_once(", group ")?;
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777)?;
    Some(NodeStatus {
        mode: FileMode::from_bits(mode),
        user_id: user.parse().ok()?,
        group_id: group.parse().ok()?,
    })
}

impl ReadHost for Snapshot {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        match self.file(path)? {
            Content::Whole(bytes) if bytes.len() > limit => {
                Err(ReadError::new(path, ReadErrorKind::TooLarge { limit_bytes: limit }))
            }
            Content::Whole(bytes) => Ok(bytes.clone()),
            Content::Parts(_) => Err(ReadError::new(path, ReadErrorKind::NotInSource)),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        self.answer(&self.lists, path).cloned()
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        self.answer(&self.links, path).cloned()
    }

    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        let text = self.read(path, NODE_BYTES)?;
        node_from(&String::from_utf8_lossy(&text))
            .ok_or_else(|| ReadError::new(path, ReadErrorKind::Other("not a device node".to_owned())))
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        if !self.has_below(path) {
            self.answer(&self.lists, path)?;
        }
        Ok(Box::new(SavedDirectory { snapshot: self, path: path.trim_end_matches('/').to_owned() }))
    }
}

#[derive(Debug)]
struct SavedDirectory<'s> {
    snapshot: &'s Snapshot,
    path: String,
}

impl SavedDirectory<'_> {
    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

impl Directory for SavedDirectory<'_> {
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        *into = self.snapshot.read(&self.place(name), limit)?;
        Ok(())
    }

    fn link(&self, name: &str) -> Result<String, ReadError> {
        self.snapshot.link(&self.place(name))
    }

    fn list(&self) -> Result<Vec<String>, ReadError> {
        self.snapshot.list(&self.path)
    }

    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError> {
        self.snapshot.list(&self.place(name))
    }

    fn open_file(&self, name: &str) -> Result<Box<dyn OpenFile + '_>, ReadError> {
        let path = self.place(name);
        let content = self.snapshot.file(&path)?;
        Ok(Box::new(SavedFile { content, path }))
    }
}

#[derive(Debug)]
struct SavedFile<'s> {
    content: &'s Content,
    path: String,
}

impl OpenFile for SavedFile<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let unknown = || ReadError::new(self.path.clone(), ReadErrorKind::NotInSource);
        let offset = usize::try_from(offset).map_err(|_| unknown())?;
        let byte = |place: usize| match self.content {
            Content::Whole(bytes) => Ok(bytes.get(place).copied()),
            Content::Parts(parts) => match parts.bytes.get(place).copied().flatten() {
                Some(byte) => Ok(Some(byte)),
                None if parts.end.is_some_and(|end| place >= end) => Ok(None),
                None => Err(unknown()),
            },
        };
        let mut count = 0;
        for (place, slot) in (offset..).zip(into) {
            match byte(place)? {
                Some(byte) => *slot = byte,
                None => break,
            }
            count += 1;
        }
        Ok(count)
    }
}
