//! The folder of a run: a journal of what is done, written as it goes, and a text for each case with its command bytes,
//! answers, the guest's kernel log and console.
//!
//! The journal is a JSON object a line, the first being the recipe. A run that was killed leaves at worst half a line at
//! its end; going on cuts that off. Everything before it is taken over as it is, so that the report comes out the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::wire::{DoneLine, JOURNAL, Line, RecipeLine};
use crate::matrix::{Finished, Outcome, Progress, Row, Until};
use crate::report;

/// The journal's name in the folder.
const NAME: &str = "journal.jsonl";
/// Bytes that one line may have: a case's exchanges, with how their data begin.
const LINE_LIMIT: u64 = 256 << 20;

/// What a run is of; whoever goes on with it takes it from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Patterns of cases, as the user gave them.
    pub only: Vec<String>,
    /// What order and data come from.
    pub seed: Option<u64>,
    /// How often.
    pub times: u32,
    /// When it ends.
    pub until: Until,
    /// Suites by id.
    pub suites: Vec<String>,
    /// Devices by name.
    pub devices: Vec<String>,
    /// Guests by id.
    pub guests: Vec<String>,
    /// The firmware that was installed before it.
    pub firmware: Option<String>,
}

/// A run's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file of it cannot be read or written.
    #[error("cannot {what} {path}", path = path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The journal is none.
    #[error("{path}:{line} is no line of a run's journal", path = path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why, where there is more to say.
        source: Option<serde_json::Error>,
    },
    /// The spec asks for something else than what the run is of.
    #[error("the run in {path} is of other {what}: {was}, and the spec says {now}", path = path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// Suites, devices or guests.
        what: &'static str,
        /// Of the run.
        was: String,
        /// Of the spec.
        now: String,
    },
}

impl FolderError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Journal { .. } => {
                "--resume goes on with a run whose folder was named by --report; a new run begins without it"
            }
            Self::Other { .. } => "go on with the spec that the run was begun with, or begin a new one",
        }
    }
}

/// A run's folder, open for what comes.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    journal: File,
    begin: Instant,
    /// How long earlier parts took.
    before: Duration,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::File { what, path, source }
}

impl Folder {
    /// Makes the folder, or takes one that is there; the journal of a run that is in it is replaced.
    ///
    /// # Errors
    ///
    /// It cannot be made or written to.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<Self, FolderError> {
        let cases = path.join("cases");
        fs::create_dir_all(&cases).map_err(failed("make", &cases))?;
        let name = path.join(NAME);
        let journal = File::create(&name).map_err(failed("write", &name))?;
        let mut folder =
            Self { path: path.to_owned(), journal, begin: Instant::now(), before: Duration::ZERO };
        folder.write(&Line::Recipe(RecipeLine::from(recipe)))?;
        Ok(folder)
    }

    /// Opens the folder of a run to go on with it: what it is of, and what is done.
    ///
    /// # Errors
    ///
    /// There is no journal in it, or something else in its place.
    pub fn resume(path: &Path) -> Result<(Self, Recipe, Finished), FolderError> {
        let name = path.join(NAME);
        let mut journal =
            OpenOptions::new().read(true).write(true).open(&name).map_err(failed("read", &name))?;
        let (recipe, finished, sound) = read(&name, &mut journal)?;
        journal.set_len(sound).map_err(failed("write", &name))?;
        io::Seek::seek(&mut journal, io::SeekFrom::Start(sound)).map_err(failed("write", &name))?;
        let before = finished.elapsed;
        Ok((Self { path: path.to_owned(), journal, begin: Instant::now(), before }, recipe, finished))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps what has happened. When this returns, a kill of the program does not lose it.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn keep(&mut self, progress: &Progress<'_>) -> Result<(), FolderError> {
        match progress {
            Progress::Started(start) => self.write(&Line::Started((*start).into())),
            Progress::Done(row, reference) => {
                self.case(row)?;
                let at = self.before + self.begin.elapsed();
                let line = DoneLine { at, row: (*row).into(), known: (*reference).into() };
                self.write(&Line::Done(Box::new(line)))
            }
            Progress::Kept(_) => Ok(()),
        }
    }

    fn write(&mut self, line: &Line) -> Result<(), FolderError> {
        let name = self.path.join(NAME);
        let mut text = serde_json::to_vec(line).map_err(|error| failed("write", &name)(error.into()))?;
        text.push(b'\n');
        // One write a line: nothing of it stays in this process.
        self.journal.write_all(&text).map_err(failed("write", &name))
    }

    /// All there is to say of a case, for people. Nothing was said to a device for one that was skipped: why stands in the report.
    fn case(&self, row: &Row) -> Result<(), FolderError> {
        if row.outcome == Outcome::Skip {
            return Ok(());
        }
        let plain = |text: &str| -> String {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
            text.chars().map(|letter| if fits(letter) { letter } else { '-' }).take(80).collect()
        };
        let parts = [&row.suite, &row.case, &row.device, &row.guest].map(|part| plain(part));
        let path = self.path.join("cases").join(format!("{}.{}.txt", parts.join("."), row.attempt));
        fs::write(&path, report::case(row)).map_err(failed("write", &path))
    }
}

/// Reads a journal: what it says, and how long its sound part is, in bytes.
fn read(name: &Path, journal: &mut File) -> Result<(Recipe, Finished, u64), FolderError> {
    let mut reader = BufReader::new(journal);
    let (mut recipe, mut finished, mut sound) = (None, Finished::default(), 0);
    for number in 1.. {
        let mut bytes = Vec::new();
        reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut bytes).map_err(failed("read", name))?;
        if bytes.last() != Some(&b'\n') {
            // The end, or the half of a line that was being written.
            break;
        }
        let broken = |source| FolderError::Journal { path: name.to_owned(), line: number, source };
        let line = serde_json::from_slice(&bytes).map_err(|error| broken(Some(error)))?;
        match (line, &recipe) {
            (Line::Recipe(line), None) if line.format == JOURNAL => recipe = Some(Recipe::from(line)),
            (Line::Started(line), Some(_)) => finished.starts.push(line.into()),
            (Line::Done(done), Some(_)) => {
                let row = done.row.row().ok_or_else(|| broken(None))?;
                finished.elapsed = done.at;
                finished.in_guests += row.in_guest;
                finished.rows.insert(row.key(), (row, done.known.into()));
            }
            _ => return Err(broken(None)),
        }
        sound += bytes.len() as u64;
    }
    let missing = || FolderError::Journal { path: name.to_owned(), line: 1, source: None };
    Ok((recipe.ok_or_else(missing)?, finished, sound))
}

impl Recipe {
    /// Makes sure that a run to go on with is of the same things.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn same_as(&self, now: &Self, path: &Path) -> Result<(), FolderError> {
        let parts = [
            ("suites", &self.suites, &now.suites),
            ("devices", &self.devices, &now.devices),
            ("guests", &self.guests, &now.guests),
        ];
        match parts.into_iter().find(|(_, was, now)| was != now) {
            None => Ok(()),
            Some((what, was, now)) => Err(FolderError::Other {
                path: path.to_owned(),
                what,
                was: was.join(", "),
                now: now.join(", "),
            }),
        }
    }
}

impl From<&Recipe> for RecipeLine {
    fn from(recipe: &Recipe) -> Self {
        let Recipe { only, seed, times, until, suites, devices, guests, firmware } = recipe.clone();
        let (format, until_fail) = (JOURNAL.to_owned(), until == Until::Failure);
        Self { format, only, seed, times, until_fail, suites, devices, guests, firmware }
    }
}

impl From<RecipeLine> for Recipe {
    fn from(line: RecipeLine) -> Self {
        let RecipeLine { only, seed, times, until_fail, suites, devices, guests, firmware, .. } = line;
        let until = if until_fail { Until::Failure } else { Until::Done };
        Self { only, seed, times, until, suites, devices, guests, firmware }
    }
}

#[cfg(test)]
mod tests;
