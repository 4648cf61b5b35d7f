//! iSCSI (RFC 7143) as far as a test bench needs it: protocol data units, key=value text, a small initiator.
//!
//! - [`frame`]: a unit on the wire, its header segment and its data segment
//! - [`request`]: what initiators send
//! - [`response`]: what targets send
//! - [`text`]: keys and values of login and text negotiation
//! - [`initiator`]: one session with any target
//!
//! What it does not do: digests, more than one connection in a session, authentication, error recovery above level 0,
//! bidirectional commands, markers. All of it is refused in negotiation or by [`frame::FrameError`].
//!
//! Layouts are those of RFC 7143, section 11; numbers on the wire are big-endian, lengths are in bytes.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod frame;
pub mod initiator;
pub mod request;
pub mod response;
pub mod text;

/// The task tag, and the transfer tag, that stands for none (RFC 7143, 11.18.1, 11.7.4).
pub const NO_TAG: u32 = 0xffff_ffff;

/// A logical unit number as it stands in a header (SAM-2, 4.9): one level, numbers 0 to 255 by peripheral device
/// addressing, larger ones up to 16383 by flat space addressing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lun(u64);

impl Lun {
    /// A number of one level; `None` past 16383.
    pub fn new(number: u16) -> Option<Self> {
        match number {
            0..=0xff => Some(Self(u64::from(number) << 48)),
            0x100..=0x3fff => Some(Self(u64::from(number | 0x4000) << 48)),
            _ => None,
        }
    }

    /// The eight bytes of a header.
    pub const fn from_wire(wire: u64) -> Self {
        Self(wire)
    }

    /// The eight bytes for a header.
    pub const fn to_wire(self) -> u64 {
        self.0
    }

    /// The number, where it is one of a single level.
    pub fn number(self) -> Option<u16> {
        let [a, b, rest @ ..] = self.0.to_be_bytes();
        let flat = u16::from_be_bytes([a & 0x3f, b]);
        match a >> 6 {
            _ if rest != [0; 6] => None,
            0 if a == 0 => Some(b.into()),
            1 => Some(flat),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_unit_numbers_of_one_level_survive_the_round_trip() {
        for number in [0, 7, 255, 256, 16383] {
            assert_eq!(Lun::new(number).and_then(|lun| Lun::from_wire(lun.to_wire()).number()), Some(number));
        }
        assert_eq!(Lun::new(16384), None);
        assert_eq!(Lun::from_wire(0x0101_0000_0000_0000).number(), None);
        assert_eq!(Lun::from_wire(0x0001_0001_0000_0000).number(), None);
    }
}
