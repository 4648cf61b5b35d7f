//! A run as a document: JSON, text, JUnit, TAP, and one HTML page.
//!
//! All of them are functions of the [`Run`] alone. None uses colour or writes files; that is for who shows them. Texts
//! from devices and guests are untrusted: control characters are shown, not passed on, and each format escapes its own.

mod html;
mod junit;
mod tap;
mod text;
pub mod wire;

pub use html::html;
pub use junit::junit;
pub use tap::tap;
pub use text::{case, text};

use crate::matrix::{Row, Run};

/// A run could not be written down.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the run as {format}")]
pub struct ReportError {
    /// The format.
    pub format: &'static str,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl ReportError {
    fn new(format: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { format, source: source.into() }
    }
}

/// The text with control characters made visible, but for line feeds: a console's output must not steer a terminal or
/// spoil a document (XML 1.0 allows no other control characters either).
fn visible(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\n' => letter,
        '\t' => ' ',
        // U+2400 and up are pictures of U+0000 and up.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('?'),
        '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            '\u{fffd}'
        }
        _ => letter,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// The same on one line.
fn one_line(text: &str) -> String {
    visible(text).replace('\n', " ")
}

/// Bytes as they are written in the standard: two capital digits each, with spaces.
fn spaced(bytes: &[u8]) -> String {
    let digit =
        |nibble: u8| char::from_digit(nibble.into(), 16).map_or('?', |digit| digit.to_ascii_uppercase());
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 15), ' ']);
    }
    text.pop();
    text
}

/// The rows of one suite on one device in one guest, in the order they came.
fn groups(run: &Run) -> Vec<([&str; 3], Vec<&Row>)> {
    let mut groups: Vec<([&str; 3], Vec<&Row>)> = Vec::new();
    for row in &run.rows {
        let key = [row.suite.as_str(), row.device.as_str(), row.guest.as_str()];
        match groups.iter_mut().find(|(own, _)| *own == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
