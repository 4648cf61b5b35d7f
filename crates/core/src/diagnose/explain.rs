//! A cause in words: about the case at hand, and as a page of reference.

use std::fmt::Write as _;

use super::catalogue;
use super::cause::{Cause, Kind, Role};
use super::causes;
use super::weigh::Candidate;
use crate::rules;

/// The cause called `id`.
#[must_use]
pub fn cause(id: &str) -> Option<&'static Cause> {
    causes::ALL.iter().copied().find(|cause| cause.id == id)
}

/// Ids of all causes, in alphabetical order.
pub fn ids() -> impl Iterator<Item = &'static str> {
    causes::ALL.iter().map(|cause| cause.id)
}

/// A page about the cause called `id`, in Markdown.
///
/// ```
/// let page = slotwise_core::diagnose::explain("intx-shared").expect("a cause of the catalogue");
/// assert!(page.starts_with("# intx-shared\n"));
/// ```
#[must_use]
pub fn explain(id: &str) -> Option<String> {
    let cause = cause(id)?;
    let mut page = format!("# {}\n\n{}\n", cause.id, cause.definition);
    let rules: Vec<String> = rules::predicting(id).iter().map(|rule| format!("`{}`", rule.id)).collect();
    match rules.as_slice() {
        [] => {}
        [rule] => drop(write!(page, "\nPredicted by the rule {rule}.\n")),
        rules => drop(write!(page, "\nPredicted by the rules {}.\n", rules.join(", "))),
    }
    for (role, heading) in [
        (Role::Primary, "Lines that show it"),
        (Role::Supporting, "Lines that support it"),
        (Role::Contradicting, "Lines that speak against it"),
    ] {
        lines(&mut page, cause, role, heading);
    }
    if !cause.look_alikes.is_empty() {
        page.push_str("\n## Told apart from\n\n");
        for other in cause.look_alikes {
            let _ = writeln!(page, "- `{}`: {}.", other.cause, other.tell);
        }
    }
    list(&mut page, "What settles it", cause.settle);
    list(&mut page, "What to do, least trouble first", cause.remedies);
    list(&mut page, "Sources", cause.sources);
    Some(page)
}

fn lines(page: &mut String, cause: &Cause, role: Role, heading: &str) {
    let mut seen = std::collections::BTreeSet::new();
    let rows: Vec<_> = cause
        .clues
        .iter()
        .filter(|clue| clue.role == role && seen.insert(clue.row))
        .filter_map(|clue| catalogue::pattern(clue.row))
        .collect();
    if rows.is_empty() {
        return;
    }
    let _ = write!(page, "\n## {heading}\n\n");
    for row in rows {
        // Writing to a string does not fail.
        let _ = match row.anchors.first() {
            Some(anchor) => writeln!(page, "- `… {anchor} …`: {} ({}).", row.means, row.by),
            None => writeln!(page, "- in people's words: {}.", row.means),
        };
    }
}

fn list(page: &mut String, heading: &str, items: &[&str]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(page, "\n## {heading}\n\n");
    for item in items {
        let _ = writeln!(page, "- {item}");
    }
}

/// One to three sentences about a case.
pub(super) fn about(candidate: &Candidate<'_>) -> String {
    if candidate.cause.kind == Kind::Fault {
        return filled(candidate.cause.explanation, candidate);
    }
    let mut said: Vec<&str> = Vec::new();
    for (clue, _) in &candidate.counted {
        let means = catalogue::pattern(clue.row).map_or("", |row| row.means);
        if clue.role == Role::Primary && !said.contains(&means) && said.len() < 3 {
            said.push(means);
        }
    }
    format!("{}: {}.", candidate.cause.explanation, said.join("; "))
}

/// `template` with each `{name|otherwise}` replaced by what the evidence captured under that name; in
/// `{name:shape|otherwise}` the `#` of the shape stands for it.
fn filled(template: &str, candidate: &Candidate<'_>) -> String {
    let mut out = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((slot, tail)) = after.split_once('}') else { break };
        let (wanted, otherwise) = slot.split_once('|').unwrap_or((slot, ""));
        let (name, shape) = wanted.split_once(':').unwrap_or((wanted, "#"));
        match captured(name, candidate) {
            Some(value) => out.push_str(&shape.replace('#', &value)),
            None => out.push_str(otherwise),
        }
        rest = tail;
    }
    out.push_str(rest);
    let mut characters = out.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => out,
    }
}

fn captured(name: &str, candidate: &Candidate<'_>) -> Option<String> {
    let hits = || candidate.counted.iter().flat_map(|(_, seen)| &seen.hits);
    if name == "device" {
        return hits().find_map(|hit| hit.devices.first()).map(ToString::to_string);
    }
    let second = format!("{name}2");
    hits().find_map(|hit| hit.captures.get(name).or_else(|| hit.captures.get(second.as_str())).cloned())
}
