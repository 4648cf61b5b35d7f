//! The attribute files of one device, read through its open directory.
//!
//! The directory is listed first: most attributes that could be there are not, and a name that is not in the list
//! needs no system call to be known absent. A name that was listed and then cannot be opened has vanished.

use std::borrow::Cow;

use slotwise_core::facts::{Fact, FaultKind, ReadFault};

use super::{ATTRIBUTE_BYTES, base_name, fault, malformed};
use crate::kernel::{Directory, OpenFile, ReadError};

/// One device's directory, its names, and a buffer used for one file after the other.
pub(super) struct Attributes<'d> {
    directory: &'d dyn Directory,
    path: &'d str,
    names: Vec<String>,
    buffer: Vec<u8>,
}

impl<'d> Attributes<'d> {
    /// Lists `directory`, which was opened at `path`.
    pub(super) fn new(directory: &'d dyn Directory, path: &'d str) -> Result<Self, ReadError> {
        Ok(Self { directory, path, names: directory.list()?, buffer: Vec::with_capacity(4096) })
    }

    /// Whether there was a file, a link or a directory of that name when it was listed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.binary_search_by(|other| other.as_str().cmp(name)).is_ok()
    }

    /// What stands at the name of an attribute, for messages and for reading what is below it.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Whether the device went away: `witness` was listed and is not there any more.
    pub(super) fn is_gone(&mut self, witness: &str) -> bool {
        self.has(witness)
            && self
                .directory
                .read(witness, ATTRIBUTE_BYTES, &mut self.buffer)
                .is_err_and(|error| matches!(fault(&error).kind, FaultKind::Vanished))
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
        if !self.has(name) {
            return Fact::Absent;
        }
        match self.directory.open_file(name) {
            Ok(file) => Fact::Known(file),
            Err(error) => Fact::Unreadable(fault(&error)),
        }
    }

    /// The bytes of attribute `name`.
    fn raw(&mut self, name: &str, limit: usize) -> Fact<&[u8]> {
        if !self.has(name) {
            return Fact::Absent;
        }
        match self.directory.read(name, limit, &mut self.buffer) {
            Ok(()) => Fact::Known(&self.buffer),
            Err(error) => Fact::Unreadable(fault(&error)),
        }
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
        if !self.has(name) {
            return Fact::Absent;
        }
        match self.directory.link(name) {
            Ok(target) => match parse(base_name(&target)) {
                Some(value) => Fact::Known(value),
                None => Fact::Unreadable(malformed(&self.place(name), expected)),
            },
            Err(error) => Fact::Unreadable(fault(&error)),
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
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
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
