//! Suites of cases as data: what each sends, and what must come back.
//!
//! A suite is a directory: `suite.toml` (what is common to its cases), `commands.toml` (the commands they use) and
//! `cases/*.toml`, a file a case, whose name is the case's id. Those under `data/suites` are part of the program; a
//! user's own directory is read at run time. All of it is checked when it is read.

mod ask;
mod case;
mod command;
mod expression;
mod observe;
mod random;
mod read;
mod run;
mod wire;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use case::{Case, Harm, Reading};
pub use run::{
    Batch, Came, CaseRun, Exchange, Finding, FindingKind, Head, Names, Performed, Sent, SentData, Verdict,
};

use case::Step;
use expression::{Kind, Scope};

use crate::capability::Capability;
use crate::embedded::{Embedded, SUITES};
use crate::source::{FileError, Source};

/// What stands behind a suite's name for the cases that only a strict reading of its standard demands.
pub const STRICT: &str = "-strict";

/// Numbers that the bench tells every suite of the device: what the spec declares of it, 0 where it declares nothing.
pub const KNOWN: [&str; 4] = ["declared_vendor", "declared_device", "own_address", "peer_address"];

/// A suite whose every case has been checked.
#[derive(Clone, Debug)]
pub struct Suite {
    id: String,
    title: String,
    standard: String,
    case_limit: Duration,
    setup: Vec<Step>,
    after: Vec<Step>,
    cases: Vec<Case>,
}

/// Why there is no such suite.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// None of that name is built in.
    #[error("no suite `{id}`")]
    Unknown {
        /// The name asked for.
        id: String,
    },
    /// A file of it is wrong.
    #[error(transparent)]
    Definition(#[from] FileError),
    /// A file of it cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SuiteError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => {
                let ids = Suite::builtin_ids().collect::<Vec<_>>().join(", ");
                Some(format!("built in are {ids}; {STRICT} behind a name takes a strict reading's cases"))
            }
            Self::Definition(error) => error.hint.clone(),
            Self::File { .. } => None,
        }
    }
}

impl Suite {
    /// The suites that are part of the program.
    pub fn builtin_ids() -> impl Iterator<Item = &'static str> {
        SUITES.iter().map(|suite| suite.id)
    }

    /// A suite that is part of the program: its cases that any reading of the standard demands, or, with
    /// [`STRICT`] behind its name, those of a strict one.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn builtin(id: &str) -> Result<Self, SuiteError> {
        let (base, reading) = match id.strip_suffix(STRICT) {
            Some(base) => (base, Reading::Strict),
            None => (id, Reading::Plain),
        };
        let suite = Self::whole(base)?.only(|case| case.reading() == reading);
        if suite.cases.is_empty() {
            return Err(SuiteError::Unknown { id: id.to_owned() });
        }
        Ok(Self { id: id.to_owned(), ..suite })
    }

    /// A suite that is part of the program, with the cases of every reading.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn whole(id: &str) -> Result<Self, SuiteError> {
        let suite = SUITES.iter().find(|suite| suite.id == id);
        let suite = suite.ok_or_else(|| SuiteError::Unknown { id: id.to_owned() })?;
        let source = |file: &Embedded| Source { file: file.file, text: file.text };
        let cases = suite.cases.iter().map(|case| (case.id, source(case)));
        Ok(Self::read(id, source(&suite.suite), source(&suite.commands), cases)?)
    }

    /// A suite from a directory of the user's; its name is the suite's id.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is wrong; the error then names line and column.
    pub fn from_directory(directory: &Path) -> Result<Self, SuiteError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SuiteError::File { path, source }
        };
        let read = |path: &Path| {
            let text = fs::read_to_string(path).map_err(failed(path))?;
            Ok::<_, SuiteError>((path.display().to_string(), text))
        };
        let (suite_file, suite) = read(&directory.join("suite.toml"))?;
        let (commands_file, commands) = read(&directory.join("commands.toml"))?;
        let cases = directory.join("cases");
        let mut paths = Vec::new();
        for entry in fs::read_dir(&cases).map_err(failed(&cases))? {
            paths.push(entry.map_err(failed(&cases))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
        paths.sort();
        let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut texts = Vec::new();
        for path in paths {
            let (file, text) = read(&path)?;
            texts.push((stem(&path), file, text));
        }
        let id = directory.file_name().unwrap_or_default().to_string_lossy();
        let suite = Source { file: &suite_file, text: &suite };
        let commands = Source { file: &commands_file, text: &commands };
        let cases = texts.iter().map(|(id, file, text)| (id.as_str(), Source { file, text }));
        Ok(Self::read(&id, suite, commands, cases)?)
    }

    fn read<'a>(
        id: &str,
        suite: Source<'a>,
        commands: Source<'a>,
        cases: impl Iterator<Item = (&'a str, Source<'a>)>,
    ) -> Result<Self, FileError> {
        let raw: wire::SuiteFile = suite.read()?;
        let case_limit = read::limited(&suite, &raw.case_limit_seconds)?;
        let timeout_ms = read::limited(&suite, &raw.command_timeout_ms)?;
        // Commands may use what the suite's own steps compute, so those names come first.
        let names = raw.setup.iter().flat_map(|step| step.lets.keys().cloned());
        let known: Scope = KNOWN.iter().map(|name| ((*name).to_owned(), Kind::Number)).collect();
        let names: Scope = names.map(|name| (name, Kind::Number)).chain(known.clone()).collect();
        let commands = read::commands(commands, &names)?;
        let mut reader =
            read::Reader { source: suite, commands: &commands, scope: known, timeout_ms, each: None };
        let setup = reader.steps(raw.setup, 0)?;
        let scope = reader.scope.clone();
        let after = reader.steps(raw.after, 0)?;
        let cases = cases.map(|(id, source)| {
            read::Reader { source, commands: &commands, scope: scope.clone(), timeout_ms, each: None }
                .case(id)
        });
        let cases = cases.collect::<Result<_, _>>()?;
        let case_limit = Duration::from_secs(case_limit.into());
        Ok(Self {
            id: id.to_owned(),
            title: raw.title,
            standard: raw.standard,
            case_limit,
            setup,
            after,
            cases,
        })
    }

    /// Its name in specs and reports.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The standard whose clauses its cases name.
    pub fn standard(&self) -> &str {
        &self.standard
    }

    /// How long a case may take.
    pub fn case_limit(&self) -> Duration {
        self.case_limit
    }

    /// The same with some of its cases.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Case) -> bool) -> Self {
        self.cases.retain(wanted);
        self
    }

    /// The same with its cases in an order that follows from the seed. Cases that observe a guest build on each other;
    /// a suite that has such keeps its order.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        if self.cases.iter().all(|case| case.observation().is_none()) {
            random::shuffle(&mut self.cases, seed);
        }
        self
    }

    /// Whether any case sends SCSI commands.
    pub fn sends_commands(&self) -> bool {
        self.cases.iter().any(|case| case.observation.is_none() && case.needs.has(Capability::Commands))
    }

    /// In the order of their ids.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(case: &str) -> Result<Suite, FileError> {
        let suite = SUITES.iter().find(|suite| suite.id == "scsi-2").unwrap();
        let source = |file: &Embedded| Source { file: file.file, text: file.text };
        let case = Source { file: "x.toml", text: case };
        Suite::read("s", source(&suite.suite), source(&suite.commands), [("x", case)].into_iter())
    }

    fn fault(step: &str) -> (String, Option<String>) {
        let head = "title = 'T'\nwhy = 'W'\nclause = '1'\nclause-checked = false\nharm = 'no'\n";
        let error = read(&format!("{head}{step}\n")).unwrap_err();
        (error.to_string(), error.hint)
    }

    #[test]
    fn every_built_in_suite_is_read_and_its_cases_say_what_they_are() {
        for id in Suite::builtin_ids() {
            let suite = Suite::whole(id).unwrap_or_else(|error| panic!("{error} ({:?})", error.hint()));
            assert!(!suite.cases().is_empty());
            for case in suite.cases() {
                let texts = [case.title(), case.why().trim(), case.clause()];
                assert!(texts.iter().all(|text| !text.is_empty()), "{}", case.id());
                assert!(case.id().bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-'));
            }
        }
    }

    #[test]
    fn a_strict_readings_cases_are_a_suite_apart() {
        let count = |suite: Suite| suite.cases().len();
        let [plain, strict] = ["scsi-2", "scsi-2-strict"].map(|id| count(Suite::builtin(id).unwrap()));
        assert!(plain >= 200 && strict > 0);
        assert_eq!(plain + strict, count(Suite::whole("scsi-2").unwrap()));
        assert!(matches!(Suite::builtin("block-strict"), Err(SuiteError::Unknown { .. })));
    }

    #[test]
    fn a_directory_of_the_user_is_read_like_a_built_in_suite() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/suites/scsi-2");
        let ids = |suite: &Suite| suite.cases().iter().map(|case| case.id().to_owned()).collect::<Vec<_>>();
        let (own, builtin) = (Suite::from_directory(&directory).unwrap(), Suite::whole("scsi-2").unwrap());
        assert_eq!(ids(&own), ids(&builtin));
    }

    #[test]
    fn faults_of_a_case_are_told_with_their_place_and_what_would_be_right() {
        for (step, message, hint) in [
            ("step = [{ send = 'inquirey' }]", "x.toml:6:18: no command `inquirey`", Some("inquiry")),
            (
                "step = [{ send = 'inquiry', with = { lba = 1 } }]",
                "x.toml:6:44: INQUIRY has no field `lba`",
                Some("evpd"),
            ),
            ("step = [{ cdb = '12 00 0' }]", "x.toml:6:24: `0` is no byte", Some("two hexadecimal digits")),
            (
                "step = [{ cdb = '12 00' }]",
                "x.toml:6:17: a command descriptor block has 6, 10, 12 or 16 bytes, not 2",
                None,
            ),
            (
                "step = [{ send = 'inquiry', expect = { check = ['len(data) > nn'] } }]",
                "x.toml:6:62: no name `nn`",
                Some("block_length"),
            ),
            (
                "step = [{ send = 'inquiry', expect = { sense = '5/24' } }]",
                "x.toml:6:48: `5/24` is no sense code",
                Some("5/24/00"),
            ),
            (
                "step = [{ send = 'inquiry', expect = { status = 'fine' } }]",
                "x.toml:6:49: no status `fine`",
                Some("check-condition"),
            ),
            (
                "step = [{ send = 'write-10' }]",
                "x.toml:6:18: this command sends data, and none are given",
                Some("fill"),
            ),
            (
                "step = [{ send = 'inquiry', data = { fill = 1 } }]",
                "x.toml:6:36: this command takes no data",
                None,
            ),
            (
                "step = [{ send = 'inquiry', save = 'data' }]",
                "x.toml:6:36: `data` cannot be a name",
                Some("letters"),
            ),
            ("step = []", "x.toml:6:8: a case has at least one step", None),
            ("needs = ['magic']\nstep = []", "x.toml:6:10: no capability `magic`", Some("raw-sense")),
            ("step = [{ event = 'fire' }]", "x.toml:6:19: no event `fire`", Some("power-cycle")),
            (
                "step = [{ event = 'bus-reset', send = 'inquiry' }]",
                "x.toml:6:19: a step with `event` has nothing else",
                None,
            ),
            ("step = [{ send = 'inquiry', identify = 8 }]", "x.toml:6:40: a LUN is 0 to 7, not 8", None),
            (
                "step = [{ ask = 'reed' }]",
                "x.toml:6:17: nothing to ask is called `reed`",
                Some("config-read"),
            ),
            ("step = [{ ask = 'pause' }]", "x.toml:6:17: pause needs `ms`", None),
            (
                "step = [{ ask = 'unbind', with = { ms = 1 } }]",
                "x.toml:6:41: unbind has no parameter `ms`",
                Some("it has"),
            ),
            (
                "step = [{ ask = 'config-write', with = { offset = 4 } }]",
                "x.toml:6:17: config-write needs `data`",
                None,
            ),
            (
                "step = [{ ask = 'config-write', with = { offset = 4 }, data = { fill = 1 } }]",
                "x.toml:6:63: these data have no length",
                Some("length"),
            ),
            (
                "step = [{ ask = 'attribute-write', attribute = 'resource', data = { text = '1' } }]",
                "x.toml:6:48: no attribute `resource` for attribute-write",
                Some("reset"),
            ),
            (
                "step = [{ ask = 'unbind', send = 'inquiry' }]",
                "x.toml:6:17: a step with `ask` sends no command",
                Some("go with `ask`"),
            ),
            (
                "step = [{ ask = 'unbind', expect = { sense = '5/24/00' } }]",
                "x.toml:6:46: status and sense are answers to commands",
                None,
            ),
            (
                "step = [{ ask = 'unbind', expect = { check = ['config == data'] } }]",
                "x.toml:6:48: no name `config`",
                Some("result"),
            ),
            (
                "step = [{ send = 'inquiry', expect = { fails = true } }]",
                "x.toml:6:38: `fails` goes with `ask`",
                None,
            ),
            (
                "step = [{ send = 'inquiry', attribute = 'reset' }]",
                "x.toml:6:41: `attribute` goes with `ask`",
                None,
            ),
            ("stepp = []", "x.toml:6:1: unknown field `stepp`", None),
            ("observe = 'colour'", "x.toml:6:11: nothing to observe is called `colour`", Some("function")),
            ("observe = 'sectors'", "x.toml:6:11: which `sectors`?", None),
            ("observe = 'sectors'\nsectors = ['first']", "x.toml:7:11: no sector `first`", None),
            ("observe = 'boot'\nsectors = [1]", "x.toml:7:11: `sectors` goes with", None),
            (
                "observe = 'boot'\nstep = [{ send = 'inquiry' }]",
                "x.toml:6:11: a case has `observe` or steps",
                None,
            ),
            ("", "x.toml:1:1: a case has at least one step, or `observe`", None),
        ] {
            let (told, own_hint) = fault(step);
            assert!(told.starts_with(message), "{told}");
            assert_eq!(own_hint.is_some(), hint.is_some(), "{told}: {own_hint:?}");
            assert!(own_hint.unwrap_or_default().contains(hint.unwrap_or_default()), "{told}");
        }
    }
}
