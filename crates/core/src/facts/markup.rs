//! Text that was copied out of a web page's source: tags and character references (HTML §13.1) taken back to what the page
//! shows. What lspci puts in angle brackets (`<access denied>`, `<?>`) is no tag and stays.

use std::borrow::Cow;

/// Tags that forums and bug trackers put into what people paste.
const TAGS: [&str; 9] = ["br", "p", "pre", "code", "span", "div", "font", "b", "tt"];

/// Character references that stand for what a log or a listing may hold. The ampersand comes first, so that replacing one
/// after the other takes back what was escaped twice.
pub(crate) const REFERENCES: [(&str, &str); 10] = [
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&#x2F;", "/"),
    ("&apos;", "'"),
    ("&nbsp;", " "),
];

/// The longest tag that is believed to be one, in bytes.
const MOST_TAG_BYTES: usize = 300;

/// `bytes` as a page shows them; lines that a page breaks are lines.
pub(super) fn without_markup(bytes: &[u8]) -> Cow<'_, [u8]> {
    let marks = |mark: &u8| matches!(mark, b'<' | b'&');
    if !bytes.iter().any(marks) {
        return Cow::Borrowed(bytes);
    }
    let mut shown = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(marks) {
        let (before, from) = rest.split_at(at);
        shown.extend_from_slice(before);
        let (text, length) = tag(from).or_else(|| reference(from)).unwrap_or_else(|| (from.get(..1), 1));
        shown.extend_from_slice(text.unwrap_or_default());
        rest = from.get(length..).unwrap_or_default();
    }
    shown.extend_from_slice(rest);
    Cow::Owned(shown)
}

/// What stands for the tag at the start of `from`, and how long it is.
fn tag(from: &[u8]) -> Option<(Option<&'static [u8]>, usize)> {
    let inside = from.strip_prefix(b"<")?;
    let end = inside.iter().take(MOST_TAG_BYTES).position(|byte| matches!(byte, b'>' | b'<' | b'\n'))?;
    let (inside, after) = inside.split_at_checked(end)?;
    let after = after.strip_prefix(b">")?;
    let name = inside.strip_prefix(b"/").unwrap_or(inside);
    let name = name.split(|byte| matches!(byte, b' ' | b'/')).next()?;
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    if !TAGS.contains(&name.as_str()) {
        return None;
    }
    // The line may end in the source as well.
    let breaks = name == "br" && !after.starts_with(b"\n") && !after.starts_with(b"\r\n");
    Some((Some(if breaks { b"\n" } else { b"" }), end + 2))
}

/// What the character reference at the start of `from` stands for, and how long it is.
fn reference(from: &[u8]) -> Option<(Option<&'static [u8]>, usize)> {
    let known = REFERENCES.iter().find(|(name, _)| from.starts_with(name.as_bytes()))?;
    Some((Some(known.1.as_bytes()), known.0.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8_lossy(&without_markup(text.as_bytes())).into_owned()
    }

    #[test]
    fn tags_and_references_are_taken_back() {
        assert_eq!(shown("<pre class=\"x\">a &lt;6&gt; b<br />\nc<br>d</pre>"), "a <6> b\nc\nd");
        assert_eq!(shown("&lt;access denied&gt; &amp;lt;"), "<access denied> &lt;");
    }

    #[test]
    fn what_lspci_puts_in_brackets_stays() {
        for text in
            ["Capabilities: <access denied>", "L0s <64ns, L1 <1us", "Virtual Channel <?>", "a & b <", "<6>x"]
        {
            assert_eq!(shown(text), text);
        }
    }
}
