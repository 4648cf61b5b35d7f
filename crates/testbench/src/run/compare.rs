//! What has changed between two runs, of which the earlier is known by its `report.json`.
//!
//! Cases are matched by suite, device, guest and id; where each run has a single device, its name does not matter, as
//! another firmware or host may give it another one. A case that did not always end the same way in one of the runs is
//! flaky: what it does says nothing of the change.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::pattern::Pattern;
use crate::matrix::{Outcome, Run};
use crate::report::wire::v1::{Document, SCHEMA, SentCommand, TestRow};

/// Bytes a report may have: ten thousand rows with all that is kept of them.
const SIZE_LIMIT: u64 = 1 << 30;

/// The earlier run.
#[derive(Clone, Debug)]
pub struct Baseline {
    name: String,
    document: Document,
}

/// The earlier run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// No such file, or it cannot be read.
    #[error("cannot read the baseline {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no report.
    #[error("{path} is no report of a run", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It is a document of another kind.
    #[error("{path} is {schema:?}, not {SCHEMA:?}", path = path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        schema: String,
    },
}

impl BaselineError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "a baseline is the report.json that an earlier `slotwise test --report FOLDER` wrote, or that folder"
    }
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The earlier run, as the user named it.
    pub baseline: String,
    /// Cases that ended as they did there, with the same answers.
    pub unchanged: usize,
    /// The others, the worst first.
    pub changes: Vec<Change>,
}

/// A case that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In what way.
    pub kind: ChangeKind,
    /// The suite.
    pub suite: String,
    /// The device, as the later run names it.
    pub device: String,
    /// The guest.
    pub guest: String,
    /// The case.
    pub case: String,
    /// How it ended in the earlier run.
    pub was: Option<String>,
    /// How it ended in the later one.
    pub now: Option<String>,
    /// What differs.
    pub detail: Option<String>,
}

/// In what way a case is not as it was; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It did not fail, and does.
    NewlyFailing,
    /// It fails, and for another reason.
    FailsOtherwise,
    /// It was there, and is not.
    Gone,
    /// It ran, and is skipped.
    NotRun,
    /// It failed, and passes.
    NewlyPassing,
    /// It passes, and the device answers something else.
    ChangedAnswer,
    /// It was not there, and is.
    New,
    /// It was skipped, and passes.
    NowRun,
    /// It does not always end the same way.
    Flaky,
}

impl ChangeKind {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::NewlyFailing,
        Self::FailsOtherwise,
        Self::Gone,
        Self::NotRun,
        Self::NewlyPassing,
        Self::ChangedAnswer,
        Self::New,
        Self::NowRun,
        Self::Flaky,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewlyFailing => "newly-failing",
            Self::FailsOtherwise => "fails-otherwise",
            Self::Gone => "gone",
            Self::NotRun => "not-run",
            Self::NewlyPassing => "newly-passing",
            Self::ChangedAnswer => "changed-answer",
            Self::New => "new",
            Self::NowRun => "now-run",
            Self::Flaky => "flaky",
        }
    }
}

type Key<'a> = [&'a str; 4];

impl Baseline {
    /// Reads the report of an earlier run, or that in a run's folder.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let name = path.display().to_string();
        let path = if path.is_dir() { path.join("report.json") } else { path.to_owned() };
        let failed = |source| BaselineError::File { path: path.clone(), source };
        let mut text = String::new();
        let file = fs::File::open(&path).map_err(failed)?;
        file.take(SIZE_LIMIT).read_to_string(&mut text).map_err(failed)?;
        let document = serde_json::from_str::<Document>(&text)
            .map_err(|source| BaselineError::Format { path: path.clone(), source })?;
        if document.schema != SCHEMA {
            return Err(BaselineError::Schema { path, schema: document.schema });
        }
        Ok(Self { name, document })
    }

    /// What has changed since. Cases that the patterns leave out of the later run are not missed.
    pub fn compare(&self, run: &Run, only: &[Pattern]) -> Comparison {
        let later = Document::from(run);
        let by_device = device_matters(&self.document.rows, &later.rows);
        let (was, now) = (index(&self.document.rows, by_device), index(&later.rows, by_device));
        let mut comparison = Comparison { baseline: self.name.clone(), unchanged: 0, changes: Vec::new() };
        for (key, rows) in &now {
            match difference(was.get(key).map(Vec::as_slice), Some(rows)) {
                Some(found) => comparison.changes.extend(found.about(rows)),
                None => comparison.unchanged += 1,
            }
        }
        let wanted = |[suite, _, _, case]: &Key<'_>| {
            only.is_empty() || only.iter().any(|pattern| pattern.fits(suite, case))
        };
        for (key, rows) in was.iter().filter(|(key, _)| wanted(key) && !now.contains_key(*key)) {
            let _ = key;
            comparison.changes.extend(difference(Some(rows), None).and_then(|found| found.about(rows)));
        }
        comparison.changes.sort_by(|a, b| (a.kind, &a.suite, &a.case).cmp(&(b.kind, &b.suite, &b.case)));
        comparison
    }
}

/// Whether devices must be matched by name: not where each run has a single one.
fn device_matters(was: &[TestRow], now: &[TestRow]) -> bool {
    let single = |rows: &[TestRow]| {
        rows.iter().all(|row| rows.first().is_some_and(|first| first.device == row.device))
    };
    !(single(was) && single(now))
}

fn index(rows: &[TestRow], by_device: bool) -> BTreeMap<Key<'_>, Vec<&TestRow>> {
    let mut index: BTreeMap<Key<'_>, Vec<&TestRow>> = BTreeMap::new();
    for row in rows {
        let device = if by_device { row.device.as_str() } else { "" };
        index.entry([&row.suite, device, &row.guest, &row.case]).or_default().push(row);
    }
    index
}

/// A difference, before it is said of which case.
struct Found {
    kind: ChangeKind,
    was: Option<String>,
    now: Option<String>,
    detail: Option<String>,
}

impl Found {
    fn about(self, rows: &[&TestRow]) -> Option<Change> {
        let row = rows.first()?;
        let Self { kind, was, now, detail } = self;
        let (suite, device) = (row.suite.clone(), row.device.clone());
        let (guest, case) = (row.guest.clone(), row.case.clone());
        Some(Change { kind, suite, device, guest, case, was, now, detail })
    }
}

/// How one case ended, all its attempts together.
struct Ending<'a> {
    /// Each way it ended once, a skip only where there is nothing else.
    ways: Vec<&'a str>,
    row: &'a TestRow,
}

impl<'a> Ending<'a> {
    fn of(rows: &[&'a TestRow]) -> Option<Self> {
        let skip = Outcome::Skip.name();
        let row = rows.iter().find(|row| row.outcome != skip).or(rows.first())?;
        let mut ways: Vec<&str> = rows.iter().map(|row| row.outcome.as_str()).collect();
        ways.sort_unstable();
        ways.dedup();
        if ways.len() > 1 {
            ways.retain(|way| *way != skip);
        }
        Some(Self { ways, row })
    }

    fn told(&self) -> String {
        self.ways.join(" and ")
    }

    fn is_flaky(&self) -> bool {
        self.ways.len() > 1
    }

    fn is(&self, outcome: Outcome) -> bool {
        self.row.outcome == outcome.name()
    }

    fn is_bad(&self) -> bool {
        Outcome::from_name(&self.row.outcome).is_some_and(Outcome::is_bad)
    }
}

fn difference(was: Option<&[&TestRow]>, now: Option<&[&TestRow]>) -> Option<Found> {
    let (was, now) = (was.and_then(Ending::of), now.and_then(Ending::of));
    let told = |ending: &Option<Ending<'_>>| ending.as_ref().map(Ending::told);
    let reason = |ending: &Ending<'_>| ending.row.reason.clone();
    let (kind, detail) = match (&was, &now) {
        (None, None) => return None,
        (Some(was), _) if was.is_flaky() => (ChangeKind::Flaky, None),
        (_, Some(now)) if now.is_flaky() => (ChangeKind::Flaky, None),
        (Some(_), None) => (ChangeKind::Gone, None),
        (None, Some(now)) if now.is_bad() => (ChangeKind::NewlyFailing, reason(now)),
        (None, Some(_)) => (ChangeKind::New, None),
        (Some(was), Some(now)) if now.is_bad() && was.is_bad() => {
            if was.row.outcome == now.row.outcome && was.row.reason == now.row.reason {
                return None;
            }
            (ChangeKind::FailsOtherwise, reason(now))
        }
        (Some(_), Some(now)) if now.is_bad() => (ChangeKind::NewlyFailing, reason(now)),
        (Some(was), Some(now)) if was.is_bad() && now.is(Outcome::Pass) => {
            (ChangeKind::NewlyPassing, reason(was))
        }
        (Some(was), Some(now)) if now.is(Outcome::Skip) && !was.is(Outcome::Skip) => {
            (ChangeKind::NotRun, reason(now))
        }
        (Some(was), Some(now)) if was.is(Outcome::Skip) && now.is(Outcome::Pass) => {
            (ChangeKind::NowRun, None)
        }
        (Some(was), Some(now)) => (ChangeKind::ChangedAnswer, Some(answers(was.row, now.row)?)),
    };
    Some(Found { kind, was: told(&was), now: told(&now), detail })
}

/// The first command, of those sent in both, that was answered otherwise.
fn answers(was: &TestRow, now: &TestRow) -> Option<String> {
    let differs = |(was, now): (&SentCommand, &SentCommand)| {
        let (earlier, later) = (was.answer.as_ref()?, now.answer.as_ref()?);
        // Where another command was sent, an earlier answer led to it, and was told if it differs.
        let same_command = was.cdb == now.cdb && was.data_out == now.data_out;
        let parts = [
            ("status", earlier.status_name.clone(), later.status_name.clone()),
            ("sense", earlier.sense.to_string(), later.sense.to_string()),
            ("residual", earlier.residual.to_string(), later.residual.to_string()),
            ("data", earlier.data.to_string(), later.data.to_string()),
        ];
        let (part, was, later) = parts.into_iter().find(|(_, was, now)| same_command && was != now)?;
        Some(format!("{}: {part} {}, was {}", now.title, short(&later), short(&was)))
    };
    was.commands.iter().zip(&now.commands).find_map(differs)
}

/// The beginning of a long text, where it says that there is more.
fn short(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => "nothing".to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::row;
    use crate::matrix::Row;
    use crate::report::wire::json;

    fn run(rows: Vec<Row>) -> Run {
        Run { rows, ..Run::default() }
    }

    fn compared(was: Vec<Row>, now: Vec<Row>, only: &[&str]) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("report.json"), json(&run(was)).unwrap()).unwrap();
        let only: Vec<Pattern> = only.iter().map(|text| text.parse().unwrap()).collect();
        Baseline::read(folder.path()).unwrap().compare(&run(now), &only)
    }

    fn told(comparison: &Comparison) -> Vec<(&'static str, &str)> {
        comparison.changes.iter().map(|change| (change.kind.name(), change.case.as_str())).collect()
    }

    #[test]
    fn each_kind_of_change_is_told_the_worst_first() {
        use Outcome::{Crash, Fail, Pass, Skip};
        let was = vec![
            row("same", Pass),
            row("broke", Pass),
            row("mended", Fail),
            row("lost", Pass),
            row("idle", Pass),
            row("woke", Skip),
            row("worse", Fail),
            row("now-so", Pass),
            row("now-so", Fail),
        ];
        let mut now = vec![
            row("same", Pass),
            row("broke", Fail),
            row("mended", Pass),
            row("idle", Skip),
            row("woke", Pass),
            row("worse", Crash),
            row("now-so", Fail),
            row("added", Pass),
        ];
        // Another host gives the only device another name.
        now.iter_mut().for_each(|row| row.device = "elsewhere".into());
        let comparison = compared(was, now, &[]);
        assert_eq!(comparison.unchanged, 1);
        assert_eq!(
            told(&comparison),
            [
                ("newly-failing", "broke"),
                ("fails-otherwise", "worse"),
                ("gone", "lost"),
                ("not-run", "idle"),
                ("newly-passing", "mended"),
                ("new", "added"),
                ("now-run", "woke"),
                ("flaky", "now-so"),
            ]
        );
        let flaky = comparison.changes.last().unwrap();
        assert_eq!((flaky.was.as_deref(), flaky.now.as_deref()), (Some("fail and pass"), Some("fail")));
    }

    #[test]
    fn cases_left_out_by_patterns_are_not_missed() {
        let was = || vec![row("a", Outcome::Pass), row("b", Outcome::Pass)];
        let now = || vec![row("a", Outcome::Pass)];
        assert_eq!(told(&compared(was(), now(), &["a"])), []);
        assert_eq!(told(&compared(was(), now(), &["s"])), [("gone", "b")]);
    }

    #[test]
    fn an_answer_that_changed_is_told_with_both_values() {
        let with =
            |data: &[u8]| Row { exchanges: vec![crate::fake::exchange(data)], ..row("c", Outcome::Pass) };
        let comparison = compared(vec![with(&[1, 2])], vec![with(&[1, 3])], &[]);
        assert_eq!(told(&comparison), [("changed-answer", "c")]);
        assert_eq!(comparison.changes[0].detail.as_deref(), Some("INQUIRY: data 0103, was 0102"));
        assert_eq!(compared(vec![with(&[1])], vec![with(&[1])], &[]).unchanged, 1);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        assert!(matches!(Baseline::read(folder.path()), Err(BaselineError::File { .. })));
        for text in ["", "{}", "[1]", "\u{0}"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(Baseline::read(&path), Err(BaselineError::Format { .. })), "{text}");
        }
        fs::write(&path, json(&run(vec![])).unwrap().replace(SCHEMA, "slotwise.test/9")).unwrap();
        assert!(matches!(Baseline::read(&path), Err(BaselineError::Schema { .. })));
    }
}
