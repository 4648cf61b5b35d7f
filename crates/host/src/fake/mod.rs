//! A model of the kernel's side of binding, in memory, for tests (feature `fake`).
//!
//! It is read and written through the same door as a real host. A write that it has no model for panics, so that a
//! test cannot pass on a write that a kernel would have refused. The nth write can be made to fail, to be the last
//! thing that the program under test does, or to be accompanied by something that somebody else does.

mod counted;
mod model;
mod text;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slotwise_core::pci::PciAddress;

use crate::kernel::{
    BootId, Directory, FileMode, Live, ReadError, ReadErrorKind, ReadHost, WriteError, WriteErrorKind,
    WriteHost,
};
pub use counted::{Asked, Counted, Question};
use model::{Model, Node};
pub use text::FakeError;

/// Something that happens at a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The write fails so, and changes nothing.
    Fail(WriteErrorKind),
    /// The program is killed just before the write; see [`killed`].
    KillBefore,
    /// The program is killed just after the write.
    KillAfter,
    /// After the write, this driver is found to have the device.
    Grab(PciAddress, String),
    /// Before the write, the device is pulled out.
    Vanish(PciAddress),
    /// After the write, somebody else puts this text into the file at this path.
    Edit(String, String),
}

/// A host in memory. Clones are the same host.
#[derive(Clone, Debug)]
pub struct FakeKernel {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    model: Model,
    first: Model,
    boots: u32,
    writes: usize,
    events: BTreeMap<usize, Event>,
}

/// Everything that can be seen of a host at one moment, for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(Model);

/// What a killed program unwinds with.
struct Killed;

/// Runs `program` until it ends or a [`FakeKernel`] kills it; none if it was killed.
///
/// Nothing of the program runs after that but destructors, of which none here writes.
pub fn killed<T>(program: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(program)) {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Killed>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

/// Ends the program under test on the spot; see [`killed`].
pub fn kill() -> ! {
    resume_unwind(Box::new(Killed))
}

/// How many links a lookup follows (`MAXSYMLINKS`, `include/linux/namei.h`).
const LINKS: usize = 40;

impl FakeKernel {
    /// A host as `text` describes it, freshly booted. The format is that of the module `text`.
    ///
    /// # Errors
    /// The first line that says nothing.
    pub fn parse(text: &str) -> Result<Self, FakeError> {
        let model = text::parse(text)?;
        let first = model.clone();
        let inner = Inner { model, first, boots: 0, writes: 0, events: BTreeMap::new() };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This host's writing half; it takes itself for the running one.
    #[must_use]
    pub fn live(&self) -> Live<'static> {
        let text = format!("00000000-0000-0000-0000-{:012x}", self.inner().boots);
        match BootId::parse(&text) {
            Ok(boot_id) => Live::new(Box::new(self.clone()), boot_id),
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Lets `event` happen at the `nth` write from now, counted from 1.
    pub fn at_write(&self, nth: usize, event: Event) {
        let mut inner = self.inner();
        let at = inner.writes + nth;
        inner.events.insert(at, event);
    }

    /// How many writes were tried so far, whatever came of them.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.inner().writes
    }

    /// What can be seen now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.inner().model.clone())
    }

    /// Boots again: files stay, all else is as after the first boot.
    pub fn reboot(&self) {
        let mut inner = self.inner();
        let mut model = inner.first.clone();
        model.files = inner.model.files.clone();
        model.directories = inner.model.directories.clone();
        inner.model = model;
        inner.boots += 1;
    }

    /// Somebody else binds the device, or takes it from its driver.
    pub fn bind_by_hand(&self, device: PciAddress, driver: Option<&str>) {
        if let Some(device) = self.inner().model.devices.get_mut(&device) {
            device.driver = driver.map(str::to_owned);
        }
    }

    /// Somebody else pulls the device out.
    pub fn pull_out(&self, device: PciAddress) {
        self.inner().model.devices.remove(&device);
    }

    /// Somebody else writes a file.
    pub fn write_by_hand(&self, path: &str, content: &str) {
        self.inner().model.files.insert(path.to_owned(), (content.as_bytes().to_vec(), 0o644));
    }

    /// Makes one change, with whatever was said to happen at it.
    fn change(
        &self,
        target: &str,
        change: impl FnOnce(&mut Model) -> Result<(), WriteErrorKind>,
    ) -> Result<(), WriteError> {
        let mut inner = self.inner();
        inner.writes += 1;
        let at = inner.writes;
        let event = inner.events.remove(&at);
        match &event {
            Some(Event::Fail(kind)) => return Err(WriteError::new(target, kind.clone())),
            Some(Event::KillBefore) => {
                drop(inner);
                kill();
            }
            Some(Event::Vanish(device)) => drop(inner.model.devices.remove(device)),
            _ => {}
        }
        let answer = change(&mut inner.model).map_err(|kind| WriteError::new(target, kind));
        match event {
            Some(Event::KillAfter) => {
                drop(inner);
                kill();
            }
            Some(Event::Grab(device, driver)) => {
                if let Some(device) = inner.model.devices.get_mut(&device) {
                    device.driver = Some(driver);
                }
            }
            Some(Event::Edit(path, text)) => {
                inner.model.files.insert(path, (text.into_bytes(), 0o644));
            }
            _ => {}
        }
        answer
    }

    /// Follows links, all but one at the end if `follow_last` is [`Last::Keep`].
    fn lookup(&self, path: &str, last: Last) -> Result<(String, Node), ReadErrorKind> {
        let tree = self.inner().model.tree();
        let mut todo: Vec<String> = parts(path);
        let mut at = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                at.truncate(at.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{at}/{part}");
            match tree.get(&next) {
                None => return Err(ReadErrorKind::NotFound),
                Some(Node::Link(target)) if last == Last::Follow || !todo.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(ReadErrorKind::Other("too many links".to_owned()));
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    todo.extend(parts(target));
                }
                Some(Node::File(_) | Node::WriteOnly) if !todo.is_empty() => {
                    return Err(ReadErrorKind::NotFound);
                }
                Some(_) => at = next,
            }
        }
        let path = if at.is_empty() { "/".to_owned() } else { at };
        let node = tree.get(&path).cloned().ok_or(ReadErrorKind::NotFound)?;
        Ok((path, node))
    }
}

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

/// The parts of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).rev().map(str::to_owned).collect()
}

impl ReadHost for FakeKernel {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        let fail = |kind| ReadError::new(path, kind);
        match self.lookup(path, Last::Follow).map_err(fail)?.1 {
            Node::File(content) if content.len() > limit => {
                Err(fail(ReadErrorKind::TooLarge { limit_bytes: limit }))
            }
            Node::File(content) => Ok(content),
            Node::WriteOnly => Err(fail(ReadErrorKind::Denied)),
            _ => Err(fail(ReadErrorKind::Other("not a regular file".to_owned()))),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let fail = |kind| ReadError::new(path, kind);
        let (at, node) = self.lookup(path, Last::Follow).map_err(fail)?;
        if node != Node::Directory {
            return Err(fail(ReadErrorKind::NotFound));
        }
        let prefix = if at == "/" { at } else { format!("{at}/") };
        let tree = self.inner().model.tree();
        let name =
            |path: &String| path.strip_prefix(&prefix).filter(|name| !name.contains('/')).map(str::to_owned);
        Ok(tree.keys().filter_map(name).filter(|name| !name.is_empty()).collect())
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        match self.lookup(path, Last::Keep) {
            Ok((_, Node::Link(target))) => Ok(target),
            Ok(_) => Err(ReadError::new(path, ReadErrorKind::NotFound)),
            Err(kind) => Err(ReadError::new(path, kind)),
        }
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        match self.lookup(path, Last::Follow).map_err(|kind| ReadError::new(path, kind))? {
            (at, Node::Directory) => Ok(Box::new(FakeDirectory { host: self, path: at })),
            _ => Err(ReadError::new(path, ReadErrorKind::NotFound)),
        }
    }
}

#[derive(Debug)]
struct FakeDirectory<'h> {
    host: &'h FakeKernel,
    path: String,
}

impl FakeDirectory<'_> {
    /// The absolute path of `name`, if it stays in this directory.
    fn within(&self, name: &str, last: Last) -> Result<String, ReadError> {
        let path = format!("{}/{name}", self.path);
        let found = self.host.lookup(&path, last).map_err(|kind| ReadError::new(path.clone(), kind))?.0;
        if found.starts_with(&format!("{}/", self.path)) {
            return Ok(path);
        }
        Err(ReadError::new(path, ReadErrorKind::Other("a link that leaves the directory".to_owned())))
    }
}

impl Directory for FakeDirectory<'_> {
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        *into = self.host.read(&self.within(name, Last::Follow)?, limit)?;
        Ok(())
    }

    fn link(&self, name: &str) -> Result<String, ReadError> {
        self.host.link(&self.within(name, Last::Keep)?)
    }

    fn list(&self) -> Result<Vec<String>, ReadError> {
        self.host.list(&self.path)
    }

    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError> {
        self.host.list(&self.within(name, Last::Follow)?)
    }
}

/// The directory that `path` lies in.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl FakeKernel {
    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.lookup(path, Last::Follow), Ok((_, Node::Directory)))
    }
}

impl WriteHost for FakeKernel {
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.change(path, |model| match model.store(path, &text) {
            Some(answer) => answer,
            None => panic!("no model for writing {text:?} to {path}"),
        })
    }

    fn create_dir(&self, path: &str) -> Result<(), WriteError> {
        let parent = self.is_directory(parent(path));
        self.change(path, |model| {
            if !parent {
                return Err(WriteErrorKind::NotFound);
            }
            model.directories.insert(path.to_owned());
            Ok(())
        })
    }

    fn remove_dir(&self, path: &str) -> Result<(), WriteError> {
        let empty = self.list(path).is_ok_and(|names| names.is_empty());
        self.change(path, |model| {
            if !empty {
                return Err(WriteErrorKind::Other("Directory not empty (os error 39)".to_owned()));
            }
            if model.directories.remove(path) { Ok(()) } else { Err(WriteErrorKind::NotFound) }
        })
    }

    fn replace_file(&self, path: &str, bytes: &[u8], mode: FileMode) -> Result<(), WriteError> {
        let parent = self.is_directory(parent(path));
        self.change(path, |model| {
            if !parent {
                return Err(WriteErrorKind::NotFound);
            }
            model.files.insert(path.to_owned(), (bytes.to_vec(), mode.bits()));
            Ok(())
        })
    }

    fn remove_file(&self, path: &str) -> Result<(), WriteError> {
        self.change(path, |model| model.files.remove(path).map(drop).ok_or(WriteErrorKind::NotFound))
    }

    fn file_mode(&self, path: &str) -> Result<FileMode, ReadError> {
        let mode = self.inner().model.files.get(path).map(|(_, mode)| FileMode::from_bits(*mode));
        mode.ok_or_else(|| ReadError::new(path, ReadErrorKind::NotFound))
    }

    fn load_module(&self, name: &str, _: &[(String, String)]) -> Result<(), WriteError> {
        self.change(&format!("module {name}"), |model| model.load(name))
    }

    fn unload_module(&self, name: &str) -> Result<(), WriteError> {
        self.change(&format!("module {name}"), |model| model.unload(name))
    }

    fn wait(&self, _: Duration, done: &mut dyn FnMut() -> bool) -> bool {
        // Nothing here happens by itself, so that time makes no difference.
        done()
    }
}

#[cfg(test)]
mod tests;
