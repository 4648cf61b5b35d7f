//! Text that was copied out of a web page's source: tags and character references (HTML §13.1) taken back to what the page
//! shows. What lspci puts in angle brackets (`<access denied>`, `<?>`) is no tag and stays.

use std::borrow::Cow;

/// Tags that forums and bug trackers put into what people paste, within a line.
const INLINE: [&str; 11] = ["code", "span", "font", "b", "i", "tt", "strong", "em", "a", "td", "o:p"];
/// And those that begin a line of their own.
const BLOCKS: [&str; 13] =
    ["br", "p", "pre", "div", "ul", "ol", "li", "tr", "table", "tbody", "blockquote", "details", "summary"];

/// The same of forums that write in brackets (BBCode); of those that a listing may hold by itself, as `[size=256]`, none.
const BRACKETED: [&str; 24] = [
    "[code]",
    "[/code]",
    "[b]",
    "[/b]",
    "[i]",
    "[/i]",
    "[u]",
    "[/u]",
    "[*]",
    "[list]",
    "[list=1]",
    "[/list]",
    "[quote]",
    "[/quote]",
    "[pre]",
    "[/pre]",
    "[spoiler]",
    "[/spoiler]",
    "[/color]",
    "[/font]",
    "[/size]",
    "[icode]",
    "[/icode]",
    "[/url]",
];

/// And those with a value; not `[size=3]`, since lspci has `[size=256]`.
const VALUED: [&str; 6] = ["[color=", "[font=", "[url=", "[code=", "[quote=", "[spoiler="];

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
    let marks = |mark: &u8| matches!(mark, b'<' | b'&' | b'[');
    if !bytes.iter().any(marks) {
        return Cow::Borrowed(bytes);
    }
    let mut shown = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(marks) {
        let (before, from) = rest.split_at(at);
        shown.extend_from_slice(before);
        let begun = !matches!(shown.last(), None | Some(b'\n'));
        let found = tag(from, begun).or_else(|| reference(from)).or_else(|| bracketed(from));
        let (text, length) = found.unwrap_or_else(|| (from.get(..1), 1));
        shown.extend_from_slice(text.unwrap_or_default());
        rest = from.get(length..).unwrap_or_default();
    }
    shown.extend_from_slice(rest);
    Cow::Owned(shown)
}

/// What stands for the tag at the start of `from`, and how long it is; `begun` says that something stands on its line before it.
fn tag(from: &[u8], begun: bool) -> Option<(Option<&'static [u8]>, usize)> {
    let inside = from.strip_prefix(b"<")?;
    let end = inside.iter().take(MOST_TAG_BYTES).position(|byte| matches!(byte, b'>' | b'<' | b'\n'))?;
    let (inside, after) = inside.split_at_checked(end)?;
    let after = after.strip_prefix(b">")?;
    let name = inside.strip_prefix(b"/").unwrap_or(inside);
    let name = name.split(|byte| matches!(byte, b' ' | b'/')).next()?;
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let block = BLOCKS.contains(&name.as_str());
    if !block && !INLINE.contains(&name.as_str()) {
        return None;
    }
    // The line may end in the source as well, or not have begun.
    let ends = after.is_empty() || after.starts_with(b"\n") || after.starts_with(b"\r\n");
    let breaks = block && !ends && (begun || name == "br");
    Some((Some(if breaks { b"\n" } else { b"" }), end + 2))
}

/// What stands for the tag in brackets at the start of `from`, which is nothing, and how long it is.
fn bracketed(from: &[u8]) -> Option<(Option<&'static [u8]>, usize)> {
    let is =
        |tag: &&&str| from.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()));
    let plain = BRACKETED.iter().find(is).map(|tag| tag.len());
    let valued = || {
        VALUED.iter().find(is)?;
        let end = from.iter().take(MOST_TAG_BYTES).position(|byte| matches!(byte, b']' | b'\n'))?;
        (from.get(end) == Some(&b']')).then_some(end + 1)
    };
    plain.or_else(valued).map(|length| (Some(&b""[..]), length))
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
    fn lists_and_paragraphs_are_lines() {
        assert_eq!(
            shown("<ul><li>Group 1: <ul><li>00:01.0 a</li><li>01:00.0 b</li></ul></li></ul>"),
            "Group 1: \n00:01.0 a\n01:00.0 b\n"
        );
        assert_eq!(shown("<p>a</p><p>b</p>\n<div>c</div>\n<div>d</div>"), "a\nb\nc\nd");
        assert_eq!(shown("[COLOR=#070F14][FONT=Verdana]a[/FONT][/COLOR] [size=256]"), "a [size=256]");
        assert_eq!(shown("[list]\n[*]00:01.0 a\n[*][B]01:00.0[/B] b\n[/LIST]"), "\n00:01.0 a\n01:00.0 b\n");
    }

    #[test]
    fn what_lspci_puts_in_brackets_stays() {
        for text in [
            "Capabilities: <access denied>",
            "Region 0: Memory at 0 [size=256]",
            "Bus [Be]ta [a] [40] [",
            "L0s <64ns, L1 <1us",
            "Virtual Channel <?>",
            "a & b <",
            "<6>x",
        ] {
            assert_eq!(shown(text), text);
        }
    }
}
