//! Which functions are meant: the patterns of `lspci -s` and `lspci -d`.
//!
//! Grammar and meaning are those of pciutils `lib/filter.c`: parts that are empty, left out or `*` match anything,
//! numbers are hexadecimal without a limit on leading zeros, and in a class `x` stands for any digit.

use std::str::FromStr;

use super::{ClassCode, PciAddress, PciId};

/// Functions by place: `[[[[domain]:]bus]:][device][.[function]]`.
///
/// ```
/// use slotwise_core::pci::{PciAddress, SlotPattern};
/// let pattern: SlotPattern = "3:.1".parse()?;
/// assert!(pattern.matches("0000:03:04.1".parse::<PciAddress>().expect("an address")));
/// # Ok::<(), slotwise_core::pci::SelectorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotPattern {
    domain: Option<u32>,
    bus: Option<u32>,
    device: Option<u32>,
    function: Option<u32>,
}

/// Functions by what they are: `[vendor]:[device][:class[:interface]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdPattern {
    vendor: Option<u32>,
    device: Option<u32>,
    /// Base class and sub-class, and the bits of it that count.
    class: Option<(u32, u32)>,
    interface: Option<u32>,
}

/// Either pattern. What can be read as a place is one: `03:04` is device 4 of bus 3, `9004:5078` an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// By place.
    Slot(SlotPattern),
    /// By ids and class.
    Id(IdPattern),
}

/// A part of a pattern, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternPart {
    /// The domain, at most 7fffffff.
    Domain,
    /// The bus, at most ff.
    Bus,
    /// The device, at most 1f.
    Device,
    /// The function, at most 7.
    Function,
    /// The vendor id, at most ffff.
    Vendor,
    /// The device id, at most ffff.
    DeviceId,
    /// The class, at most ffff.
    Class,
    /// The programming interface, at most ff.
    Interface,
}

impl std::fmt::Display for PatternPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Domain => "domain",
            Self::Bus => "bus",
            Self::Device => "device",
            Self::Function => "function",
            Self::Vendor => "vendor id",
            Self::DeviceId => "device id",
            Self::Class => "class",
            Self::Interface => "programming interface",
        })
    }
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A part is no hexadecimal number, or too large.
    #[error("{0} of the pattern is not a hexadecimal number in range")]
    Invalid(PatternPart),
    /// There are more parts than the pattern has.
    #[error("pattern has too many parts")]
    TooManyParts,
    /// An id pattern without a colon.
    #[error("pattern of ids has no colon (expected [VENDOR]:[DEVICE][:CLASS[:INTERFACE]])")]
    NoColon,
    /// It is neither pattern.
    #[error("neither a place ([[[DOMAIN]:]BUS]:][DEVICE][.FUNCTION]) nor an id ([VENDOR]:[DEVICE][:CLASS])")]
    Neither,
}

impl SlotPattern {
    /// Whether the pattern means this place.
    #[must_use]
    pub fn matches(&self, address: PciAddress) -> bool {
        fits(self.domain, address.domain())
            && fits(self.bus, address.bus().into())
            && fits(self.device, address.device().into())
            && fits(self.function, address.function().into())
    }
}

impl IdPattern {
    /// Whether the pattern means a function with this id and class. What is unknown is matched by nothing but a part
    /// that matches anything.
    #[must_use]
    pub fn matches(&self, id: Option<PciId>, class: Option<ClassCode>) -> bool {
        let known = |pattern: Option<u32>, value: Option<u32>| {
            pattern.is_none() || value.is_some_and(|value| fits(pattern, value))
        };
        known(self.vendor, id.map(|id| id.vendor.into()))
            && known(self.device, id.map(|id| id.device.into()))
            && self.class.is_none_or(|(bits, mask)| {
                class.is_some_and(|class| (u32::from(class.base_and_sub()) ^ bits) & mask == 0)
            })
            && known(self.interface, class.map(|class| class.interface().into()))
    }
}

impl Selector {
    /// Whether it means this function.
    #[must_use]
    pub fn matches(&self, address: PciAddress, id: Option<PciId>, class: Option<ClassCode>) -> bool {
        match self {
            Self::Slot(pattern) => pattern.matches(address),
            Self::Id(pattern) => pattern.matches(id, class),
        }
    }
}

fn fits(pattern: Option<u32>, value: u32) -> bool {
    pattern.is_none_or(|wanted| wanted == value)
}

impl FromStr for SlotPattern {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // From the right: the last part is device and function, before it the bus, before that the domain.
        let mut parts = text.rsplit(':');
        let place = parts.next().unwrap_or_default();
        let bus = number(parts.next(), PatternPart::Bus, 0xff)?;
        let domain = number(parts.next(), PatternPart::Domain, 0x7fff_ffff)?;
        if parts.next().is_some() {
            return Err(SelectorError::TooManyParts);
        }
        let mut place = place.split('.');
        let device = number(place.next(), PatternPart::Device, 0x1f)?;
        let function = number(place.next(), PatternPart::Function, 7)?;
        if place.next().is_some() {
            return Err(SelectorError::TooManyParts);
        }
        Ok(Self { domain, bus, device, function })
    }
}

impl FromStr for IdPattern {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let vendor = number(parts.next(), PatternPart::Vendor, 0xffff)?;
        let device = parts.next().ok_or(SelectorError::NoColon)?;
        let device = number(Some(device), PatternPart::DeviceId, 0xffff)?;
        let class = class(parts.next())?;
        let interface = number(parts.next(), PatternPart::Interface, 0xff)?;
        if parts.next().is_some() {
            return Err(SelectorError::TooManyParts);
        }
        Ok(Self { vendor, device, class, interface })
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(pattern) = text.parse() {
            return Ok(Self::Slot(pattern));
        }
        text.parse().map(Self::Id).map_err(|_| SelectorError::Neither)
    }
}

/// A part that means something: neither left out nor empty nor `*`.
fn defined(part: Option<&str>) -> Option<&str> {
    part.filter(|part| !matches!(*part, "" | "*"))
}

fn number(part: Option<&str>, what: PatternPart, max: u32) -> Result<Option<u32>, SelectorError> {
    let Some(part) = defined(part) else { return Ok(None) };
    let mut value: u32 = 0;
    for digit in part.chars() {
        let digit = digit.to_digit(16).ok_or(SelectorError::Invalid(what))?;
        value = value
            .checked_mul(16)
            .and_then(|v| v.checked_add(digit))
            .filter(|v| *v <= max)
            .ok_or(SelectorError::Invalid(what))?;
    }
    Ok(Some(value))
}

/// `0c03`, `03xx`: digits that are `x` do not count.
fn class(part: Option<&str>) -> Result<Option<(u32, u32)>, SelectorError> {
    let Some(part) = defined(part) else { return Ok(None) };
    let invalid = SelectorError::Invalid(PatternPart::Class);
    let (mut bits, mut mask): (u32, u32) = (0, u32::MAX);
    // Leading zeros aside, four digits are all that fit.
    let digits = part.trim_start_matches('0');
    if digits.len() > 4 {
        return Err(invalid);
    }
    for digit in digits.chars() {
        let (digit, counts) = match digit {
            'x' | 'X' => (0, 0),
            digit => (digit.to_digit(16).ok_or(invalid)?, 0xf),
        };
        (bits, mask) = (bits << 4 | digit, mask << 4 | counts);
    }
    Ok(Some((bits, mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(pattern: &str, address: &str) -> bool {
        let pattern: SlotPattern = pattern.parse().expect("a pattern");
        pattern.matches(address.parse().expect("an address"))
    }

    fn id(pattern: &str, class: u32) -> bool {
        let pattern: IdPattern = pattern.parse().expect("a pattern");
        pattern.matches(Some(PciId { vendor: 0x8086, device: 0x1533 }), Some(ClassCode::from_bits(class)))
    }

    #[test]
    fn parts_that_are_left_out_match_anything() {
        for pattern in
            ["", "*", ":", "::", "4", "04.1", ".1", "3:", "3:4.*", "0:3:", "0000:03:04.1", "*:*:*.*"]
        {
            assert!(slot(pattern, "0000:03:04.1"), "{pattern}");
        }
        for pattern in ["3", ".0", "4:", "1::", "0001:03:04.1", "3:4.0"] {
            assert!(!slot(pattern, "0000:03:04.1"), "{pattern}");
        }
    }

    #[test]
    fn ids_and_classes_match_digit_by_digit() {
        for pattern in [
            ":",
            "8086:",
            ":1533",
            "8086:1533",
            "::0200",
            "::02xx",
            "8086:*:0200:00",
            "*:*:2XX",
            "::xxxx",
            "::x2xx",
        ] {
            assert!(id(pattern, 0x02_0000), "{pattern}");
        }
        for pattern in ["10ec:", "::0300", "::02", "::0200:01", ":1534"] {
            assert!(!id(pattern, 0x02_0000), "{pattern}");
        }
    }

    #[test]
    fn what_is_unknown_is_matched_by_a_free_part_only() {
        let pattern: IdPattern = "8086:".parse().expect("a pattern");
        assert!(!pattern.matches(None, None));
        let pattern: IdPattern = ":".parse().expect("a pattern");
        assert!(pattern.matches(None, None));
    }

    #[test]
    fn each_fault_is_named() {
        let slot = |text: &str| text.parse::<SlotPattern>();
        assert_eq!(slot("20"), Err(SelectorError::Invalid(PatternPart::Device)));
        assert_eq!(slot("1.8"), Err(SelectorError::Invalid(PatternPart::Function)));
        assert_eq!(slot("100:"), Err(SelectorError::Invalid(PatternPart::Bus)));
        assert_eq!(slot("80000000::"), Err(SelectorError::Invalid(PatternPart::Domain)));
        assert_eq!(slot("0:0:0:0"), Err(SelectorError::TooManyParts));
        assert_eq!(slot("0.0.0"), Err(SelectorError::TooManyParts));
        let id = |text: &str| text.parse::<IdPattern>();
        assert_eq!(id("8086"), Err(SelectorError::NoColon));
        assert_eq!(id("g:"), Err(SelectorError::Invalid(PatternPart::Vendor)));
        assert_eq!(id(":10000"), Err(SelectorError::Invalid(PatternPart::DeviceId)));
        assert_eq!(id("::1xxxx"), Err(SelectorError::Invalid(PatternPart::Class)));
        assert_eq!(id(":::100"), Err(SelectorError::Invalid(PatternPart::Interface)));
        assert_eq!("9004".parse::<Selector>(), Err(SelectorError::Neither));
    }

    #[test]
    fn places_and_ids_are_told_apart() {
        assert!(matches!("03:04".parse(), Ok(Selector::Slot(_))));
        assert!(matches!("0000:03:04.0".parse(), Ok(Selector::Slot(_))));
        assert!(matches!("9004:5078".parse(), Ok(Selector::Id(_))));
        assert!(matches!("9004:".parse(), Ok(Selector::Id(_))));
        assert!(matches!("::0300".parse(), Ok(Selector::Id(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,24}") {
            let _ = text.parse::<Selector>();
        }

        #[test]
        fn an_address_selects_itself(domain in 0u32..0x8000_0000, requester: u16) {
            let address = PciAddress::from_requester_id(domain, requester);
            let pattern: SlotPattern = address.to_string().parse().expect("a pattern");
            prop_assert!(pattern.matches(address));
        }
    }
}
