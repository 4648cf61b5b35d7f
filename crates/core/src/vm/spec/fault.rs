//! Faults of a spec, and their place in the file.

use std::fmt;
use std::ops::Range;

/// Something in a spec that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFault {
    /// What is wrong, one line.
    pub message: String,
    /// The bytes of the file it is about.
    pub span: Range<usize>,
    /// Other places that it contradicts, each with a label.
    pub related: Vec<(Range<usize>, String)>,
    /// What would be right.
    pub help: Option<String>,
}

impl SpecFault {
    /// A fault at a place.
    #[must_use]
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span, related: Vec::new(), help: None }
    }

    /// The same fault with what would be right.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same fault with another place that it contradicts.
    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// Line and column of a byte offset, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in a text; offsets beyond the end count as the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Self { line: before.matches('\n').count() + 1, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A fault that the TOML reader found.
pub(super) fn of_toml(error: &toml::de::Error, text: &str) -> SpecFault {
    let span = error.span().unwrap_or(0..0);
    // The reader points behind the end of a cut file; the last byte is what a person can see.
    let end = span.end.min(text.len());
    SpecFault::new(error.message().replace('\n', ", "), span.start.min(end)..end)
}
