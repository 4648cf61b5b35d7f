//! Host addresses of PCI functions.
//!
//! The text form is the kernel's: `dddd:bb:dd.f`, all hexadecimal. The domain may exceed four digits (Intel VMD
//! and Hyper-V number theirs from 0x10000: `Documentation/PCI/`, `drivers/pci/controller/vmd.c`).

use std::fmt;
use std::str::FromStr;

/// Address of a PCI function on the host: domain, bus (0–255), device (0–31), function (0–7).
///
/// ```
/// use slotwise_core::pci::PciAddress;
/// let address: PciAddress = "3:04.0".parse()?;
/// assert_eq!(address.to_string(), "0000:03:04.0");
/// # Ok::<(), slotwise_core::pci::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// A component of an address, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The PCI domain (segment), up to 32 bits.
    Domain,
    /// The bus number, 8 bits.
    Bus,
    /// The device number, 5 bits.
    Device,
    /// The function number, 3 bits.
    Function,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Domain => "domain",
            Part::Bus => "bus",
            Part::Device => "device",
            Part::Function => "function",
        })
    }
}

/// Why a text or a set of numbers is not a PCI address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A component is not there at all.
    #[error("PCI address has no {0} (expected DDDD:BB:DD.F or BB:DD.F)")]
    Missing(Part),
    /// A component is not a hexadecimal number.
    #[error("{0} of PCI address is not hexadecimal")]
    NotHex(Part),
    /// A component is a number larger than the bus can say.
    #[error("{0} of PCI address is out of range")]
    OutOfRange(Part),
    /// Something follows the function number.
    #[error("text after the function number of PCI address")]
    Trailing,
}

impl PciAddress {
    /// An address from its numbers; an error names the component that is out of range.
    pub const fn new(domain: u32, bus: u8, device: u8, function: u8) -> Result<Self, AddressError> {
        if device > 31 {
            return Err(AddressError::OutOfRange(Part::Device));
        }
        if function > 7 {
            return Err(AddressError::OutOfRange(Part::Function));
        }
        Ok(Self { domain, bus, device, function })
    }

    /// An address from a 16-bit requester id (PCIe Base 6.0 §2.2.6.2: bus 15:8, device 7:3, function 2:0).
    #[must_use]
    pub const fn from_requester_id(domain: u32, id: u16) -> Self {
        let [low, bus] = id.to_le_bytes();
        Self { domain, bus, device: low >> 3, function: low & 7 }
    }

    /// The PCI domain (segment group).
    #[must_use]
    pub const fn domain(self) -> u32 {
        self.domain
    }

    /// The bus number, 0–255.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.bus
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

    /// The same device's function 0.
    #[must_use]
    pub const fn function_zero(self) -> Self {
        Self { function: 0, ..self }
    }

    /// The same bus and function at another device number.
    pub const fn with_device(self, device: u8) -> Result<Self, AddressError> {
        Self::new(self.domain, self.bus, device, self.function)
    }

    /// The 16-bit requester id that this function puts on the bus.
    #[must_use]
    pub const fn requester_id(self) -> u16 {
        u16::from_le_bytes([(self.device << 3) | self.function, self.bus])
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

impl FromStr for PciAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, function) = text.rsplit_once('.').ok_or(AddressError::Missing(Part::Function))?;
        let mut parts = head.rsplit(':');
        let device = parts.next().ok_or(AddressError::Missing(Part::Device))?;
        let bus = parts.next().ok_or(AddressError::Missing(Part::Bus))?;
        let domain = parts.next().unwrap_or("0");
        if parts.next().is_some() {
            return Err(AddressError::OutOfRange(Part::Domain));
        }
        if function.len() > 1 && function.starts_with(|c: char| c.is_ascii_hexdigit()) {
            return Err(AddressError::Trailing);
        }
        let domain = hex(domain, Part::Domain, u32::MAX)?;
        let bus = hex(bus, Part::Bus, 0xff)?;
        let device = hex(device, Part::Device, 0x1f)?;
        let function = hex(function, Part::Function, 7)?;
        let narrow = |value: u32, part| u8::try_from(value).map_err(|_| AddressError::OutOfRange(part));
        Self::new(
            domain,
            narrow(bus, Part::Bus)?,
            narrow(device, Part::Device)?,
            narrow(function, Part::Function)?,
        )
    }
}

fn hex(text: &str, part: Part, max: u32) -> Result<u32, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Missing(part));
    }
    // `from_str_radix` takes a sign; an address has none.
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(AddressError::NotHex(part));
    }
    match u32::from_str_radix(text, 16) {
        Ok(value) if value <= max => Ok(value),
        _ => Err(AddressError::OutOfRange(part)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<PciAddress, AddressError> {
        text.parse()
    }

    #[test]
    fn missing_parts_are_named() {
        assert_eq!(parse(""), Err(AddressError::Missing(Part::Function)));
        assert_eq!(parse("03:04"), Err(AddressError::Missing(Part::Function)));
        assert_eq!(parse("04.0"), Err(AddressError::Missing(Part::Bus)));
        assert_eq!(parse("03:.0"), Err(AddressError::Missing(Part::Device)));
        assert_eq!(parse("03:04."), Err(AddressError::Missing(Part::Function)));
    }

    #[test]
    fn text_that_is_not_hexadecimal_is_named() {
        assert_eq!(parse("0x:04.0"), Err(AddressError::NotHex(Part::Bus)));
        assert_eq!(parse("03:+4.0"), Err(AddressError::NotHex(Part::Device)));
    }

    #[test]
    fn numbers_beyond_the_bus_are_named() {
        assert_eq!(parse("03:20.0"), Err(AddressError::OutOfRange(Part::Device)));
        assert_eq!(parse("03:04.8"), Err(AddressError::OutOfRange(Part::Function)));
        assert_eq!(parse("100:04.0"), Err(AddressError::OutOfRange(Part::Bus)));
        assert_eq!(parse("100000000:03:04.0"), Err(AddressError::OutOfRange(Part::Domain)));
    }

    #[test]
    fn text_after_the_function_is_refused() {
        assert_eq!(parse("03:04.00"), Err(AddressError::Trailing));
    }

    #[test]
    fn long_domains_are_kept() {
        assert_eq!(parse("10000:e1:00.0").map(|a| a.to_string()).as_deref(), Ok("10000:e1:00.0"));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(domain: u32, id: u16) {
            let address = PciAddress::from_requester_id(domain, id);
            prop_assert_eq!(parse(&address.to_string()), Ok(address));
            prop_assert_eq!(address.requester_id(), id);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,24}") {
            let _ = parse(&text);
        }
    }
}
