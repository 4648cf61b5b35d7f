//! Sense data of the fixed format (X3.131-1994, 8.2.14): key, additional code and qualifier.

use std::fmt;
use std::str::FromStr;

/// Sense key, additional sense code and its qualifier, written `5/24/00` in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenseCode {
    /// 0 to 15.
    pub key: u8,
    /// ASC.
    pub code: u8,
    /// ASCQ.
    pub qualifier: u8,
}

impl SenseCode {
    /// Nothing to tell.
    pub const NONE: Self = Self { key: 0, code: 0, qualifier: 0 };

    /// Reads sense data: error code 70h or 71h in byte 0, the key in byte 2, ASC and ASCQ in bytes 12 and 13. Data that
    /// end before these have them as zero (8.2.14: bytes not sent are assumed zero); other formats give `None`.
    pub fn from_sense(sense: &[u8]) -> Option<Self> {
        let byte = |at: usize| sense.get(at).copied();
        if !matches!(byte(0)? & 0x7f, 0x70 | 0x71) {
            return None;
        }
        Some(Self {
            key: byte(2)? & 0x0f,
            code: byte(12).unwrap_or_default(),
            qualifier: byte(13).unwrap_or_default(),
        })
    }
}

impl fmt::Display for SenseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:02X}/{:02X}", self.key, self.code, self.qualifier)
    }
}

/// A text is no sense code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSenseCode;

impl FromStr for SenseCode {
    type Err = NoSenseCode;

    fn from_str(text: &str) -> Result<Self, NoSenseCode> {
        let mut parts = text.split('/');
        let mut part = |digits: usize| {
            let text = parts
                .next()
                .filter(|text| text.len() == digits && !text.starts_with('+'))
                .ok_or(NoSenseCode)?;
            u8::from_str_radix(text, 16).map_err(|_| NoSenseCode)
        };
        let code = Self { key: part(1)?, code: part(2)?, qualifier: part(2)? };
        if parts.next().is_some() { Err(NoSenseCode) } else { Ok(code) }
    }
}

/// The name of a sense key (8.2.14.2, table 65).
pub fn sense_key_name(key: u8) -> &'static str {
    match key & 0x0f {
        0x0 => "NO SENSE",
        0x1 => "RECOVERED ERROR",
        0x2 => "NOT READY",
        0x3 => "MEDIUM ERROR",
        0x4 => "HARDWARE ERROR",
        0x5 => "ILLEGAL REQUEST",
        0x6 => "UNIT ATTENTION",
        0x7 => "DATA PROTECT",
        0x8 => "BLANK CHECK",
        0x9 => "VENDOR-SPECIFIC",
        0xa => "COPY ABORTED",
        0xb => "ABORTED COMMAND",
        0xc => "EQUAL",
        0xd => "VOLUME OVERFLOW",
        0xe => "MISCOMPARE",
        _ => "RESERVED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_sense_is_read_and_short_sense_has_zeros() {
        let mut sense = [0; 18];
        (sense[0], sense[2], sense[12], sense[13]) = (0xf0, 0x25, 0x24, 0x01);
        assert_eq!(SenseCode::from_sense(&sense).unwrap().to_string(), "5/24/01");
        assert_eq!(SenseCode::from_sense(&sense[..8]).unwrap().to_string(), "5/00/00");
        assert_eq!(SenseCode::from_sense(&[]), None);
        assert_eq!(SenseCode::from_sense(&[0x72, 5, 0x24, 0]), None);
    }

    #[test]
    fn codes_are_read_as_they_are_written() {
        let code = SenseCode { key: 0xe, code: 0x1d, qualifier: 0 };
        assert_eq!("E/1D/00".parse(), Ok(code));
        for bad in ["5/24", "5/24/00/00", "05/24/00", "5/2/00", "g/24/00", ""] {
            assert_eq!(bad.parse::<SenseCode>(), Err(NoSenseCode), "{bad}");
        }
    }
}
