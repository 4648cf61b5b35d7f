//! `cargo xtask score`: how often is the plan right?
//!
//! Each scenario is planned on a lab host, then tried on it whatever the plan says. A plan that blocks should be followed
//! by a failure whose logs name one of the rules that blocked; a plan that does not should be followed by a guest that
//! comes up with its device. Nothing here knows what to expect: the rows say what is tried, not what comes of it.

mod kept;
mod matrix;
mod row;

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;
use slotwise_core::rules;

use crate::build::{self, Dist};
use crate::story::lab::{Lab, Said};
use crate::{Result, packages};
use kept::Kept;
use matrix::{Came, Foretold, Trial};
use row::Row;

/// Longest that a guest may take to come up, in seconds: several times what it takes on a busy machine.
const DEADLINE: &str = "100";
const SPEC: &str = "/root/scenario.toml";
const LOG: &str = "/root/scenario.log";
const PAGE: &str = "docs/reference/score.md";

/// Which scenarios, and whether the result is kept.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) short: bool,
    pub(crate) only: Option<String>,
    pub(crate) resume: bool,
    pub(crate) write: bool,
}

/// Runs the scenarios; an error if one was not foretold right, or could not be tried.
pub(crate) fn run(wanted: &Wanted) -> Result {
    packages::ensure()?;
    let (commit, dist) = (commit()?, build::dist()?);
    let mut rows = Row::all()?;
    rows.retain(|row| row.short || !wanted.short);
    rows.retain(|row| wanted.only.as_ref().is_none_or(|text| row.name.contains(text.as_str())));
    rows.sort_by(|a, b| a.boot().cmp(&b.boot()).then_with(|| a.name.cmp(&b.name)));
    println!("{} scenarios", rows.len());
    let kept = Kept::of(&dist)?;
    let (mut trials, mut versions) = (Vec::new(), String::new());
    if wanted.resume {
        rows.retain(|row| match kept.right(row) {
            Some((trial, of_then)) => {
                println!("kept   {}", trial.line());
                trials.push(trial);
                versions = of_then;
                false
            }
            None => true,
        });
    }
    let mut untried = Vec::new();
    for rows in rows.chunk_by(Row::shares_boot) {
        let mut lab = None;
        for row in rows {
            match on_lab(&mut lab, row, (&dist, &commit), &kept) {
                Ok((trial, of_lab)) => {
                    println!("{}", trial.line());
                    trials.push(trial);
                    versions = of_lab;
                }
                Err(error) => {
                    println!("NOT TRIED  {}: {error}", row.name);
                    untried.push(row.name.clone());
                    // What went wrong may still be there; the next one gets a fresh host.
                    lab = None;
                }
            }
        }
        if let Some((lab, _)) = lab {
            lab.end();
        }
    }
    trials.sort_by(|a, b| a.name.cmp(&b.name));
    println!("\n{}", matrix::counts(&trials));
    if wanted.write && untried.is_empty() {
        std::fs::write(build::root().join(PAGE), matrix::page(&trials, &versions))?;
        println!("written to {PAGE}");
    }
    let wrong = trials.iter().filter(|trial| !trial.cell().is_right()).count();
    if wrong + untried.len() == 0 {
        return Ok(());
    }
    let left = if untried.is_empty() { String::new() } else { format!(": {}", untried.join(", ")) };
    let (tried, left_out) = (trials.len(), untried.len());
    Err(format!("{wrong} of {tried} scenarios came otherwise, {left_out} could not be tried{left}").into())
}

/// The scenarios that CI tries.
pub(crate) fn shortly() -> Result {
    run(&Wanted { short: true, only: None, resume: false, write: false })
}

/// Tries a scenario on a lab host, which is booted if none is up. Second: the versions that it was tried with.
fn on_lab(
    lab: &mut Option<(Lab, String)>,
    row: &Row,
    (dist, commit): (&Dist, &str),
    kept: &Kept,
) -> Result<(Trial, String)> {
    let (lab, versions) = match lab {
        Some(up) => up,
        None => {
            let booted = Lab::boot_machine(dist, &row.machine()?)?;
            let versions = versions_of(&booted, dist, commit)?;
            lab.insert((booted, versions))
        }
    };
    let trial = attempt(lab, row, kept)?;
    kept.keep(row, &trial, versions)?;
    Ok((trial, versions.clone()))
}

/// Plans a scenario, then tries it.
fn attempt(lab: &Lab, row: &Row, kept: &Kept) -> Result<Trial> {
    let start = Instant::now();
    if let Some(script) = &row.host {
        let said = lab.run(&["bash", "-ec", script])?;
        kept.said(row, "host", &said)?;
        if said.status != 0 {
            return Err(format!(
                "the host's preparation ended with {}: {}{}",
                said.status, said.out, said.err
            )
            .into());
        }
    }
    // What an earlier run said would else be taken for what this one says.
    lab.run(&["rm", "-rf", "/var/lib/slotwise/runs/bench"])?;
    lab.put(SPEC, &row.spec)?;
    let planned = lab.run(&["slotwise", "plan", "--json", SPEC])?;
    kept.said(row, "plan", &planned)?;
    let foretold = foretold(&planned)?;
    let tried = match &row.tries {
        Some(script) => lab.run(&["bash", "-c", script])?,
        None => lab.run(&words(row, &foretold))?,
    };
    kept.said(row, "run", &tried)?;
    let in_guest = row.fails_with.as_ref().filter(|text| tried.out.contains(text.as_str()));
    let came = if tried.status == 0 && in_guest.is_none() {
        Came::Worked
    } else {
        let log = row.tries.as_ref().map(|_| format!("{}{}", tried.out, tried.err));
        failed(lab, row, kept, &tried, log.as_deref())?
    };
    Ok(Trial { name: row.name.clone(), summary: row.summary.clone(), foretold, came, took: start.elapsed() })
}

/// The command that tries it, whatever the plan says.
fn words<'r>(row: &'r Row, foretold: &'r Foretold) -> Vec<&'r str> {
    let mut words = vec!["slotwise", "run", "--until", &row.shows, "--deadline", DEADLINE];
    if let Foretold::Rules(rules) = foretold {
        for rule in rules {
            words.extend(["--despite", rule]);
        }
    }
    words.extend([SPEC, "bench"]);
    words
}

/// The rules that block, or what there is to say against the spec itself.
fn foretold(said: &Said) -> Result<Foretold> {
    // Exit status 2 is a spec that is no spec of this host: there is nothing to plan.
    if said.status == 2
        && let Some(error) = refusal(said)
    {
        return Ok(Foretold::Refused(error));
    }
    let plan: Value = serde_json::from_str(&said.out)
        .map_err(|error| format!("the plan is no JSON ({error}): {}{}", said.out, said.err))?;
    let findings = plan["findings"].as_array().into_iter().flatten();
    let blocking = findings.filter(|finding| finding["severity"] == "blocks");
    Ok(Foretold::Rules(blocking.filter_map(|finding| finding["rule"].as_str().map(str::to_owned)).collect()))
}

/// The error that a command of ours ended with.
fn refusal(said: &Said) -> Option<String> {
    said.err.lines().find_map(|line| line.strip_prefix("error: ")).map(str::to_owned)
}

/// The causes by which logs name what rules foretell.
fn causes(foretold: &BTreeSet<String>) -> BTreeSet<&str> {
    let of = |id: &str| rules::rule(id).map_or(&[][..], |rule| rule.predicts);
    foretold.iter().flat_map(|id| of(id).iter().copied().chain([id.as_str()])).collect()
}

/// What a failure's logs say: those that were kept of the VM, or `log`.
fn failed(lab: &Lab, row: &Row, kept: &Kept, run: &Said, log: Option<&str>) -> Result<Came> {
    if run.status == 2
        && let Some(error) = refusal(run)
        && lab.run(&["test", "-d", "/var/lib/slotwise/runs/bench"])?.status != 0
    {
        // It was not even begun.
        return Ok(Came::Refused(error));
    }
    let said = match log {
        Some(log) => {
            lab.put(LOG, log)?;
            lab.run(&["slotwise", "diagnose", "--json", LOG])?
        }
        None => lab.run(&["slotwise", "diagnose", "--json", "--vm", "bench"])?,
    };
    kept.said(row, "diagnosis", &said)?;
    let diagnosis: Value = serde_json::from_str(&said.out).unwrap_or_default();
    // The first fault; where there is none, what else explains that it failed.
    let findings = || diagnosis["findings"].as_array().into_iter().flatten();
    let first = findings()
        .find(|finding| finding["verdict"] == "fault")
        .or_else(|| findings().find(|finding| finding["verdict"] == "unrelated"));
    let text = |pointer: &str| Some(first?.pointer(pointer)?.as_str()?.to_owned());
    let last_error = || {
        let mut lines = run.err.lines().filter(|line| line.contains("error"));
        lines.next_back().or_else(|| run.err.lines().last()).unwrap_or("nothing was said").to_owned()
    };
    Ok(Came::Failed { cause: text("/cause"), said: text("/evidence/0/text").unwrap_or_else(last_error) })
}

/// Date and versions, as the page has them.
fn versions_of(lab: &Lab, dist: &Dist, commit: &str) -> Result<String> {
    let host = lab.run(&["sh", "-c", "uname -r; qemu-system-x86_64 --version | head -1"])?;
    let own = std::process::Command::new(dist.program("slotwise")).arg("--version").output()?;
    let own = String::from_utf8_lossy(&own.stdout).trim().to_owned();
    let host: Vec<_> = host.out.lines().collect();
    let date = jiff::Zoned::now().date();
    Ok(format!("{date}; {own}, at commit {commit}; lab host: Linux {}", host.join(", ")))
}

/// The commit that the programs are built of.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = build::command("git").args(arguments).output()?;
        if !output.status.success() {
            return Err(
                format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Ok(if changed.is_empty() { head } else { format!("{head} with changes that are not committed") })
}
