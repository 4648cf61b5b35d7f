//! The kernel a lab host runs: the newest installed one, uncompressed where possible.
//!
//! A distribution's image decompresses itself, which takes an emulated processor several seconds. QEMU starts an
//! uncompressed ELF kernel through its PVH entry (`CONFIG_PVH`, arch/x86/platform/pvh; QEMU 4.0 and later), so the
//! image is decompressed here, by the tool its format needs. Where the payload or the entry cannot be found, the
//! image is used as it is.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cache::Cache;
use super::error::ArtifactError;
use super::survey::{find_program, version_pair};
use super::tree::{Node, Tree};

const NEEDED: (u32, u32) = (6, 1);

/// An installed kernel.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) release: String,
    pub(super) image: PathBuf,
    pub(super) modules: PathBuf,
}

/// The newest kernel that has both an image and modules.
pub(super) fn newest() -> Result<Kernel, ArtifactError> {
    let missing = || ArtifactError::MissingFile {
        what: "a kernel image /boot/vmlinuz-* with its /lib/modules".to_owned(),
        package: "linux-image-amd64",
    };
    let mut kernels: Vec<(Vec<u32>, Kernel)> = fs::read_dir("/boot")
        .map_err(|source| ArtifactError::io("list", "/boot", source))?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let release = name.strip_prefix("vmlinuz-")?.to_owned();
            let modules = Path::new("/lib/modules").join(&release);
            modules.join("modules.dep").exists().then(|| {
                (numbers(&release), Kernel { release: release.clone(), image: entry.path(), modules })
            })
        })
        .collect();
    kernels.sort_by(|a, b| a.0.cmp(&b.0));
    let (_, kernel) = kernels.pop().ok_or_else(missing)?;
    match version_pair(&kernel.release) {
        Some(found) if found >= NEEDED => Ok(kernel),
        _ => Err(ArtifactError::TooOld { program: "Linux", found: kernel.release, needed: "6.1" }),
    }
}

/// The numbers in a release, to compare releases by.
fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The kernel's image as QEMU starts it fastest.
pub(super) fn uncompressed(
    kernel: &Kernel,
    cache: &Cache,
    progress: &dyn Fn(&str),
) -> Result<PathBuf, ArtifactError> {
    let mut inputs = Tree::default();
    inputs.insert(Path::new("/vmlinuz"), Node::File(kernel.image.clone()));
    cache.entry("kernel", "elf", &inputs.fingerprint(super::BUILDER_VERSION)?, |target| {
        progress("decompressing the kernel");
        let image = super::read(&kernel.image)?;
        let bytes = extract(&image)?.unwrap_or(image);
        fs::write(target, bytes).map_err(|source| ArtifactError::io("write", target, source))
    })
}

/// The ELF kernel inside a bzImage. The setup header says where its payload lies: `setup_sects` at 0x1f1,
/// `payload_offset` at 0x248 and `payload_length` at 0x24c, little endian, the offset counted from the
/// protected-mode code (Documentation/x86/boot.rst, protocol 2.08).
fn extract(image: &[u8]) -> Result<Option<Vec<u8>>, ArtifactError> {
    let Some(payload) = payload(image) else { return Ok(None) };
    let Some((tool, package, arguments)) = decompressor(payload) else { return Ok(None) };
    let bytes = filter(tool, package, arguments, payload)?;
    let is_pvh = bytes.starts_with(b"\x7fELF") && has_pvh_note(&bytes);
    Ok(is_pvh.then_some(bytes))
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |offset: usize| -> Option<usize> {
        let bytes = image.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let setup_sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup_sectors + 1).checked_mul(512)?.checked_add(word(0x248)?)?;
    // The last four bytes of the payload are the length of what it unpacks to, appended by the kernel's build.
    let end = start.checked_add(word(0x24c)?)?.checked_sub(4)?;
    image.get(start..end)
}

/// The tool that unpacks this payload, its package, and its arguments.
fn decompressor(payload: &[u8]) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    const FORMATS: &[(&[u8], &str, &str, &[&str])] = &[
        (b"\xfd7zXZ\0", "xz", "xz-utils", &["-dc"]),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd", &["-dcq"]),
        (b"\x1f\x8b\x08", "gzip", "gzip", &["-dc"]),
        (b"\x02\x21\x4c\x18", "lz4", "lz4", &["-dc"]),
    ];
    FORMATS
        .iter()
        .find(|(magic, ..)| payload.starts_with(magic))
        .map(|&(_, tool, package, arguments)| (tool, package, arguments))
}

/// Whether the ELF file has a note of name `Xen` and type 18, `XEN_ELFNOTE_PHYS32_ENTRY`
/// (include/xen/interface/elfnote.h): namesz 4, descsz 4 or 8, type, then the name.
fn has_pvh_note(elf: &[u8]) -> bool {
    [4u8, 8].iter().any(|&size| {
        let note = [4, 0, 0, 0, size, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0];
        elf.windows(note.len()).step_by(4).any(|window| window == note)
    })
}

/// What a module's file holds, decompressed by its extension.
pub(super) fn module_bytes(path: &Path) -> Result<Vec<u8>, ArtifactError> {
    let bytes = super::read(path)?;
    match decompressor(&bytes) {
        Some((tool, package, arguments)) => filter(tool, package, arguments, &bytes),
        None => Ok(bytes),
    }
}

fn filter(
    tool: &str,
    package: &'static str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Vec<u8>, ArtifactError> {
    let program = find_program(tool, package)?;
    let failed = |source| ArtifactError::io("run", &program, source);
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // The tool's own message, not a broken pipe here, says what was wrong with the input.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
    .map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ArtifactError::Program { program: tool.to_owned(), stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_their_numbers() {
        assert!(numbers("6.1.0-56-amd64") > numbers("6.1.0-9-amd64"));
        assert!(numbers("6.12.3-amd64") > numbers("6.1.0-56-amd64"));
    }

    #[test]
    fn an_image_that_is_none_has_no_payload() {
        assert_eq!(payload(&[0; 0x300]), None);
        assert_eq!(payload(b"HdrS"), None);
        let mut image = vec![0; 0x400];
        image.get_mut(0x202..0x206).unwrap().copy_from_slice(b"HdrS");
        image.get_mut(0x248..0x250).unwrap().fill(0xff);
        assert_eq!(payload(&image), None);
    }
}
