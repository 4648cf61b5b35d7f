//! `cargo xtask bench reading`: how fast a host is read, beside its peers, all in one run on the same made-up hosts.
//!
//! Peers: `lspci -vvnnk`; a shell script of the kind that people paste into forums, which calls lspci for each member of each
//! IOMMU group; and the bare loop ([`bare`]), the least that opening and reading the files can cost. Every program writes to
//! `/dev/null`; each time is the best of several rounds, in which the peers take turns, so that a busy machine hits all.
//! Memory is what the allocator was asked for and not given back.

mod bare;
mod memory;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slotwise_core::facts::{Origin, SourceKind};
use slotwise_core::topology::Topology;
use slotwise_host::live::LiveHost;

use crate::build::{self, Dist, must};
use crate::{Result, tree};
use bare::Bare;

/// Functions of the hosts that are made.
const SIZES: [usize; 3] = [50, 1_000, 10_000];
/// Between these two, time has to grow with the number of functions.
const LINEAR: (usize, usize) = (1_000, 10_000);
/// The shell script starts a program for each function that reads them all: past this size it takes hours.
const MOST_FOR_SCRIPT: usize = 1_000;
/// Rounds; the smallest host is read more often, the script once.
const ROUNDS: usize = 7;

/// What the figures have to be (`docs/reference/figures.md`).
const LSPCI_TARGET: f64 = 3.0;
const SCRIPT_TARGET: f64 = 100.0;
const BARE_TARGET: f64 = 1.3;
const LINEAR_TARGET: f64 = 1.15;
const MEMORY_TARGET: f64 = 2048.0;

/// Our own words for what people use to list groups.
const SCRIPT: &str = r#"for group in $(find "$1/sys/kernel/iommu_groups" -mindepth 1 -maxdepth 1 -type d); do
    echo "group $(basename "$group")"
    for device in $(ls -1 "$group/devices"); do
        printf '\t'
        lspci -A linux-sysfs -O sysfs.path="$1/sys/bus/pci" -nns "$device"
    done
done
"#;

/// Builds what is measured and what measures, optimised, and runs the latter.
pub(crate) fn run() -> Result {
    let dist = build::dist()?;
    let mut measure = Command::new(build::optimised("xtask")?);
    measure.arg("measure-reading").arg(&dist.folder);
    must(measure)
}

/// Measures and prints, in an optimised build; an error if a target is missed.
pub(crate) fn measure(dist: &Dist) -> Result {
    versions()?;
    let mut rows = Vec::new();
    let mut whole = Vec::new();
    for functions in SIZES {
        let directory = tempfile::tempdir()?;
        tree::make(directory.path(), functions)?;
        let host = Host { root: directory.path(), functions };
        host.check(dist)?;
        let times = host.times(dist)?;
        whole.push((functions, times.slotwise));
        rows.extend(host.rows(&times));
        if functions == LINEAR.1 {
            rows.push(memory_row(&host)?);
        }
    }
    rows.extend(linear_row(&whole));
    println!(
        "{:>9}  {:>28}  {:>9}  {:>9}  {:<6}  what",
        "functions", "time (of each function)", "ratio", "target", ""
    );
    for row in &rows {
        println!("{row}");
    }
    let missed = rows.iter().filter(|row| row.met == Some(false)).count();
    if missed == 0 { Ok(()) } else { Err(format!("{missed} targets missed").into()) }
}

fn versions() -> Result {
    for (program, argument) in [("lspci", "--version"), ("uname", "-sr"), ("nproc", "--all")] {
        let output =
            Command::new(program).arg(argument).output().map_err(|e| format!("cannot run {program}: {e}"))?;
        println!("{program}: {}", String::from_utf8_lossy(&output.stdout).trim());
    }
    Ok(())
}

/// A made-up host.
struct Host<'d> {
    root: &'d Path,
    functions: usize,
}

/// The best time of each, over all functions.
struct Times {
    slotwise: Duration,
    /// Of `slotwise`, reading alone, in this process.
    reading: Duration,
    lspci: Duration,
    script: Option<Duration>,
    bare: Duration,
    /// Files that reading opens.
    files: usize,
}

impl Host<'_> {
    fn slotwise(&self, dist: &Dist) -> Command {
        let mut command = Command::new(dist.program("slotwise"));
        command.args(["inspect", "--json", "--from"]).arg(self.root);
        command
    }

    fn lspci(&self) -> Command {
        let mut command = Command::new("lspci");
        let place = self.root.join("sys/bus/pci");
        command
            .args(["-A", "linux-sysfs", "-O"])
            .arg(format!("sysfs.path={}", place.display()))
            .arg("-vvnnk");
        command
    }

    /// Both see every function; so there is something to compare.
    fn check(&self, dist: &Dist) -> Result {
        let json: serde_json::Value = serde_json::from_slice(&self.slotwise(dist).output()?.stdout)?;
        let ours = json.get("functions").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        let text = String::from_utf8(self.lspci().output()?.stdout)?;
        let theirs = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_hexdigit())).count();
        if (ours, theirs) == (self.functions, self.functions) {
            return Ok(());
        }
        Err(format!("of {} functions slotwise shows {ours}, lspci {theirs}", self.functions).into())
    }

    fn times(&self, dist: &Dist) -> Result<Times> {
        let bare = Bare::learn(self.root)?;
        let rounds = if self.functions < LINEAR.0 { 5 * ROUNDS } else { ROUNDS };
        let mut times = Times {
            slotwise: Duration::MAX,
            reading: Duration::MAX,
            lspci: Duration::MAX,
            script: None,
            bare: Duration::MAX,
            files: bare.files,
        };
        for _ in 0..rounds {
            times.bare = times.bare.min(timed(|| bare.run().map(drop))?);
            times.slotwise = times.slotwise.min(spent(self.slotwise(dist))?);
            times.reading = times.reading.min(timed(|| read(self.root).map(drop))?);
            times.lspci = times.lspci.min(spent(self.lspci())?);
        }
        if self.functions <= MOST_FOR_SCRIPT {
            let mut script = Command::new("sh");
            script.args(["-c", SCRIPT, "sh"]).arg(self.root);
            times.script = Some(spent(script)?);
        }
        Ok(times)
    }

    fn rows(&self, times: &Times) -> Vec<Row> {
        let row = |what: &str, time: Duration| Row {
            functions: self.functions,
            figure: shown(time, self.functions),
            what: what.to_owned(),
            ratio: None,
            target: String::new(),
            met: None,
        };
        let faster = |what: &str, time: Duration, target: f64| {
            let ratio = time.as_secs_f64() / times.slotwise.as_secs_f64();
            let met = Some(ratio >= target);
            Row { ratio: Some(ratio), target: format!(">= {target}x"), met, ..row(what, time) }
        };
        // Starting the program counts little only where there is something to read.
        let big = self.functions >= LINEAR.0;
        let limit = times.slotwise.as_secs_f64() / times.bare.as_secs_f64();
        let mut rows = vec![
            row("slotwise inspect --json", times.slotwise),
            row("of that, reading", times.reading),
            faster("lspci -vvnnk", times.lspci, LSPCI_TARGET),
            Row {
                ratio: Some(limit),
                target: format!("<= {BARE_TARGET}x"),
                met: big.then_some(limit <= BARE_TARGET),
                ..row(&format!("bare loop over the {} files", times.files), times.bare)
            },
        ];
        rows.extend(times.script.map(|script| faster("shell script", script, SCRIPT_TARGET)));
        rows
    }
}

fn read(root: &Path) -> Result<Topology> {
    let origin = Origin::Saved { kind: SourceKind::Directory, name: String::new() };
    Ok(Topology::new(slotwise_host::read(&LiveHost::at(root)?, origin)))
}

fn memory_row(host: &Host<'_>) -> Result<Row> {
    let (topology, kept) = memory::kept(|| read(host.root))?;
    let config: usize = topology
        .functions()
        .filter_map(|f| f.config.known())
        .map(slotwise_core::pci::ConfigSpace::extent)
        .sum();
    let beyond = kept.saturating_sub(config) as f64 / host.functions as f64;
    Ok(Row {
        functions: host.functions,
        figure: format!("{beyond:.0} bytes"),
        what: format!(
            "kept of each function beyond {} bytes of configuration space",
            config / host.functions
        ),
        ratio: None,
        target: "< 2 KiB".to_owned(),
        met: Some(beyond < MEMORY_TARGET),
    })
}

/// How the time of one function grows between the two sizes.
fn linear_row(whole: &[(usize, Duration)]) -> Option<Row> {
    let each = |functions: usize| {
        let (_, time) = whole.iter().find(|(size, _)| *size == functions)?;
        Some(time.as_secs_f64() / functions as f64)
    };
    let ratio = each(LINEAR.1)? / each(LINEAR.0)?;
    Some(Row {
        functions: LINEAR.1,
        figure: String::new(),
        what: format!("time of each function beside that at {}", LINEAR.0),
        ratio: Some(ratio),
        target: format!("<= {LINEAR_TARGET}x"),
        met: Some(ratio <= LINEAR_TARGET),
    })
}

fn spent(mut command: Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(File::create("/dev/null")?).stderr(File::create("/dev/null")?);
    timed(|| must(command))
}

fn timed(run: impl FnOnce() -> Result) -> Result<Duration> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

fn shown(time: Duration, functions: usize) -> String {
    let each = time.as_secs_f64() * 1e6 / functions as f64;
    format!("{:.1} ms ({each:.1} us)", time.as_secs_f64() * 1e3)
}

/// One row of the table.
struct Row {
    functions: usize,
    figure: String,
    ratio: Option<f64>,
    target: String,
    met: Option<bool>,
    what: String,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}x")).unwrap_or_default();
        let met = self.met.map_or("", |met| if met { "met" } else { "MISSED" });
        let Self { functions, figure, target, what, .. } = self;
        write!(f, "{functions:>9}  {figure:>28}  {ratio:>9}  {target:>9}  {met:<6}  {what}")
    }
}
