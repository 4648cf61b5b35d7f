//! The content of an image before it is one: guest paths and where their bytes come from.
//!
//! Distributions have merged `/bin`, `/sbin` and `/lib*` into `/usr`; so do the images, and paths are brought into
//! that form on insertion.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::ArtifactError;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The content of this file, with its permission bits.
    File(PathBuf),
    /// This text, readable by all.
    Text(String),
    /// A symbolic link.
    Link(PathBuf),
    /// An empty directory with these permission bits.
    Directory(u32),
}

/// Guest paths, relative to the root, and what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree(BTreeMap<PathBuf, Node>);

impl Tree {
    /// Puts a node at an absolute path; the last one put there stays.
    pub(super) fn insert(&mut self, path: &Path, node: Node) {
        self.0.insert(merged(path), node);
    }

    /// Puts a node where none is yet.
    pub(super) fn insert_if_free(&mut self, path: &Path, node: Node) {
        self.0.entry(merged(path)).or_insert(node);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_path(), node))
    }

    /// A hash over paths, sizes and times of the files: enough for files a package manager owns.
    pub(super) fn fingerprint(&self, salt: &str) -> Result<String, ArtifactError> {
        self.hash(salt, |path| {
            let metadata = fs::metadata(path).map_err(|source| ArtifactError::io("look at", path, source))?;
            let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
            Ok(format!("{} {seconds}.{nanoseconds} {:o}", metadata.len(), metadata.mode()).into_bytes())
        })
    }

    /// A hash over paths and contents: for files that a build writes anew without changing them.
    pub(super) fn content_hash(&self, salt: &str) -> Result<String, ArtifactError> {
        self.hash(salt, |path| {
            let bytes = super::read(path)?;
            let metadata = fs::metadata(path).map_err(|source| ArtifactError::io("look at", path, source))?;
            let mut digest = Sha256::digest(bytes).to_vec();
            digest.extend(metadata.permissions().mode().to_le_bytes());
            Ok(digest)
        })
    }

    fn hash(
        &self,
        salt: &str,
        of_file: impl Fn(&Path) -> Result<Vec<u8>, ArtifactError>,
    ) -> Result<String, ArtifactError> {
        let mut hasher = Sha256::new();
        // Each part goes in with its length, so that no two lists of parts are the same bytes.
        let mut add = |part: &[u8]| {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(salt.as_bytes());
        for (path, node) in &self.0 {
            add(path.as_os_str().as_bytes());
            match node {
                Node::File(source) => {
                    add(b"file");
                    add(source.as_os_str().as_bytes());
                    add(&of_file(source)?);
                }
                Node::Text(text) => {
                    add(b"text");
                    add(text.as_bytes());
                }
                Node::Link(target) => {
                    add(b"link");
                    add(target.as_os_str().as_bytes());
                }
                Node::Directory(mode) => {
                    add(b"directory");
                    add(&mode.to_le_bytes());
                }
            }
        }
        Ok(data_encoding::HEXLOWER.encode(hasher.finalize().get(..16).unwrap_or_default()))
    }
}

/// The path relative to the root, under `usr` where distributions have merged it; `..` leads nowhere.
fn merged(path: &Path) -> PathBuf {
    let plain: PathBuf = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part),
            _ => None,
        })
        .collect();
    let first = plain.components().next().map(|first| first.as_os_str().to_owned());
    match first.as_deref().and_then(|first| first.to_str()) {
        Some("bin" | "sbin" | "lib" | "lib64") if plain.components().count() > 1 => {
            Path::new("usr").join(plain)
        }
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_merged_into_usr_and_cannot_leave_the_root() {
        assert_eq!(
            merged(Path::new("/lib/x86_64-linux-gnu/libc.so.6")),
            Path::new("usr/lib/x86_64-linux-gnu/libc.so.6")
        );
        assert_eq!(merged(Path::new("/sbin/lspci")), Path::new("usr/sbin/lspci"));
        assert_eq!(merged(Path::new("/bin")), Path::new("bin"));
        assert_eq!(merged(Path::new("/../../etc/passwd")), Path::new("etc/passwd"));
        assert_eq!(merged(Path::new("/libexec/x")), Path::new("libexec/x"));
    }

    #[test]
    fn a_hash_changes_with_path_content_and_salt() {
        let tree = |path: &str, text: &str| {
            let mut tree = Tree::default();
            tree.insert(Path::new(path), Node::Text(text.to_owned()));
            tree
        };
        let hash = |tree: &Tree, salt: &str| tree.fingerprint(salt).unwrap();
        let base = hash(&tree("/a", "b"), "1");
        assert_eq!(base, hash(&tree("/a", "b"), "1"));
        for other in [hash(&tree("/a", "c"), "1"), hash(&tree("/ab", ""), "1"), hash(&tree("/a", "b"), "2")] {
            assert_ne!(base, other);
        }
    }
}
