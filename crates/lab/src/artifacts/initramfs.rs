//! The initial RAM file system: the first process, the modules that reach the disks, and their load order.
//!
//! Format: uncompressed "newc" cpio (Documentation/driver-api/early-userspace/buffer-format.rst), which costs an
//! emulated processor least.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cpio::newc::{self, Builder};

use super::cache::Cache;
use super::error::ArtifactError;
use super::kernel::{Kernel, module_bytes};
use super::modules::{ModuleIndex, UnknownModule};
use super::tree::{Node, Tree};
use super::{EARLY_MODULES_DIR, EARLY_MODULES_LIST};

/// Modules that the way to the root takes.
const NEEDED: &[&str] = &["virtio_pci", "virtio_blk", "virtio_console", "ext4", "overlay"];
/// Modules that it takes on some kernels: ext4 asks the crypto API for crc32c by name.
const WHERE_PRESENT: &[&str] = &["crc32c_generic"];

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const PLAIN: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// The initramfs for this kernel and first process.
pub(super) fn build(
    kernel: &Kernel,
    index: &ModuleIndex,
    init: &Path,
    cache: &Cache,
    progress: &dyn Fn(&str),
) -> Result<PathBuf, ArtifactError> {
    let names: Vec<&str> =
        WHERE_PRESENT.iter().copied().filter(|name| index.has(name)).chain(NEEDED.iter().copied()).collect();
    let modules = index.load_order(&names).map_err(|UnknownModule(module)| ArtifactError::NoModule {
        module,
        release: kernel.release.clone(),
    })?;
    let modules: Vec<PathBuf> = modules.iter().map(|path| kernel.modules.join(path)).collect();

    let mut inputs = Tree::default();
    inputs.insert(Path::new("/init"), Node::File(init.to_owned()));
    for path in &modules {
        inputs.insert(path, Node::File(path.clone()));
    }
    cache.entry("initramfs", "cpio", &inputs.content_hash(super::BUILDER_VERSION)?, |target| {
        progress("building the initial RAM file system");
        let init_bytes = super::read(init)?;
        if names_an_interpreter(&init_bytes) {
            return Err(ArtifactError::DynamicInit { path: init.to_owned() });
        }
        let mut contents = Vec::new();
        for path in &modules {
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = file.split_once(".ko").map_or(file.clone(), |(stem, _)| format!("{stem}.ko"));
            contents.push((name, module_bytes(path)?));
        }
        let write = || -> io::Result<()> { archive(File::create(target)?, &init_bytes, &contents) };
        write().map_err(|source| ArtifactError::io("write", target, source))
    })
}

/// Whether an ELF file has a `PT_INTERP` program header, that is, needs a dynamic loader (System V gABI, chapter 5;
/// ELF-64: `e_phoff` at 0x20, `e_phentsize` at 0x36, `e_phnum` at 0x38, `p_type` first in each entry).
fn names_an_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at.checked_add(2)?)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let headers = || -> Option<(usize, usize, usize)> {
        Some((usize::try_from(word(0x20)?).ok()?, usize::from(half(0x36)?), usize::from(half(0x38)?)))
    };
    let Some((start, size, count)) = headers() else { return false };
    (0..count).any(|index| {
        let at = index.checked_mul(size).and_then(|offset| start.checked_add(offset));
        at.and_then(word) == Some(PT_INTERP)
    })
}

fn archive(file: File, init: &[u8], modules: &[(String, Vec<u8>)]) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    let mut inode = 1;
    let mut entry = |name: &str, mode: u32| {
        inode += 1;
        Builder::new(name).ino(inode).mode(mode).nlink(1)
    };
    let mut parent = PathBuf::new();
    for part in Path::new(EARLY_MODULES_DIR) {
        parent.push(part);
        put(&mut out, entry(&parent.to_string_lossy(), DIRECTORY), &[])?;
    }
    put(&mut out, entry("dev", DIRECTORY), &[])?;
    // The kernel opens the console for the first process before that can mount anything on /dev.
    put(&mut out, entry("dev/console", CHARACTER_DEVICE).rdev_major(5).rdev_minor(1), &[])?;
    put(&mut out, entry("init", EXECUTABLE), init)?;
    let mut order = String::new();
    for (name, bytes) in modules {
        order.push_str(name);
        order.push('\n');
        put(&mut out, entry(&format!("{EARLY_MODULES_DIR}/{name}"), PLAIN), bytes)?;
    }
    put(&mut out, entry(EARLY_MODULES_LIST, PLAIN), order.as_bytes())?;
    newc::trailer(&mut out)?;
    out.flush()
}

fn put(out: &mut impl Write, entry: Builder, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut writer = entry.write(out, length);
    writer.write_all(bytes)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_archive_lists_modules_in_the_order_given() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let modules = [("b.ko".to_owned(), vec![1; 5]), ("a.ko".to_owned(), vec![2; 3])];
        archive(file.reopen().unwrap(), b"\x7fELF", &modules).unwrap();
        let mut names = Vec::new();
        let mut input = file.reopen().unwrap();
        loop {
            let mut reader = newc::Reader::new(input).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            names.push((reader.entry().name().to_owned(), bytes.len()));
            input = reader.finish().unwrap();
        }
        let expected = [
            ("lab", 0),
            ("lab/modules", 0),
            ("dev", 0),
            ("dev/console", 0),
            ("init", 4),
            ("lab/modules/b.ko", 5),
            ("lab/modules/a.ko", 3),
            ("lab/modules.order", 10),
        ];
        assert_eq!(names, expected.map(|(name, size)| (name.to_owned(), size)));
    }

    #[test]
    fn this_test_is_dynamically_linked_and_noise_is_not() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(names_an_interpreter(&own), !cfg!(target_feature = "crt-static"));
        assert!(!names_an_interpreter(&[0xff; 100]));
        assert!(!names_an_interpreter(b"\x7fELF"));
    }
}
