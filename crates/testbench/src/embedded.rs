//! The guests and suites that are part of the program; the tables are made by `build.rs` from `data/`.

/// A file of `data/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embedded {
    /// Its name without extension.
    pub(crate) id: &'static str,
    /// Its path in this crate, for messages.
    pub(crate) file: &'static str,
    pub(crate) text: &'static str,
}

/// A directory of `data/suites/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmbeddedSuite {
    pub(crate) id: &'static str,
    pub(crate) suite: Embedded,
    pub(crate) commands: Embedded,
    pub(crate) cases: &'static [Embedded],
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
