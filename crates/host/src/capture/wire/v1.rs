//! Version 1 of a capture's `manifest.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The value of [`Manifest::format`].
pub const FORMAT: u32 = 1;

/// What a capture holds beside the files below `tree/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always 1.
    pub format: u32,
    /// Version of the program that wrote it.
    pub slotwise: String,
    /// Kernel release of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// What was replaced or left out to keep secrets, in words.
    pub redacted: Vec<String>,
    /// Paths of files that lie below `tree/` as hexadecimal text, with `.hex` behind their name.
    pub hex: Vec<String>,
    /// What was asked for and not had.
    pub missing: Vec<Missing>,
    /// Symbolic links with their text.
    pub links: BTreeMap<String, String>,
    /// Directories with the names in them.
    pub lists: BTreeMap<String, Vec<String>>,
}

/// Something that was asked for and not had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// As what it was asked for.
    pub asked: Asked,
    /// Where.
    pub path: String,
    /// Why it was not had.
    pub why: Why,
    /// The limit in bytes for `too-large`, the system's words for `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// As what a path was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// A file's content.
    File,
    /// A symbolic link's text.
    Link,
    /// A directory's names.
    List,
}

/// Why something was not had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There was none.
    NotFound,
    /// Permission was missing.
    Denied,
    /// The device was gone.
    Vanished,
    /// It was longer than the reader wants.
    TooLarge,
    /// It was not in the source that was captured.
    NotInSource,
    /// Anything else.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: captures of this version are out there.
    const GOLDEN: &str = r#"format = 1
slotwise = "0.1.0"
kernel = "6.1.0"
redacted = ["/proc/cmdline: 1 value"]
hex = ["/sys/bus/pci/devices/0000:00:00.0/config"]

[[missing]]
asked = "file"
path = "/proc/swaps"
why = "not-found"

[[missing]]
asked = "list"
path = "/x"
why = "failed"
detail = "input/output error"

[links]
"/sys/bus/pci/devices/0000:00:00.0" = "../../../devices/pci0000:00/0000:00:00.0"

[lists]
"/sys/bus/pci/devices" = ["0000:00:00.0"]
"#;

    fn sample() -> Manifest {
        let path = || "/sys/bus/pci/devices/0000:00:00.0".to_owned();
        let missing = |asked, path: &str, why, detail: Option<&str>| Missing {
            asked,
            path: path.to_owned(),
            why,
            detail: detail.map(str::to_owned),
        };
        Manifest {
            format: FORMAT,
            slotwise: "0.1.0".to_owned(),
            kernel: Some("6.1.0".to_owned()),
            redacted: vec!["/proc/cmdline: 1 value".to_owned()],
            hex: vec![format!("{}/config", path())],
            missing: vec![
                missing(Asked::File, "/proc/swaps", Why::NotFound, None),
                missing(Asked::List, "/x", Why::Failed, Some("input/output error")),
            ],
            links: [(path(), "../../../devices/pci0000:00/0000:00:00.0".to_owned())].into(),
            lists: [("/sys/bus/pci/devices".to_owned(), vec!["0000:00:00.0".to_owned()])].into(),
        }
    }

    #[test]
    fn form_is_frozen() {
        assert_eq!(toml::to_string(&sample()).as_deref(), Ok(GOLDEN));
        assert_eq!(toml::from_str(GOLDEN), Ok(sample()));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(toml::from_str::<Manifest>(&format!("colour = 1\n{GOLDEN}")).is_err());
    }
}
