//! `cargo xtask score`: how often is the plan right?
//!
//! Each scenario is planned on a lab host, then tried on it whatever the plan says. A plan that blocks should be followed
//! by a failure whose logs name one of the rules that blocked; a plan that does not should be followed by a guest that
//! comes up with its device. Nothing here knows what to expect: the rows say what is tried, not what comes of it.

mod matrix;
mod row;

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use crate::build::{self, Dist};
use crate::story::lab::{Lab, Said};
use crate::{Result, packages};
use matrix::{Came, Trial};
use row::Row;

/// Longest that a guest may take to come up, in seconds: several times what it takes on a busy machine.
const DEADLINE: &str = "100";
const SPEC: &str = "/root/scenario.toml";
const PAGE: &str = "docs/reference/score.md";

/// Which scenarios, and whether the result is kept.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) short: bool,
    pub(crate) only: Option<String>,
    pub(crate) write: bool,
}

/// Runs the scenarios; an error if one was not foretold right.
pub(crate) fn run(wanted: &Wanted) -> Result {
    packages::ensure()?;
    let dist = build::dist()?;
    let mut rows = Row::all()?;
    rows.retain(|row| row.short || !wanted.short);
    rows.retain(|row| wanted.only.as_ref().is_none_or(|text| row.name.contains(text.as_str())));
    rows.sort_by(|a, b| a.boot().cmp(&b.boot()).then_with(|| a.name.cmp(&b.name)));
    println!("{} scenarios", rows.len());
    let (mut trials, mut untried) = (Vec::new(), 0);
    let mut versions = String::new();
    for rows in rows.chunk_by(Row::shares_boot) {
        let Some(first) = rows.first() else { continue };
        let lab = match Lab::boot_machine(&dist, &first.machine()?) {
            Ok(lab) => lab,
            Err(error) => {
                println!("NOT TRIED  {}: {error}", first.name);
                untried += rows.len();
                continue;
            }
        };
        versions = versions_of(&lab, &dist)?;
        for row in rows {
            match attempt(&lab, row) {
                Ok(trial) => {
                    println!("{}", trial.line());
                    trials.push(trial);
                }
                Err(error) => {
                    println!("NOT TRIED  {}: {error}", row.name);
                    untried += 1;
                }
            }
        }
        lab.end();
    }
    trials.sort_by(|a, b| a.name.cmp(&b.name));
    println!("\n{}", matrix::counts(&trials));
    if wanted.write && untried == 0 {
        std::fs::write(build::root().join(PAGE), matrix::page(&trials, &versions))?;
        println!("written to {PAGE}");
    }
    let wrong = trials.iter().filter(|trial| !trial.cell().is_right()).count();
    if wrong + untried == 0 {
        return Ok(());
    }
    Err(format!("{wrong} of {} scenarios came otherwise, {untried} could not be tried", trials.len()).into())
}

/// Plans a scenario, then tries it.
fn attempt(lab: &Lab, row: &Row) -> Result<Trial> {
    let start = Instant::now();
    if let Some(script) = &row.host {
        let said = lab.run(&["bash", "-ec", script])?;
        if said.status != 0 {
            return Err(format!(
                "the host's preparation ended with {}: {}{}",
                said.status, said.out, said.err
            )
            .into());
        }
    }
    lab.put(SPEC, &row.spec)?;
    let foretold = foretold(&lab.run(&["slotwise", "plan", "--json", SPEC])?)?;
    let mut words = vec!["slotwise", "run", "--until", &row.shows, "--deadline", DEADLINE];
    for rule in &foretold {
        words.extend(["--despite", rule]);
    }
    words.extend([SPEC, "bench"]);
    let said = lab.run(&words)?;
    let in_guest = row.fails_with.as_ref().filter(|text| said.out.contains(text.as_str()));
    let came = if said.status == 0 && in_guest.is_none() { Came::Worked } else { failed(lab, &said)? };
    Ok(Trial { name: row.name.clone(), summary: row.summary.clone(), foretold, came, took: start.elapsed() })
}

/// The rules that block.
fn foretold(said: &Said) -> Result<BTreeSet<String>> {
    let plan: Value = serde_json::from_str(&said.out)
        .map_err(|error| format!("the plan is no JSON ({error}): {}{}", said.out, said.err))?;
    let findings = plan["findings"].as_array().into_iter().flatten();
    let blocking = findings.filter(|finding| finding["severity"] == "blocks");
    Ok(blocking.filter_map(|finding| finding["rule"].as_str().map(str::to_owned)).collect())
}

/// What a failure's logs say.
fn failed(lab: &Lab, run: &Said) -> Result<Came> {
    let said = lab.run(&["slotwise", "diagnose", "--json", "--vm", "bench"])?;
    let diagnosis: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let first =
        diagnosis["findings"].as_array().into_iter().flatten().find(|finding| finding["verdict"] == "fault");
    let text = |pointer: &str| Some(first?.pointer(pointer)?.as_str()?.to_owned());
    let last_error = || {
        let mut lines = run.err.lines().filter(|line| line.contains("error"));
        lines.next_back().or_else(|| run.err.lines().last()).unwrap_or("nothing was said").to_owned()
    };
    Ok(Came::Failed { cause: text("/cause"), said: text("/evidence/0/text").unwrap_or_else(last_error) })
}

/// Date and versions, as the page has them.
fn versions_of(lab: &Lab, dist: &Dist) -> Result<String> {
    let host = lab.run(&["sh", "-c", "uname -r; qemu-system-x86_64 --version | head -1"])?;
    let own = std::process::Command::new(dist.program("slotwise")).arg("--version").output()?;
    let own = String::from_utf8_lossy(&own.stdout).trim().to_owned();
    let host: Vec<_> = host.out.lines().collect();
    Ok(format!("{}; {own}; lab host: Linux {}", jiff::Zoned::now().date(), host.join(", ")))
}
