//! What a user says of an image of their own: where it is, that it is the right one, how to log in.
//!
//! ```toml
//! image    = "/srv/images/freebsd.qcow2"
//! format   = "qcow2"
//! sha256   = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! user     = "root"
//! password = "secret"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_spanned::Spanned;
use sha2::{Digest, Sha256};

use super::boot::ImageFormat;
use super::image::PrepareError;
use crate::source::{FileError, Source};

/// A user's image, and how to log in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSettings {
    /// The image. It is never written to.
    pub image: PathBuf,
    /// Its format.
    pub format: ImageFormat,
    /// Its SHA-256, 64 small hexadecimal digits.
    pub sha256: String,
    /// What the script's places `{user}` and `{password}` stand for.
    pub names: BTreeMap<String, String>,
}

mod wire {
    use serde::Deserialize;
    use serde_spanned::Spanned;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Settings {
        pub(super) image: String,
        pub(super) format: Spanned<String>,
        pub(super) sha256: Spanned<String>,
        pub(super) user: Option<String>,
        pub(super) password: Option<String>,
    }
}

impl ImageSettings {
    /// Reads a user's file.
    ///
    /// # Errors
    ///
    /// The text says something else; the error names the place.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let source = Source { file, text };
        let raw: wire::Settings = source.read()?;
        let format = match raw.format.get_ref().as_str() {
            "raw" => ImageFormat::Raw,
            "qcow2" => ImageFormat::Qcow2,
            other => {
                let message = format!("no format `{other}` of an image");
                return Err(source.error_with_hint(&raw.format.span(), message, "raw or qcow2"));
            }
        };
        let sha256 = digits(&raw.sha256, &source)?;
        let names = [("user", raw.user), ("password", raw.password)];
        let names = names.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap_or_default()));
        Ok(Self { image: raw.image.into(), format, sha256, names: names.collect() })
    }

    /// The settings for a guest, with the image's checksum compared.
    pub(super) fn load(directory: &Path, guest: &str) -> Result<Self, PrepareError> {
        let path = directory.join(format!("{guest}.toml"));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PrepareError::NoImage { guest: guest.to_owned(), settings: path });
            }
            Err(source) => return Err(PrepareError::File { action: "read", path, source }),
        };
        let settings = Self::parse(&path.display().to_string(), &text)?;
        let failed = |source| PrepareError::File { action: "read", path: settings.image.clone(), source };
        let found = checksum(&settings.image).map_err(failed)?;
        if found == settings.sha256 {
            return Ok(settings);
        }
        Err(PrepareError::Checksum { path: settings.image, found, declared: settings.sha256 })
    }
}

fn digits(text: &Spanned<String>, source: &Source<'_>) -> Result<String, FileError> {
    let digits = text.get_ref().to_ascii_lowercase();
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(source.error_with_hint(
        &text.span(),
        "this is no SHA-256",
        "64 hexadecimal digits, as `sha256sum` prints",
    ))
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(count) => hash.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_image_is_taken_only_with_its_own_checksum() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("disk");
        fs::write(&image, "").unwrap();
        let write = |sum: &str| {
            let text = format!("image = {image:?}\nformat = 'raw'\nsha256 = '{sum}'\nuser = 'root'\n");
            fs::write(directory.path().join("openbsd.toml"), text).unwrap();
            ImageSettings::load(directory.path(), "openbsd")
        };
        let settings = write(EMPTY).unwrap();
        assert_eq!(settings.names.get("user").map(String::as_str), Some("root"));
        let error = write(&"0".repeat(64)).unwrap_err();
        assert!(matches!(&error, PrepareError::Checksum { found, .. } if found == EMPTY), "{error}");
        let error = ImageSettings::load(directory.path(), "netbsd").unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("netbsd.toml")), "{error}");
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let error =
            ImageSettings::parse("f.toml", "image = 'a'\nformat = 'raw'\nsha256 = 'abc'\n").unwrap_err();
        assert_eq!(error.to_string(), "f.toml:3:10: this is no SHA-256");
        let error =
            ImageSettings::parse("f.toml", &format!("image = 'a'\nformat = 'vdi'\nsha256 = '{EMPTY}'"))
                .unwrap_err();
        assert!(error.to_string().starts_with("f.toml:2:10: no format `vdi`"), "{error}");
    }
}
