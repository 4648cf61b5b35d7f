//! Cutting a text into lines: line ends, quoting, odd bytes.

use std::borrow::Cow;

use super::MAX_LINE;

/// A line without quoting, indentation and line end.
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    /// May be empty.
    pub(super) text: Cow<'a, str>,
    /// It was longer than [`MAX_LINE`].
    pub(super) cut: bool,
    /// It had space in front, beside quoting.
    pub(super) indented: bool,
}

/// Cuts at LF; at CR only in a text without LF, because CR CR LF is what some mailers make of one line end.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let end = if text.contains(&b'\n') { b'\n' } else { b'\r' };
    text.split(move |&byte| byte == end).zip(1..).map(|(line, number)| {
        let cut = line.len() > MAX_LINE;
        let line = String::from_utf8_lossy(line.get(..MAX_LINE).unwrap_or(line));
        let bare = strip(&line);
        let indented = unquoted(&line).starts_with(|c: char| blank(c) && c != '\r');
        Line { number, text: Cow::Owned(bare.to_owned()), cut, indented }
    })
}

/// A character that is nothing but space: the replacement character stands for the no-break spaces of Latin-1 text.
fn blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{fffd}' || c == '\u{feff}'
}

/// Without quoting: each mark has a space behind it (RFC 3676 §4.5), which is no indentation.
fn unquoted(line: &str) -> &str {
    let mut rest = line;
    while let Some(after) = rest.strip_prefix(['>', '|']) {
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    rest
}

/// Takes quoting (`>`, `|`) and space off the front, space off the end.
fn strip(line: &str) -> &str {
    line.trim_start_matches(|c: char| blank(c) || c == '>' || c == '|').trim_end_matches(blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &[u8]) -> Vec<String> {
        lines(text).map(|line| line.text.into_owned()).collect()
    }

    #[test]
    fn quoting_and_line_ends_are_taken_off() {
        assert_eq!(texts(b"> > 00:01.0 x\r\n>\t\xa0\xa0a\r\r\n"), ["00:01.0 x", "a", ""]);
        assert_eq!(texts(b"a\rb"), ["a", "b"]);
        assert_eq!(texts("\u{a0}\u{a0}a".as_bytes()), ["a"]);
    }

    #[test]
    fn the_space_behind_a_quotation_mark_is_no_indentation() {
        let indented = |text: &[u8]| lines(text).map(|line| line.indented).collect::<Vec<_>>();
        assert_eq!(
            indented(b"> a\n> \tb\n>\tc\n> > d\n>>  e\n  f\ng"),
            [false, true, true, false, true, true, false]
        );
    }

    #[test]
    fn long_lines_are_cut() {
        let text = vec![b'x'; MAX_LINE + 1];
        let line = lines(&text).next().expect("one line");
        assert!(line.cut && line.text.len() == MAX_LINE);
    }
}
