use slotwise_core::report::{Role, Text};
use slotwise_host::journal::{Standing, StateDir};

use crate::error::{Failure, Outcome};
use crate::{paths, print};

/// Show what was changed on this host, and what of it still stands
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<Outcome, Failure> {
    let mut text = Text::default();
    for (id, record) in StateDir::existing(&paths::state()).records()? {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                text.line(Role::Bad, format!("{id}  cannot be read: {error}"));
                continue;
            }
        };
        let (role, word) = match record.standing() {
            Standing::Nothing => (Role::Faint, "never begun".to_owned()),
            Standing::HalfDone => (Role::Bad, "half done: `slotwise undo` takes it back".to_owned()),
            Standing::Applied => (Role::Good, "applied".to_owned()),
            Standing::Undone => (Role::Faint, "undone".to_owned()),
            Standing::PartlyUndone { .. } if record.leaves_modules_only() => {
                (Role::Faint, "undone, but for modules that others use".to_owned())
            }
            Standing::PartlyUndone { left } => (Role::Caution, format!("undone but for {left} changes")),
        };
        text.line(role, format!("{id}  {word}"));
        if let Some(command) = record.command() {
            text.add(Role::Faint, format!("   ({command})"));
        }
        if matches!(record.standing(), Standing::Applied | Standing::HalfDone) {
            for action in record.actions() {
                text.line(Role::Plain, format!("      {action}"));
            }
        }
    }
    if text.lines.is_empty() {
        text.line(Role::Plain, "nothing was changed on this host");
    }
    print::text(&text)?;
    Ok(Outcome::Fine)
}
