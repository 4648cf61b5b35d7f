//! Vendor and device ids, class codes.

use std::fmt;
use std::str::FromStr;

/// A pair of 16-bit ids: vendor and device, or subsystem vendor and subsystem device (PCI 3.0 §6.2.1, §6.2.4).
///
/// The text form is `vvvv:dddd`, hexadecimal, with or without the brackets that lspci puts around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciId {
    /// Who made it; assigned by PCI-SIG. 0xffff is what an absent function reads.
    pub vendor: u16,
    /// Which of that vendor's devices.
    pub device: u16,
}

/// A text that is not `vvvv:dddd`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a PCI id (expected vvvv:dddd, four hexadecimal digits each)")]
pub struct IdError {
    text: String,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

impl FromStr for PciId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || IdError { text: text.chars().take(40).collect() };
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        let (vendor, device) = bare.split_once(':').ok_or_else(fail)?;
        let number = |part: &str| {
            let hex = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
            if hex { u16::from_str_radix(part, 16).ok() } else { None }
        };
        Ok(Self { vendor: number(vendor).ok_or_else(fail)?, device: number(device).ok_or_else(fail)? })
    }
}

/// A class code of 24 bits: base class, sub-class, programming interface (PCI Code and ID Assignment 1.16 §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassCode(u32);

impl ClassCode {
    /// A class code from its three bytes.
    #[must_use]
    pub const fn new(base: u8, sub: u8, interface: u8) -> Self {
        Self(u32::from_be_bytes([0, base, sub, interface]))
    }

    /// The low 24 bits of `value`, as sysfs prints them (`0x010000`).
    #[must_use]
    pub const fn from_bits(value: u32) -> Self {
        Self(value & 0x00ff_ffff)
    }

    /// All 24 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The base class, for example 0x01 for mass storage.
    #[must_use]
    pub const fn base(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The sub-class, for example 0x00 for SCSI within mass storage.
    #[must_use]
    pub const fn sub(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The programming interface.
    #[must_use]
    pub const fn interface(self) -> u8 {
        self.0 as u8
    }

    /// Base class and sub-class in one number, as `lspci -n` prints them.
    #[must_use]
    pub const fn base_and_sub(self) -> u16 {
        (self.0 >> 8) as u16
    }

    /// Whether this is a PCI-to-PCI bridge (0604).
    #[must_use]
    pub const fn is_pci_bridge(self) -> bool {
        self.base_and_sub() == 0x0604
    }
}

impl fmt::Display for ClassCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_brackets() {
        let aic7850 = PciId { vendor: 0x9004, device: 0x5078 };
        assert_eq!("9004:5078".parse(), Ok(aic7850));
        assert_eq!("[9004:5078]".parse(), Ok(aic7850));
        assert_eq!(aic7850.to_string(), "9004:5078");
    }

    #[test]
    fn other_texts_are_refused_with_the_text() {
        for text in ["", "9004", "9004:", "9004:50780", "9004:+078", "x:y"] {
            assert!(text.parse::<PciId>().is_err(), "{text}");
        }
    }

    #[test]
    fn class_code_splits_into_its_bytes() {
        let class = ClassCode::from_bits(0x0006_0401);
        assert_eq!((class.base(), class.sub(), class.interface()), (0x06, 0x04, 0x01));
        assert!(class.is_pci_bridge());
        assert_eq!(class.to_string(), "060401");
    }
}
