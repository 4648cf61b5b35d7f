//! Bytes as text, in the way of `lspci -xxxx`: an offset of three or more digits, then 16 bytes, `--` for one that was
//! not read. Rows of which nothing was read are left out; a last row `end: OFFSET` tells where the file ends.

use std::fmt::Write as _;

use super::snapshot::{Content, Parts};

const ROW: usize = 16;

/// The text of `content`.
pub(super) fn to_text(content: &Content) -> String {
    let (bytes, end): (Vec<Option<u8>>, Option<usize>) = match content {
        Content::Whole(bytes) => (bytes.iter().copied().map(Some).collect(), None),
        Content::Parts(parts) => (parts.bytes.clone(), parts.end),
    };
    // A file read in parts is told by its first line.
    let mut text = if matches!(content, Content::Parts(_)) { "parts\n".to_owned() } else { String::new() };
    for (number, row) in bytes.chunks(ROW).enumerate() {
        if row.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(text, "{:03x}:", number * ROW);
        for byte in row {
            match byte {
                Some(byte) => _ = write!(text, " {byte:02x}"),
                None => text.push_str(" --"),
            }
        }
        text.push('\n');
    }
    if let Some(end) = end {
        let _ = writeln!(text, "end: {end:x}");
    }
    text
}

/// The content that a text tells, of `limit` bytes at most; `None` if it is not of this form.
pub(super) fn from_text(text: &str, limit: usize) -> Option<Content> {
    let (partial, rows) = match text.strip_prefix("parts\n") {
        Some(rows) => (true, rows),
        None => (false, text),
    };
    let limit = if partial { Parts::MOST } else { limit };
    let mut parts = Parts::default();
    for row in rows.lines() {
        let (offset, bytes) = row.split_once(": ")?;
        if offset == "end" {
            parts.end = Some(usize::from_str_radix(bytes, 16).ok()?);
            continue;
        }
        let offset = usize::from_str_radix(offset, 16).ok().filter(|offset| *offset >= parts.bytes.len())?;
        if offset.checked_add(ROW)? > limit.checked_add(ROW)? {
            return None;
        }
        parts.bytes.resize(offset, None);
        for byte in bytes.split(' ').take(ROW) {
            parts.bytes.push(if byte == "--" { None } else { Some(u8::from_str_radix(byte, 16).ok()?) });
        }
    }
    if partial {
        return Some(Content::Parts(parts));
    }
    parts.bytes.into_iter().collect::<Option<Vec<u8>>>().map(Content::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unread_bytes_and_the_end_are_told() {
        let mut parts = Parts::default();
        parts.record(0, &[0x86, 0x80], 2);
        parts.record(0x40, &[1, 2], 4);
        let content = Content::Parts(parts);
        let text = to_text(&content);
        assert_eq!(
            text,
            "parts\n000: 86 80 -- -- -- -- -- -- -- -- -- -- -- -- -- --\n040: 01 02\nend: 42\n"
        );
        assert_eq!(from_text(&text, 4096), Some(content));
    }

    proptest! {
        #[test]
        fn text_gives_the_bytes_back(bytes: Vec<u8>) {
            let content = Content::Whole(bytes);
            prop_assert_eq!(from_text(&to_text(&content), 1 << 20), Some(content));
        }

        #[test]
        fn any_text_is_answered(text in "(parts\n)?([0-9a-f]{3}: [0-9a-f -]{0,20}\n|end: [0-9a-f]{1,20}\n){0,4}") {
            let _ = from_text(&text, 4096);
        }
    }
}
