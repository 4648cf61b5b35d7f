//! Licences, sources and duplicates of dependencies: cargo-deny, installed where it is missing.

use crate::Result;
use crate::build::{cargo, must};

/// Checks what `deny.toml` says. Advisories are left out: their database is not at hand everywhere.
pub(crate) fn run() -> Result {
    let there = cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        println!("installing cargo-deny (some minutes, once)");
        let mut install = cargo();
        install.args(["install", "cargo-deny", "--locked", "--quiet"]);
        must(install)?;
    }
    let mut deny = cargo();
    deny.args(["deny", "--log-level", "error", "check", "licenses", "bans", "sources"]);
    must(deny)
}
