//! Takes back what forums, mail, terminals and logs of logs put into a text. Knows nothing of messages.

use std::borrow::Cow;

use crate::facts::REFERENCES;

/// Undoes what forums, web archives and JSON logs make of a text: HTML entities and tags of layout, and the escapes of
/// JSON strings (RFC 8259 §7), which logs of logs have several times over, of Markdown (CommonMark 0.31 §2.4), and of mail in
/// quoted-printable (RFC 2045 §6.7).
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    const MARKS: [char; 3] = ['&', '<', '\\'];
    // A log in a log in a web page.
    const MOST_LAYERS: usize = 3;
    // Beside the character references: tags, the escapes of JSON, of Markdown and of shells, and the sign that mail in
    // quoted-printable always writes so.
    const PLAIN: &[(&str, &str)] = &[
        ("<br>", " "),
        ("<br/>", " "),
        ("<br />", " "),
        ("<p>", " "),
        ("</p>", " "),
        ("<pre>", " "),
        ("</pre>", " "),
        ("<code>", " "),
        ("</code>", " "),
        ("\\\\", "\\"),
        ("\\\"", "\""),
        ("\\/", "/"),
        ("\\n", " "),
        ("\\t", " "),
        ("\\u0027", "'"),
        ("\\u003e", ">"),
        ("\\_", "_"),
        ("\\*", "*"),
        ("\\[", "["),
        ("\\]", "]"),
        ("\\:", ":"),
        ("\\-", "-"),
        ("\\.", "."),
        ("\\#", "#"),
        ("\\>", ">"),
        ("\\<", "<"),
        ("\\|", "|"),
        ("\\~", "~"),
        ("\\(", "("),
        ("\\)", ")"),
        ("=3D", "="),
    ];
    if !text.contains(MARKS) && !text.contains("=3D") {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    for _ in 0..MOST_LAYERS {
        let before = out.len();
        for (escaped, plain) in REFERENCES.iter().chain(PLAIN) {
            if out.contains(escaped) {
                out = out.replace(escaped, plain);
            }
        }
        // Every replacement is shorter than what it replaces.
        if out.len() == before {
            break;
        }
    }
    Cow::Owned(out)
}

/// Characters of a text without terminal escape sequences (ECMA-48 CSI and OSC), and without the caret form that
/// pagers leave behind (`^[[31m`).
pub(super) struct StripAnsi<'a> {
    characters: std::iter::Peekable<std::str::Chars<'a>>,
}

impl<'a> StripAnsi<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { characters: text.chars().peekable() }
    }

    fn skip_sequence(&mut self) {
        match self.characters.peek() {
            Some('[') => {
                self.characters.next();
                while let Some(next) = self.characters.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')) {
                    let _ = next;
                }
                self.characters.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
            }
            Some(']') => while self.characters.next_if(|c| *c != '\u{7}' && *c != '\u{1b}').is_some() {},
            _ => {}
        }
    }
}

impl Iterator for StripAnsi<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let character = self.characters.next()?;
            if character != '\u{1b}' && character != '\u{9b}' {
                return Some(character);
            }
            self.skip_sequence();
        }
    }
}
