//! Byte strings as hexadecimal text, two digits a byte without separators.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are hexadecimal text on the wire.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct HexBytes(pub Vec<u8>);

/// Why a text is not a byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexError {
    /// An odd number of digits.
    OddLength,
    /// Something else than a hexadecimal digit at this place.
    NotHex {
        /// Byte offset in the text.
        at: usize,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OddLength => f.write_str("an odd number of hexadecimal digits"),
            Self::NotHex { at } => write!(f, "not a hexadecimal digit at offset {at}"),
        }
    }
}

impl std::error::Error for HexError {}

impl FromStr for HexBytes {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        // What the agent shares with the bench is built by the distribution's compiler too, so it keeps to Rust 1.85.
        let pairs = text.as_bytes().chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(HexError::OddLength);
        }
        let value = |at: usize, digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            b'A'..=b'F' => Ok(digit - b'A' + 10),
            _ => Err(HexError::NotHex { at }),
        };
        let mut bytes = Vec::with_capacity(pairs.len());
        for (index, pair) in pairs.enumerate() {
            if let [high, low] = pair {
                bytes.push(value(2 * index, *high)? << 4 | value(2 * index + 1, *low)?);
            }
        }
        Ok(Self(bytes))
    }
}

impl HexBytes {
    fn text(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        // Only letters and digits are in it, so it is never empty in place of a text.
        String::from_utf8(self.0.iter().flat_map(pair).collect()).unwrap_or_default()
    }
}

impl fmt::Display for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all = HexBytes((0..=255).collect());
        assert_eq!(all.to_string().parse::<HexBytes>(), Ok(all));
    }

    #[test]
    fn bad_texts_are_refused_with_the_place() {
        assert_eq!("abc".parse::<HexBytes>(), Err(HexError::OddLength));
        assert_eq!("00g0".parse::<HexBytes>(), Err(HexError::NotHex { at: 2 }));
        assert_eq!("0é0".parse::<HexBytes>(), Err(HexError::NotHex { at: 1 }));
    }
}
