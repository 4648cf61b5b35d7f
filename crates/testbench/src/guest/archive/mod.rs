//! Files of the distribution's packages, unpacked beside the guests' images: nothing is installed, no list of the host's
//! is changed, and root is not needed.
//!
//! Works with Debian's `apt-get`, `apt-cache` and `dpkg-deb`, and with the archive that the host itself is set up for;
//! other architectures and the backports suite are looked up there too. What was unpacked once is used again without
//! looking, so a guest stays the same from run to run; removing the folder fetches what is newest then.

mod apt;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use apt::Apt;

/// Of which suite a package is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// The host's own release.
    #[default]
    Release,
    /// Newer versions made for the host's release.
    Backports,
}

/// A package asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName {
    /// With the architecture behind a colon where it is not the host's: `linux-image-686:i386`.
    pub name: String,
    /// Where it is from.
    pub suite: Suite,
}

impl PackageName {
    /// A package of the host's own release.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), suite: Suite::Release }
    }
}

/// The distribution's archive, with a folder for what comes from it.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
}

/// Why a package's files are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A program of the distribution is missing.
    #[error("cannot run {program}")]
    NoProgram {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program of the distribution failed.
    #[error("{program} could not {action}: {message}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it was to do.
        action: String,
        /// The end of what it said.
        message: String,
    },
    /// The archive has no such package.
    #[error("the distribution's archive has no package {name}")]
    NoPackage {
        /// Its name.
        name: String,
    },
    /// A file cannot be read or written.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ArchiveError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoProgram { .. } => {
                Some("guests made of packages need a Debian host; see `slotwise explain` for the others")
            }
            Self::Program { .. } => Some("see whether `apt-get update` works on this host"),
            Self::NoPackage { .. } => Some("is the host's release still in the archive?"),
            Self::File { .. } => None,
        }
    }
}

impl Archive {
    /// The archive, with what comes from it under this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The files of a kernel that a package without files stands for (`linux-image-amd64`), with `modules.dep` made.
    ///
    /// # Errors
    ///
    /// The package cannot be had or unpacked.
    pub fn kernel(&self, package: &PackageName) -> Result<PathBuf, ArchiveError> {
        self.tree(package, |apt| {
            let names = apt.depends(package)?;
            let name = names.into_iter().find(|name| name.name.starts_with("linux-image-"));
            Ok(vec![name.ok_or_else(|| ArchiveError::NoPackage { name: package.name.clone() })?])
        })
        .and_then(|tree| depmod(&tree).map(|()| tree))
    }

    /// The files of some packages, in one tree that is known by the first of them.
    ///
    /// # Errors
    ///
    /// One of them cannot be had or unpacked.
    pub fn files(&self, packages: &[PackageName]) -> Result<PathBuf, ArchiveError> {
        let Some(first) = packages.first() else { return Ok(self.folder.clone()) };
        self.tree(first, |_| Ok(packages.to_vec()))
    }

    /// A compiler for 32-bit programs that keeps to itself: the distribution's Rust compiler for this host and its library
    /// for i386, both of one version, and the C library to link with.
    ///
    /// # Errors
    ///
    /// One of the packages cannot be had or unpacked.
    pub fn rust_i386(&self) -> Result<PathBuf, ArchiveError> {
        let library = PackageName::new("libstd-rust-web-dev:i386");
        self.tree(&library, |apt| {
            // The i386 archive may lag behind by a version, and a library fits one version of the compiler only.
            let version = apt.candidate(&library)?;
            let exact = |name: &str| PackageName::new(format!("{name}={version}"));
            let compiler = PackageName::new(format!("libstd-rust-web-dev={version}"));
            let driver = first_of(apt.depends(&compiler)?, "libstd-rust-web-")?;
            let driver = exact(driver.name.split([':', '=']).next().unwrap_or_default());
            let llvm = first_of(apt.depends(&driver)?, "libllvm")?;
            let own = [exact("rustc-web"), exact("libstd-rust-web-dev"), driver, llvm];
            let other = [exact("libstd-rust-web-dev:i386")];
            let linked = ["libc6-dev:i386", "libgcc-12-dev:i386"].map(PackageName::new);
            Ok(own.into_iter().chain(other).chain(linked).collect())
        })
    }

    /// The tree of a request: made once, by name, from the packages that `resolve` finds for it.
    fn tree(
        &self,
        key: &PackageName,
        resolve: impl FnOnce(&Apt) -> Result<Vec<PackageName>, ArchiveError>,
    ) -> Result<PathBuf, ArchiveError> {
        let tree = self.folder.join(folder_name(key));
        if tree.is_dir() {
            return Ok(tree);
        }
        let apt = Apt::open(&self.folder.join("apt"))?;
        let packages = resolve(&apt)?;
        let partial = self.folder.join(format!("partial-{}-{}", std::process::id(), folder_name(key)));
        let made = fs::create_dir_all(&partial)
            .map_err(|source| file(&partial, source))
            .and_then(|()| packages.iter().try_for_each(|package| apt.unpack(package, &partial)))
            .and_then(|()| match fs::rename(&partial, &tree) {
                // Somebody else was faster, with the same files.
                Err(_) if tree.is_dir() => Ok(()),
                result => result.map_err(|source| file(&tree, source)),
            });
        if partial.is_dir() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&partial);
        }
        made.map(|()| tree)
    }
}

fn first_of(names: Vec<PackageName>, start: &str) -> Result<PackageName, ArchiveError> {
    let found = names.into_iter().find(|name| name.name.starts_with(start));
    found.ok_or_else(|| ArchiveError::NoPackage { name: format!("{start}*") })
}

/// A name that tells what is in it, and is no other request's.
fn folder_name(package: &PackageName) -> String {
    let key = format!("{package:?}");
    let digest: String = Sha256::digest(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
    format!("{}-{digest}", package.name.chars().map(plain).collect::<String>())
}

/// `modules.dep` is made at installation, which does not take place here (`depmod(8)`).
fn depmod(tree: &Path) -> Result<(), ArchiveError> {
    let modules = tree.join("lib/modules");
    let releases = fs::read_dir(&modules).map_err(|source| file(&modules, source))?;
    for release in releases.flatten() {
        if release.path().join("modules.dep").is_file() {
            continue;
        }
        let mut command = Command::new("/usr/sbin/depmod");
        command.arg("-b").arg(tree).arg(release.file_name());
        apt::run("depmod", "list a kernel's modules", &mut command)?;
    }
    Ok(())
}

fn file(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_requests_never_share_a_folder() {
        let name = |suite| PackageName { name: "linux-image-amd64".into(), suite };
        assert_ne!(folder_name(&name(Suite::Release)), folder_name(&name(Suite::Backports)));
        assert!(folder_name(&PackageName::new("a:b/../c")).starts_with("a-b-..-c-"));
    }

    #[test]
    fn what_was_unpacked_once_is_used_without_looking() {
        let folder = tempfile::tempdir().unwrap();
        let package = PackageName::new("grub-pc-bin");
        let tree = folder.path().join(folder_name(&package));
        fs::create_dir(&tree).unwrap();
        assert_eq!(Archive::new(folder.path().into()).files(&[package]).unwrap(), tree);
    }
}
