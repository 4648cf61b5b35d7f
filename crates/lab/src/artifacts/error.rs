//! Why a lab host could not be built.

use std::io;
use std::path::{Path, PathBuf};

/// Why a lab host could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A program is not there.
    #[error("cannot find the program {program}")]
    MissingProgram {
        /// Its name.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A file is not there.
    #[error("cannot find {what}")]
    MissingFile {
        /// Which.
        what: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program is too old for the machines.
    #[error("{program} is version {found}, the lab needs {needed} or later")]
    TooOld {
        /// Which program, or the kernel.
        program: &'static str,
        /// Version found.
        found: String,
        /// Version needed.
        needed: &'static str,
    },
    /// A program's version cannot be told.
    #[error("cannot tell the version of {program}")]
    Version {
        /// Which.
        program: String,
    },
    /// A module the machine wants is not in the kernel package.
    #[error("kernel {release} has no module {module}")]
    NoModule {
        /// The module.
        module: String,
        /// Release of the kernel.
        release: String,
    },
    /// A program that was called failed.
    #[error("{program} failed: {stderr}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        stderr: String,
    },
    /// The first process is linked to shared libraries, which the initramfs has not.
    #[error("{path} is not statically linked")]
    DynamicInit {
        /// Its path.
        path: PathBuf,
    },
    /// A payload has no place in the lab host.
    #[error("the payload's path {path} in the lab host is not absolute")]
    Payload {
        /// The path.
        path: PathBuf,
    },
    /// There is no directory for the cache.
    #[error("cannot tell where to keep the lab's images")]
    NoCache,
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl ArtifactError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingProgram { package, .. } | Self::MissingFile { package, .. } => {
                Some(format!("install the package {package}"))
            }
            Self::TooOld { program, needed, .. } => Some(format!("install {program} {needed} or later")),
            Self::NoModule { .. } => Some("check the machine's `modules`".to_owned()),
            Self::NoCache => Some("set XDG_CACHE_HOME or HOME".to_owned()),
            Self::DynamicInit { .. } => Some(
                "build it with RUSTFLAGS=\"-C target-feature=+crt-static\" and --target x86_64-unknown-linux-gnu".to_owned(),
            ),
            Self::Io { path, source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied && path.starts_with("/boot") =>
            {
                Some(format!("kernel images are private here; allow it with: sudo chmod a+r {}", path.display()))
            }
            _ => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }
}
