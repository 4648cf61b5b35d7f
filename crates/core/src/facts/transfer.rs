//! Text out of a mail as it was sent: quoted-printable (RFC 2045 §6.7) taken back to what was written.
//!
//! Archives hand out raw messages, and people save those. The encoding is not declared where only a part was saved, and a
//! listing is full of `=` by itself (`secondary=01`, `[size=256M]`), so that only what an encoder has to encode is taken
//! back, and only in a text that shows signs of one.

use std::borrow::Cow;

/// `bytes` without quoted-printable; as they are where there is none.
pub(super) fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !is_encoded(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut written = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (before, from) = rest.split_at(at);
        written.extend_from_slice(before);
        if let Some(after) = soft_break(from).filter(|_| !written.ends_with(b"=")) {
            rest = after;
            continue;
        }
        let byte = escaped(from);
        written.push(byte.unwrap_or(b'='));
        rest = from.get(if byte.is_some() { 3 } else { 1 }..).unwrap_or_default();
    }
    written.extend_from_slice(rest);
    Cow::Owned(written)
}

/// What follows a line's end that only the encoder put there: `=` before it.
fn soft_break(from: &[u8]) -> Option<&[u8]> {
    [&b"=\n"[..], b"=\r\n"].iter().find_map(|end| from.strip_prefix(*end))
}

/// The byte that `from` begins with in its encoded form, if an encoder has to write it so: `=` itself, bytes past ASCII,
/// space at the end of a line, and those that some gateways mistake (`=2E` alone, `=46rom`).
fn escaped(from: &[u8]) -> Option<u8> {
    let digit = |at: usize| match from.get(at)? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        letter @ b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    };
    let byte = digit(1)? << 4 | digit(2)?;
    let ends = matches!(from.get(3), None | Some(b'\n' | b'\r'));
    let has_to = byte == b'=' || byte >= 0x80 || byte == b'.' || matches!(byte, b' ' | b'\t') && ends;
    (has_to || byte == b'F' && from.get(3..6) == Some(b"rom")).then_some(byte)
}

/// Whether the text is one that was encoded: it says so, has a no-break space in that form, or each `=` in it begins an
/// escape or a soft break, of which the former is there.
fn is_encoded(bytes: &[u8]) -> bool {
    let has = |words: &[u8]| memchr::memmem::find(bytes, words).is_some();
    if !has(b"=3D") && !has(b"=C2=A0") && !has(b"=\n") && !has(b"=\r\n") {
        return false;
    }
    let declared = has(b"quoted-printable") || has(b"Quoted-Printable");
    declared || has(b"=C2=A0") || {
        let every = memchr::memchr_iter(b'=', bytes).all(|at| {
            let from = bytes.get(at..).unwrap_or_default();
            soft_break(from).is_some() || escaped(from).is_some()
        });
        has(b"=3D") && every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        String::from_utf8_lossy(&decoded(text.as_bytes())).into_owned()
    }

    #[test]
    fn what_an_encoder_wrote_is_taken_back() {
        assert_eq!(
            written("Memory at e0000000 [size=3D16M]\nof a lo=\nng name\n"),
            "Memory at e0000000 [size=16M]\nof a long name\n"
        );
        assert_eq!(
            written("IOMMU Group 1:\n=C2=A0=C2=A0 00:01.0 a=20\r\nb\r\n"),
            "IOMMU Group 1:\n\u{a0}\u{a0} 00:01.0 a \r\nb\r\n"
        );
        assert_eq!(
            written("Content-Transfer-Encoding: quoted-printable\n\nprimary=00 x=3D1\n"),
            "Content-Transfer-Encoding: quoted-printable\n\nprimary=00 x=1\n"
        );
    }

    #[test]
    fn text_that_was_not_encoded_stays() {
        for text in [
            "Bus: primary=00, secondary=3D, subordinate=3D\n",
            "I/O ports at d000 [size=256]\n=====\n",
            "root=UUID=3D12-77AF ro\n",
            "a=\nb\n",
        ] {
            assert!(matches!(decoded(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }
}
