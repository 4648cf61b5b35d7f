use slotwise_host::journal::{ApplyId, Standing};

use crate::error::{Failure, Hint, Outcome};
use crate::host::Host;
use crate::print;

/// Take changes back: the host as it was before
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which apply, as `slotwise status` shows it; all that stand, latest first, without it
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let host = Host::lock()?;
    let ids = match &arguments.id {
        Some(text) => vec![parse(text)?],
        None => standing(&host)?,
    };
    if ids.is_empty() {
        print::plain("nothing to undo\n")?;
    }
    let mut clean = true;
    for id in ids {
        let report = host.undo(id)?;
        clean &= report.is_clean();
        let word = if report.is_clean() { "undone" } else { "partly undone" };
        print::plain(&format!("{word}: {id}, {} changes taken back\n", report.restored.len()))?;
    }
    if clean {
        Ok(Outcome::Fine)
    } else {
        Err(Failure::new("the host is not as it was; see what was left above"))
    }
}

fn parse(text: &str) -> Result<ApplyId, Failure> {
    text.parse()
        .map_err(|_| Failure::new(format!("{text:?} is not the number of an apply")))
        .hint("`slotwise status` shows them")
}

/// Those that changed the host and were not taken back whole, latest first.
fn standing(host: &Host) -> Result<Vec<ApplyId>, Failure> {
    let mut ids = Vec::new();
    for (id, record) in host.state().records()? {
        if !matches!(record?.standing(), Standing::Nothing | Standing::Undone) {
            ids.push(id);
        }
    }
    ids.reverse();
    Ok(ids)
}
