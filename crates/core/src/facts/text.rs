//! Any text that somebody saved, into [`Facts`]: encoding, line ends, then the reader for its kind.

use std::borrow::Cow;

use super::acpi::{from_acpi, from_acpidump, is_table, join};
use super::kernel_log::from_log;
use super::markup::without_markup;
use super::numbers::without_numbers;
use super::recognise::parts;
use super::transfer::decoded;
use super::{Facts, SourceKind, beside, from_groups, from_lspci, from_udevadm};
use crate::diagnose::decode_bytes;

/// Reads a text of whatever kind it is; `name` is what the user calls it. None if it is no source of facts.
///
/// UTF-16 (what PowerShell writes), byte order marks, colour codes, line ends of CR alone and the source of a web page are
/// taken in stride.
///
/// ```
/// let facts = slotwise_core::facts::from_text(b"IOMMU Group 3 00:02.0 VGA", "listing");
/// assert_eq!(facts.map(|facts| facts.functions.len()), Some(1));
/// assert!(slotwise_core::facts::from_text(b"a letter", "letter").is_none());
/// ```
#[must_use]
pub fn from_text(bytes: &[u8], name: &str) -> Option<Facts> {
    // Of all sources but captures the only one that is no text.
    if is_table(bytes) {
        return Some(from_acpi(bytes, name));
    }
    let bytes = decode_bytes(bytes);
    let bytes = without_colours(&bytes);
    let bytes = with_line_feeds(&bytes);
    let bytes = decoded(&bytes);
    let bytes = without_markup(&bytes);
    let bytes = with_plain_spaces(&bytes);
    let bytes = without_numbers(&bytes);
    let text = String::from_utf8_lossy(&bytes);
    let mut parts = parts(&bytes).into_iter();
    let main = parts.next()?;
    if main == SourceKind::Acpi {
        return Some(from_acpi(&bytes, name));
    }
    let mut facts = read(main, &bytes, &text, name).or_else(|| {
        // Links of sysfs begin with addresses as lspci's lines do.
        let links = main == SourceKind::Lspci;
        let facts = links.then(|| from_groups(&text, name));
        facts.filter(|facts| !facts.functions.is_empty())
    })?;
    for part in parts {
        if let Some(other) = read(part, &bytes, &text, name) {
            beside::join(&mut facts, other);
        }
    }
    // People paste tables below what they paste them for.
    join(&mut facts, &from_acpidump(&text));
    Some(facts)
}

/// What of `kind` is in the text; none if nothing.
fn read(kind: SourceKind, bytes: &[u8], text: &str, name: &str) -> Option<Facts> {
    match kind {
        // Other forms of lspci (`-mm`, `-t`) have addresses too.
        SourceKind::Lspci => Some(from_lspci(bytes, name)).filter(|facts| !facts.functions.is_empty()),
        SourceKind::Groups => Some(from_groups(text, name)),
        SourceKind::Udevadm => Some(from_udevadm(text, name)),
        SourceKind::Log => Some(from_log(text, name)),
        SourceKind::Acpi | SourceKind::Live | SourceKind::Capture | SourceKind::Directory => None,
    }
}

fn with_line_feeds(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.contains(&b'\n') || !bytes.contains(&b'\r') {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect())
}

/// No-break spaces (U+00A0), which browsers copy where a page has indentation, are spaces.
fn with_plain_spaces(bytes: &[u8]) -> Cow<'_, [u8]> {
    const NO_BREAK: &[u8] = "\u{a0}".as_bytes();
    if memchr::memmem::find(bytes, NO_BREAK).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, NO_BREAK) {
        plain.extend_from_slice(rest.get(..at).unwrap_or_default());
        plain.push(b' ');
        rest = rest.get(at + NO_BREAK.len()..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

/// Without control sequences that set colours: `ESC [`, parameters, a final byte of 0x40 to 0x7e (ECMA-48 §5.4).
fn without_colours(bytes: &[u8]) -> Cow<'_, [u8]> {
    const ESCAPE: u8 = 0x1b;
    if !bytes.contains(&ESCAPE) {
        return Cow::Borrowed(bytes);
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(ESCAPE, rest) {
        let (before, sequence) = rest.split_at(at);
        kept.extend_from_slice(before);
        rest = sequence.get(1..).unwrap_or_default();
        if let Some(parameters) = rest.strip_prefix(b"[") {
            let end = parameters.iter().take(32).position(|byte| (0x40..=0x7e).contains(byte));
            rest = end.and_then(|end| parameters.get(end + 1..)).unwrap_or(parameters);
        }
    }
    kept.extend_from_slice(rest);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;

    const TEXT: &str = "00:00.0 0600: 8086:1237 (rev 02)\n00:02.0 0300: 1234:1111\n";

    fn addresses(bytes: &[u8]) -> Vec<String> {
        let facts = from_text(bytes, "test").expect("facts");
        facts.functions.keys().map(PciAddress::to_string).collect()
    }

    #[test]
    fn encodings_and_line_ends_change_nothing() {
        let plain = addresses(TEXT.as_bytes());
        assert_eq!(plain, ["0000:00:00.0", "0000:00:02.0"]);
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(TEXT.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(addresses(&utf16), plain);
        assert_eq!(addresses(TEXT.replace('\n', "\r").as_bytes()), plain);
        assert_eq!(addresses(format!("\u{feff}{TEXT}").as_bytes()), plain);
        assert_eq!(addresses(TEXT.replace(' ', "\u{a0}").as_bytes()), plain);
        assert_eq!(addresses(TEXT.replace('\n', "<br />\n").as_bytes()), plain);
    }

    #[test]
    fn colours_are_taken_off() {
        let log = "\x1b[32m[    0.402571] \x1b[0m\x1b[33mpci 0000:00:02.0\x1b[0m: [8086:1234] type 00 class 0x030000\n";
        assert_eq!(addresses(log.as_bytes()), ["0000:00:02.0"]);
        assert_eq!(&*without_colours(b"a\x1b"), b"a");
    }
}
