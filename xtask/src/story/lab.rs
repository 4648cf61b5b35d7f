//! A lab host with the bench in it, and commands in it.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;
use slotwise_lab::session::ExitStatus;
use slotwise_lab::{Artifacts, BootOptions, Command, Config, FaultState, LabHost, Machine, PayloadFile};

use crate::Result;
use crate::build::{self, Dist};

/// More than any command here prints.
const LIMIT: usize = 16 << 20;
/// Longer than any command here takes, by much.
const DEADLINE: Duration = Duration::from_secs(240);

/// What a command said.
pub(crate) struct Said {
    pub(crate) command: String,
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) struct Lab {
    host: LabHost,
}

impl Lab {
    /// Boots the bench with the card in a slot of the bridge.
    pub(crate) fn boot(dist: &Dist, slot: u8) -> Result<Self> {
        let mut machine = Machine::builtin("scsi-bench")?;
        machine.set("scsi.slot", &slot.to_string())?;
        machine.set_fault("nointxmask", FaultState::On)?;
        Self::boot_machine(dist, &machine)
    }

    /// Boots a machine with the programs in it.
    pub(crate) fn boot_machine(dist: &Dist, machine: &Machine) -> Result<Self> {
        let payload = |guest: &str, name: &str| PayloadFile { guest: guest.into(), host: dist.program(name) };
        let config = Config {
            cache_dir: build::cache()?.join("lab"),
            payload: vec![
                payload("/usr/local/bin/slotwise", "slotwise"),
                payload("/usr/local/lib/slotwise/slotwise-agent", "slotwise-agent"),
            ],
            init_binary: dist.program("slotwise-lab-init"),
        };
        let last = Cell::new(String::new());
        let progress = |text: &str| {
            if last.replace(text.to_owned()) != text {
                println!("  {text}");
            }
        };
        let artifacts = Artifacts::prepare(machine, &config, &progress).map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            format!("{error}{}{hint}", if hint.is_empty() { "" } else { "; " })
        })?;
        let host = LabHost::boot(machine, &artifacts, &BootOptions::default(), &progress)?;
        if let [complaint, ..] = host.complaints() {
            return Err(format!("the lab host complains: {complaint}").into());
        }
        Ok(Self { host })
    }

    pub(crate) fn boot_time(&self) -> Duration {
        self.host.boot_time()
    }

    /// Runs a command.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Said> {
        let command = Command { deadline: Some(DEADLINE), ..Command::new(words.iter().copied()) };
        let output = self.host.output(&command, LIMIT)?;
        Ok(Said {
            command: words.join(" "),
            status: match output.status {
                ExitStatus::Code(code) => code,
                ExitStatus::Signal(signal) => -signal,
            },
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that prints JSON and ends with a status.
    pub(super) fn json(&self, words: &[&str], status: i32) -> Result<Value> {
        let said = self.run(words)?;
        if said.status != status {
            let Said { command, status: found, out, err } = said;
            return Err(format!("`{command}` should end with {status}, not {found}:\n{out}{err}").into());
        }
        Ok(serde_json::from_str(&said.out).map_err(|error| format!("`{}`: {error}", said.command))?)
    }

    pub(crate) fn put(&self, path: &str, text: &str) -> Result {
        Ok(self.host.put(path, text.as_bytes(), 0o644)?)
    }

    pub(super) fn fetch(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.host.fetch(path, LIMIT)?)
    }

    /// A checksum of the first and last mebibyte of the SCSI disk, read by the host's own driver.
    pub(super) fn disk_sum(&self) -> Result<String> {
        let script =
            "(dd if=/dev/sda bs=1M count=1; dd if=/dev/sda bs=1M skip=63 count=1) 2>/dev/null | sha256sum";
        let said = self.run(&["sh", "-c", script])?;
        if said.status == 0 && said.out.len() > 64 {
            return Ok(said.out);
        }
        Err(format!("the host cannot read its disk: {}{}", said.out, said.err).into())
    }

    /// Waits until the host's driver has made the disk again.
    pub(super) fn wait_for_disk(&self) -> Result {
        let script = "for i in $(seq 300); do dd if=/dev/sda of=/dev/null bs=512 count=1 2>/dev/null && exit 0; sleep 0.1; done; exit 1";
        let said = self.run(&["sh", "-c", script])?;
        if said.status == 0 { Ok(()) } else { Err("the host's driver did not bring the disk back".into()) }
    }

    /// Powers the host off.
    pub(crate) fn end(self) {
        self.host.shutdown();
    }
}
