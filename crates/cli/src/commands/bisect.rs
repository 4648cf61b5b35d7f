use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Serialize;
use slotwise_core::report::{Role, Text};
use slotwise_testbench::matrix::{Outcome as RowOutcome, Row, Run};
use slotwise_testbench::run::{Bisection, Judged, Pattern};
use slotwise_testbench::suite::Suite;

use super::test::{self, Bench, Target, TargetArguments};
use crate::error::{Failure, Outcome};
use crate::print;
use crate::spec::Spec;

/// Find the firmware build that broke something: each is installed by the spec's flash command and tested
///
/// The good and the bad build run all cases (those of --only). What fails in the bad one alone is the fault; the builds
/// between run just those cases.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file; its [test] says how a firmware is installed: flash = ["program", "{firmware}"]
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    #[command(flatten)]
    target: TargetArguments,
    /// A build without the fault
    #[arg(long, value_name = "FILE")]
    good: PathBuf,
    /// A later build with it
    #[arg(long, value_name = "FILE")]
    bad: PathBuf,
    /// The builds between them, the oldest first
    #[arg(value_name = "BUILD")]
    builds: Vec<PathBuf>,
    /// Look at these suites or cases only: scsi-2, scsi-2/tur-ready, tur-*; give it once for each
    #[arg(long, value_name = "PATTERN")]
    only: Vec<Pattern>,
    /// Test each build so many times; one failure among them makes it bad
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZeroU32,
    /// Write each build's report into a folder of its own below this one
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Print JSON (slotwise.bisect/1)
    #[arg(long)]
    json: bool,
}

/// `slotwise.bisect/1`.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    first_bad: String,
    last_good: String,
    /// Builds between these two that could not be judged.
    unknown: Vec<String>,
    /// What fails since.
    fault: Vec<Fault>,
    /// What was tried, in that order.
    tried: Vec<Tried>,
}

#[derive(Debug, Serialize)]
struct Fault {
    case: String,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tried {
    build: String,
    judged: &'static str,
    why: Option<String>,
}

/// Suite and case.
type CaseName = (String, String);

struct Search<'a> {
    arguments: &'a Arguments,
    spec: &'a Spec,
    builds: Vec<PathBuf>,
    tried: Vec<Tried>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let spec = Spec::read(&arguments.spec)?;
    let test = test::section(&spec)?;
    let suites = test::suites(test, &arguments.only)?;
    let builds = builds(arguments);
    if let Some(missing) = builds.iter().find(|build| !build.is_file()) {
        return Err(Failure::new(format!("there is no firmware {}", missing.display())));
    }
    let mut search = Search { arguments, spec: &spec, builds, tried: Vec::new() };
    let last = search.builds.len() - 1;
    let good = search.end(0, &suites)?;
    let bad = search.end(last, &suites)?;
    let fault = fault(&good, &bad);
    if fault.is_empty() {
        return Err(Failure::new("the bad build fails no case that the good one passes")
            .hint("`slotwise test --firmware FILE --baseline RUN` shows what differs between two builds"));
    }
    search.note(0, Judged::Good, None);
    search.note(last, Judged::Bad, Some(told(&fault)));
    let of_fault = |suite: Suite| {
        let id = suite.id().to_owned();
        suite.only(|case| fault.contains(&(id.clone(), case.id().to_owned())))
    };
    let suites: Vec<Suite> =
        suites.into_iter().map(of_fault).filter(|suite| !suite.cases().is_empty()).collect();
    let mut bisection =
        Bisection::new(search.builds.len()).ok_or_else(|| Failure::new("there are no builds to look at"))?;
    while let Some(build) = bisection.next() {
        print::progress(&format!("about {} more to try", bisection.left()));
        let judged = search.judge(build, &suites);
        bisection.tell(build, judged);
    }
    search.show(&bisection, &fault, &bad)?;
    Ok(Outcome::Fine)
}

/// All builds in order; the ends may be named among the others too.
fn builds(arguments: &Arguments) -> Vec<PathBuf> {
    let between =
        arguments.builds.iter().filter(|build| **build != arguments.good && **build != arguments.bad);
    let ends = (std::iter::once(&arguments.good), std::iter::once(&arguments.bad));
    ends.0.chain(between).chain(ends.1).cloned().collect()
}

fn failed(run: &Run) -> BTreeSet<CaseName> {
    let bad = |row: &&Row| matches!(row.outcome, RowOutcome::Fail | RowOutcome::Crash);
    run.rows.iter().filter(bad).map(|row| (row.suite.clone(), row.case.clone())).collect()
}

/// What fails in the bad build, and passes in the good one.
fn fault(good: &Run, bad: &Run) -> BTreeSet<CaseName> {
    let passes = |row: &&Row| row.outcome == RowOutcome::Pass;
    let passed: BTreeSet<CaseName> =
        good.rows.iter().filter(passes).map(|row| (row.suite.clone(), row.case.clone())).collect();
    let failed_before = failed(good);
    failed(bad).into_iter().filter(|case| passed.contains(case) && !failed_before.contains(case)).collect()
}

fn told(cases: &BTreeSet<CaseName>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&str> = cases.iter().take(SHOWN).map(|(_, case)| case.as_str()).collect();
    match cases.len().saturating_sub(SHOWN) {
        0 => names.join(" "),
        more => format!("{} and {more} more", names.join(" ")),
    }
}

impl Search<'_> {
    fn name(&self, build: usize) -> String {
        self.builds.get(build).map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// Installs a build and runs the suites.
    fn test(&self, build: usize, suites: &[Suite]) -> Result<Run, Failure> {
        let target = Target {
            spec: self.spec,
            test: test::section(self.spec)?,
            given: &self.arguments.target,
            firmware: self.builds.get(build).map(PathBuf::as_path),
        };
        let mut bench = Bench::once(suites.to_vec(), self.arguments.repeat);
        let folder = self.arguments.report.as_ref().map(|folder| {
            let name = self.builds.get(build).and_then(|path| path.file_name()).unwrap_or_default();
            folder.join(format!("{build:03}-{}", name.to_string_lossy()))
        });
        let run = bench.run(&target, folder.as_deref())?;
        let run = run.ok_or_else(|| Failure::new("the plan says that it will not work"))?;
        if let Some(folder) = folder {
            test::write_reports(&run, &folder)?;
        }
        Ok(run)
    }

    /// A build at an end of the list: it must be possible to test it.
    fn end(&self, build: usize, suites: &[Suite]) -> Result<Run, Failure> {
        let run = self.test(build, suites)?;
        if run.rows.iter().any(|row| matches!(row.outcome, RowOutcome::Pass | RowOutcome::Fail)) {
            return Ok(run);
        }
        let why = run.rows.iter().find_map(|row| row.reason.clone()).unwrap_or_default();
        Err(Failure::new(format!("{} cannot be tested: {why}", self.name(build))))
    }

    fn judge(&mut self, build: usize, suites: &[Suite]) -> Judged {
        let (judged, why) = match self.test(build, suites) {
            Err(failure) => (Judged::Unknown, Some(failure.told())),
            Ok(run) => {
                let failed = failed(&run);
                let open = run.rows.iter().find(|row| row.outcome == RowOutcome::Error);
                match open {
                    _ if !failed.is_empty() => (Judged::Bad, Some(told(&failed))),
                    Some(row) => (Judged::Unknown, row.reason.clone()),
                    None if run.count(RowOutcome::Pass) == 0 => {
                        (Judged::Unknown, run.rows.iter().find_map(|row| row.reason.clone()))
                    }
                    None => (Judged::Good, None),
                }
            }
        };
        self.note(build, judged, why);
        judged
    }

    fn note(&mut self, build: usize, judged: Judged, why: Option<String>) {
        let word = match judged {
            Judged::Good => "good",
            Judged::Bad => "bad",
            Judged::Unknown => "unknown",
        };
        let build = self.name(build);
        let reason = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        print::progress(&format!("{build}: {word}{reason}"));
        self.tried.push(Tried { build, judged: word, why });
    }

    fn show(self, bisection: &Bisection, fault: &BTreeSet<CaseName>, bad: &Run) -> Result<(), Failure> {
        let (good_build, bad_build) = bisection.bounds();
        let reason = |(suite, case): &CaseName| {
            let own = |row: &&Row| row.suite == *suite && row.case == *case && row.outcome.is_bad();
            bad.rows.iter().find(own).and_then(|row| row.reason.clone())
        };
        let unknown: Vec<String> = (good_build + 1..bad_build).map(|build| self.name(build)).collect();
        let document = Document {
            schema: "slotwise.bisect/1",
            first_bad: self.name(bad_build),
            last_good: self.name(good_build),
            unknown,
            fault: fault
                .iter()
                .map(|name| Fault { case: format!("{}/{}", name.0, name.1), reason: reason(name) })
                .collect(),
            tried: self.tried,
        };
        if self.arguments.json {
            return print::json(&document);
        }
        let mut text = Text::default();
        text.line(Role::Bad, "first bad").add(Role::Plain, format!("  {}", document.first_bad));
        text.line(Role::Good, "last good").add(Role::Plain, format!("  {}", document.last_good));
        for build in &document.unknown {
            text.line(Role::Caution, "unknown")
                .add(Role::Plain, format!("    {build}: the fault may be of this one"));
        }
        for Fault { case, reason } in &document.fault {
            let reason = reason.as_deref().unwrap_or_default();
            text.line(Role::Strong, case).add(Role::Plain, format!("  {reason}"));
        }
        print::text(&text)
    }
}
