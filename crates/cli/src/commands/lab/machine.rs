//! Which machine, changed how, and the images that it boots from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use slotwise_lab::{ArtifactError, Artifacts, BootOptions, Config, FaultState, Machine, PayloadFile};

use crate::error::{Failure, Hint};
use crate::{paths, print};

/// A machine and what is changed on it.
#[derive(Debug, clap::Args)]
pub(super) struct MachineArguments {
    /// Name of a machine that is built in, or a TOML file
    #[arg(value_name = "MACHINE")]
    machine: String,
    /// Change a value of the machine, for example scsi.slot=6
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Give the machine one of its faults
    #[arg(long, value_name = "FAULT")]
    fault: Vec<String>,
    /// Seconds of processor time within which the machine must be up; one that is not is started once more
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    deadline: u64,
    /// Keep the log of its kernel console here
    #[arg(long, value_name = "FILE")]
    console_log: Option<PathBuf>,
}

impl MachineArguments {
    /// Whether the machine is not as declared, so that one that is up will not do.
    pub(super) const fn is_changed(&self) -> bool {
        !self.set.is_empty() || !self.fault.is_empty()
    }

    pub(super) fn boot_options(&self) -> BootOptions {
        BootOptions { deadline: Duration::from_secs(self.deadline), console_log: self.console_log.clone() }
    }

    pub(super) fn machine(&self) -> Result<Machine, Failure> {
        let mut machine = if self.machine.ends_with(".toml") {
            let path = Path::new(&self.machine);
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::new(format!("cannot read the machine {}: {error}", self.machine))
            })?;
            Machine::parse(&text).hint(format!("in {}", self.machine))?
        } else {
            Machine::builtin(&self.machine).hint("`slotwise lab list` shows what there is")?
        };
        for change in &self.set {
            let (key, value) = change.split_once('=').ok_or_else(|| {
                Failure::new(format!("--set {change}: expected KEY=VALUE, as in scsi.slot=6"))
            })?;
            machine.set(key, value)?;
        }
        for fault in &self.fault {
            machine
                .set_fault(fault, FaultState::On)
                .hint("`slotwise lab list` shows each machine's faults")?;
        }
        Ok(machine)
    }
}

/// The images of a machine, built where the cache has none. The lab host gets this very program and its agent.
pub(super) fn artifacts(machine: &Machine) -> Result<Artifacts, Failure> {
    let missing = |name: &str| {
        Failure::new(format!("the program {name} is not beside this one"))
            .hint("`cargo xtask dist` builds all of Slotwise's programs into one folder")
    };
    let own = std::env::current_exe()?;
    let agent = paths::agent().ok_or_else(|| missing("slotwise-agent"))?;
    let init_binary = paths::lab_init().ok_or_else(|| missing("slotwise-lab-init"))?;
    let payload = vec![
        PayloadFile { guest: "/usr/local/bin/slotwise".into(), host: own },
        PayloadFile { guest: "/usr/local/lib/slotwise/slotwise-agent".into(), host: agent },
    ];
    let config = Config { cache_dir: paths::cache().join("lab"), payload, init_binary };
    Artifacts::prepare(machine, &config, &print::progress).map_err(Failure::hinted(ArtifactError::hint))
}
