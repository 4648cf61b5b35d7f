//! What fuzzers call: one function for each border that bytes from outside cross.
//!
//! The bodies are here and not in `fuzz/`, so that two drivers run the same ones: libFuzzer, which needs a nightly
//! compiler (`fuzz/`, by `cargo fuzz`), and the plain one of [`drive`], which replays the corpus and mutates it on any
//! compiler and therefore runs in every test. A target returns when its input is handled, whatever the input is; it
//! panics if a promise is broken. Seeds lie in `fuzz/corpus/TARGET`, findings stay there as regressions, words that
//! lead into a parser in `fuzz/dictionaries/TARGET.dict`.

pub mod drive;
mod mutate;
mod targets;

use std::path::{Path, PathBuf};

/// One border.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the target, of its corpus and of its program below `fuzz/`.
    pub name: &'static str,
    /// The longest input that is worth a try, in bytes.
    pub longest: usize,
    /// Handles one input.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, longest: usize, run: fn(&[u8])) -> Target {
    Target { name, longest, run }
}

/// All borders.
pub const TARGETS: &[Target] = &[
    target("config_space", 4096 + 16, targets::config_space),
    target("text", 1 << 14, targets::text),
    target("lspci", 1 << 14, targets::lspci),
    target("groups", 1 << 13, targets::groups),
    target("udevadm", 1 << 13, targets::udevadm),
    target("kernel_log", 1 << 14, targets::kernel_log),
    target("acpi", 1 << 13, targets::acpi),
    target("acpidump", 1 << 14, targets::acpidump),
    target("diagnose", 1 << 14, targets::diagnose),
    target("spec", 1 << 13, targets::spec),
    target("selector", 64, targets::selector),
    target("capture_file", 1 << 14, targets::capture_file),
    target("capture_tar", 1 << 15, targets::capture_tar),
    target("capture_tree", 1 << 14, targets::capture_tree),
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Handles one input of the target of that name; for the programs of libFuzzer.
///
/// # Panics
/// If there is no such target, or the target finds something.
pub fn run(name: &str, input: &[u8]) {
    let Some(target) = find(name) else { panic!("there is no target {name}") };
    (target.run)(input);
}

/// The folder `fuzz` of the workspace.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
