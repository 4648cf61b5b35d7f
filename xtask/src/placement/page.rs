//! The result as text and as a page of reference.

use std::fmt::Write as _;

use slotwise_core::vm::address_space::CpuVendor;

use super::compare::{Row, Trial};
use super::set::Set;

/// A line for the machine, then a line for each BAR that came otherwise, or for all.
pub(super) fn shown(trial: &Trial<'_>, all: bool) -> String {
    let mark = if trial.wrong() == 0 { "right" } else { "WRONG" };
    let mut text = format!(
        "{mark}  {:<26}  {}; foretold: {}; came: {}{}; {} places\n",
        trial.set.name,
        machine(trial.set),
        trial.foretold,
        trial.seen,
        if trial.said.is_empty() { String::new() } else { format!(" ({})", trial.said) },
        trial.rows.len()
    );
    for row in trial.rows.iter().filter(|row| all || !row.is_right()) {
        let _ = writeln!(text, "       {}", line(row));
    }
    text
}

fn line(row: &Row) -> String {
    let place = if row.is_right() {
        row.seen.to_string()
    } else {
        format!("foretold {}, seen {}", row.foretold, row.seen)
    };
    format!("{:<28} {:<19} {place}", row.function, row.part)
}

fn machine(set: &Set) -> String {
    let vendor = match set.phys_bits.vendor() {
        CpuVendor::Intel => "Intel",
        CpuVendor::Amd => "AMD",
    };
    format!("{} {}, {vendor} {} bits", set.machine, set.memory, set.phys_bits.bits())
}

/// The counts, a line each.
pub(super) fn counts(trials: &[Trial<'_>]) -> String {
    let places: usize = trials.iter().map(|trial| trial.rows.len()).sum();
    let wrong: usize = trials.iter().map(Trial::wrong).sum();
    let fit = trials.iter().filter(|trial| trial.seen == super::predict::Ending::Placed).count();
    format!(
        "{:>5}  machines, {fit} of which firmware found room for everything in\n{places:>5}  BARs and windows\n{wrong:>5}  came otherwise than foretold\n",
        trials.len()
    )
}

/// The page of reference.
pub(super) fn page(trials: &[Trial<'_>], versions: &str) -> String {
    let mut page = format!(
        "# Where BARs land: foretold and seen\n\nMade by `cargo xtask placement --write`: machines generated from one seed, with emulated devices for \
         cards. The planner of guest address spaces says where each BAR and each bridge's window will be; then the machine is \
         started, and what its firmware left in the registers is read. A machine that firmware has no room in is foretold, too.\n\n\
         {}; {versions}\n\n```text\n{}```\n\n| machine | with | devices | foretold | came | places | otherwise |\n| --- | --- | --- | --- | --- | --- | --- |\n",
        jiff::Zoned::now().date(),
        counts(trials)
    );
    for trial in trials {
        let said = if trial.said.is_empty() { String::new() } else { format!(" (`{}`)", trial.said) };
        let Trial { set, foretold, seen, rows, .. } = trial;
        let (name, with, contents) = (&set.name, machine(set), set.contents());
        let _ = writeln!(
            page,
            "| `{name}` | {with} | {contents} | {foretold} | {seen}{said} | {} | {} |",
            rows.len(),
            trial.wrong()
        );
    }
    page.push_str("\n## Place by place\n\nOne address where both agree.\n");
    for trial in trials.iter().filter(|trial| !trial.rows.is_empty()) {
        let _ = write!(page, "\n### {}\n\n```text\n", trial.set.name);
        for row in &trial.rows {
            let _ = writeln!(page, "{}", line(row));
        }
        page.push_str("```\n");
    }
    page
}
