//! What was said in each scenario, and what came of it: under `target/score`, to be looked at, and to be taken over by a
//! second try.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::matrix::Trial;
use super::row::Row;
use crate::Result;
use crate::build::{self, Dist};
use crate::story::lab::Said;

/// Where, and of which programs.
pub(super) struct Kept {
    folder: PathBuf,
    programs: u64,
}

/// One result.
#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    /// Of the programs and the scenario, so that a result is not taken for that of another.
    key: u64,
    versions: String,
    trial: Trial,
}

impl Kept {
    pub(super) fn of(dist: &Dist) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        for program in ["slotwise", "slotwise-agent", "slotwise-lab-init"] {
            fs::read(dist.program(program))?.hash(&mut hasher);
        }
        Ok(Self { folder: build::target_directory().join("score"), programs: hasher.finish() })
    }

    fn key(&self, row: &Row) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.programs, format!("{row:?}")).hash(&mut hasher);
        hasher.finish()
    }

    /// A result of the same programs and scenario, if it came as foretold, with the versions of then.
    pub(super) fn right(&self, row: &Row) -> Option<(Trial, String)> {
        let text = fs::read(self.folder.join(&row.name).join("result.json")).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        let same = entry.key == self.key(row) && entry.trial.cell().is_right();
        same.then_some((entry.trial, entry.versions))
    }

    pub(super) fn keep(&self, row: &Row, trial: &Trial, versions: &str) -> Result {
        let entry = Entry { key: self.key(row), versions: versions.to_owned(), trial: trial.clone() };
        let folder = self.folder.join(&row.name);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join("result.json"), serde_json::to_vec_pretty(&entry)?)?)
    }

    /// Keeps what a command said.
    pub(super) fn said(&self, row: &Row, name: &str, said: &Said) -> Result {
        let folder = self.folder.join(&row.name);
        fs::create_dir_all(&folder)?;
        let Said { command, status, out, err } = said;
        Ok(fs::write(folder.join(name), format!("$ {command}\n{out}{err}[ended with {status}]\n"))?)
    }
}
