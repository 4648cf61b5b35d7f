use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use slotwise_core::diagnose::{self, Diagnosis, Finding, Input, Verdict};
use slotwise_core::report::{Role, Text};
use slotwise_core::vm::VmName;

use crate::error::{Failure, Hint, Outcome};
use crate::launch::RunLogs;
use crate::print;

/// Name the cause in a log, with the line that shows it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Logs, read as one story in this order; `-` or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read the logs of this VM's last run on this host
    #[arg(long, value_name = "VM", conflicts_with = "files")]
    vm: Option<VmName>,
    /// Print JSON (slotwise.diagnose/1)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let files = match &arguments.vm {
        Some(vm) => {
            let files = RunLogs::of(vm).files();
            if files.is_empty() {
                return Err(Failure::new(format!("there are no logs of a run of {vm}"))
                    .hint("logs are kept by `slotwise run` and `slotwise test`"));
            }
            files
        }
        None if arguments.files.is_empty() => vec![PathBuf::from("-")],
        None => arguments.files.clone(),
    };
    let logs = read(&files)?;
    let diagnosis = diagnose::diagnose(&inputs(&logs));
    if arguments.json {
        print::json(&diagnose::wire::v1::Diagnosis::from(&diagnosis))?;
    } else {
        print::text(&text(&diagnosis))?;
    }
    Ok(outcome(&diagnosis))
}

/// Shows what the logs of a failed run mean, on standard output.
pub(super) fn show_files(files: &[PathBuf]) -> Result<Outcome, Failure> {
    let logs = read(files)?;
    let diagnosis = diagnose::diagnose(&inputs(&logs));
    print::text(&text(&diagnosis))?;
    Ok(outcome(&diagnosis))
}

fn outcome(diagnosis: &Diagnosis) -> Outcome {
    if diagnosis.verdict == Verdict::Fault { Outcome::Found } else { Outcome::Fine }
}

fn read(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut logs = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let bytes = if name == "-" {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes)?;
            bytes
        } else {
            fs::read(path)
                .map_err(|error| Failure::new(format!("cannot read {name}: {error}")))
                .hint("give log files, or pipe one in")?
        };
        logs.push((name, bytes));
    }
    Ok(logs)
}

fn inputs(logs: &[(String, Vec<u8>)]) -> Vec<Input<'_>> {
    logs.iter().map(|(name, bytes)| Input { name, bytes }).collect()
}

fn text(diagnosis: &Diagnosis) -> Text {
    let mut text = Text::default();
    match diagnosis.verdict {
        Verdict::Fault => text.line(Role::Bad, "a fault"),
        Verdict::NoFault => text.line(Role::Good, "no fault of a passthrough"),
        Verdict::Unrecognised => text.line(Role::Caution, "nothing in this is known"),
    };
    for finding in &diagnosis.findings {
        text.gap();
        one(&mut text, finding);
    }
    text
}

fn one(text: &mut Text, finding: &Finding) {
    text.line(Role::Strong, finding.cause.id);
    text.add(Role::Faint, format!("  ({:.0} %)", finding.confidence * 100.0));
    text.line(Role::Plain, format!("  {}", finding.explanation));
    for evidence in &finding.evidence {
        text.line(Role::Faint, format!("  | {}:{}: ", evidence.input, evidence.line));
        text.add(Role::Plain, evidence.text.clone());
    }
    for other in &finding.ruled_out {
        text.line(Role::Faint, format!("  not {}: {}", other.cause, other.why));
    }
    for remedy in &finding.remedies {
        text.line(Role::Good, "  -> ").add(Role::Plain, *remedy);
    }
}
