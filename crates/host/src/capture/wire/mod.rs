//! The manifest's form, by version. A version never changes once it was released: a new field makes a new version.

pub mod v1;
