//! A run as plain text: what did not pass, each with its bytes, then the matrix of outcomes and a line that sums it up.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{groups, one_line, spaced, visible};
use crate::matrix::{Outcome, Row, Run};
use crate::run::{ChangeKind, Comparison, Quarantined, Standing, flaky};
use crate::scsi::{SenseCode, Status, host_status_name, sense_key_name};
use crate::suite::{Came, Exchange, Head, SentData};
use crate::wire::OperationOutcome;

/// Bytes of data shown.
const SHOWN_BYTES: usize = 32;

/// One case with all that was kept of it.
pub fn case(row: &Row) -> String {
    let mut out = String::new();
    finding(&mut out, row, &|_| true);
    out
}

/// A run as text of at most about 110 columns, without colour.
pub fn text(run: &Run) -> String {
    let mut out = String::new();
    let telling = |exchange: &Exchange| exchange.complaint.is_some() || exchange.outcome.is_none();
    for row in run.rows.iter().filter(|row| row.outcome.is_bad()) {
        finding(&mut out, row, &telling);
    }
    matrix(&mut out, run);
    skipped(&mut out, run);
    quarantined(&mut out, run);
    for flaky in flaky(&run.rows) {
        let (device, told) = (one_line(&flaky.device), flaky.told());
        let _ = writeln!(out, "flaky: {}/{} on {device} in {}: {told}", flaky.suite, flaky.case, flaky.guest);
    }
    if let Some(comparison) = &run.comparison {
        compared(&mut out, comparison);
    }
    summary(&mut out, run);
    out
}

// Writing to a string does not fail, so what `write!` returns says nothing.

/// A row with those of its commands that are `told`.
fn finding(out: &mut String, row: &Row, told: &dyn Fn(&Exchange) -> bool) {
    let Row { suite, case, guest, title, .. } = row;
    let device = one_line(&row.device);
    let _ =
        writeln!(out, "{} {suite}/{case} on {device} in {guest}: {title}", row.outcome.name().to_uppercase());
    if let Some(reason) = row.reason.as_deref().filter(|reason| !reason.is_empty()) {
        let _ = writeln!(out, "    {}", one_line(reason));
    }
    if let Some(Quarantined { reason, expires, standing }) = &row.quarantined {
        let said = match standing {
            Standing::Holds => "known until",
            Standing::Expired => "was known until",
            Standing::Passes => "passes, though known to fail until",
        };
        let _ = writeln!(out, "    {said} {expires}: {}", one_line(reason));
    }
    let unchecked = if row.clause_checked { "" } else { " (not compared with the printed standard)" };
    let _ = writeln!(out, "    {} {}{unchecked}", row.standard, row.clause);
    for line in row.why.lines() {
        let _ = writeln!(out, "      {line}");
    }
    for exchange in row.exchanges.iter().filter(|exchange| told(exchange)) {
        command(out, exchange);
    }
    operations(out, row);
    for line in &row.recovery {
        let _ = writeln!(out, "    recovery: {}", one_line(line));
    }
    for line in &row.kernel_log {
        let _ = writeln!(out, "    kernel: {}", one_line(line));
    }
    for line in
        row.console.iter().flat_map(|text| visible(text).lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let _ = writeln!(out, "    console: {line}");
    }
    out.push('\n');
}

/// What was done with the function: all of it where the case did not pass, since one operation prepares the next.
fn operations(out: &mut String, row: &Row) {
    for own in &row.operations {
        let _ = writeln!(out, "    did      {}", one_line(&own.operation.to_string()));
        match &own.outcome {
            None => drop(writeln!(out, "    got      no answer")),
            Some(OperationOutcome::Failed { reason }) => {
                let _ = writeln!(out, "    failed   {}", one_line(reason));
            }
            Some(OperationOutcome::Done { data, result, .. }) if *result != 0 || !data.0.is_empty() => {
                let _ = writeln!(out, "    got      {result}  {}", begin(&Head::of(&data.0)));
            }
            Some(OperationOutcome::Done { .. }) => {}
        }
    }
}

fn command(out: &mut String, exchange: &Exchange) {
    let _ = writeln!(out, "    sent     {}   {}", spaced(&exchange.sent.cdb.0), exchange.title);
    if let SentData::Out(data) = &exchange.sent.data {
        let _ = writeln!(out, "    data out {}", begin(data));
    }
    match &exchange.outcome {
        None => drop(writeln!(out, "    got      no answer")),
        Some(Came::NotSent { error }) => drop(writeln!(out, "    not sent {}", one_line(error))),
        Some(Came::Completed { completion: answer, data }) => {
            let host = match answer.host_status {
                0 => String::new(),
                code => format!(", {}", host_status_name(code)),
            };
            let sense = match SenseCode::from_sense(&answer.sense.0) {
                Some(code) => format!(", sense {code} {}", sense_key_name(code.key)),
                None => String::new(),
            };
            let status = Status(answer.status);
            let (residual, time) = (answer.residual, answer.elapsed_us);
            let _ = writeln!(out, "    got      {status}{sense}{host}, residual {residual}, {time} µs");
            if data.length != 0 {
                let _ = writeln!(out, "    data in  {}", begin(data));
            }
        }
    }
}

fn begin(data: &Head) -> String {
    let bytes = data.bytes.0.as_slice();
    let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let more =
        if shown.len() < data.length { format!(" … ({} bytes)", data.length) } else { String::new() };
    format!("{}{more}", spaced(shown))
}

/// A table for each suite: a line for each case, a column for each device in each guest.
fn matrix(out: &mut String, run: &Run) {
    let groups = groups(run);
    let suites: BTreeSet<&str> = groups.iter().map(|([suite, ..], _)| *suite).collect();
    for suite in suites {
        let columns: Vec<_> = groups.iter().filter(|([own, ..], _)| *own == suite).collect();
        // A case that ran several times has one line.
        let mut seen = BTreeSet::new();
        let rows = columns.first().map_or([].as_slice(), |(_, rows)| rows.as_slice());
        let cases: Vec<&str> =
            rows.iter().map(|row| row.case.as_str()).filter(|case| seen.insert(*case)).collect();
        let width = cases.iter().map(|case| case.len()).max().unwrap_or(0).max(suite.len());
        let heads: Vec<_> = columns
            .iter()
            .map(|([_, device, guest], _)| format!("{} in {guest}", one_line(device)))
            .collect();
        let _ = writeln!(out, "{suite:width$}  {}", heads.join("  "));
        for case in cases {
            let _ = write!(out, "{case:width$}");
            for ((_, rows), head) in columns.iter().zip(&heads) {
                let cell = cell(rows, case);
                let _ = write!(out, "  {cell:<0$}", head.chars().count());
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out.push('\n');
    }
}

/// How a case ended: the worst of its attempts.
fn cell(rows: &[&Row], case: &str) -> &'static str {
    let weight = |outcome: &Outcome| match outcome {
        Outcome::Skip => 0,
        Outcome::Pass => 1,
        Outcome::Fail => 2,
        Outcome::Error => 3,
        Outcome::Crash => 4,
    };
    let own = rows.iter().filter(|row| row.case == case).map(|row| row.outcome);
    own.max_by_key(weight).map_or("-", Outcome::name)
}

/// Entries of the quarantine that have done their time: over, or not needed any more.
fn quarantined(out: &mut String, run: &Run) {
    for row in &run.rows {
        let Some(Quarantined { reason, expires, standing }) = &row.quarantined else { continue };
        let said = match standing {
            Standing::Holds => continue,
            Standing::Expired => "still fails, and its quarantine is over since",
            Standing::Passes => "passes, and is in quarantine until",
        };
        let (device, reason) = (one_line(&row.device), one_line(reason));
        let _ = writeln!(
            out,
            "quarantine: {}/{} on {device} in {} {said} {expires} ({reason})",
            row.suite, row.case, row.guest
        );
    }
}

/// What has changed, those that say nothing of the change apart.
fn compared(out: &mut String, comparison: &Comparison) {
    let _ = writeln!(
        out,
        "\ncompared with {}: {} unchanged",
        one_line(&comparison.baseline),
        comparison.unchanged
    );
    for kind in ChangeKind::ALL {
        for change in comparison.changes.iter().filter(|change| change.kind == kind) {
            let (device, guest) = (one_line(&change.device), one_line(&change.guest));
            let (suite, case) = (one_line(&change.suite), one_line(&change.case));
            let ways = match (&change.was, &change.now) {
                (Some(was), Some(now)) if was != now => format!(" ({was}, now {now})"),
                _ => String::new(),
            };
            let detail = change.detail.as_deref().map(|text| format!(": {}", one_line(text)));
            let detail = detail.unwrap_or_default();
            let _ =
                writeln!(out, "  {:<15} {suite}/{case} on {device} in {guest}{ways}{detail}", kind.name());
        }
    }
}

/// Why cases were skipped, each reason once.
fn skipped(out: &mut String, run: &Run) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in run.rows.iter().filter(|row| row.outcome == Outcome::Skip) {
        let reason = row.reason.as_deref().unwrap_or_default();
        match reasons.iter_mut().find(|(own, _)| *own == reason) {
            Some((_, cases)) => cases.push(&row.case),
            None => reasons.push((reason, vec![&row.case])),
        }
    }
    for (reason, cases) in &reasons {
        let _ = writeln!(out, "skipped {}: {}\n    {}", cases.len(), one_line(reason), cases.join(" "));
    }
    if !reasons.is_empty() {
        out.push('\n');
    }
}

fn summary(out: &mut String, run: &Run) {
    let counts = Outcome::ALL.map(|outcome| (run.count(outcome), outcome.name()));
    let told: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let known = run.rows.iter().filter(|row| row.outcome.is_bad() && !row.stands()).count();
    let known = if known > 0 { format!(" ({known} known)") } else { String::new() };
    let seed = match run.seed {
        Some(seed) => format!("seed {seed}"),
        None => "the suites' own order and data".to_owned(),
    };
    let _ = writeln!(out, "{}{known} in {:.1} s, {seed}", told.join(", "), run.elapsed.as_secs_f64());
}
