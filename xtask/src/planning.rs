//! `cargo xtask bench planning`: how long a plan takes, measured by an optimised build of the core alone
//! (`crates/core/examples/planning.rs`).

use crate::Result;
use crate::build::{command, root};

/// Builds and runs it; an error if a target is missed.
pub(crate) fn run() -> Result {
    let arguments = ["run", "--quiet", "--release", "--package", "slotwise-core", "--example", "planning"];
    let status = command("cargo").args(arguments).current_dir(root()).status()?;
    if status.success() { Ok(()) } else { Err("planning takes longer than it should".into()) }
}
