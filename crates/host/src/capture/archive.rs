//! The capture file: writing it, and reading one that may come from anybody.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use super::dump;
use super::snapshot::{Answers, Content, Snapshot};
use super::wire::v1::{Asked, FORMAT, Manifest, Missing, Why};
use crate::kernel::ReadErrorKind;

/// Bytes that a capture may have unpacked. Ten thousand functions take some 100 MiB.
const MOST_BYTES: u64 = 512 << 20;
/// Files that a capture may have.
const MOST_FILES: usize = 1 << 20;
/// Length that a path may have, in bytes (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;
/// Memory that zstd may use for its window, as a power of two: what level 19 uses at most (`zstd.h`).
const WINDOW_LOG: u32 = 27;
/// Compression level; higher ones take seconds for some per cent.
const LEVEL: i32 = 9;

const MANIFEST: &str = "manifest.toml";
const TREE: &str = "tree";

/// Why a capture could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be written or read.
    #[error("cannot {what} capture")]
    Io {
        /// `write` or `read`.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no manifest.
    #[error("capture has no {MANIFEST}")]
    NoManifest,
    /// The manifest is not of the form it should be.
    #[error("cannot understand {MANIFEST}")]
    Manifest(#[source] Box<toml::de::Error>),
    /// The manifest could not be made.
    #[error("cannot make {MANIFEST}")]
    MakeManifest(#[source] Box<toml::ser::Error>),
    /// It was written by a later version.
    #[error("capture has format {0}, and this program reads format {FORMAT}")]
    Format(u32),
    /// There is more in it than any host has.
    #[error("capture has more than {0}")]
    TooMuch(&'static str),
    /// Something in it is no file, or lies at a place where no capture has one.
    #[error("capture holds {0:?}, which is not a file of a capture")]
    Foreign(String),
    /// A file of bytes is not of the form it should be.
    #[error("cannot understand the hexadecimal text of {0}")]
    Hex(String),
}

impl CaptureError {
    fn reading(source: io::Error) -> Self {
        Self::Io { what: "read", source }
    }

    fn writing(source: io::Error) -> Self {
        Self::Io { what: "write", source }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Format(_) => Some("a later version of this program can read it"),
            Self::NoManifest | Self::Foreign(_) => Some("make it anew with `slotwise capture`"),
            _ => None,
        }
    }
}

/// Writes `snapshot` as a capture file.
pub(super) fn write(
    snapshot: &Snapshot,
    kernel: Option<String>,
    redacted: &[String],
    out: &mut dyn Write,
) -> Result<(), CaptureError> {
    let mut manifest = Manifest {
        format: FORMAT,
        slotwise: env!("CARGO_PKG_VERSION").to_owned(),
        kernel,
        redacted: redacted.to_vec(),
        ..Manifest::default()
    };
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (path, answer) in &snapshot.files {
        match answer {
            Ok(Content::Whole(bytes)) if is_text(bytes) => {
                files.insert(format!("{TREE}{path}"), bytes.clone());
            }
            Ok(content) => {
                manifest.hex.push(path.clone());
                files.insert(format!("{TREE}{path}.hex"), dump::to_text(content).into_bytes());
            }
            Err(kind) => manifest.missing.push(missing(Asked::File, path, kind)),
        }
    }
    split(&snapshot.links, Asked::Link, &mut manifest.links, &mut manifest.missing);
    split(&snapshot.lists, Asked::List, &mut manifest.lists, &mut manifest.missing);
    let text = toml::to_string(&manifest).map_err(|error| CaptureError::MakeManifest(Box::new(error)))?;
    let encoder = zstd::Encoder::new(out, LEVEL).map_err(CaptureError::writing)?;
    let mut archive = tar::Builder::new(encoder);
    append(&mut archive, MANIFEST, text.as_bytes())?;
    for (path, bytes) in &files {
        append(&mut archive, path, bytes)?;
    }
    let encoder = archive.into_inner().map_err(CaptureError::writing)?;
    encoder.finish().map_err(CaptureError::writing)?.flush().map_err(CaptureError::writing)
}

/// Text that people can read and every editor keeps as it is.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()))
}

fn split<T: Clone>(
    answers: &Answers<T>,
    asked: Asked,
    had: &mut BTreeMap<String, T>,
    not_had: &mut Vec<Missing>,
) {
    for (path, answer) in answers {
        match answer {
            Ok(value) => _ = had.insert(path.clone(), value.clone()),
            Err(kind) => not_had.push(missing(asked, path, kind)),
        }
    }
}

fn missing(asked: Asked, path: &str, kind: &ReadErrorKind) -> Missing {
    let (why, detail) = match kind {
        ReadErrorKind::NotFound => (Why::NotFound, None),
        ReadErrorKind::Denied => (Why::Denied, None),
        ReadErrorKind::Vanished => (Why::Vanished, None),
        ReadErrorKind::NotInSource => (Why::NotInSource, None),
        ReadErrorKind::TooLarge { limit_bytes } => (Why::TooLarge, Some(limit_bytes.to_string())),
        ReadErrorKind::Other(words) => (Why::Failed, Some(words.clone())),
    };
    Missing { asked, path: path.to_owned(), why, detail }
}

fn kind(missing: &Missing) -> ReadErrorKind {
    let detail = || missing.detail.clone().unwrap_or_default();
    match missing.why {
        Why::NotFound => ReadErrorKind::NotFound,
        Why::Denied => ReadErrorKind::Denied,
        Why::Vanished => ReadErrorKind::Vanished,
        Why::NotInSource => ReadErrorKind::NotInSource,
        Why::TooLarge => ReadErrorKind::TooLarge { limit_bytes: detail().parse().unwrap_or(0) },
        Why::Failed => ReadErrorKind::Other(detail()),
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, path: &str, bytes: &[u8]) -> Result<(), CaptureError> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, bytes).map_err(CaptureError::writing)
}

/// Reads the capture at `path`: the file, or a directory that it was unpacked into.
///
/// # Errors
/// If it is no capture, or one that is damaged or too large.
pub fn open(path: &Path) -> Result<Snapshot, CaptureError> {
    if path.is_dir() {
        return unpacked(path);
    }
    packed(fs::File::open(path).map_err(CaptureError::reading)?)
}

/// Reads a capture file from memory.
///
/// # Errors
/// As for [`open`].
pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot, CaptureError> {
    packed(bytes)
}

fn packed(file: impl Read) -> Result<Snapshot, CaptureError> {
    let mut decoder = zstd::Decoder::new(file).map_err(CaptureError::reading)?;
    decoder.window_log_max(WINDOW_LOG).map_err(CaptureError::reading)?;
    // One byte more than allowed, so that the end of the allowance is not taken for the end of the file.
    let mut archive = tar::Archive::new(decoder.take(MOST_BYTES + 1));
    let mut reader = Reader::default();
    for entry in archive.entries().map_err(CaptureError::reading)? {
        let mut entry = entry.map_err(CaptureError::reading)?;
        let path = entry.path_bytes().into_owned();
        let path = String::from_utf8_lossy(&path).into_owned();
        // `tar -c` of an unpacked capture has directories too.
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return Err(CaptureError::Foreign(path));
        }
        let size = entry.size();
        reader.file(path.strip_prefix("./").unwrap_or(&path), size, &mut entry)?;
    }
    reader.finish()
}

fn unpacked(root: &Path) -> Result<Snapshot, CaptureError> {
    let mut reader = Reader::default();
    let mut waiting: Vec<PathBuf> = vec![root.join(TREE)];
    let manifest = root.join(MANIFEST);
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    if !is_file(&manifest) {
        return Err(CaptureError::NoManifest);
    }
    let mut take = |path: &Path| {
        let file = fs::File::open(path).map_err(CaptureError::reading)?;
        let size = file.metadata().map_err(CaptureError::reading)?.len();
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        reader.file(&name, size, &mut { file })
    };
    take(&manifest)?;
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(CaptureError::reading(error)),
        };
        for entry in entries {
            let entry = entry.map_err(CaptureError::reading)?;
            // Of the entry itself: a link is neither and is not followed.
            let kind = entry.file_type().map_err(CaptureError::reading)?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                take(&entry.path())?;
            } else {
                return Err(CaptureError::Foreign(entry.path().display().to_string()));
            }
            if waiting.len() > MOST_FILES {
                return Err(CaptureError::TooMuch("a million directories"));
            }
        }
    }
    reader.finish()
}

/// Files of a capture, counted while they are taken.
#[derive(Debug, Default)]
struct Reader {
    manifest: Option<Manifest>,
    /// By path on the host, `.hex` still behind it.
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
}

impl Reader {
    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), CaptureError> {
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MOST_BYTES {
            return Err(CaptureError::TooMuch("512 MiB"));
        }
        if self.files.len() >= MOST_FILES {
            return Err(CaptureError::TooMuch("a million files"));
        }
        let foreign = || CaptureError::Foreign(path.chars().take(200).collect());
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if path.len() > LONGEST_PATH || !Path::new(path).components().all(plain) {
            return Err(foreign());
        }
        let mut bytes = Vec::new();
        content.take(size).read_to_end(&mut bytes).map_err(CaptureError::reading)?;
        if path == MANIFEST {
            let text = String::from_utf8_lossy(&bytes);
            self.manifest = Some(manifest(&text)?);
            return Ok(());
        }
        let place = path.strip_prefix(TREE).filter(|place| place.starts_with('/')).ok_or_else(foreign)?;
        self.files.insert(place.to_owned(), bytes);
        Ok(())
    }

    fn finish(mut self) -> Result<Snapshot, CaptureError> {
        let manifest = self.manifest.take().ok_or(CaptureError::NoManifest)?;
        let mut snapshot = Snapshot::default();
        for path in manifest.hex {
            let Some(text) = self.files.remove(&format!("{path}.hex")) else { continue };
            let limit = text.len();
            let content = std::str::from_utf8(&text).ok().and_then(|text| dump::from_text(text, limit));
            let Some(content) = content else { return Err(CaptureError::Hex(path)) };
            snapshot.files.insert(path, Ok(content));
        }
        let whole = self.files.into_iter().map(|(path, bytes)| (path, Ok(Content::Whole(bytes))));
        snapshot.files.extend(whole);
        snapshot.links.extend(manifest.links.into_iter().map(|(path, text)| (path, Ok(text))));
        snapshot.lists.extend(manifest.lists.into_iter().map(|(path, mut names)| {
            // Readers search them.
            names.sort_unstable();
            (path, Ok(names))
        }));
        for missing in manifest.missing {
            let kind = kind(&missing);
            match missing.asked {
                Asked::File => _ = snapshot.files.insert(missing.path, Err(kind)),
                Asked::Link => _ = snapshot.links.insert(missing.path, Err(kind)),
                Asked::List => _ = snapshot.lists.insert(missing.path, Err(kind)),
            }
        }
        Ok(snapshot)
    }
}

fn manifest(text: &str) -> Result<Manifest, CaptureError> {
    /// What every version has.
    fn format(text: &str) -> Option<u32> {
        text.lines().find_map(|line| line.strip_prefix("format = ")?.trim().parse().ok())
    }
    if let Some(other) = format(text).filter(|format| *format != FORMAT) {
        return Err(CaptureError::Format(other));
    }
    let manifest: Manifest = toml::from_str(text).map_err(|error| CaptureError::Manifest(Box::new(error)))?;
    if manifest.format == FORMAT { Ok(manifest) } else { Err(CaptureError::Format(manifest.format)) }
}
