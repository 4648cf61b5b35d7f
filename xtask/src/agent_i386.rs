//! The agent for 32-bit guests: built by the distribution's own compiler, since a machine that builds Slotwise has, as a
//! rule, a Rust library for its own processor alone.
//!
//! Compiler, library and C library are Debian's packages, unpacked into the cache and used from there: nothing is
//! installed. The compiler is older than the one that builds the rest, so the agent, and what it shares with the bench,
//! keep to Rust 1.85.

use std::path::{Path, PathBuf};

use slotwise_testbench::guest::archive::Archive;

use crate::Result;
use crate::build::{self, Dist, cargo, must, target_directory};

const TARGET: &str = "i686-unknown-linux-gnu";

/// Builds it, into the folder of the other programs.
pub(crate) fn build(dist: &Dist) -> Result<PathBuf> {
    let packages = build::cache()?.join("guests/packages");
    let tree = Archive::new(packages).rust_i386().map_err(|error| {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("no compiler for 32-bit programs: {error}{hint}")
    })?;
    let own = target_directory().join("i386");
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--target", TARGET, "-p", "slotwise-agent", "--ignore-rust-version"]);
    cargo.arg("--target-dir").arg(&own);
    cargo.env("RUSTC", tree.join("usr/bin/rustc"));
    cargo.env("LD_LIBRARY_PATH", tree.join("usr/lib/x86_64-linux-gnu"));
    cargo.env("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags(&tree));
    // What is meant for the compiler of the rest is not for this one.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    must(cargo)?;
    let program = dist.program("slotwise-agent-i386");
    build::copy_if_newer(&own.join(TARGET).join("release/slotwise-agent"), &program)?;
    Ok(program)
}

/// The host's own gcc links with `-m32`; start files and libraries of the C library and of gcc are the tree's.
fn flags(tree: &Path) -> String {
    let own = |path: &str| tree.join(path).display().to_string();
    let (c, gcc) = (own("usr/lib/i386-linux-gnu"), own("usr/lib/gcc/i686-linux-gnu/12"));
    format!(
        "-C target-feature=+crt-static -L native={c} -L native={gcc} -C link-arg=-B{c} -C link-arg=-B{gcc} \
         -C link-arg=--sysroot={}",
        tree.display()
    )
}
