//! A scenario: one file of `testdata/scenarios`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use slotwise_lab::{FaultState, Machine};

use crate::{Result, build};

/// One row of the table, as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// The file's name without its ending.
    #[serde(skip)]
    pub(super) name: String,
    /// What is tried, in a line.
    pub(super) summary: String,
    /// A machine of the lab.
    #[serde(default = "scsi_bench")]
    pub(super) machine: String,
    /// Settings of the machine, such as `scsi.slot`.
    #[serde(default)]
    pub(super) set: BTreeMap<String, toml::Value>,
    /// Faults of the machine.
    #[serde(default)]
    pub(super) faults: Vec<String>,
    /// Shell lines that the lab host runs before anything is planned.
    #[serde(default)]
    pub(super) host: Option<String>,
    /// Shell lines that try it, where `slotwise run` does not: what they print is diagnosed if they fail.
    #[serde(default)]
    pub(super) tries: Option<String>,
    /// The spec. Its VM is called `bench`.
    pub(super) spec: String,
    /// What the VM's console shows when the guest is up.
    #[serde(default = "ready")]
    pub(super) shows: String,
    /// What the guest's console shows if the device does not work there although the guest is up.
    #[serde(default)]
    pub(super) fails_with: Option<String>,
    /// Whether CI runs it.
    #[serde(default)]
    pub(super) short: bool,
}

fn scsi_bench() -> String {
    "scsi-bench".to_owned()
}

/// The agent's greeting.
fn ready() -> String {
    "ready on".to_owned()
}

impl Row {
    /// All of them, by name.
    pub(super) fn all() -> Result<Vec<Self>> {
        let folder = build::root().join("testdata/scenarios");
        let mut paths: Vec<_> = std::fs::read_dir(&folder)?.collect::<std::io::Result<Vec<_>>>()?;
        paths.sort_by_key(std::fs::DirEntry::path);
        paths.iter().map(|entry| Self::read(&entry.path())).collect()
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut row: Self = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        row.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(row)
    }

    /// The machine with its settings and faults.
    pub(super) fn machine(&self) -> Result<Machine> {
        let mut machine = Machine::builtin(&self.machine)?;
        for (key, value) in &self.set {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            machine.set(key, &text)?;
        }
        for fault in &self.faults {
            machine.set_fault(fault, FaultState::On)?;
        }
        Ok(machine)
    }

    /// Whether the same boot of the lab host serves both: the same machine, and nothing done to the host before.
    pub(super) fn shares_boot(&self, other: &Self) -> bool {
        self.boot() == other.boot() && self.host.is_none() && other.host.is_none()
    }

    /// Everything that makes a boot what it is, in an order that puts equal ones together.
    pub(super) fn boot(&self) -> (&str, String, &[String], bool) {
        (&self.machine, format!("{:?}", self.set), &self.faults, self.host.is_some())
    }
}
