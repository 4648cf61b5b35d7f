//! Lines of a hex dump: `40: 01 50 03 c8 …` (pciutils `lspci.c: show_hex_dump`, `lib/dump.c`).

/// What a line of a dump holds.
#[derive(Clone)]
pub(super) struct HexLine {
    /// Offset of the first byte, in bytes.
    pub(super) offset: u32,
    /// Bytes up to the damage, or to the end of the line.
    pub(super) bytes: Vec<u8>,
    /// Something stands on the line that is not a byte.
    pub(super) damaged: bool,
}

impl HexLine {
    /// What a line adds to this damaged one, if it holds nothing but the bytes that are missing up to `whole`: another
    /// program's message was printed into the middle.
    pub(super) fn continued_by(&self, line: &str, whole: usize) -> Option<Self> {
        let bytes: Vec<u8> = line.split_whitespace().map(byte).collect::<Option<_>>()?;
        let fits = !bytes.is_empty() && self.bytes.len() + bytes.len() == whole;
        let offset = self.offset.checked_add(u32::try_from(self.bytes.len()).ok()?)?;
        fits.then_some(Self { offset, bytes, damaged: false })
    }
}

/// Most bytes on one line; lspci prints 16.
const MAX_BYTES: usize = 256;

/// Reads a line as one of a dump; none if it does not look like one.
pub(super) fn parse(line: &str) -> Option<HexLine> {
    let (offset, rest) = line.split_once(':')?;
    let hexadecimal = offset.bytes().all(|b| b.is_ascii_hexdigit());
    if !(2..=8).contains(&offset.len()) || !hexadecimal || !rest.starts_with([' ', '\t']) {
        return None;
    }
    let offset = u32::from_str_radix(offset, 16).ok()?;
    let mut tokens = rest.split_whitespace();
    let mut bytes = Vec::new();
    let damaged = loop {
        match tokens.next() {
            None => break false,
            Some(_) if bytes.len() == MAX_BYTES => break true,
            Some(token) => match byte(token) {
                Some(value) => bytes.push(value),
                None => break true,
            },
        }
    };
    // One word that happens to be two letters long is talk; so is a line whose first word is no byte.
    (!bytes.is_empty()).then_some(HexLine { offset, bytes, damaged })
}

fn byte(token: &str) -> Option<u8> {
    let hexadecimal = token.len() == 2 && token.bytes().all(|b| b.is_ascii_hexdigit());
    if hexadecimal { u8::from_str_radix(token, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_before_damage_are_kept() {
        let line = parse("f10: 00 01 pcilib: sysfs_read_vpd: read failed").expect("a hex line");
        assert_eq!((line.offset, line.bytes.as_slice(), line.damaged), (0xf10, &[0, 1][..], true));
    }

    #[test]
    fn other_lines_are_not_taken_for_dumps() {
        for line in ["Bus: primary=00", "00:", "0: 11", "00:01.0 Host bridge: x", "be: careful", "00:00"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
