//! Places in text files, for errors that point at them. Lines and columns count from 1, columns in characters.

use std::fmt;
use std::ops::Range;

/// Something is wrong at one place of a definition file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file's name as the user knows it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for FileError {}

/// A definition file being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// An error at a byte range of the text.
    pub(crate) fn error(&self, span: &Range<usize>, message: impl Into<String>) -> FileError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        FileError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with what would be right.
    pub(crate) fn error_with_hint(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> FileError {
        FileError { hint: Some(hint.into()), ..self.error(span, message) }
    }

    /// Reads the whole text as TOML of a known shape.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, FileError> {
        toml::from_str(self.text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            self.error(&error.span().unwrap_or(0..0), message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let source = Source { file: "f.toml", text: "a = 1\né = oops\n" };
        let error = source.error(&(11..12), "no");
        assert_eq!(error.to_string(), "f.toml:2:5: no");
    }

    #[test]
    fn a_span_past_the_end_points_at_the_end() {
        let error = Source { file: "f", text: "ab" }.error(&(90..91), "no");
        assert_eq!((error.line, error.column), (1, 3));
    }
}
