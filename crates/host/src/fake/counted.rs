//! A host that keeps account of what it was asked: which files, links and directories, and which bytes of files that are
//! read in parts. It hands everything on to another host. For tests and measurements (feature `fake`).

use std::sync::{Mutex, PoisonError};

use crate::kernel::{Directory, NodeStatus, OpenFile, ReadError, ReadHost};

/// One thing that a host was asked for, whether there was such a thing or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The open directory that it was asked of; none if it was asked by an absolute path.
    pub directory: Option<String>,
    /// Absolute, or relative to the directory; empty for the directory itself.
    pub name: String,
    /// What was asked.
    pub what: Asked,
}

/// What can be asked of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The directory is opened.
    OpenDirectory,
    /// The names in it.
    Names,
    /// The target of the link.
    Link,
    /// The whole file.
    File,
    /// So many bytes of the file, from this offset on.
    Part {
        /// First byte.
        offset: u64,
        /// Bytes that there was room for.
        bytes: usize,
    },
}

/// A host with an account of what it was asked.
#[derive(Debug)]
pub struct Counted<'h> {
    host: &'h dyn ReadHost,
    questions: Mutex<Vec<Question>>,
}

impl<'h> Counted<'h> {
    /// Keeps account of what `host` is asked.
    #[must_use]
    pub fn new(host: &'h dyn ReadHost) -> Self {
        Self { host, questions: Mutex::default() }
    }

    /// Everything that was asked, in order.
    #[must_use]
    pub fn finish(self) -> Vec<Question> {
        self.questions.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, directory: Option<&str>, name: &str, what: Asked) {
        let question = Question { directory: directory.map(str::to_owned), name: name.to_owned(), what };
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).push(question);
    }
}

impl ReadHost for Counted<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        self.note(None, path, Asked::File);
        self.host.read(path, limit)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        self.note(None, path, Asked::Names);
        self.host.list(path)
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        self.note(None, path, Asked::Link);
        self.host.link(path)
    }

    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        self.host.node(path)
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        self.note(None, path, Asked::OpenDirectory);
        let inner = self.host.open_dir(path)?;
        Ok(Box::new(CountedDirectory { counted: self, inner, path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct CountedDirectory<'c> {
    counted: &'c Counted<'c>,
    inner: Box<dyn Directory + 'c>,
    path: String,
}

impl CountedDirectory<'_> {
    fn note(&self, name: &str, what: Asked) {
        self.counted.note(Some(&self.path), name, what);
    }
}

impl Directory for CountedDirectory<'_> {
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        self.note(name, Asked::File);
        self.inner.read(name, limit, into)
    }

    fn link(&self, name: &str) -> Result<String, ReadError> {
        self.note(name, Asked::Link);
        self.inner.link(name)
    }

    fn list(&self) -> Result<Vec<String>, ReadError> {
        self.note("", Asked::Names);
        self.inner.list()
    }

    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError> {
        self.note(name, Asked::Names);
        self.inner.list_below(name)
    }

    fn open_file(&self, name: &str) -> Result<Box<dyn OpenFile + '_>, ReadError> {
        let inner = self.inner.open_file(name)?;
        Ok(Box::new(CountedFile { directory: self, inner, name: name.to_owned() }))
    }
}

#[derive(Debug)]
struct CountedFile<'c> {
    directory: &'c CountedDirectory<'c>,
    inner: Box<dyn OpenFile + 'c>,
    name: String,
}

impl OpenFile for CountedFile<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        self.directory.note(&self.name, Asked::Part { offset, bytes: into.len() });
        self.inner.read_at(offset, into)
    }
}
