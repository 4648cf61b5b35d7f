use slotwise_core::diagnose;
use slotwise_core::report::{Role, Text};
use slotwise_core::rules::{self, RULES, Rule};

use crate::error::{Failure, Outcome};
use crate::print;

/// Show a page on a rule or a cause: what happens, why, how to fix it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The rule's or cause's id, for example intx-shared; all ids without one
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let Some(id) = &arguments.id else {
        print::plain(&format!("{}\n", ids().join("\n")))?;
        return Ok(Outcome::Fine);
    };
    let (rule, cause) = (rules::rule(id), diagnose::explain(id));
    if rule.is_none() && cause.is_none() {
        return Err(Failure::new(format!("there is no rule or cause {id:?}"))
            .hint("`slotwise explain` lists those there are"));
    }
    if let Some(rule) = rule {
        print::text(&page(rule))?;
    }
    if let Some(cause) = cause {
        let gap = if rule.is_some() { "\nIn logs\n" } else { "" };
        print::plain(&format!("{gap}{}\n", cause.trim_end()))?;
    }
    Ok(Outcome::Fine)
}

fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = RULES.iter().map(|rule| rule.id).chain(diagnose::ids()).collect();
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
    text
}
