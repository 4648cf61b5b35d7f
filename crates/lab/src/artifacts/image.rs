//! Makes an ext4 image of a tree, without root and without mounting: `mke2fs -d` copies a folder into a new image.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::error::ArtifactError;
use super::survey::find_program;
use super::tree::{Node, Tree};

/// Bytes an image has beyond its files: tables, and what rounding costs.
const OVERHEAD: u64 = 16 << 20;

/// Builds the image at `target`; with `release`, the modules of that kernel in the tree are indexed by depmod.
pub(super) fn build(tree: &Tree, release: Option<&str>, target: &Path) -> Result<(), ArtifactError> {
    let stage = target.with_extension("stage");
    let bytes = stage_files(tree, &stage)?;
    if let Some(release) = release {
        run(
            "depmod",
            "kmod",
            Command::new(find_program("depmod", "kmod")?).arg("-b").arg(&stage).arg(release),
        )?;
    }
    // A twentieth more than the files, for block lists and directories.
    let kibibytes = (bytes + bytes / 20 + OVERHEAD) / 1024;
    let mut mke2fs = Command::new(find_program("mke2fs", "e2fsprogs")?);
    // The image is written once and then read only: no journal, no room for root, no checksums to verify.
    mke2fs
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-I", "256"])
        .args([
            "-O",
            "^has_journal,^metadata_csum,^64bit,^resize_inode",
            "-E",
            "lazy_itable_init=1,root_owner=0:0",
        ])
        .arg("-d")
        .arg(&stage)
        .arg(target)
        .arg(format!("{kibibytes}k"));
    run("mke2fs", "e2fsprogs", &mut mke2fs)?;
    fs::remove_dir_all(&stage).map_err(|source| ArtifactError::io("remove", &stage, source))
}

/// Lays the tree out in a folder; answers the bytes it takes in blocks.
fn stage_files(tree: &Tree, stage: &Path) -> Result<u64, ArtifactError> {
    let mut bytes = 0;
    create(stage)?;
    for (path, node) in tree.iter() {
        let to = stage.join(path);
        if let Some(parent) = to.parent() {
            create(parent)?;
        }
        let written = match node {
            Node::File(from) => {
                fs::copy(from, &to).map_err(|source| ArtifactError::io("copy", from, source))?
            }
            Node::Text(text) => {
                fs::write(&to, text).map_err(|source| ArtifactError::io("write", &to, source))?;
                0
            }
            Node::Link(target) => {
                symlink(target, &to).map_err(|source| ArtifactError::io("link", &to, source))?;
                0
            }
            Node::Directory(mode) => {
                create(&to)?;
                fs::set_permissions(&to, fs::Permissions::from_mode(*mode))
                    .map_err(|source| ArtifactError::io("set the mode of", &to, source))?;
                0
            }
        };
        bytes += written.next_multiple_of(4096) + 4096;
    }
    Ok(bytes)
}

fn create(directory: &Path) -> Result<(), ArtifactError> {
    fs::create_dir_all(directory).map_err(|source| ArtifactError::io("create", directory, source))
}

fn run(program: &str, package: &'static str, command: &mut Command) -> Result<(), ArtifactError> {
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            ArtifactError::MissingProgram { program: program.to_owned(), package }
        }
        _ => ArtifactError::io("run", program, error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ArtifactError::Program { program: program.to_owned(), stderr })
}
