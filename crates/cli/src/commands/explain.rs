use slotwise_core::report::{Role, Text};
use slotwise_core::rules::{self, RULES};

use crate::error::{Failure, Outcome};
use crate::print;

/// Show a page on a rule: what happens, why, how to fix it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The rule's id, for example intx-shared
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let Some(rule) = rules::rule(&arguments.id) else {
        let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        return Err(Failure::new(format!("there is no rule {:?}", arguments.id))
            .hint(format!("there are: {}", ids.join(", "))));
    };
    let mut text = Text::default();
    text.line(Role::Strong, rule.id);
    let page = rule.page;
    for (title, body) in
        [("What happens", page.what), ("Why", page.why), ("How to fix it", page.fix), ("Source", page.source)]
    {
        text.gap().line(Role::Strong, title).line(Role::Plain, body);
    }
    print::text(&text)?;
    Ok(Outcome::Fine)
}
