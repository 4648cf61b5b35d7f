//! What a lab host is made of: kernel, initial RAM file system and disk images, built from the distribution's files.
//!
//! Nothing is downloaded and nothing needs root. Files are looked up where the distribution has them; what is missing
//! is an error that names the Debian package. Results are kept in a cache under names that contain a hash of all
//! inputs, so a change of any input is a new entry, and unchanged ones cost a look. The payload, which changes with
//! each build of the program under test, is an image of its own.
//!
//! Entries appear by an atomic rename. Two processes that build the same entry at once do the work twice and end with
//! the same result.

mod cache;
mod error;
mod image;
mod initramfs;
mod kernel;
pub mod modules;
mod survey;
mod tree;

use std::path::{Path, PathBuf};

pub use cache::default_directory;
pub use error::ArtifactError;

use self::cache::Cache;
use self::modules::ModuleIndex;
use self::tree::{Node, Tree};
use crate::machine::Machine;

/// Serial number of the disk with the distribution's files.
pub const ROOT_SERIAL: &str = "lab-root";
/// Serial number of the disk with the payload.
pub const PAYLOAD_SERIAL: &str = "lab-payload";
/// Folder of the initramfs that holds modules.
pub const EARLY_MODULES_DIR: &str = "lab/modules";
/// File of the initramfs that lists them in load order.
pub const EARLY_MODULES_LIST: &str = "lab/modules.order";

/// Part of every cache key; to be raised when what is built from equal inputs changes.
const BUILDER_VERSION: &str = "1";

/// A file the caller puts into the lab host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFile {
    /// Absolute path in the lab host.
    pub guest: PathBuf,
    /// The file on this machine; its permission bits are kept. Shared libraries a program needs come with it.
    pub host: PathBuf,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where results are kept; see [`default_directory`].
    pub cache_dir: PathBuf,
    /// Files to put into the lab host.
    pub payload: Vec<PayloadFile>,
    /// The first process, `slotwise-lab-init`, statically linked.
    pub init_binary: PathBuf,
}

/// The files a machine boots from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifacts {
    /// Kernel image: the uncompressed one where it could be had.
    pub kernel: PathBuf,
    /// Initial RAM file system.
    pub initramfs: PathBuf,
    /// Image of the distribution's files, ext4.
    pub root: PathBuf,
    /// Image of the payload, ext4.
    pub payload: PathBuf,
    /// The emulator.
    pub qemu: PathBuf,
    /// Release of the kernel.
    pub kernel_release: String,
}

impl Artifacts {
    /// Builds what is missing in the cache for `machine`; `progress` hears of each step that takes time.
    ///
    /// # Errors
    /// A tool or file is missing or too old, or building fails: see [`ArtifactError`].
    pub fn prepare(
        machine: &Machine,
        config: &Config,
        progress: &dyn Fn(&str),
    ) -> Result<Self, ArtifactError> {
        let cache = Cache::open(&config.cache_dir)?;
        let qemu = survey::qemu()?;
        let kernel = kernel::newest()?;
        let index = ModuleIndex::read(&kernel.modules)?;

        let uncompressed = kernel::uncompressed(&kernel, &cache, progress)?;
        let initramfs = initramfs::build(&kernel, &index, &config.init_binary, &cache, progress)?;
        let root_tree = survey::host_tree(machine, &qemu, &kernel, &uncompressed, &index)?;
        let root =
            cache.entry("root", "img", root_tree.fingerprint(BUILDER_VERSION)?.as_str(), |target| {
                progress("building the lab host's root image");
                image::build(&root_tree, Some(&kernel.release), target)
            })?;
        let payload_tree = payload_tree(&config.payload)?;
        let payload = cache.entry(
            "payload",
            "img",
            payload_tree.content_hash(BUILDER_VERSION)?.as_str(),
            |target| {
                progress("building the payload image");
                image::build(&payload_tree, None, target)
            },
        )?;
        cache.prune();
        Ok(Self { kernel: uncompressed, initramfs, root, payload, qemu, kernel_release: kernel.release })
    }
}

fn payload_tree(files: &[PayloadFile]) -> Result<Tree, ArtifactError> {
    let mut tree = Tree::default();
    for file in files {
        if !file.guest.is_absolute() {
            return Err(ArtifactError::Payload { path: file.guest.clone() });
        }
        tree.insert(&file.guest, Node::File(file.host.clone()));
        for library in survey::shared_libraries(&file.host)? {
            tree.insert(&library, Node::File(library.clone()));
        }
    }
    Ok(tree)
}

fn read(path: &Path) -> Result<Vec<u8>, ArtifactError> {
    std::fs::read(path).map_err(|source| ArtifactError::io("read", path, source))
}
