//! Licences, sources and duplicates of dependencies: cargo-deny, installed where it is missing.

use crate::Result;
use crate::build::{cargo, must};

/// Checks what `deny.toml` says. Advisories are left out: their database is not at hand everywhere.
pub(crate) fn run() -> Result {
    let there = cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        println!("installing cargo-deny (some minutes, once)");
        let mut install = cargo();
        // Not optimised: it runs for seconds, and compiles in less than a third of the time.
        install
            .args(["install", "cargo-deny", "--locked", "--quiet", "--debug"])
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        must(install)?;
    }
    let mut deny = cargo();
    deny.args(["deny", "--log-level", "error", "check", "licenses", "bans", "sources"]);
    must(deny)
}
