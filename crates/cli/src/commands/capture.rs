use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use slotwise_core::facts::{Origin, SourceKind};
use slotwise_host::capture::{self, CaptureError};
use slotwise_host::live::LiveHost;

use crate::error::{Failure, Outcome};
use crate::print;

/// Write this host as one file, to look at and plan for elsewhere
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "host.slotwise")]
    output: PathBuf,
    /// Pack this capture again instead of the running host: a directory that one was unpacked into, or its file
    ///
    /// What must stay secret is taken out again, so what was added by hand is looked through too.
    #[arg(long, value_name = "CAPTURE")]
    from: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let capture = match &arguments.from {
        None => {
            let host = LiveHost::running()?;
            let boot_id = host.live().ok().map(|live| live.boot_id().to_string());
            capture::capture(&host, Origin::Live { boot_id })
        }
        Some(path) => {
            let snapshot = capture::open(path).map_err(Failure::hinted(CaptureError::hint))?;
            let name = path.display().to_string();
            capture::capture(&snapshot, Origin::Saved { kind: SourceKind::Capture, name })
        }
    };
    let path = &arguments.output;
    let file = File::create_new(path)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    let mut out = BufWriter::new(file);
    capture.write(&mut out)?;
    out.flush()?;
    print::plain(&format!("{}: {} functions\n", path.display(), capture.facts.functions.len()))?;
    for what in &capture.redacted {
        print::progress(&format!("left out: {what}"));
    }
    Ok(Outcome::Fine)
}
