//! JSON by contract. A version is frozen once released: fields may be added to it, never changed.

pub mod v1;
