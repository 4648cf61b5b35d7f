//! Keys and values of login and text negotiation: `key=value`, each ended by a NUL (RFC 7143, 6.1).

/// The most bytes of one negotiation's text, over all its units.
pub const TEXT_LIMIT_BYTES: usize = 16 * 1024;
/// The most keys of one negotiation.
const KEY_LIMIT: usize = 128;
/// The longest key name (6.1).
const KEY_BYTES: usize = 63;

/// The text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not of keys and values")]
pub struct TextError;

/// Keys with their values, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<(String, String)>);

impl Keys {
    /// Reads the text of a data segment.
    ///
    /// # Errors
    ///
    /// It is too long, has too many keys, or one that is none.
    pub fn parse(text: &[u8]) -> Result<Self, TextError> {
        if text.len() > TEXT_LIMIT_BYTES {
            return Err(TextError);
        }
        let mut keys = Vec::new();
        for pair in text.split(|byte| *byte == 0).filter(|pair| !pair.is_empty()) {
            let (key, value) = std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| pair.split_once('='))
                .filter(|(key, _)| (1..=KEY_BYTES).contains(&key.len()))
                .ok_or(TextError)?;
            if keys.len() == KEY_LIMIT {
                return Err(TextError);
            }
            keys.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(keys))
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    /// A key's first value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The bytes of a data segment.
    pub fn bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(key, value)| format!("{key}={value}\0").into_bytes()).collect()
    }
}

/// A number within its range (6.1: decimal, or hexadecimal behind `0x`).
pub fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let value = match hex {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    range.contains(&value).then_some(value)
}

/// `Yes` or `No`.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_survive_the_round_trip_and_values_may_hold_an_equals_sign() {
        let keys = Keys::default().with("TargetName", "iqn.x:y=z").with("AuthMethod", "None");
        assert_eq!(Keys::parse(&keys.bytes()), Ok(keys.clone()));
        assert_eq!(keys.get("TargetName"), Some("iqn.x:y=z"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("{}=1\0", "k".repeat(KEY_BYTES + 1));
        for text in [b"novalue\0".as_slice(), b"=x\0", b"\xff=1\0", long.as_bytes()] {
            assert_eq!(Keys::parse(text), Err(TextError));
        }
        assert_eq!(Keys::parse("a=1\0".repeat(KEY_LIMIT + 1).as_bytes()), Err(TextError));
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_in_their_range() {
        assert_eq!(number("512", 512..=1024), Some(512));
        assert_eq!(number("0x200", 512..=1024), Some(512));
        assert_eq!(number("511", 512..=1024), None);
        assert_eq!(number("-1", 0..=1), None);
        assert_eq!((truth("Yes"), truth("yes")), (Some(true), None));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Keys::parse(&text);
        }
    }
}
