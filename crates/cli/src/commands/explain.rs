use slotwise_core::diagnose;
use slotwise_core::report::{Role, Text};
use slotwise_core::rules::{self, RULES, Rule};
use slotwise_testbench::guest::GuestDefinition;

use crate::error::{Failure, Outcome};
use crate::print;

/// Show a page on a rule or a cause (what happens, why, how to fix it), or on a guest
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The id of the rule, cause or guest, for example intx-shared; all ids without one
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let Some(id) = &arguments.id else {
        print::plain(&format!("{}\n", ids().join("\n")))?;
        return Ok(Outcome::Fine);
    };
    if let Ok(guest) = GuestDefinition::builtin(id) {
        print::plain(&guest.page())?;
        return Ok(Outcome::Fine);
    }
    let (rules, causes) = both_sides(id);
    if rules.is_empty() && causes.is_empty() {
        return Err(Failure::new(format!("there is no rule, cause or guest {id:?}"))
            .hint("`slotwise explain` lists those there are"));
    }
    for (number, rule) in rules.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        print::plain(gap)?;
        print::text(&page(rule))?;
    }
    for (number, cause) in causes.iter().filter_map(|cause| diagnose::explain(cause)).enumerate() {
        let gap = match (number, rules.is_empty()) {
            (0, true) => "",
            (0, false) => "\nIn logs\n",
            _ => "\n",
        };
        print::plain(&format!("{gap}{}\n", cause.trim_end()))?;
    }
    Ok(Outcome::Fine)
}

/// The rules and the causes that an id stands for: of a rule also the causes that it foretells, of a cause also the rules
/// that foretell it, so that either id shows both sides.
fn both_sides(id: &str) -> (Vec<&'static Rule>, Vec<&'static str>) {
    if let Some(rule) = rules::rule(id) {
        return (vec![rule], rule.predicts.to_vec());
    }
    let cause = diagnose::cause(id).map(|cause| cause.id);
    (cause.map(rules::predicting).unwrap_or_default(), cause.into_iter().collect())
}

fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = RULES
        .iter()
        .map(|rule| rule.id)
        .chain(diagnose::ids())
        .chain(GuestDefinition::builtin_ids())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn page(rule: &Rule) -> Text {
    let mut text = Text::default();
    text.line(Role::Strong, rule.id);
    let page = rule.page;
    for (title, body) in
        [("What happens", page.what), ("Why", page.why), ("How to fix it", page.fix), ("Source", page.source)]
    {
        text.gap().line(Role::Strong, title).line(Role::Plain, body);
    }
    if !rule.predicts.is_empty() {
        text.gap().line(Role::Strong, "In logs it is called").line(Role::Plain, rule.predicts.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_id_of_a_pair_shows_both_sides() {
        for (rule, cause) in [
            ("nvidia-kvm-hidden", "nvidia-code-43"),
            ("option-rom-shadow", "option-rom-bar-shadow"),
            ("rom-missing", "rom-invalid"),
            ("bar-unassigned", "host-mmio-window"),
            ("vga-flags", "no-vga-arbitration"),
            ("driver-binds-first", "driver-autobind-race"),
        ] {
            for id in [rule, cause] {
                let (rules, causes) = both_sides(id);
                let named = rules.iter().any(|r| r.id == rule) || cause == "host-mmio-window";
                assert!(named && causes.contains(&cause), "{id}");
            }
        }
        assert_eq!(both_sides("no-such-thing").1, Vec::<&str>::new());
    }
}
