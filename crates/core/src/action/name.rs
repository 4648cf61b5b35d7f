//! Texts that end up on `modprobe`'s command line or in a path: checked once, here.

use std::fmt;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text is no module parameter.
    #[error("{0:?} is not a module parameter (expected NAME=VALUE without space)")]
    Parameter(String),
    /// The text is no path that may be written.
    #[error(
        "{0:?} is not a configuration file (expected a plain absolute path outside /sys, /proc, /dev and /run)"
    )]
    File(String),
}

/// The beginning of a text that was refused, for the message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A parameter that a module is loaded with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parameter {
    name: String,
    value: String,
}

impl Parameter {
    /// A parameter and its value.
    ///
    /// # Errors
    /// If the name is no identifier or the value holds a space, a quote or a control character.
    pub fn new(name: &str, value: &str) -> Result<Self, TextError> {
        let identifier = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let plain = value.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'');
        if !identifier || !plain || name.len() + value.len() > 1024 {
            return Err(TextError::Parameter(shown(&format!("{name}={value}"))));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// The parameter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value; may be empty.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// The absolute path of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

impl FilePath {
    /// A path.
    ///
    /// # Errors
    /// If it is not absolute, has empty, `.` or `..` parts or control characters, or lies where files are not
    /// configuration: `/sys`, `/proc`, `/dev`, `/run`.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let fail = || TextError::File(shown(text));
        let relative = text.strip_prefix('/').ok_or_else(fail)?;
        let parts: Vec<&str> = relative.split('/').collect();
        let plain = parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
        let elsewhere = matches!(parts.first(), Some(&("sys" | "proc" | "dev" | "run")));
        if !plain || elsewhere || parts.len() < 2 || text.len() > 1024 || text.chars().any(char::is_control) {
            return Err(fail());
        }
        Ok(Self(text.to_owned()))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_one_word() {
        assert_eq!(Parameter::new("ids", "9004:5078").map(|p| p.to_string()).as_deref(), Ok("ids=9004:5078"));
        for (name, value) in [("", "1"), ("a=b", "1"), ("a", "1 b=2"), ("a", "\n"), ("-r", "")] {
            assert!(Parameter::new(name, value).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn files_outside_configuration_are_refused() {
        assert!(FilePath::new("/etc/modprobe.d/slotwise.conf").is_ok());
        for bad in [
            "",
            "etc/x",
            "/",
            "/etc",
            "/etc/../sys/x",
            "/etc//x",
            "/sys/bus/pci/rescan",
            "/dev/sda",
            "/etc/\n",
        ] {
            assert!(FilePath::new(bad).is_err(), "{bad:?}");
        }
    }
}
