mod bench;
mod live;

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use slotwise_core::report::Role;
use slotwise_core::vm::TestRequest;
use slotwise_testbench::matrix::{Finished, Run, Until};
use slotwise_testbench::report;
use slotwise_testbench::run::{
    Baseline, BaselineError, Date, Folder, FolderError, Pattern, PatternError, Quarantine, select,
};
use slotwise_testbench::suite::{Suite, SuiteError};
use slotwise_testbench::transport::IscsiUrl;

pub(super) use bench::{Bench, Target};

use crate::error::{Failure, Hint, Outcome};
use crate::print;
use crate::spec::Spec;

/// How often --until-fail runs the suites where --repeat does not say.
const UNTIL_FAIL_TIMES: u32 = 1000;

/// Run the matrix of suites, devices and guests; the host is given its devices back after
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    #[command(flatten)]
    target: TargetArguments,
    /// Run these suites or cases only: scsi-2, scsi-2/tur-ready, tur-ready, tur-*; give it once for each
    #[arg(long, value_name = "PATTERN", conflicts_with = "resume")]
    only: Vec<Pattern>,
    /// Run them so many times, and tell which cases do not always end the same way
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    repeat: Option<NonZeroU32>,
    /// Repeat until a case fails that is not known to, 1000 times if --repeat does not say how often
    #[arg(long, conflicts_with = "resume")]
    until_fail: bool,
    /// Take the order of cases and the random data they send from this number, or from one drawn now (random)
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    seed: Option<Seed>,
    /// Failures that are known, each with a reason and its last day (TOML)
    #[arg(long, value_name = "FILE")]
    quarantine: Option<PathBuf>,
    /// Tell what has changed since this run: its report.json, or its folder
    #[arg(long, value_name = "RUN")]
    baseline: Option<PathBuf>,
    /// Install this firmware first, by the command `flash` in the spec's [test]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    firmware: Option<PathBuf>,
    /// The run's folder: a journal, each case's bytes, answers and logs, and report.json, .xml (JUnit), .tap and .html
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    report: Option<PathBuf>,
    /// Go on with the run in this folder, which was ended before it was done
    #[arg(long, value_name = "FOLDER")]
    resume: Option<PathBuf>,
    /// Print JSON (slotwise.test/1) instead of the matrix
    #[arg(long)]
    json: bool,
}

/// What is tested.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TargetArguments {
    /// Go on although this rule says that it will not work; give it once for each
    #[arg(long, value_name = "RULE")]
    pub(super) despite: Vec<String>,
    /// Speak to this iSCSI target instead of a device in a guest: iscsi://host:port/name/lun; the host is left alone
    #[arg(long, value_name = "URL")]
    pub(super) iscsi: Option<IscsiUrl>,
    /// What keeps cases apart; a guest that cannot be saved, or not be given its device as it runs, boots
    #[arg(long, value_enum, value_name = "HOW", default_value_t, conflicts_with = "iscsi")]
    pub(super) isolation: Isolation,
}

/// What keeps cases apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// Nothing: one guest runs all, one after another; it is restored from a saved state, then given the device
    #[default]
    Shared,
    /// As shared, and the device is taken out and put in again before each, which resets it
    Attach,
    /// Each has a guest of its own, restored from a saved state, then given the device
    Restore,
    /// Each has a guest of its own, booted with the device
    Boot,
}

/// A seed as it is given.
#[derive(Clone, Copy, Debug)]
struct Seed(u64);

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "random" {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // The low digits are those that differ from run to run.
            return Ok(Self(since.as_nanos() as u64 % 1_000_000_000));
        }
        text.parse().map(Self).map_err(|_| "a whole number, or `random`".to_owned())
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let spec = Spec::read(&arguments.spec)?;
    let test = section(&spec)?;
    // Whatever can be wrong with what was given is told before anything boots.
    let baseline = arguments.baseline.as_deref().map(Baseline::read).transpose();
    let baseline = baseline.map_err(Failure::hinted(BaselineError::hint))?;
    let quarantine = arguments.quarantine.as_deref().map(known_failures).transpose()?.unwrap_or_default();
    let mut bench = Bench {
        only: arguments.only.clone(),
        suites: suites(test, &arguments.only)?,
        seed: arguments.seed.map(|seed| seed.0),
        times: times(arguments),
        until: if arguments.until_fail { Until::Failure } else { Until::Done },
        quarantine,
        finished: Finished::default(),
        folder: None,
        resumed: None,
    };
    if let Some(path) = &arguments.resume {
        resume(&mut bench, test, path)?;
    }
    if let Some(seed) = bench.seed {
        print::progress(&format!("seed {seed}"));
    }
    let target =
        Target { spec: &spec, test, given: &arguments.target, firmware: arguments.firmware.as_deref() };
    let folder = arguments.report.as_deref().or(arguments.resume.as_deref());
    let Some(mut run) = bench.run(&target, arguments.report.as_deref())? else { return Ok(Outcome::Found) };
    run.comparison = baseline.map(|baseline| baseline.compare(&run, &bench.only));
    if let Some(folder) = folder {
        write_reports(&run, folder)?;
    }
    print::plain(&if arguments.json { report::wire::json(&run)? } else { report::text(&run) })?;
    Ok(if run.passed() { Outcome::Fine } else { Outcome::Found })
}

/// The spec's section on tests.
pub(super) fn section(spec: &Spec) -> Result<&TestRequest, Failure> {
    spec.request
        .test
        .as_ref()
        .ok_or_else(|| Failure::new("the spec has no [test] section"))
        .hint("[test] names suites and guests, for example suites = [\"scsi-2\"]")
}

/// The suites of a spec with the cases that are wanted.
pub(super) fn suites(test: &TestRequest, only: &[Pattern]) -> Result<Vec<Suite>, Failure> {
    let load = |id: &str| Suite::builtin(id).map_err(Failure::hinted(SuiteError::hint));
    let suites = test.suites.iter().map(|suite| load(&suite.value)).collect::<Result<_, _>>()?;
    select(suites, only).map_err(Failure::hinted(PatternError::hint))
}

fn times(arguments: &Arguments) -> NonZeroU32 {
    let unsaid = if arguments.until_fail { UNTIL_FAIL_TIMES } else { 1 };
    arguments.repeat.or(NonZeroU32::new(unsaid)).unwrap_or(NonZeroU32::MIN)
}

/// Takes over what the run in a folder is of, and what is done of it.
fn resume(bench: &mut Bench, test: &TestRequest, path: &Path) -> Result<(), Failure> {
    let (folder, recipe, finished) = Folder::resume(path).map_err(Failure::hinted(FolderError::hint))?;
    let only: Result<Vec<Pattern>, _> = recipe.only.iter().map(|text| text.parse()).collect();
    bench.only = only.map_err(Failure::hinted(PatternError::hint))?;
    bench.suites = suites(test, &bench.only)?;
    bench.seed = recipe.seed;
    bench.times = NonZeroU32::new(recipe.times).unwrap_or(NonZeroU32::MIN);
    bench.until = recipe.until;
    let firmware = recipe.firmware.as_ref().map(|name| format!(", with firmware {name}")).unwrap_or_default();
    print::progress(&format!("{} cases are done{firmware}", finished.rows.len()));
    bench.finished = finished;
    bench.folder = Some(folder);
    bench.resumed = Some(recipe);
    Ok(())
}

fn known_failures(path: &Path) -> Result<Quarantine, Failure> {
    let name = path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
    let now = jiff::Zoned::now().date();
    let part = |value: i8| u8::try_from(value).unwrap_or(1);
    let year = u16::try_from(now.year()).unwrap_or(0);
    let today = Date { year, month: part(now.month()), day: part(now.day()) };
    Quarantine::parse(&name, &text, today).map_err(Failure::hinted(|error: &_| {
        let error: &slotwise_testbench::run::QuarantineError = error;
        error.hint.clone()
    }))
}

pub(super) fn write_reports(run: &Run, folder: &Path) -> Result<(), Failure> {
    let reports = [
        ("report.json", report::wire::json(run)?),
        ("report.xml", report::junit(run)?),
        ("report.tap", report::tap(run)),
        ("report.html", report::html(run)?),
    ];
    fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    for (name, text) in reports {
        let path = folder.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    print::progress(&format!("report: {}", folder.join("report.html").display()));
    Ok(())
}

/// Tells a fault of the run that does not end it.
fn caution(what: &str, why: &str) {
    print::note(Role::Caution, what, why);
}
