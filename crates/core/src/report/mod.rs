//! Results for people and programs: styled text without colours, and JSON by contract.
//!
//! Text comes as lines of [`Span`]s with a [`Role`] each; whoever prints decides what a role looks like, or drops it.

mod names;
pub mod picture;
mod reserved;
pub mod text;
pub mod wire;

pub use names::{Names, NoNames};

use std::fmt;

/// What a piece of text is, for colouring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing special.
    Plain,
    /// Headings, addresses: what the eye looks for.
    Strong,
    /// Of less interest.
    Faint,
    /// Fine.
    Good,
    /// Look here.
    Caution,
    /// Stands against it.
    Bad,
    /// Belongs to the IOMMU group of that number: equal numbers look equal.
    Group(u32),
}

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub role: Role,
    /// The text, without line ends.
    pub text: String,
}

/// Lines of text for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The lines.
    pub lines: Vec<Vec<Span>>,
}

impl Text {
    /// Begins a new line with a piece of text.
    pub fn line(&mut self, role: Role, text: impl Into<String>) -> &mut Self {
        self.lines.push(vec![Span { role, text: text.into() }]);
        self
    }

    /// Adds a piece of text to the last line.
    pub fn add(&mut self, role: Role, text: impl Into<String>) -> &mut Self {
        if self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
        if let Some(line) = self.lines.last_mut() {
            line.push(Span { role, text: text.into() });
        }
        self
    }

    /// An empty line.
    pub fn gap(&mut self) -> &mut Self {
        self.lines.push(Vec::new());
        self
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            for span in line {
                f.write_str(&span.text)?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
