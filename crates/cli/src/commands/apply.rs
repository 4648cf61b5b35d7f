use std::path::PathBuf;

use slotwise_host::apply::Applied;

use super::plan;
use crate::error::{Failure, Outcome};
use crate::host::{self, Host};
use crate::print;
use crate::saved;
use crate::spec::Spec;

/// Carry a plan out: journalled step by step, taken back by `slotwise undo`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Go on although this rule says that it will not work; give it once for each
    #[arg(long, value_name = "RULE")]
    despite: Vec<String>,
    /// Only if the host still is what this plan rests on: a file written by `slotwise plan -o`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let spec = Spec::read(&arguments.spec)?;
    let saved = arguments.plan.as_deref().map(saved::read).transpose()?;
    let host = Host::lock()?;
    let plan = plan::make(&spec, &host.topology())?;
    if let Some(saved) = &saved
        && !saved::still_holds(saved, &plan)
    {
        return Ok(Outcome::Found);
    }
    if !host::may_go_on(&plan, &arguments.despite)? {
        return Ok(Outcome::Found);
    }
    for step in plan.steps.as_slice() {
        print::progress(&format!("{}", step.action()));
    }
    match host.apply(&plan)? {
        Applied::Already => print::plain("nothing to do: the host is as the spec wants it\n")?,
        Applied::Done { id, .. } if host.is_interrupted() => {
            return Err(if host.undo(id)?.is_clean() {
                Failure::new("interrupted; the host is as it was")
            } else {
                Failure::new("interrupted, and the host is not as it was; see what was left above")
            });
        }
        Applied::Done { id, steps } => print::plain(&format!(
            "applied as {id}: {} steps; `slotwise undo` takes them back\n",
            steps.len()
        ))?,
    }
    Ok(Outcome::Fine)
}
