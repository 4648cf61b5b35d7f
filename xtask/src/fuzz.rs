//! Fuzzing: libFuzzer through cargo-fuzz where there is a nightly compiler, the plain driver where there is none.
//!
//! What runs is in `crates/fuzz-targets`. Inputs that libFuzzer finds worth keeping gather below the target directory,
//! not in the tree; what breaks a promise lies in `fuzz/artifacts` and belongs, once mended, into `fuzz/corpus`.

use std::process::Command;

use slotwise_fuzz_targets::{TARGETS, Target, find};

use crate::Result;
use crate::build::{cargo, command, must, root, target_directory};

/// Seconds that a target gets where none are told.
const SECONDS: u64 = 60;
/// Seconds that a target gets among the tests: all of them together, less than a minute.
const SHORT_SECONDS: u64 = 3;
/// Seconds that one input may take, and memory in MiB: what the plain driver allows
/// (`crates/fuzz-targets/src/drive.rs`), and what the address sanitizer adds to it.
const LIMITS: [&str; 2] = ["-timeout=30", "-rss_limit_mb=2048"];

/// Fuzzes one target, or all of them in turn; cargo-fuzz is installed where it is missing.
pub(crate) fn run(name: Option<&str>, seconds: Option<u64>) -> Result {
    let targets: Vec<Target> = match name {
        Some(name) => vec![find(name).ok_or_else(|| format!("no target {name}; there are {}", names()))?],
        None => TARGETS.to_vec(),
    };
    let seconds = seconds.unwrap_or(SECONDS);
    if !has_nightly() {
        println!("no nightly compiler: the plain driver runs, without coverage");
        return plainly(name, seconds);
    }
    if !has_cargo_fuzz() {
        println!("installing cargo-fuzz (a minute, once)");
        let mut install = cargo();
        install.args(["install", "cargo-fuzz", "--locked", "--quiet"]);
        must(install)?;
    }
    with_libfuzzer(&targets, seconds)
}

/// A short run of every target, for the tests; installs nothing.
pub(crate) fn shortly() -> Result {
    if has_nightly() && has_cargo_fuzz() {
        with_libfuzzer(TARGETS, SHORT_SECONDS)
    } else {
        println!("no nightly compiler with cargo-fuzz: the plain driver runs, without coverage");
        plainly(None, SHORT_SECONDS)
    }
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
}

fn succeeds(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Cargo of the nightly toolchain. Through rustup, and without what names the toolchain that runs us.
fn nightly() -> Command {
    let mut command = command("rustup");
    command.args(["run", "nightly", "cargo"]).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}

fn has_nightly() -> bool {
    let mut nightly = nightly();
    nightly.arg("--version");
    succeeds(nightly)
}

fn has_cargo_fuzz() -> bool {
    let mut cargo = cargo();
    cargo.args(["fuzz", "--version"]);
    succeeds(cargo)
}

fn with_libfuzzer(targets: &[Target], seconds: u64) -> Result {
    for target in targets {
        println!("{}: {seconds} s", target.name);
        must(libfuzzer(*target, seconds)?)?;
    }
    Ok(())
}

fn libfuzzer(target: Target, seconds: u64) -> Result<Command> {
    let name = target.name;
    let found = target_directory().join("fuzz-corpus").join(name);
    std::fs::create_dir_all(&found)?;
    let mut fuzz = nightly();
    fuzz.args(["fuzz", "run", "--target-dir"]).arg(target_directory().join("fuzz")).arg(name);
    // The first folder is written to, the second is not.
    fuzz.arg(found).arg(root().join("fuzz/corpus").join(name)).arg("--").args(LIMITS);
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={}", target.longest));
    let dictionary = root().join("fuzz/dictionaries").join(format!("{name}.dict"));
    fuzz.arg(format!("-dict={}", dictionary.display())).args(["-verbosity=0", "-print_final_stats=1"]);
    Ok(fuzz)
}

fn plainly(name: Option<&str>, seconds: u64) -> Result {
    let mut test = cargo();
    test.args(["test", "--workspace", "--test", "replay", "--", "--nocapture"]);
    test.env("SLOTWISE_FUZZ_SECONDS", seconds.to_string());
    if let Some(name) = name {
        test.env("SLOTWISE_FUZZ_TARGET", name);
    }
    must(test)
}
