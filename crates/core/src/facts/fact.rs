//! A fact is known, absent, or could not be read.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// One thing that a host may say.
///
/// `Absent` means that the host was asked and has none (no driver bound, no such file where its absence is an
/// answer). `Unreadable` means that nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fact<T> {
    /// The host said so.
    Known(T),
    /// The host has none.
    #[default]
    Absent,
    /// It could not be read.
    Unreadable(ReadFault),
}

impl<T> Fact<T> {
    /// The value, if known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Fact::Known(value) => Some(value),
            Fact::Absent | Fact::Unreadable(_) => None,
        }
    }

    /// Whether nobody knows.
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Fact::Unreadable(_))
    }

    /// The fault that kept it from being read.
    pub const fn fault(&self) -> Option<&ReadFault> {
        match self {
            Fact::Unreadable(fault) => Some(fault),
            Fact::Known(_) | Fact::Absent => None,
        }
    }

    /// The fact about a reference to the value.
    pub fn as_ref(&self) -> Fact<&T> {
        match self {
            Fact::Known(value) => Fact::Known(value),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault.clone()),
        }
    }

    /// The fact about a value derived from this one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Fact::Known(value) => Fact::Known(f(value)),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault),
        }
    }
}

impl<T> Fact<T> {
    /// The fact about what `f` makes of the value; absent where `f` says that there is none.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Option<U>) -> Fact<U> {
        match self {
            Fact::Known(value) => f(value).into(),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault),
        }
    }
}

impl<T> From<Option<T>> for Fact<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Fact::Absent, Fact::Known)
    }
}

/// Something that could not be read, or made no sense.
///
/// One pointer wide: a function has some thirty facts, and hardly any of them is unreadable. Of a source that tells little
/// nearly all are, for the same reason; they share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFault(Arc<FaultDetail>);

/// What a [`ReadFault`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultDetail {
    /// The file, or the place in a text (`line 12`).
    pub place: String,
    /// Why.
    pub kind: FaultKind,
}

impl ReadFault {
    /// A fault at a place.
    #[must_use]
    pub fn new(place: impl Into<String>, kind: FaultKind) -> Self {
        Self(Arc::new(FaultDetail { place: place.into(), kind }))
    }
}

impl Deref for ReadFault {
    type Target = FaultDetail;

    fn deref(&self) -> &FaultDetail {
        &self.0
    }
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Permission is missing; root would see it.
    Denied,
    /// It went away while it was read.
    Vanished,
    /// The source (a capture, a text) does not hold it.
    NotInSource,
    /// It was there but is not what it should be; the text says what was expected.
    Malformed(String),
    /// Any other failure, in the system's words.
    Failed(String),
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Denied => f.write_str("permission denied (root can read it)"),
            FaultKind::Vanished => f.write_str("went away while it was read"),
            FaultKind::NotInSource => f.write_str("not in this source"),
            FaultKind::Malformed(what) | FaultKind::Failed(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_hardly_larger_than_its_value() {
        assert_eq!(size_of::<Fact<u8>>(), 16);
        assert_eq!(size_of::<Fact<String>>(), size_of::<String>());
    }
}
