//! The text that `acpidump` prints: for each table a line with its signature and address, then rows of an offset and up
//! to 16 bytes in hexadecimal, with the characters after them.

/// A table of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpedTable {
    /// Signature from the head line.
    pub signature: String,
    /// The bytes of its rows.
    pub bytes: Vec<u8>,
}

/// The most bytes that are kept of one table; a DSDT seldom has half of it.
const MOST_BYTES: usize = 1 << 22;

/// The tables in the text of `acpidump`. Rows that do not continue where the one before ended, end the table.
#[must_use]
pub fn from_acpidump(text: &str) -> Vec<DumpedTable> {
    let mut tables: Vec<DumpedTable> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(signature) = head(line) {
            tables.push(DumpedTable { signature: signature.to_owned(), bytes: Vec::new() });
        } else if let Some(table) = tables.last_mut()
            && let Some((offset, row)) = row(line)
            && offset == table.bytes.len()
            && offset < MOST_BYTES
        {
            table.bytes.extend(row);
        }
    }
    tables
}

/// The signature in the head line of a table, `DMAR @ 0x00000000BF79E0C0`.
pub(in crate::facts) fn head(line: &str) -> Option<&str> {
    let (signature, address) = line.split_once(" @ 0x")?;
    let of_signature = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'!');
    let sound = signature.len() == 4 && signature.bytes().all(of_signature);
    (sound && !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit())).then_some(signature)
}

/// Offset and bytes of a row.
pub(in crate::facts) fn row(line: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, rest) = line.split_once(": ")?;
    let offset = usize::from_str_radix(offset, 16).ok()?;
    let hex = |word: &str| (word.len() == 2).then(|| u8::from_str_radix(word, 16).ok()).flatten();
    // The characters stand two spaces behind the last byte.
    let bytes = rest.split("  ").next()?.split(' ').map_while(hex).take(16).collect();
    Some((offset, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_behind_the_bytes_are_not_bytes() {
        let text = "DMAR @ 0x0000000000000000\n    0000: 44 4D 41 52 DC 00 00 00 01 4E 41 4C 41 53 4B 41  DMAR.....NALASKA\n    0010: 41 20  ab cd\n\n";
        let tables = from_acpidump(text);
        assert_eq!(
            tables.first().map(|table| (table.signature.as_str(), table.bytes.len())),
            Some(("DMAR", 18))
        );
    }
}
