//! Two states of a host for a person.

use super::plan::finding;
use crate::plan::{Comparison, Presence, Verdict};
use crate::report::{Role, Text};
use crate::rules::Finding;

/// Functions of one state alone that are listed; the rest is counted.
const LISTED: usize = 12;

/// What is different: the word, the devices, what moved, which findings came and went.
#[must_use]
pub fn compare(comparison: &Comparison) -> Text {
    let mut text = Text::default();
    let (role, word) = match (comparison.before, comparison.after) {
        (Verdict::Blocked, Verdict::Blocked) => (Role::Bad, "did not work before, and does not after"),
        (_, Verdict::Blocked) => (Role::Bad, "worked before, and will not after"),
        (Verdict::Blocked, _) => (Role::Good, "did not work before, and will after"),
        _ => (Role::Good, "will still work"),
    };
    text.line(role, word);
    text.add(Role::Faint, format!("  [{} -> {}]", comparison.before.name(), comparison.after.name()));
    devices(&mut text, comparison);
    if !comparison.moved.is_empty() {
        text.gap().line(Role::Strong, "what moved of the facts that the plan rests on:");
    }
    for moved in &comparison.moved {
        text.line(Role::Plain, format!("  {} of {}: ", moved.fact, moved.subject));
        text.add(Role::Faint, moved.was.clone()).add(Role::Plain, " -> ");
        text.add(Role::Caution, moved.is.clone().unwrap_or_else(|| "unknown".to_owned()));
    }
    findings(&mut text, "new findings:", &comparison.new);
    if !comparison.changed.is_empty() {
        text.gap().line(Role::Strong, "findings that say something else:");
    }
    for changed in &comparison.changed {
        let (before, after) = (&changed.before, &changed.after);
        text.line(Role::Plain, format!("  {}  {}", after.rule, after.subject));
        text.line(Role::Faint, format!("    {}: {}", before.severity.name(), before.summary));
        text.line(Role::Plain, format!("    {}: {}", after.severity.name(), after.summary));
    }
    if !comparison.gone.is_empty() {
        text.gap().line(Role::Strong, "findings that are gone:");
    }
    for gone in &comparison.gone {
        text.line(Role::Faint, format!("  {} {}  {}: ", gone.severity.name(), gone.rule, gone.subject));
        text.add(Role::Faint, gone.summary.clone());
    }
    functions(&mut text, "functions that came", &comparison.appeared);
    functions(&mut text, "functions that went", &comparison.disappeared);
    text
}

fn devices(text: &mut Text, comparison: &Comparison) {
    for device in &comparison.devices {
        match device.after {
            Some(after) if after == device.before => {}
            Some(after) => {
                text.line(
                    Role::Caution,
                    format!("{} is at {after} now: the spec must say so", device.before),
                );
                text.add(Role::Faint, format!(" (VM {})", device.vm));
            }
            None => {
                let line = format!("{} is gone, or one of several that could be it", device.before);
                text.line(Role::Bad, line).add(Role::Faint, format!(" (VM {})", device.vm));
            }
        }
    }
}

fn findings(text: &mut Text, title: &str, list: &[Finding]) {
    if list.is_empty() {
        return;
    }
    text.gap().line(Role::Strong, title);
    list.iter().for_each(|one| finding(text, one));
}

fn functions(text: &mut Text, title: &str, list: &[Presence]) {
    if list.is_empty() {
        return;
    }
    text.gap().line(Role::Strong, format!("{title} ({}):", list.len()));
    for presence in list.iter().take(LISTED) {
        let id = presence.id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        text.line(Role::Plain, format!("  {}  [{id}]", presence.address));
    }
    if list.len() > LISTED {
        text.line(Role::Faint, format!("  and {} more", list.len() - LISTED));
    }
}
