//! A host that remembers what it was asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::snapshot::{Content, Parts, Snapshot, node_text};
use crate::kernel::{Directory, NodeStatus, OpenFile, ReadError, ReadHost};

/// Hands everything on to another host and keeps each answer, absences and refusals too.
#[derive(Debug)]
pub struct Recorder<'h> {
    host: &'h dyn ReadHost,
    seen: Mutex<Snapshot>,
}

impl<'h> Recorder<'h> {
    /// Records what is read of `host`.
    #[must_use]
    pub fn new(host: &'h dyn ReadHost) -> Self {
        Self { host, seen: Mutex::default() }
    }

    /// What was recorded.
    #[must_use]
    pub fn finish(self) -> Snapshot {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record stays whole whatever thread died while it held it: each answer is one insertion.
    fn seen(&self) -> MutexGuard<'_, Snapshot> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_file(&self, path: &str, answer: Result<&[u8], &ReadError>) {
        let answer = answer.map(|bytes| Content::Whole(bytes.to_vec())).map_err(|error| error.kind.clone());
        self.seen().files.insert(path.to_owned(), answer);
    }
}

impl ReadHost for Recorder<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        let answer = self.host.read(path, limit);
        self.keep_file(path, answer.as_deref());
        answer
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let answer = self.host.list(path);
        self.seen().lists.insert(path.to_owned(), kept(&answer));
        answer
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        let answer = self.host.link(path);
        self.seen().links.insert(path.to_owned(), kept(&answer));
        answer
    }

    fn node(&self, path: &str) -> Result<NodeStatus, ReadError> {
        let answer = self.host.node(path);
        let text = answer.as_ref().map(node_text).map(String::into_bytes);
        self.keep_file(path, text.as_deref().map_err(|error| *error));
        answer
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        match self.host.open_dir(path) {
            Ok(directory) => Ok(Box::new(RecordedDirectory {
                recorder: self,
                directory,
                path: path.trim_end_matches('/').to_owned(),
            })),
            Err(error) => {
                self.seen().lists.insert(path.to_owned(), Err(error.kind.clone()));
                Err(error)
            }
        }
    }
}

fn kept<T: Clone>(answer: &Result<T, ReadError>) -> Result<T, crate::kernel::ReadErrorKind> {
    answer.clone().map_err(|error| error.kind)
}

#[derive(Debug)]
struct RecordedDirectory<'r> {
    recorder: &'r Recorder<'r>,
    directory: Box<dyn Directory + 'r>,
    path: String,
}

impl Directory for RecordedDirectory<'_> {
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        let answer = self.directory.read(name, limit, into);
        let bytes = answer.as_ref().map(|()| into.as_slice());
        self.recorder.keep_file(&format!("{}/{name}", self.path), bytes);
        answer
    }

    fn link(&self, name: &str) -> Result<String, ReadError> {
        let answer = self.directory.link(name);
        self.recorder.seen().links.insert(format!("{}/{name}", self.path), kept(&answer));
        answer
    }

    fn list(&self) -> Result<Vec<String>, ReadError> {
        let answer = self.directory.list();
        self.recorder.seen().lists.insert(self.path.clone(), kept(&answer));
        answer
    }

    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError> {
        let answer = self.directory.list_below(name);
        self.recorder.seen().lists.insert(format!("{}/{name}", self.path), kept(&answer));
        answer
    }

    fn open_file(&self, name: &str) -> Result<Box<dyn OpenFile + '_>, ReadError> {
        let path = format!("{}/{name}", self.path);
        match self.directory.open_file(name) {
            Ok(file) => Ok(Box::new(RecordedFile { recorder: self.recorder, file, path })),
            Err(error) => {
                self.recorder.seen().files.insert(path, Err(error.kind.clone()));
                Err(error)
            }
        }
    }
}

#[derive(Debug)]
struct RecordedFile<'r> {
    recorder: &'r Recorder<'r>,
    file: Box<dyn OpenFile + 'r>,
    path: String,
}

impl OpenFile for RecordedFile<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let answer = self.file.read_at(offset, into);
        let mut seen = self.recorder.seen();
        match (&answer, usize::try_from(offset)) {
            (Ok(count), Ok(offset)) => {
                let before = seen.files.entry(self.path.clone()).or_insert_with(|| Ok(empty()));
                if let Ok(Content::Parts(parts)) = before {
                    parts.record(offset, into.get(..*count).unwrap_or_default(), into.len());
                }
            }
            // A failure in the middle leaves the bytes that were read; those not read stay unknown.
            (Err(error), _) => {
                seen.files.entry(self.path.clone()).or_insert_with(|| Err(error.kind.clone()));
            }
            (Ok(_), Err(_)) => {}
        }
        answer
    }
}

fn empty() -> Content {
    Content::Parts(Parts::default())
}
