//! Guest memory sizes.
//!
//! Units are binary: K, M, G and T are powers of 1024, with or without `i` and `B`. Decimal units (`MB` as 10^6)
//! are not offered, because every monitor reads `M` as 2^20 and a silent difference of 5% would be the worst of
//! answers.

use std::fmt;
use std::str::FromStr;

const MIB: u64 = 1 << 20;

/// How much memory a guest gets: a whole number of MiB, from 1 MiB to 16 TiB.
///
/// Whole MiB, since that is the finest step that all of QEMU, libvirt and Xen's `xl` keep without rounding. The
/// upper bound is the 44 bits of address that a mistyped unit soon passes, not a limit of any monitor.
///
/// ```
/// use slotwise_core::vm::MemorySize;
/// let size: MemorySize = "512M".parse()?;
/// assert_eq!((size.bytes(), size.to_string().as_str()), (536_870_912, "512M"));
/// # Ok::<(), slotwise_core::vm::MemorySizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize {
    mib: u32,
}

/// Why a text or number is not a memory size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemorySizeError {
    /// No digits at the start.
    #[error("memory size {0:?} does not start with a whole number (write 512M or 4G)")]
    NotANumber(String),
    /// A number without a unit: bytes for some tools, MiB for others.
    #[error("memory size {0:?} has no unit (write {0}M or {0}G)")]
    NoUnit(String),
    /// A unit that is not K, M, G or T.
    #[error("unit {unit:?} of memory size {text:?} is not one of K, M, G, T")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// What followed the number.
        unit: String,
    },
    /// Not a multiple of 1 MiB.
    #[error("memory size of {0} bytes is not a whole number of MiB")]
    NotWholeMib(u64),
    /// Zero.
    #[error("memory size is zero")]
    Zero,
    /// More than 16 TiB.
    #[error("memory size is more than 16T")]
    TooLarge,
}

impl MemorySize {
    /// The largest size, 16 TiB.
    pub const MAX: Self = Self { mib: 16 << 20 };

    /// A size from a number of bytes.
    ///
    /// # Errors
    /// Zero, more than 16 TiB, or not a multiple of 1 MiB.
    pub fn from_bytes(bytes: u64) -> Result<Self, MemorySizeError> {
        if bytes == 0 {
            return Err(MemorySizeError::Zero);
        }
        if bytes > Self::MAX.bytes() {
            return Err(MemorySizeError::TooLarge);
        }
        if !bytes.is_multiple_of(MIB) {
            return Err(MemorySizeError::NotWholeMib(bytes));
        }
        u32::try_from(bytes / MIB).map(|mib| Self { mib }).map_err(|_| MemorySizeError::TooLarge)
    }

    /// A size from a number of MiB.
    ///
    /// # Errors
    /// Zero or more than 16 TiB.
    pub fn from_mib(mib: u32) -> Result<Self, MemorySizeError> {
        Self::from_bytes(u64::from(mib) * MIB)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.mib as u64 * MIB
    }

    /// The size in MiB (1 to 16777216).
    #[must_use]
    pub const fn mib(self) -> u32 {
        self.mib
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mib.is_multiple_of(1024) {
            write!(f, "{}G", self.mib / 1024)
        } else {
            write!(f, "{}M", self.mib)
        }
    }
}

impl FromStr for MemorySize {
    type Err = MemorySizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let shown = || text.chars().take(40).collect::<String>();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(MemorySizeError::NotANumber(shown()));
        }
        let unit = unit.trim();
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" => return Err(MemorySizeError::NoUnit(shown())),
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => {
                let unit = unit.chars().take(40).collect();
                return Err(MemorySizeError::UnknownUnit { text: shown(), unit });
            }
        };
        let number: u64 = number.parse().map_err(|_| MemorySizeError::TooLarge)?;
        let bytes = number.checked_mul(1 << shift).ok_or(MemorySizeError::TooLarge)?;
        Self::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mib(text: &str) -> Result<u32, MemorySizeError> {
        text.parse().map(MemorySize::mib)
    }

    #[test]
    fn common_spellings_are_read() {
        for (text, expected) in [
            ("512M", 512),
            ("4G", 4096),
            ("96MiB", 96),
            ("1 GiB", 1024),
            ("2048k", 2),
            ("16T", 16 << 20),
            ("512mb", 512),
        ] {
            assert_eq!(mib(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        assert_eq!(mib("512"), Err(MemorySizeError::NoUnit("512".into())));
        assert_eq!(mib("lots"), Err(MemorySizeError::NotANumber("lots".into())));
        assert_eq!(mib("-1G"), Err(MemorySizeError::NotANumber("-1G".into())));
        assert_eq!(
            mib("1.5G").map_err(|e| e.to_string()),
            Err("unit \".5G\" of memory size \"1.5G\" is not one of K, M, G, T".into())
        );
        assert_eq!(mib("0G"), Err(MemorySizeError::Zero));
        assert_eq!(mib("17T"), Err(MemorySizeError::TooLarge));
        assert_eq!(mib("99999999999999999999G"), Err(MemorySizeError::TooLarge));
        assert_eq!(mib("1025K"), Err(MemorySizeError::NotWholeMib(1025 << 10)));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(mib in 1u32..=(16 << 20)) {
            let size = MemorySize::from_mib(mib).expect("in range");
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,24}") {
            let _ = text.parse::<MemorySize>();
        }
    }
}
