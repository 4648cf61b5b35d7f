//! Text from outside inside of markup.

use std::fmt::{self, Write as _};

/// Displays a text so that it is nothing but text in HTML and XML, between tags and within quoted attributes.
///
/// Characters that XML 1.0 (§2.2) forbids, and those that turn the direction of what follows (Unicode UAX #9, "Trojan
/// Source"), become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\t' | '\n' | '\r' => f.write_char(' ')?,
                c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                    f.write_char(char::REPLACEMENT_CHARACTER)?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// `text` with at most `most` characters, the last of which tells that there were more.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_text() {
        assert_eq!(Escaped("<a href='x'>\"&\"").to_string(), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;");
        assert_eq!(Escaped("a\0b\u{202e}c\nd").to_string(), "a\u{fffd}b\u{fffd}c d");
    }

    #[test]
    fn long_text_says_that_it_was_cut() {
        assert_eq!(shortened("ééé", 3), "ééé");
        assert_eq!(shortened("éééé", 3), "éé…");
    }
}
