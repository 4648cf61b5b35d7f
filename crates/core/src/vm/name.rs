//! Names of virtual machines and of guest channels.
//!
//! Both end up in file names, socket paths and monitor options, so the alphabet is the one that is safe in all of
//! them.

use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("name is empty")]
    Empty,
    /// Longer than the limit.
    #[error("name {text:?} is longer than {limit} characters")]
    TooLong {
        /// The first characters of the text.
        text: String,
        /// How long it may be.
        limit: usize,
    },
    /// A first character that is not a letter or digit, so that no name is `..` or looks like an option.
    #[error("name {text:?} starts with {found:?}, not with a letter or digit")]
    Start {
        /// The text.
        text: String,
        /// Its first character.
        found: char,
    },
    /// A character outside `a-z A-Z 0-9 . _ -`.
    #[error("name {text:?} has {found:?} in it (letters, digits, '.', '_' and '-' are allowed)")]
    Character {
        /// The text.
        text: String,
        /// The first character that is not allowed.
        found: char,
    },
}

fn check(text: &str, limit: usize) -> Result<String, NameError> {
    let shown = || text.chars().take(80).collect::<String>();
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if let Some(found) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        return Err(NameError::Character { text: shown(), found });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { text: shown(), limit });
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::Start { text: shown(), found: first });
    }
    Ok(text.to_owned())
}

/// The name of a virtual machine: 1 to 40 characters of `a-z A-Z 0-9 . _ -`, the first a letter or digit.
///
/// 40, so that a socket under a runtime directory of that name stays within the 108 bytes of `sun_path`
/// (unix(7)).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmName(String);

/// The name of a channel between host and a program in the guest, for example `org.slotwise.agent.0`: 1 to 64
/// characters, the same alphabet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(String);

impl VmName {
    const LIMIT: usize = 40;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ChannelName {
    const LIMIT: usize = 64;

    /// The channel of the test agent, `org.slotwise.agent.0`.
    #[must_use]
    pub fn agent() -> Self {
        Self("org.slotwise.agent.0".to_owned())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VmName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, Self::LIMIT).map(Self)
    }
}

impl FromStr for ChannelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, Self::LIMIT).map(Self)
    }
}

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_taken_as_they_are() {
        for text in ["bench", "debian-12_i386.b", "0"] {
            assert_eq!(text.parse::<VmName>().map(|n| n.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn names_that_would_leave_their_folder_are_refused() {
        let parse = |text: &str| text.parse::<VmName>();
        assert_eq!(parse(""), Err(NameError::Empty));
        assert_eq!(parse(".."), Err(NameError::Start { text: "..".into(), found: '.' }));
        assert_eq!(parse("-S"), Err(NameError::Start { text: "-S".into(), found: '-' }));
        assert_eq!(parse("a/b"), Err(NameError::Character { text: "a/b".into(), found: '/' }));
        assert_eq!(parse("a,b"), Err(NameError::Character { text: "a,b".into(), found: ',' }));
        assert!(matches!(parse(&"x".repeat(41)), Err(NameError::TooLong { limit: 40, .. })));
    }

    #[test]
    fn the_agent_channel_is_a_valid_name() {
        assert_eq!(ChannelName::agent().as_str().parse(), Ok(ChannelName::agent()));
    }
}
