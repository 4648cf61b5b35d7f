//! Guest systems as data: which kernel, which modules, what the guest's interface to the device can carry.
//!
//! A definition says what a guest is; [`GuestDefinition::prepare`] finds the files it needs on this machine and makes the
//! rest. Starting it is the work of a rig. Adding a guest adds one file to `data/guests`.

pub mod archive;
mod boot;
mod image;
mod modules;
mod settings;
mod wire;

use std::time::Duration;

pub use boot::{BootFiles, BootMedium, ImageBus, ImageFormat, Port, Processor};
pub use image::{PrepareConfig, PrepareError};
pub use settings::ImageSettings;

use archive::PackageName;
use boot::Boot;

use crate::capability::{Capabilities, Capability};
use crate::console::Script;
use crate::embedded::GUESTS;
use crate::source::{FileError, Source};
use crate::wire::PrepareStep;

/// A guest system the bench can boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestDefinition {
    id: String,
    title: String,
    page: String,
    tried: Tried,
    memory_bytes: u64,
    capabilities: Capabilities,
    start_limit: Duration,
    system: System,
}

/// How far a definition has been seen to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Booted in every run of the tests.
    EveryRun,
    /// Booted when the tests are asked to.
    OnDemand,
    /// Only its script, against transcripts of what the system prints; never a real image.
    TranscriptOnly,
}

impl Tried {
    /// All there are.
    const ALL: [Self; 3] = [Self::EveryRun, Self::OnDemand, Self::TranscriptOnly];

    fn name(self) -> &'static str {
        match self {
            Self::EveryRun => "every-run",
            Self::OnDemand => "on-demand",
            Self::TranscriptOnly => "transcript-only",
        }
    }

    /// The sentence about it on the guest's page.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::EveryRun => "Booted in every run of Slotwise's own tests.",
            Self::OnDemand => "Booted by Slotwise's own tests when they are asked to.",
            Self::TranscriptOnly => {
                "Not run on a real image: its script was tested only against transcripts of what the system prints."
            }
        }
    }
}

/// What kind of guest it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum System {
    /// A Linux kernel with the agent.
    Linux { kernel: Kernel, modules: Vec<Module>, drivers: Vec<String> },
    /// Something on a console.
    Console { boot: Boot, script: Box<Script> },
    /// None: a device is spoken to directly.
    None,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kernel {
    /// What stands before and after the one `*` of the image's name.
    image: (String, String),
    package: PackageName,
    source: KernelSource,
    command_line: String,
}

/// Where a kernel is had from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KernelSource {
    /// Installed on the host.
    Host,
    /// The distribution's archive, unpacked into the cache.
    Archive,
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
    pub fn without_system(id: &str, mut capabilities: Capabilities) -> Self {
        // Whoever speaks to a device directly speaks in commands.
        capabilities.insert(Capability::Commands);
        Self {
            id: id.to_owned(),
            title: "no guest".to_owned(),
            page: String::new(),
            tried: Tried::EveryRun,
            memory_bytes: 0,
            capabilities,
            start_limit: Duration::ZERO,
            system: System::None,
        }
    }

    /// Reads a definition.
    ///
    /// # Errors
    ///
    /// The text is no definition of a guest; the error names the place.
    pub fn parse(id: &str, file: &str, text: &str) -> Result<Self, FileError> {
        let source = Source { file, text };
        let mut raw: wire::Definition = source.read()?;
        let memory_bytes = mebibytes(raw.memory.get_ref()).ok_or_else(|| {
            let message = format!("`{}` is no size of memory", raw.memory.get_ref());
            source.error_with_hint(
                &raw.memory.span(),
                message,
                "whole mebibytes from 32M to 1048576M, as in \"96M\"",
            )
        })?;
        let start_limit = *raw.start_limit_seconds.get_ref();
        if !(1..=3600).contains(&start_limit) {
            let message = "a start limit is 1 to 3600 seconds";
            return Err(source.error(&raw.start_limit_seconds.span(), message));
        }
        let tried =
            Tried::ALL.into_iter().find(|tried| tried.name() == raw.tried.get_ref()).ok_or_else(|| {
                let hint = Tried::ALL.map(Tried::name).join(", ");
                source.error_with_hint(
                    &raw.tried.span(),
                    format!("no way to try `{}`", raw.tried.get_ref()),
                    hint,
                )
            })?;
        let (system, mut capabilities) = match raw.interface.get_ref().as_str() {
            "sg-io" => (linux(&mut raw, &source)?, BY_COMMANDS.into_iter().collect()),
            "console" => console(&raw, &source)?,
            other => {
                let message = format!("no interface `{other}`");
                return Err(source.error_with_hint(&raw.interface.span(), message, "sg-io or console"));
            }
        };
        for name in &raw.provides {
            capabilities.insert(Capability::read(name, &source)?);
        }
        Ok(Self {
            id: id.to_owned(),
            title: raw.title,
            page: raw.page,
            tried,
            memory_bytes,
            capabilities,
            start_limit: Duration::from_secs(start_limit.into()),
            system,
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

    /// A page about it: what it is made of, what it shows, how far it was tried.
    #[must_use]
    pub fn page(&self) -> String {
        let able: Vec<&str> = Capability::ALL
            .into_iter()
            .filter(|capability| self.capabilities.has(*capability))
            .map(Capability::name)
            .collect();
        format!(
            "{}\n\n{}\n\nCan: {}. Memory: {} MiB.\n\n{}\n",
            self.title,
            self.page.trim(),
            able.join(", "),
            self.memory_bytes >> 20,
            self.tried.sentence()
        )
    }

    /// How far it was tried.
    #[must_use]
    pub fn tried(&self) -> Tried {
        self.tried
    }

    /// How it is talked to, if it is a guest on a console.
    #[must_use]
    pub fn script(&self) -> Option<&Script> {
        match &self.system {
            System::Linux { .. } | System::None => None,
            System::Console { script, .. } => Some(script),
        }
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

/// What a guest with the agent can do; what can be asked by commands is asked by commands.
const BY_COMMANDS: [Capability; 6] = [
    Capability::Commands,
    Capability::Function,
    Capability::ListsFunctions,
    Capability::ListsDisks,
    Capability::NamesDisks,
    Capability::ReadsSectors,
];

/// A kernel with the agent.
fn linux(raw: &mut wire::Definition, source: &Source<'_>) -> Result<System, FileError> {
    let kernel = raw.kernel.take().ok_or_else(|| {
        source.error_with_hint(&raw.interface.span(), "an agent runs on a kernel", "a section [kernel]")
    })?;
    if let Some(boot) = &raw.boot {
        return Err(source.error(&boot.span(), "[boot] is for guests on a console"));
    }
    let image = kernel.image.get_ref().split_once('*').filter(|(_, end)| !end.contains('*'));
    let image = image.filter(|(start, _)| start.starts_with("vmlinuz-") && !start.contains('/'));
    let (start, end) = image.ok_or_else(|| {
        let message = "a kernel image is named by a pattern with one `*`";
        source.error_with_hint(&kernel.image.span(), message, "as in \"vmlinuz-6.1.*-amd64\"")
    })?;
    let (from, suite) = match kernel.archive.as_ref().map(|name| (name.get_ref().as_str(), name.span())) {
        None => (KernelSource::Host, archive::Suite::Release),
        Some(("release", _)) => (KernelSource::Archive, archive::Suite::Release),
        Some(("backports", _)) => (KernelSource::Archive, archive::Suite::Backports),
        Some((other, span)) => {
            let message = format!("no part of the archive `{other}`");
            return Err(source.error_with_hint(&span, message, "release or backports"));
        }
    };
    let architecture = kernel.package.get_ref().split_once(':').map(|(_, name)| name);
    if architecture.is_some_and(|name| name != "i386") {
        let message = format!("no agent for the architecture of `{}`", kernel.package.get_ref());
        return Err(source.error_with_hint(&kernel.package.span(), message, "none, or :i386"));
    }
    let kernel = Kernel {
        image: (start.to_owned(), end.to_owned()),
        package: PackageName { name: kernel.package.into_inner(), suite },
        source: from,
        command_line: kernel.command_line.join(" "),
    };
    let modules = std::mem::take(&mut raw.module).into_iter().map(module).collect();
    Ok(System::Linux { kernel, modules, drivers: std::mem::take(&mut raw.drivers) })
}

/// Something on a console.
fn console(raw: &wire::Definition, source: &Source<'_>) -> Result<(System, Capabilities), FileError> {
    let missing =
        |what| source.error(&raw.interface.span(), format!("a guest on a console has a section [{what}]"));
    let boot = boot::read(raw.boot.as_ref().ok_or_else(|| missing("boot"))?, source)?;
    let script = crate::console::script(raw.console.as_ref().ok_or_else(|| missing("console"))?, source)?;
    let capabilities = script.capabilities();
    Ok((System::Console { boot, script: Box::new(script) }, capabilities))
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
        assert_eq!(error.to_string(), "x.toml:8:13: `96` is no size of memory");
    }
}
