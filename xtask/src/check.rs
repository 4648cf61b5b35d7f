//! Everything that CI checks, in stages: the quick ones first, the lab last.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::build::{cargo, must};
use crate::story::{self, Show};
use crate::{Result, agent_i386, build, deny, fuzz, generate, packages, placement, score, tidy};

struct Stage {
    name: &'static str,
    run: fn() -> Result,
}

/// Of why a stage failed, so many bytes are told again at the end: of a long run often only its end is kept.
const WHY_BYTES: usize = 700;

/// Stages that need no lab.
const FAST: &[Stage] = &[
    Stage { name: "format", run: || must(with(cargo(), &["fmt", "--all", "--check"])) },
    Stage { name: "tidy", run: tidy::run },
    Stage { name: "pages of reference", run: || generate::run(generate::Stale::Refuse) },
    Stage {
        name: "clippy",
        run: || must(with(cargo(), &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    },
    Stage { name: "tests", run: || run_tests(with(cargo(), &["test", "--workspace", "--quiet"])) },
    Stage { name: "dependencies", run: deny::run },
];

/// Stages that take long or boot machines.
const LAB: &[Stage] = &[
    Stage { name: "damaged input", run: fuzz::shortly },
    Stage { name: "static build", run: || build::dist().map(drop) },
    Stage { name: "start-up time", run: starts_quickly },
    Stage { name: "lab host by itself", run: lab_host },
    Stage { name: "guests by themselves", run: guests },
    Stage { name: "the main job, in the lab", run: || story::tell(Show::Steps, &build::dist()?).map(drop) },
    Stage { name: "hot-plug, in the lab", run: || story::attach::play(&build::dist()?) },
    Stage { name: "addresses, foretold and seen", run: placement::shortly },
    Stage { name: "scenarios, foretold and tried", run: score::shortly },
    Stage { name: "faults on purpose, in the lab", run: || story::faults::befall(&build::dist()?, "") },
];

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// Runs the stages; ends with a line of counts that test runners are read by.
pub(crate) fn run(fast: bool) -> Result {
    let stages: Vec<&Stage> = if fast { FAST.iter().collect() } else { FAST.iter().chain(LAB).collect() };
    if !fast {
        packages::ensure()?;
    }
    let mut rows = Vec::new();
    for stage in stages {
        println!("\n##### {}", stage.name);
        let start = Instant::now();
        let error = (stage.run)().err().map(|error| error.to_string());
        if let Some(error) = &error {
            println!("error: {error}");
        }
        rows.push((stage.name, start.elapsed(), error));
    }
    for (name, _, error) in &rows {
        if let Some(error) = error {
            println!("\n{name}: {}", shortened(error));
        }
    }
    println!();
    for (name, took, error) in &rows {
        let word = if error.is_none() { "passed" } else { "FAILED" };
        println!("{word}  {:>6.1} s  {name}", took.as_secs_f64());
    }
    let passed = rows.iter().filter(|row| row.2.is_none()).count();
    let failed = rows.len() - passed;
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err("not everything passed".into()) }
}

fn shortened(text: &str) -> &str {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= WHY_BYTES);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Runs tests; what they print goes on to our output, and the error has what the failed ones said.
fn run_tests(mut command: Command) -> Result {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut said = Failures::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            said.hear(&line);
        }
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} ended with {status}{}", said.told).into())
    }
}

/// What failed tests said: libtest prints it between two lines `failures:`, the second of which begins the list of names.
#[derive(Default)]
struct Failures {
    within: bool,
    told: String,
}

impl Failures {
    fn hear(&mut self, line: &str) {
        if line == "failures:" {
            self.within = !self.within;
        } else if self.within && !line.is_empty() {
            self.told.push('\n');
            self.told.push_str(line);
        }
    }
}

/// The test that boots a lab host, which a plain `cargo test` leaves out.
fn lab_host() -> Result {
    let dist = build::dist()?;
    must(machine_test(&dist, &["boot"]))
}

/// The tests that boot guests, on emulated machines and without the lab.
fn guests() -> Result {
    let dist = build::dist()?;
    agent_i386::build(&dist)?;
    let mut test = machine_test(&dist, &["guest", "firmware", "behind", "function"]);
    // What was fetched from the distribution's archive is kept where the program itself keeps it.
    test.env("SLOTWISE_IMAGES", build::cache()?.join("guests"));
    must(test)
}

/// Tests of the whole workspace with these names: chosen by package they would be built anew, with fewer features.
fn machine_test(dist: &build::Dist, tests: &[&str]) -> Command {
    let mut cargo = with(cargo(), &["test", "--workspace"]);
    for test in tests {
        cargo.args(["--test", test]);
    }
    cargo.args(["--", "--test-threads=1"]);
    cargo.env("SLOTWISE_LAB", "1");
    if std::env::var_os("SLOTWISE_GUEST").is_none() {
        cargo.env("SLOTWISE_GUEST", "1");
    }
    cargo.env("SLOTWISE_LAB_INIT", dist.program("slotwise-lab-init"));
    cargo.env("SLOTWISE_AGENT", dist.program("slotwise-agent"));
    cargo
}

/// The program must answer at once: a start that reads something big or starts a thread pool would show here by an order
/// of magnitude, on a busy machine too. The figure itself is measured by the bench.
fn starts_quickly() -> Result {
    let dist = build::dist()?;
    let best = (0..20).map(|_| start_time(&dist)).collect::<Result<Vec<_>>>()?.into_iter().min();
    let best = best.ok_or("no start was measured")?;
    println!("slotwise --version: {:.1} ms", best.as_secs_f64() * 1000.0);
    if best.as_millis() < 10 { Ok(()) } else { Err("slotwise does not start within 10 ms".into()) }
}

/// Time from starting the program to its end.
pub(crate) fn start_time(dist: &build::Dist) -> Result<std::time::Duration> {
    let start = Instant::now();
    let output = Command::new(dist.program("slotwise")).arg("--version").output()?;
    if output.status.success() { Ok(start.elapsed()) } else { Err("slotwise --version fails".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_tests_said_is_told_again() {
        let mut said = Failures::default();
        for line in "running 2 tests\n..\n\nfailures:\n\n---- a::b stdout ----\n\nthread 'a::b' panicked at x.rs:1:2:\nno\n\n\nfailures:\n    a::b\n"
            .lines()
        {
            said.hear(line);
        }
        assert_eq!(said.told, "\n---- a::b stdout ----\nthread 'a::b' panicked at x.rs:1:2:\nno");
        assert_eq!(shortened(&"ä".repeat(WHY_BYTES)).len(), WHY_BYTES);
        assert_eq!(shortened("short"), "short");
    }
}
