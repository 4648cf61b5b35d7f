//! libiscsi's `iscsi-test-cu` as an oracle: which of its tests fail on a target.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::scope;
use crate::Result;

/// How long a suite of it may take; what hangs longer has found something.
const LIMIT: Duration = Duration::from_secs(60);

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    Skipped,
    /// With what it said first.
    Failed(String),
}

/// Suite and test.
pub(super) type Test = (String, String);

/// Its version as the distribution has it.
pub(super) fn version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Runs the tests in scope; `suites` are those of it.
pub(super) fn run(url: &str, suites: &[&str]) -> Result<BTreeMap<Test, Ended>> {
    let mut ended = BTreeMap::new();
    for suite in suites {
        let text = one(url, suite)?;
        for (test, how) in parse(&text) {
            if scope::cases(suite, &test).is_some() {
                ended.insert(((*suite).to_owned(), test), how);
            }
        }
    }
    Ok(ended)
}

fn one(url: &str, suite: &str) -> Result<String> {
    // Ended with a signal that its own handler cannot hold up: a hung command holds the program.
    let seconds = LIMIT.as_secs().to_string();
    let output = Command::new("timeout")
        .args([
            "-k",
            "1",
            &seconds,
            "stdbuf",
            "-oL",
            "iscsi-test-cu",
            "--dataloss",
            "-t",
            &format!("ALL.{suite}"),
            url,
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run iscsi-test-cu: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// CUnit's report: a line begins each test, `passed` or `FAILED` at some line's end closes it. A test without an end
/// hung, and has failed.
fn parse(text: &str) -> Vec<(String, Ended)> {
    let mut tests: Vec<(String, Ended)> = Vec::new();
    let mut open: Option<(String, Vec<&str>)> = None;
    for line in text.lines() {
        let begun = line.trim_start().strip_prefix("Test: ").and_then(|rest| rest.split_once(" ..."));
        let said = match begun {
            Some((name, rest)) => {
                if let Some((test, said)) = open.replace((name.to_owned(), Vec::new())) {
                    tests.push((test, Ended::Failed(reason(&said, "hung"))));
                }
                rest
            }
            None => line,
        };
        let Some((_, lines)) = &mut open else { continue };
        lines.push(said.trim());
        let passed = said.trim().starts_with("passed") || said.ends_with("passed");
        let failed = said.trim() == "FAILED" || said.ends_with("FAILED");
        if (passed || failed)
            && let Some((test, lines)) = open.take()
        {
            let skipped = lines.iter().any(|line| line.contains("[SKIPPED]"));
            let how = match (failed, skipped) {
                (true, _) => Ended::Failed(reason(&lines, "no reason told")),
                (false, true) => Ended::Skipped,
                (false, false) => Ended::Passed,
            };
            tests.push((test, how));
        }
    }
    if let Some((test, said)) = open {
        tests.push((test, Ended::Failed(reason(&said, "hung"))));
    }
    tests
}

fn reason(lines: &[&str], otherwise: &str) -> String {
    let told = lines.iter().find_map(|line| line.strip_prefix("[FAILED] "));
    told.map_or_else(|| otherwise.to_owned(), |told| told.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_ends_as_the_report_says() {
        let text = "Suite: Inquiry\n  Test: Standard ...    [FAILED] INQUIRY command failed\nFAILED\n    1. x.c:40\n  \
                    Test: AllocLength ...    [SKIPPED] not SPC-3\npassed\n  Test: EVPD ...passed\n  Test: Last ...";
        assert_eq!(
            parse(text),
            [
                ("Standard".into(), Ended::Failed("INQUIRY command failed".into())),
                ("AllocLength".into(), Ended::Skipped),
                ("EVPD".into(), Ended::Passed),
                ("Last".into(), Ended::Failed("hung".into())),
            ]
        );
    }
}
