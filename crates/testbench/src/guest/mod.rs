//! Guest systems as data: which kernel, which modules, what the guest's interface to the device can carry.
//!
//! A definition says what a guest is; [`GuestDefinition::prepare`] finds the files it needs on this machine and makes the
//! rest. Starting it is the work of a rig. Adding a guest adds one file to `data/guests`.

mod image;
mod modules;
mod wire;

use std::time::Duration;

pub use image::{BootFiles, PrepareConfig, PrepareError};

use crate::capability::{Capabilities, Capability};
use crate::embedded::GUESTS;
use crate::source::{FileError, Source};
use crate::wire::PrepareStep;

/// A guest system the bench can boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestDefinition {
    id: String,
    title: String,
    memory_bytes: u64,
    capabilities: Capabilities,
    start_limit: Duration,
    kernel: Kernel,
    modules: Vec<Module>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kernel {
    /// What stands before and after the one `*` of the image's name.
    image: (String, String),
    package: String,
    command_line: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Module {
    name: String,
    options: String,
    prepare: Vec<PrepareStep>,
}

/// There is no such guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// No definition of that name is built in.
    #[error("no guest `{id}`")]
    Unknown {
        /// The name asked for.
        id: String,
    },
    /// A definition cannot be read.
    #[error(transparent)]
    Definition(#[from] FileError),
}

impl GuestError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(format!(
                "built in are {}",
                GuestDefinition::builtin_ids().collect::<Vec<_>>().join(", ")
            )),
            Self::Definition(error) => error.hint.clone(),
        }
    }
}

impl GuestDefinition {
    /// The guests that are part of the program.
    pub fn builtin_ids() -> impl Iterator<Item = &'static str> {
        GUESTS.iter().map(|file| file.id)
    }

    /// A guest that is part of the program.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn builtin(id: &str) -> Result<Self, GuestError> {
        let file = GUESTS.iter().find(|file| file.id == id);
        let file = file.ok_or_else(|| GuestError::Unknown { id: id.to_owned() })?;
        Ok(Self::parse(id, file.file, file.text)?)
    }

    /// What stands in the place of a guest where a device is spoken to without one. It cannot be booted.
    pub fn without_system(id: &str, capabilities: Capabilities) -> Self {
        let (image, package, command_line) = Default::default();
        Self {
            id: id.to_owned(),
            title: "no guest".to_owned(),
            memory_bytes: 0,
            capabilities,
            start_limit: Duration::ZERO,
            kernel: Kernel { image, package, command_line },
            modules: Vec::new(),
        }
    }

    /// Reads a definition.
    ///
    /// # Errors
    ///
    /// The text is no definition of a guest; the error names the place.
    pub fn parse(id: &str, file: &str, text: &str) -> Result<Self, FileError> {
        let source = Source { file, text };
        let raw: wire::Definition = source.read()?;
        if raw.interface.get_ref() != "sg-io" {
            let message = format!("no interface `{}`", raw.interface.get_ref());
            return Err(source.error_with_hint(
                &raw.interface.span(),
                message,
                "the one there is: \"sg-io\"",
            ));
        }
        let memory_bytes = mebibytes(raw.memory.get_ref()).ok_or_else(|| {
            let message = format!("`{}` is no size of memory", raw.memory.get_ref());
            source.error_with_hint(
                &raw.memory.span(),
                message,
                "whole mebibytes from 32M to 1048576M, as in \"96M\"",
            )
        })?;
        let mut capabilities = Capabilities::none();
        for name in &raw.provides {
            capabilities.insert(Capability::read(name, &source)?);
        }
        let start_limit = *raw.start_limit_seconds.get_ref();
        if !(1..=3600).contains(&start_limit) {
            let message = "a start limit is 1 to 3600 seconds";
            return Err(source.error(&raw.start_limit_seconds.span(), message));
        }
        let image = raw.kernel.image.get_ref().split_once('*').filter(|(_, end)| !end.contains('*'));
        let image = image.filter(|(start, _)| start.starts_with("vmlinuz-") && !start.contains('/'));
        let (start, end) = image.ok_or_else(|| {
            let message = "a kernel image is named by a pattern with one `*`";
            source.error_with_hint(&raw.kernel.image.span(), message, "as in \"vmlinuz-6.1.*-amd64\"")
        })?;
        Ok(Self {
            id: id.to_owned(),
            title: raw.title,
            memory_bytes,
            capabilities,
            start_limit: Duration::from_secs(start_limit.into()),
            kernel: Kernel {
                image: (start.to_owned(), end.to_owned()),
                package: raw.kernel.package,
                command_line: raw.kernel.command_line.join(" "),
            },
            modules: raw.module.into_iter().map(module).collect(),
        })
    }

    /// The guest's name in specs and reports.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Memory to give it, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// What its interface to a device can carry.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// How long it may take from its start until its agent answers.
    pub fn start_limit(&self) -> Duration {
        self.start_limit
    }
}

fn module(raw: wire::Module) -> Module {
    Module { name: raw.name.into_inner(), options: raw.options, prepare: raw.prepare }
}

fn mebibytes(text: &str) -> Option<u64> {
    let count: u64 = text.strip_suffix('M')?.parse().ok()?;
    (32..=1 << 20).contains(&count).then_some(count << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_guest_is_read() {
        for id in GuestDefinition::builtin_ids() {
            let guest = GuestDefinition::builtin(id).unwrap_or_else(|error| panic!("{error}"));
            assert!(!guest.title().is_empty());
        }
    }

    #[test]
    fn an_unknown_guest_is_an_error_that_names_those_there_are() {
        let error = GuestDefinition::builtin("plan-9").unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("debian-12")));
    }

    #[test]
    fn a_wrong_size_is_an_error_at_its_place() {
        let text = GUESTS
            .iter()
            .find(|file| file.id == "debian-12")
            .map(|file| file.text.replace("96M", "96"))
            .unwrap();
        let error = GuestDefinition::parse("x", "x.toml", &text).unwrap_err();
        assert_eq!(error.to_string(), "x.toml:7:13: `96` is no size of memory");
    }
}
