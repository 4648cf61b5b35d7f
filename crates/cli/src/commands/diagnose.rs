use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use slotwise_core::diagnose::{self, Bearing, Diagnosis, Feed, Finding, HostFact, Reading, Verdict};
use slotwise_core::report::{Role, Text};
use slotwise_core::topology::Topology;
use slotwise_core::vm::VmName;

use crate::error::{Failure, Hint, Outcome};
use crate::launch::RunLogs;
use crate::{print, source};

/// How much of a log is read at a time, in bytes.
const PIECE: usize = 1 << 20;

/// Name the cause in a log, with the line that shows it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Logs, read as one story in this order; `-` or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read the logs of this VM's last run on this host
    #[arg(long, value_name = "VM", conflicts_with = "files")]
    vm: Option<VmName>,
    /// The host that the logs are of, as `slotwise inspect --from` takes it: what it shows now is put beside what they
    /// say
    #[arg(long, value_name = "SOURCE")]
    from: Option<PathBuf>,
    /// The logs are of this host: put what it shows now beside what they say
    #[arg(long, conflicts_with = "from")]
    here: bool,
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
    let mut diagnosis = read(&files)?;
    if let Some(host) = host(arguments)? {
        diagnosis.join(&host);
    }
    if arguments.json {
        print::json(&diagnose::wire::v1::Diagnosis::from(&diagnosis))?;
    } else {
        print::text(&text(&diagnosis))?;
    }
    Ok(outcome(&diagnosis))
}

/// Shows what the logs of a failed run on this host mean, on standard output.
pub(super) fn show_files(files: &[PathBuf]) -> Result<Outcome, Failure> {
    let mut diagnosis = read(files)?;
    if let Ok(facts) = source::this_host() {
        diagnosis.join(&Topology::new(facts));
    }
    print::text(&text(&diagnosis))?;
    Ok(outcome(&diagnosis))
}

/// The host that the logs are of, if it is to be looked at. Logs of a run here are of this host; that it cannot be read
/// then is no reason to keep the diagnosis back.
fn host(arguments: &Arguments) -> Result<Option<Topology>, Failure> {
    if arguments.from.is_some() || arguments.here {
        return Ok(Some(Topology::new(source::facts(arguments.from.as_deref())?)));
    }
    Ok(arguments.vm.as_ref().and_then(|_| source::this_host().ok()).map(Topology::new))
}

fn outcome(diagnosis: &Diagnosis) -> Outcome {
    if diagnosis.verdict == Verdict::Fault { Outcome::Found } else { Outcome::Fine }
}

fn read(files: &[PathBuf]) -> Result<Diagnosis, Failure> {
    let mut reading = Reading::default();
    for path in files {
        let name = path.display().to_string();
        let feed = reading.input(&name);
        let done = if path == Path::new("-") {
            pour(io::stdin().lock(), feed)
        } else {
            File::open(path).and_then(|file| pour(file, feed))
        };
        done.map_err(|error| Failure::new(format!("cannot read {name}: {error}")))
            .hint("give log files, or pipe one in")?;
    }
    Ok(reading.diagnosis())
}

/// Hands a log on piece by piece, so that memory does not grow with it.
fn pour(mut log: impl Read, mut feed: Feed<'_>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match log.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => feed.push(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    feed.end();
    Ok(())
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
    for fact in &finding.host {
        on_host(text, fact);
    }
    for other in &finding.ruled_out {
        text.line(Role::Faint, format!("  not {}: {}", other.cause, other.why));
    }
    for remedy in &finding.remedies {
        text.line(Role::Good, "  -> ").add(Role::Plain, *remedy);
    }
}

fn on_host(text: &mut Text, fact: &HostFact) {
    let role = match fact.bearing {
        Bearing::Confirms => Role::Bad,
        Bearing::SinceFixed => Role::Good,
        Bearing::Context => Role::Faint,
    };
    text.line(Role::Faint, "  on the host: ").add(role, fact.text.clone());
}
