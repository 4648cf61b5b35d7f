//! The attribute files of one device, read through its open directory.
//!
//! The directory is not listed: opening a file that is not there costs less than a listing does, and whether the
//! device was there all the time is asked at the end ([`Attributes::is_gone`]).

use std::borrow::Cow;

use slotwise_core::facts::{Fact, ReadFault};

use super::{ATTRIBUTE_BYTES, base_name, fact, malformed};
use crate::kernel::{Directory, OpenFile, ReadErrorKind};

/// One device's directory, and a buffer used for one file after the other.
pub(super) struct Attributes<'d> {
    directory: &'d dyn Directory,
    path: &'d str,
    buffer: &'d mut Vec<u8>,
}

impl<'d> Attributes<'d> {
    /// Of `directory`, which was opened at `path`.
    pub(super) const fn new(directory: &'d dyn Directory, path: &'d str, buffer: &'d mut Vec<u8>) -> Self {
        Self { directory, path, buffer }
    }

    /// What stands at the name of an attribute, for messages.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Whether the device went away while it was read; asked last. `witness` is a file that could be read before, if
    /// there is one.
    ///
    /// Every device has a link to its subsystem (`drivers/base/bus.c: bus_add_device`), which costs least to ask for; a
    /// saved tree may lack it.
    pub(super) fn is_gone(&mut self, witness: Option<&str>) -> bool {
        if self.directory.link("subsystem").is_ok() {
            return false;
        }
        let went = |kind: &ReadErrorKind| matches!(kind, ReadErrorKind::NotFound | ReadErrorKind::Vanished);
        match witness {
            Some(name) => {
                let again = self.directory.read(name, ATTRIBUTE_BYTES, self.buffer);
                again.is_err_and(|error| went(&error.kind))
            }
            // What has nothing to tell either is a poor tree or the directory of a device that is gone.
            None => self.directory.list().map_or_else(|error| went(&error.kind), |names| names.is_empty()),
        }
    }

    /// The trimmed text of attribute `name`, made into a value. `parse` answers `None` for what is not `expected`.
    pub(super) fn value<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Fact<T> {
        match self.raw(name, ATTRIBUTE_BYTES) {
            Fact::Known(bytes) => match parse(trimmed(bytes).as_ref()) {
                Some(value) => Fact::Known(value),
                None => Fact::Unreadable(malformed(&self.place(name), expected)),
            },
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault),
        }
    }

    /// The file `name`, to be read in parts.
    pub(super) fn open(&self, name: &str) -> Fact<Box<dyn OpenFile + '_>> {
        fact(self.directory.open_file(name))
    }

    /// The names in the directory `name`.
    pub(super) fn names(&self, name: &str) -> Fact<Vec<String>> {
        fact(self.directory.list_below(name))
    }

    /// The bytes of attribute `name`.
    fn raw(&mut self, name: &str, limit: usize) -> Fact<&[u8]> {
        fact(self.directory.read(name, limit, self.buffer)).map(|()| self.buffer.as_slice())
    }

    /// A number with or without `0x`, as `printf("%#x")`, `("0x%04x")` print it.
    pub(super) fn hex<T: TryFrom<u64>>(&mut self, name: &str) -> Fact<T> {
        self.value(name, "expected a hexadecimal number", |text| T::try_from(hex(text)?).ok())
    }

    /// A decimal number.
    pub(super) fn decimal<T: std::str::FromStr>(&mut self, name: &str) -> Fact<T> {
        self.value(name, "expected a decimal number", |text| text.parse().ok())
    }

    /// A number that stands for a boolean.
    pub(super) fn flag(&mut self, name: &str) -> Fact<bool> {
        self.decimal::<u64>(name).map(|number| number > 0)
    }

    /// The last component of what the link `name` points at.
    pub(super) fn link<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Fact<T> {
        match fact(self.directory.link(name)) {
            Fact::Known(target) => match parse(base_name(&target)) {
                Some(value) => Fact::Known(value),
                None => Fact::Unreadable(malformed(&self.place(name), expected)),
            },
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault),
        }
    }
}

/// The text of `bytes` without space around it.
pub(super) fn trimmed(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.trim_ascii())
}

/// A hexadecimal number with or without `0x`; a sign is none.
pub(super) fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    // Half of what a function's files say are such numbers.
    digits.bytes().try_fold(0u64, |number, byte| {
        let digit = char::from(byte).to_digit(16)?;
        (number >> 60 == 0).then_some(number << 4 | u64::from(digit))
    })
}

/// The fault of a fact, if it has one, put with the others.
pub(super) fn note<T>(fact: Fact<T>, faults: &mut Vec<ReadFault>) -> Option<T> {
    match fact {
        Fact::Known(value) => Some(value),
        Fact::Absent => None,
        Fact::Unreadable(fault) => {
            faults.push(fault);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_numbers_have_digits_only_and_64_bits() {
        assert_eq!(hex("0x0000000000000000"), Some(0));
        assert_eq!(hex("ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(hex("0x00ffffffffffffffff"), Some(u64::MAX));
        for text in ["", "0x", "+1", "-1", "0x10000000000000000", "1g", " 1", "0X1"] {
            assert_eq!(hex(text), None, "{text}");
        }
    }
}
