//! Values as `slotwise.inspect/1` writes them, written straight into the text: a host of ten thousand functions has half a
//! million of them.

use serde::{Serialize, Serializer};

use crate::pci::{ClassCode, PciAddress, Space};

/// `0x` and the 16 digits of 64 bits.
const MOST_CHARACTERS: usize = 18;

/// A number in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hex {
    value: u64,
    /// Digits at least.
    digits: u8,
    prefix: &'static str,
}

impl Hex {
    /// An address or a size of PCI space: `0xfe706000`.
    pub(super) const fn number(value: u64) -> Self {
        Self { value, digits: 1, prefix: "0x" }
    }

    /// A 16-bit id, four digits.
    pub(super) fn id(value: u16) -> Self {
        Self { value: value.into(), digits: 4, prefix: "" }
    }

    /// A class, six digits.
    pub(super) fn class(class: ClassCode) -> Self {
        Self { value: class.bits().into(), digits: 6, prefix: "" }
    }

    /// A revision, two digits.
    pub(super) fn byte(value: u8) -> Self {
        Self { value: value.into(), digits: 2, prefix: "" }
    }

    /// The id of a capability, as wide as the ids of its list.
    pub(super) fn capability(space: Space, id: u16) -> Self {
        let digits = match space {
            Space::Standard => 2,
            Space::Extended => 4,
        };
        Self { value: id.into(), digits, prefix: "0x" }
    }

    /// Puts the text at the end of `room`, and says what it is.
    fn text(self, room: &mut [u8; MOST_CHARACTERS]) -> &str {
        let mut rest = self.value;
        let mut from = MOST_CHARACTERS;
        for place in room.iter_mut().rev() {
            if rest == 0 && MOST_CHARACTERS - from >= usize::from(self.digits) {
                break;
            }
            *place = digit(rest);
            rest >>= 4;
            from -= 1;
        }
        let head = from.saturating_sub(self.prefix.len());
        if let Some(place) = room.get_mut(head..from) {
            place.copy_from_slice(self.prefix.as_bytes());
        }
        room.get(head..).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// The lowest four bits of `value` as a digit.
fn digit(value: u64) -> u8 {
    b"0123456789abcdef".get((value & 0xf) as usize).copied().unwrap_or(b'0')
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; MOST_CHARACTERS]))
    }
}

/// A function's address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address(pub(super) PciAddress);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let address = self.0;
        let Ok(domain) = u16::try_from(address.domain()) else { return serializer.collect_str(&address) };
        let mut room = *b"0000:00:00.0";
        let requester = address.requester_id();
        // Domain, bus, device, function: four, two, two digits and one; a device has five bits, a function three.
        let places = [
            (0, u64::from(domain >> 12)),
            (1, u64::from(domain >> 8)),
            (2, u64::from(domain >> 4)),
            (3, u64::from(domain)),
            (5, u64::from(requester >> 12)),
            (6, u64::from(requester >> 8)),
            (8, u64::from(address.device() >> 4)),
            (9, u64::from(address.device())),
            (11, u64::from(address.function())),
        ];
        for (at, value) in places {
            if let Some(place) = room.get_mut(at) {
                *place = digit(value);
            }
        }
        match std::str::from_utf8(&room) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_str(&address),
        }
    }
}

/// Addresses in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses<'a>(pub(super) &'a [PciAddress]);

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().copied().map(Address))
    }
}

/// What has a text of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<T>(pub(super) T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(value: impl Serialize) -> String {
        serde_json::to_string(&value).expect("a text")
    }

    #[test]
    fn ids_keep_their_zeros() {
        assert_eq!(json(Hex::id(0x1b)), r#""001b""#);
        assert_eq!(json(Hex::byte(0)), r#""00""#);
        assert_eq!(json(Hex::class(ClassCode::from_bits(0x01_0000))), r#""010000""#);
        assert_eq!(json(Hex::capability(Space::Standard, 1)), r#""0x01""#);
        assert_eq!(json(Hex::capability(Space::Extended, 0x1b)), r#""0x001b""#);
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            prop_assert_eq!(json(Hex::number(value)), format!("\"{value:#x}\""));
        }

        #[test]
        fn addresses_are_written_as_they_are_shown(domain: u32, short: bool, id: u16) {
            let address = PciAddress::from_requester_id(if short { domain & 0xffff } else { domain }, id);
            prop_assert_eq!(json(Address(address)), format!("\"{address}\""));
        }
    }
}
