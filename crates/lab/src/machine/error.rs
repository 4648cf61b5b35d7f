//! What can be wrong with a machine's description.

use std::fmt;
use std::ops::Range;

/// A place in a text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Location {
    /// The place of a byte offset; an offset past the end is the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(start_of_line..).unwrap_or_default().chars().count() + 1,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// No machine is built in under this name.
    #[error("no lab machine is called {name}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The text is not TOML, or has a key or type that a machine has not.
    #[error("{}{message}", at(*.location))]
    Syntax {
        /// Where, when it is a text.
        location: Option<Location>,
        /// What the TOML reader says.
        message: String,
    },
    /// A value is not one that works.
    #[error("{}{message}", at(*.location))]
    Value {
        /// Where, when it is a text.
        location: Option<Location>,
        /// What does not work.
        message: String,
        /// What would.
        hint: String,
    },
    /// A setting names nothing the machine has.
    #[error("the machine has no setting {key}")]
    NoSetting {
        /// The key asked for.
        key: String,
        /// What there is.
        hint: String,
    },
    /// A setting leads to a machine that does not work.
    #[error("cannot set {key} to {value}: {reason}")]
    Setting {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Why not.
        reason: String,
        /// What would be right.
        hint: Option<String>,
    },
}

fn at(location: Option<Location>) -> String {
    location.map(|location| format!("{location}: ")).unwrap_or_default()
}

impl MachineError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { known, .. } => Some(format!("there are: {}", known.join(", "))),
            Self::Value { hint, .. } | Self::NoSetting { hint, .. } => Some(hint.clone()),
            Self::Setting { hint, .. } => hint.clone(),
            Self::Syntax { .. } => None,
        }
    }

    /// Where in the text, when it is about a text.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        match self {
            Self::Syntax { location, .. } | Self::Value { location, .. } => *location,
            _ => None,
        }
    }

    pub(super) fn syntax(text: Option<&str>, span: Option<Range<usize>>, message: &str) -> Self {
        let location = text.zip(span).map(|(text, span)| Location::of(text, span.start));
        Self::Syntax { location, message: message.trim().replace('\n', "; ") }
    }

    pub(super) fn in_setting(self, key: &str, value: &str) -> Self {
        let hint = self.hint();
        let reason = match self {
            Self::Syntax { message, .. } | Self::Value { message, .. } => message,
            other => other.to_string(),
        };
        Self::Setting { key: key.to_owned(), value: value.to_owned(), reason, hint }
    }
}
