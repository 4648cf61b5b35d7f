//! Where facts come from: this host, or what `--from` names, recognised from what is in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use slotwise_core::facts::{Facts, Origin, SourceKind, from_text, recognise};
use slotwise_host::capture::{self, CaptureError};
use slotwise_host::live::LiveHost;

use crate::error::{Failure, Hint};

/// The most bytes of a text or a packed capture that are read. Whole logs have some hundred KiB, a capture of ten
/// thousand functions some 20 MiB.
const MOST_BYTES: u64 = 128 << 20;

const SOURCES: &str = "a source is a file written by `slotwise capture`, a directory that holds sys/ and proc/ of some \
     host, or a text: `lspci -vvnnxxxx`, a listing of IOMMU groups, `udevadm info -e`, `acpidump`, a kernel log";

/// First bytes of what people pack: gzip (RFC 1952 §2.3.1), xz (its format §2.1.1.1), bzip2.
const PACKED: [&[u8]; 3] = [&[0x1f, 0x8b], &[0xfd, b'7', b'z', b'X', b'Z', 0], b"BZh"];

/// Reads this host.
pub(crate) fn this_host() -> Result<Facts, Failure> {
    let host = LiveHost::running()?;
    let boot_id = host.live().ok().map(|live| live.boot_id().to_string());
    Ok(slotwise_host::read(&host, Origin::Live { boot_id }))
}

/// Reads what `--from` names, `-` being standard input, or this host without it.
pub(crate) fn facts(from: Option<&Path>) -> Result<Facts, Failure> {
    let Some(path) = from else { return this_host() };
    if path == Path::new("-") {
        return of_stream(std::io::stdin().lock(), "standard input");
    }
    let name = path.display().to_string();
    if path.is_dir() {
        return of_directory(path, name);
    }
    of_stream(File::open(path).map_err(|error| cannot_read(&name, error))?, &name)
}

fn cannot_read(name: &str, error: std::io::Error) -> Failure {
    Failure::from(SourceError { name: name.to_owned(), source: error })
}

/// A source that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}")]
struct SourceError {
    name: String,
    source: std::io::Error,
}

fn of_stream(stream: impl Read, name: &str) -> Result<Facts, Failure> {
    let mut bytes = Vec::new();
    stream.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot_read(name, error))?;
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("{name} has more than {} MiB, which is no source of facts", MOST_BYTES >> 20);
        return Err(Failure::new(message).hint("cut a log down to one boot: `journalctl -k -b`"));
    }
    if recognise(&bytes) == Some(SourceKind::Capture) {
        let snapshot = capture::from_bytes(&bytes).map_err(Failure::hinted(|error: &CaptureError| {
            let no_capture = || format!("{name} is packed with zstd but is no capture; {SOURCES}");
            error.hint().map_or_else(no_capture, str::to_owned)
        }))?;
        return Ok(of_capture(&snapshot, name));
    }
    from_text(&bytes, name).ok_or_else(|| unrecognised(&bytes, name))
}

fn unrecognised(bytes: &[u8], name: &str) -> Failure {
    if bytes.is_empty() {
        return Failure::new(format!("{name} is empty")).hint(SOURCES);
    }
    let failure = Failure::new(format!("cannot tell what kind of source {name} is"));
    if PACKED.iter().any(|magic| bytes.starts_with(magic)) || bytes.get(257..262) == Some(b"ustar") {
        return failure.hint("it is an archive: unpack it and give the directory that holds sys/");
    }
    if bytes.windows(4).take(4096).any(|four| four == b"-[00") {
        return failure
            .hint("of lspci's forms the tree is not read, which tells little: give `lspci -vvnnxxxx`");
    }
    failure.hint(SOURCES)
}

fn of_capture(snapshot: &capture::Snapshot, name: &str) -> Facts {
    let origin = Origin::Saved { kind: SourceKind::Capture, name: name.to_owned() };
    slotwise_host::read(snapshot, origin)
}

fn of_directory(path: &Path, name: String) -> Result<Facts, Failure> {
    if path.join("manifest.toml").is_file() {
        let snapshot = capture::open(path).map_err(Failure::hinted(|error: &CaptureError| {
            error.hint().unwrap_or("the directory must be an unpacked capture").to_owned()
        }))?;
        return Ok(of_capture(&snapshot, &name));
    }
    let Some(root) = root_of_host(path) else {
        return Err(Failure::new(format!("{name} holds no sys/ or proc/ of a host")).hint(SOURCES));
    };
    let host = LiveHost::at(&root).hint("the directory must hold sys/ and proc/ of some host")?;
    let origin = Origin::Saved { kind: SourceKind::Directory, name };
    Ok(slotwise_host::read(&host, origin))
}

/// The directory that holds `sys` or `proc`: the one named, or the only one in it, as archives unpack.
fn root_of_host(path: &Path) -> Option<PathBuf> {
    let is_root = |path: &Path| path.join("sys").is_dir() || path.join("proc").is_dir();
    if is_root(path) {
        return Some(path.to_owned());
    }
    let mut below = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path()).filter(|p| is_root(p));
    let only = below.next()?;
    below.next().is_none().then_some(only)
}
