//! Where a guest finds a device.

use std::fmt;
use std::str::FromStr;

/// A place on the guest's root PCI bus: device 0–31 and function 0–7, text `dd.f` in hexadecimal.
///
/// Only the root bus (domain 0, bus 0), because its number is the only one that is known before the guest's
/// firmware has run: numbers of buses behind bridges are handed out by the firmware. There is no conversion from
/// or to a host address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestSlot {
    device: u8,
    function: u8,
}

/// Why a text or a pair of numbers is no guest slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestSlotError {
    /// Not `dd` or `dd.f`.
    #[error("guest slot is not of the form DD or DD.F, hexadecimal")]
    Form,
    /// A bus other than the root bus is named.
    #[error("guest slot names a bus (only device and function on the guest's root bus can be chosen)")]
    NamesABus,
    /// Device above 0x1f.
    #[error("device {0:#x} of guest slot is above 0x1f")]
    Device(u32),
    /// Function above 7.
    #[error("function {0:#x} of guest slot is above 7")]
    Function(u32),
}

impl GuestSlot {
    /// A slot from its numbers.
    ///
    /// # Errors
    /// A device above 31 or a function above 7.
    pub fn new(device: u8, function: u8) -> Result<Self, GuestSlotError> {
        match (device, function) {
            (32.., _) => Err(GuestSlotError::Device(device.into())),
            (_, 8..) => Err(GuestSlotError::Function(function.into())),
            _ => Ok(Self { device, function }),
        }
    }

    /// The device number, 0–31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function number, 0–7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for GuestSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}.{:x}", self.device, self.function)
    }
}

impl FromStr for GuestSlot {
    type Err = GuestSlotError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            return Err(GuestSlotError::NamesABus);
        }
        let number = |part: &str| {
            let plain = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
            let value = if plain { u32::from_str_radix(part, 16).ok() } else { None };
            value.ok_or(GuestSlotError::Form)
        };
        let (device, function) = text.split_once('.').unwrap_or((text, "0"));
        let (device, function) = (number(device)?, number(function)?);
        let device = u8::try_from(device).map_err(|_| GuestSlotError::Device(device))?;
        let function = u8::try_from(function).map_err(|_| GuestSlotError::Function(function))?;
        Self::new(device, function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_alone_means_function_zero() {
        assert_eq!("6".parse::<GuestSlot>().map(|s| s.to_string()).as_deref(), Ok("06.0"));
        assert_eq!("1f.7".parse::<GuestSlot>().map(|s| s.to_string()).as_deref(), Ok("1f.7"));
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let parse = |text: &str| text.parse::<GuestSlot>();
        assert_eq!(parse(""), Err(GuestSlotError::Form));
        assert_eq!(parse("6."), Err(GuestSlotError::Form));
        assert_eq!(parse("+6"), Err(GuestSlotError::Form));
        assert_eq!(parse("0000:00:06.0"), Err(GuestSlotError::NamesABus));
        assert_eq!(parse("20"), Err(GuestSlotError::Device(0x20)));
        assert_eq!(parse("106.0"), Err(GuestSlotError::Device(0x106)));
        assert_eq!(parse("6.8"), Err(GuestSlotError::Function(8)));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(device in 0u8..32, function in 0u8..8) {
            let slot = GuestSlot::new(device, function).expect("in range");
            prop_assert_eq!(slot.to_string().parse(), Ok(slot));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,12}") {
            let _ = text.parse::<GuestSlot>();
        }
    }
}
