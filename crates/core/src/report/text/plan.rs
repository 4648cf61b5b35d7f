//! A plan for a person.

use std::collections::BTreeSet;

use super::partition::partition;
use super::slots::slots;
use super::wrap;
use crate::pci::{BarKind, ROM_INDEX};
use crate::plan::{AddressMap, Plan, Verdict, VmPlan};
use crate::report::{Role, Text};
use crate::rules::{Finding, Severity};
use crate::vm::address_space::{Bytes, SurveyRow, Window};

/// Columns that running text is broken at.
const WIDTH: usize = 96;

/// Rows of the map of a guest's address space; the rest is in the JSON.
const MAP_ROWS: usize = 6;

/// A plan: the word, the findings with their evidence and ways out, the steps, the VMs.
#[must_use]
pub fn plan(plan: &Plan) -> Text {
    let mut text = Text::default();
    let (role, word) = match plan.verdict {
        Verdict::Ready => (Role::Good, "ready: the VMs can be launched as the host is"),
        Verdict::NeedsChanges => (Role::Good, "will work after the steps below"),
        Verdict::Blocked => (Role::Bad, "will not work as it stands"),
    };
    text.line(role, word);
    let (unknown, told): (Vec<&Finding>, Vec<&Finding>) =
        plan.findings.iter().partition(|finding| finding.is_unknown() && finding.severity == Severity::Notes);
    if plan.verdict != Verdict::Blocked && !unknown.is_empty() {
        text.add(Role::Faint, format!(", as far as is known: {} questions are open", unknown.len()));
    }
    for assumed in &plan.assumed {
        text.line(Role::Caution, format!("assumed: {}", assumed.text));
    }
    for finding in told {
        text.gap();
        self::finding(&mut text, finding);
    }
    open_questions(&mut text, &unknown);
    slots(&mut text, &plan.slots);
    steps(&mut text, plan);
    vms(&mut text, plan);
    partition(&mut text, &plan.partition);
    let (facts, digest) = (plan.fingerprint.facts().len(), plan.fingerprint.digest());
    text.gap().line(Role::Faint, format!("rests on {facts} facts, together {digest}"));
    text
}

/// What could not be known, a line for each rule and question with all that it is asked of.
fn open_questions(text: &mut Text, unknown: &[&Finding]) {
    if unknown.is_empty() {
        return;
    }
    let mut asked: Vec<(&str, &str, Vec<String>)> = Vec::new();
    let mut places: BTreeSet<&str> = BTreeSet::new();
    for finding in unknown {
        let subject = finding.subject.to_string();
        let same =
            asked.iter_mut().find(|(rule, what, _)| (*rule, *what) == (finding.rule, &*finding.summary));
        match same {
            Some((_, _, subjects)) => subjects.push(subject),
            None => asked.push((finding.rule, &finding.summary, vec![subject])),
        }
        let read = finding.evidence.iter().filter(|evidence| evidence.source != "assumed");
        places.extend(read.map(|evidence| evidence.source.as_str()));
    }
    text.gap().line(Role::Strong, "not known, so neither confirmed nor ruled out:");
    for (rule, summary, subjects) in asked {
        let what = summary.strip_prefix("cannot tell: ").unwrap_or(summary);
        text.line(Role::Faint, format!("  {rule}")).add(Role::Strong, format!("  {}", subjects.join(", ")));
        text.add(Role::Plain, format!("  {what}"));
    }
    if !places.is_empty() {
        let places: Vec<&str> = places.into_iter().collect();
        for line in wrap(&format!("| did not tell: {}", places.join(", ")), WIDTH) {
            text.line(Role::Faint, format!("  {line}"));
        }
    }
}

pub(super) fn finding(text: &mut Text, finding: &Finding) {
    let role = match finding.severity {
        Severity::Blocks => Role::Bad,
        Severity::Warns => Role::Caution,
        Severity::Notes => Role::Faint,
    };
    text.line(role, format!("{} {}", finding.severity.name(), finding.rule));
    text.add(Role::Strong, format!("  {}", finding.subject));
    text.line(Role::Plain, format!("  {}", finding.summary));
    for line in wrap(&finding.why, WIDTH) {
        text.line(Role::Faint, format!("  {line}"));
    }
    for evidence in &finding.evidence {
        text.line(Role::Faint, format!("  | {}: ", evidence.source));
        text.add(Role::Plain, evidence.text.clone());
    }
    for remedy in &finding.remedies {
        text.line(Role::Good, "  -> ");
        text.add(Role::Plain, remedy.text.clone());
        text.add(Role::Faint, format!("  [{}]", remedy.kind.name()));
        for step in &remedy.steps {
            text.line(Role::Plain, format!("       {step}"));
        }
    }
}

fn steps(text: &mut Text, plan: &Plan) {
    text.gap();
    let steps = plan.steps.as_slice();
    if steps.is_empty() {
        text.line(Role::Strong, "steps: none, the host stays as it is");
        return;
    }
    text.line(Role::Strong, "steps, each taken back by `slotwise undo`:");
    for (number, step) in steps.iter().enumerate() {
        text.line(Role::Plain, format!("  {}. {}", number + 1, step.action()));
        text.add(Role::Faint, format!("   [{} -> {}]", step.before(), step.action().after()));
    }
}

fn vms(text: &mut Text, plan: &Plan) {
    for vm in &plan.vms {
        text.gap();
        text.line(Role::Strong, format!("VM {}", vm.request.name));
        text.add(Role::Plain, format!(": {}, {}", vm.request.backend.name(), vm.request.memory));
        if let Some(node) = &vm.node {
            let processors = node.processors.as_ref();
            let on = processors.map_or_else(String::new, |list| format!(" and its processors {list}"));
            text.add(Role::Plain, format!(", bound to memory node {}{on}", node.number));
        }
        for device in &vm.devices {
            text.line(Role::Strong, format!("  {}", device.address));
            for dependent in &device.dependents {
                text.line(Role::Faint, format!("    the host loses {dependent}"));
            }
            if !device.unread.is_empty() {
                let places = device.unread.join(", ");
                text.line(
                    Role::Faint,
                    format!("    what else the host loses is not known: not told by {places}"),
                );
            }
        }
        cost(text, vm);
        address_map(text, &vm.address_map);
    }
}

/// What VFIO takes while the VM runs.
fn cost(text: &mut Text, vm: &VmPlan) {
    if let Some(bytes) = vm.cost.locked_bytes {
        let line =
            format!("  locks {} of the host's memory while it runs, once for all devices", Bytes(bytes));
        text.line(Role::Plain, line);
    }
    if let Some(entries) = vm.cost.dma_entries {
        let of = vm.cost.dma_entry_limit.map_or_else(String::new, |limit| format!(" of {limit}"));
        text.line(Role::Plain, format!("  takes up to {entries}{of} DMA mappings"));
    }
}

/// The largest memory BARs, and how many more there are.
fn address_map(text: &mut Text, map: &AddressMap) {
    for device in &map.unknown {
        text.line(
            Role::Faint,
            format!("  in the guest: where {device} lands is unknown, its BARs could not be read"),
        );
    }
    let mut rows: Vec<&SurveyRow> = map.rows.iter().filter(|row| row.kind != BarKind::Io).collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|row| (std::cmp::Reverse(row.size), row.device, row.bar));
    text.line(Role::Plain, "  in the guest:");
    for row in rows.iter().take(MAP_ROWS) {
        let bar = if row.bar == ROM_INDEX { "ROM  ".to_owned() } else { format!("BAR {}", row.bar) };
        text.line(Role::Strong, format!("    {}  {bar}", row.device));
        text.add(Role::Plain, format!("  {:>8}  {}", Bytes(row.size).to_string(), place(row)));
    }
    if rows.len() > MAP_ROWS {
        text.line(Role::Faint, format!("    and {} more", rows.len() - MAP_ROWS));
    }
}

fn place(row: &SurveyRow) -> String {
    match (row.start, row.window) {
        (Some(start), _) => format!("at {start:#x}"),
        (None, Some(Window::Below4G)) => "below 4 GiB".to_owned(),
        (None, Some(Window::Above4G)) => "above 4 GiB".to_owned(),
        _ => "where, depends on the guest's firmware".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;

    fn row(bar: u8, kind: BarKind, size: u64, start: Option<u64>, window: Option<Window>) -> SurveyRow {
        let device = PciAddress::new(0, 2, 4, 0).expect("address");
        SurveyRow { device, bar, kind, size, start, window }
    }

    fn shown(rows: Vec<SurveyRow>) -> String {
        let mut text = Text::default();
        address_map(&mut text, &AddressMap { rows, unknown: Vec::new() });
        text.to_string()
    }

    #[test]
    fn memory_bars_have_a_line_each_and_ports_none() {
        let text = shown(vec![
            row(0, BarKind::Io, 256, Some(0xc000), Some(Window::Io)),
            row(1, BarKind::Memory32, 1024, Some(0xfebf_e000), Some(Window::Below4G)),
            row(2, BarKind::Memory64, 1 << 28, None, None),
        ]);
        let expected = "  in the guest:
    0000:02:04.0  BAR 2   256 MiB  where, depends on the guest's firmware
    0000:02:04.0  BAR 1     1 KiB  at 0xfebfe000
";
        assert_eq!(text, expected);
        assert_eq!(shown(vec![row(0, BarKind::Io, 256, Some(0xc000), Some(Window::Io))]), "");
    }

    #[test]
    fn many_bars_are_cut_short() {
        let rows =
            (0..6).chain(0..3).map(|bar| row(bar, BarKind::Memory32, 4096, None, Some(Window::Below4G)));
        let text = shown(rows.collect());
        assert_eq!(text.lines().count(), 1 + MAP_ROWS + 1);
        assert!(text.ends_with("and 3 more\n"), "{text}");
    }
}
