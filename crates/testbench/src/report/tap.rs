//! A run as TAP, version 14 (testanything.org/tap-version-14-specification).

use std::fmt::Write;

use super::one_line;
use crate::matrix::{Outcome, Run};

/// A run as TAP.
pub fn tap(run: &Run) -> String {
    let mut out = format!("TAP version 14\n1..{}\n", run.rows.len());
    for (number, row) in (1..).zip(&run.rows) {
        let ok = if matches!(row.outcome, Outcome::Pass | Outcome::Skip) { "ok" } else { "not ok" };
        let time = if row.attempt > 1 { format!(", time {}", row.attempt) } else { String::new() };
        let name = escaped(&format!("{}/{} on {} in {}{time}", row.suite, row.case, row.device, row.guest));
        let reason = escaped(row.reason.as_deref().unwrap_or_default());
        if let Some(known) = row.quarantined.as_ref().filter(|_| row.outcome.is_bad() && !row.stands()) {
            // TODO: it fails, and that is no failure of the run (the specification's "directives").
            let (expires, why) = (known.expires, escaped(&known.reason));
            let _ = writeln!(
                out,
                "{ok} {number} - {name} # TODO known until {expires}: {why}\n# {}: {reason}",
                row.outcome.name()
            );
            continue;
        }
        // Writing to a string does not fail.
        let _ = match row.outcome {
            Outcome::Pass => writeln!(out, "{ok} {number} - {name}"),
            Outcome::Skip => writeln!(out, "{ok} {number} - {name} # SKIP {reason}"),
            _ => writeln!(out, "{ok} {number} - {name}\n# {}: {reason}", row.outcome.name()),
        };
    }
    out
}

/// `#` begins a directive and `\` escapes it.
fn escaped(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('#', "\\#")
}
