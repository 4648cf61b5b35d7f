//! The least that reading can cost: a loop that opens and reads the files that `slotwise` reads, in the same order, each
//! relative to its device's directory, on one core, and does nothing with them. Links are read too; names in directories
//! are not listed, although `slotwise` lists them.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat_raw};
use slotwise_core::facts::{Origin, SourceKind};
use slotwise_host::fake::{Asked, Counted, Question};
use slotwise_host::live::LiveHost;

use crate::Result;

/// One step of the loop.
enum Step {
    /// From here on names are relative to this directory; that of the whole host if empty.
    Directory(CString),
    File(CString),
    Link(CString),
}

/// The loop over one host.
pub(super) struct Bare {
    root: OwnedFd,
    steps: Vec<Step>,
    /// Files that are opened.
    pub(super) files: usize,
}

impl Bare {
    /// Learns from one reading of the host at `root` what is read of it.
    pub(super) fn learn(root: &Path) -> Result<Self> {
        let host = LiveHost::at(root)?;
        let counted = Counted::new(&host);
        let origin = Origin::Saved { kind: SourceKind::Directory, name: String::new() };
        drop(slotwise_host::read(&counted, origin));
        let mut bare = Self { root: open(CWD, root)?, steps: Vec::new(), files: 0 };
        let mut directory = None;
        let mut part = None;
        for question in counted.finish() {
            let Question { directory: place, name, what } = question;
            if matches!(what, Asked::Names | Asked::OpenDirectory) {
                continue;
            }
            // Of a file that is read in parts, only the first read opens it.
            if matches!(what, Asked::Part { .. })
                && part.replace((place.clone(), name.clone())) == Some((place.clone(), name.clone()))
            {
                continue;
            }
            if directory.as_ref() != Some(&place) {
                let path = place.as_deref().unwrap_or_default();
                bare.steps.push(Step::Directory(CString::new(path.trim_start_matches('/'))?));
                directory = Some(place);
            }
            let name = CString::new(name.trim_start_matches('/'))?;
            if what == Asked::Link {
                bare.steps.push(Step::Link(name));
            } else {
                bare.files += 1;
                bare.steps.push(Step::File(name));
            }
        }
        Ok(bare)
    }

    /// Runs the loop; how many bytes there were.
    pub(super) fn run(&self) -> Result<usize> {
        let mut buffer = vec![0; 1 << 16];
        let mut opened = None;
        let mut total = 0;
        for step in &self.steps {
            let at = opened.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            match step {
                Step::Directory(path) if path.is_empty() => opened = None,
                Step::Directory(path) => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    opened = Some(openat(&self.root, path, flags, Mode::empty())?);
                }
                // What is not there is asked for as well.
                Step::File(name) => {
                    let Ok(file) = openat(at, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
                        continue;
                    };
                    loop {
                        let count = rustix::io::read(&file, &mut buffer)?;
                        total += count;
                        if count < buffer.len() {
                            break;
                        }
                    }
                }
                Step::Link(name) => {
                    total += readlinkat_raw(at, name, &mut buffer[..]).unwrap_or_default();
                }
            }
        }
        Ok(total)
    }
}

fn open(at: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    Ok(openat(at, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
