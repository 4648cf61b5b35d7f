//! What keeps a case apart from the one before, side by side in one lab host: booting a guest for each, restoring one, and
//! taking the device out and in; on both machine types, since guests take a device on a bus and one behind a port by other ways.
//!
//! All come from reports of `slotwise test` with the same cases. A case's figure is the time from wanting a guest to the
//! device's answer to INQUIRY in it (`seconds_to_prepare`), so that all ways are held against the same end; throughput
//! is counted with what the cases themselves take.

use std::time::Instant;

use serde_json::Value;

use super::overhead::Overhead;
use crate::story::{self, lab::Lab};
use crate::{Result, build, packages};

/// Cases that each take little: what is measured is what comes before them.
const CASES: [&str; 4] = ["tur-ready", "inq-standard", "inq-stable", "inq-ascii"];
/// Rounds in which the ways take turns.
const ROUNDS: usize = 2;
/// How much faster than booting each way is to be, as throughput.
const AIMS: [(&str, f64); 2] = [("restore", 3.0), ("attach", 10.0)];

/// One way's figures, of all rounds together.
#[derive(Debug, Default)]
struct Way {
    /// Seconds to the first INQUIRY of each case that had a preparation of its own.
    prepared: Vec<f64>,
    /// Seconds that its cases took in all, with it.
    whole: f64,
}

impl Way {
    fn add(&mut self, report: &Value, own_guests: bool) -> Result {
        let rows: Vec<&Value> = report["rows"].as_array().into_iter().flatten().collect();
        // Where the guest is kept, the first case pays for the guest and tells nothing of what comes between two.
        for row in rows.iter().skip(usize::from(!own_guests)) {
            let seconds =
                |name: &str| row[name].as_f64().ok_or_else(|| format!("a row has no {name}: {row:#}"));
            if row["outcome"] == "skip" {
                continue;
            }
            let prepared = seconds("seconds_to_prepare")?;
            if prepared <= 0.0 {
                return Err(format!("a case was not kept apart: {row:#}").into());
            }
            self.prepared.push(prepared);
            self.whole += prepared + seconds("seconds")?;
        }
        Ok(())
    }

    fn median(&self) -> f64 {
        let mut sorted = self.prepared.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn cases_per_minute(&self) -> f64 {
        self.prepared.len() as f64 * 60.0 / self.whole
    }

    fn row(&self, name: &str, boot: &Self) -> String {
        let (least, most) =
            self.prepared.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), s| (low.min(*s), high.max(*s)));
        format!(
            "{name:<8} {:>7.2} {least:>7.2} {most:>7.2} {:>6} {:>10.1} {:>7.1}",
            self.median(),
            self.prepared.len(),
            self.cases_per_minute(),
            self.cases_per_minute() / boot.cases_per_minute(),
        )
    }
}

/// Measures, prints, and fails where an aim is missed.
pub(crate) fn run() -> Result {
    packages::ensure()?;
    let lab = Lab::boot(&build::dist()?, story::FREE_SLOT)?;
    let mut missed = Vec::new();
    for machine in ["pc", "q35"] {
        lab.put("/root/bench.toml", &on_machine(machine)?)?;
        missed.extend(side_by_side(&lab, machine)?);
    }
    lab.put("/root/bench.toml", &story::spec(story::FREE_SLOT))?;
    missed.extend(whole_suite(&lab)?.missed());
    lab.end();
    if missed.is_empty() { Ok(()) } else { Err(missed.join("; ").into()) }
}

/// The story's spec on this machine type: on `pc` a device comes to the root bus, on `q35` behind a port.
fn on_machine(machine: &str) -> Result<String> {
    let mut spec: toml::Table = story::spec(story::FREE_SLOT).parse()?;
    let vm = spec.get_mut("vm").and_then(|vms| vms.get_mut(0)).and_then(toml::Value::as_table_mut);
    vm.ok_or("the story's spec has no VM")?.insert("machine".into(), machine.into());
    Ok(toml::to_string(&spec)?)
}

/// The ways in turn on one machine type, printed; the aims that were missed.
fn side_by_side(lab: &Lab, machine: &str) -> Result<Vec<String>> {
    // Makes the state that later runs go on from.
    test(lab, &["--only", "tur-ready"])?;
    let (mut boot, mut restore, mut attach) = (Way::default(), Way::default(), Way::default());
    for _ in 0..ROUNDS {
        boot.add(&kept_apart(lab, "boot")?, true)?;
        restore.add(&kept_apart(lab, "restore")?, true)?;
        attach.add(&kept_apart(lab, "attach")?, false)?;
    }
    println!(
        "{:<8} {:>7} {:>7} {:>7} {:>6} {:>10} {:>7}",
        machine, "median", "least", "most", "cases", "per minute", "ratio"
    );
    for (name, way) in [("boot", &boot), ("restore", &restore), ("attach", &attach)] {
        println!("{}", way.row(name, &boot));
    }
    println!(
        "seconds from wanting a guest to the device's first INQUIRY in it; ratio of cases per minute to boot"
    );
    let ways = [("restore", &restore), ("attach", &attach)];
    let missed = AIMS.into_iter().filter_map(|(name, aim)| {
        let way = ways.iter().find(|(own, _)| *own == name)?.1;
        let ratio = way.cases_per_minute() / boot.cases_per_minute();
        (ratio < aim)
            .then(|| format!("{name} on {machine}: {ratio:.1} times the throughput of boot, aim {aim}"))
    });
    Ok(missed.collect())
}

/// The whole suite in one guest, with the run's journal kept where the bench runs: in the lab host. Gives the bench's own part.
fn whole_suite(lab: &Lab) -> Result<Overhead> {
    let begin = Instant::now();
    let report = test(lab, &["--report", "/root/whole"])?;
    let text = report.to_string();
    let rows = report["rows"]
        .as_array()
        .map_or(0, |rows| rows.iter().filter(|row| row["outcome"] != "skip").count());
    let of = |name: &str| report.pointer(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let start = of("/run/starts/0/seconds_to_first_inquiry");
    let seconds = of("/run/seconds") - start;
    println!(
        "scsi-2 whole: {rows} cases in {seconds:.1} s after the start ({start:.1} s, {}): {:.0} a minute; {:.1} s with all else",
        report.pointer("/run/starts/0/way").and_then(Value::as_str).unwrap_or("?"),
        rows as f64 * 60.0 / seconds,
        begin.elapsed().as_secs_f64()
    );
    let overhead = Overhead::of(&text)?;
    println!("{}", overhead.told("the same, journal in the lab host"));
    Ok(overhead)
}

fn kept_apart(lab: &Lab, way: &str) -> Result<Value> {
    let mut words = vec!["--isolation", way];
    for case in CASES {
        words.extend(["--only", case]);
    }
    test(lab, &words)
}

/// A run, whatever its cases come to.
fn test(lab: &Lab, words: &[&str]) -> Result<Value> {
    let said = lab.run(&[&["slotwise", "test", "--json"], words, &["bench.toml"]].concat())?;
    print!("{}", said.err);
    if said.status > 1 {
        return Err(format!("`{}` failed:\n{}{}", said.command, said.out, said.err).into());
    }
    Ok(serde_json::from_str(&said.out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(prepared: &[f64]) -> Value {
        let row = |seconds: &f64| serde_json::json!({"outcome": "pass", "seconds": 1.0, "seconds_to_prepare": seconds});
        serde_json::json!({"rows": prepared.iter().map(row).collect::<Vec<_>>()})
    }

    #[test]
    fn a_kept_guests_first_case_does_not_count_and_throughput_has_the_cases_time() {
        let mut way = Way::default();
        way.add(&report(&[9.0, 2.0, 1.0, 3.0]), false).unwrap();
        assert_eq!((way.median(), way.prepared.len()), (2.0, 3));
        assert_eq!(way.cases_per_minute(), 3.0 * 60.0 / 9.0);
    }

    #[test]
    fn a_spec_is_put_on_another_machine() {
        assert!(!story::spec(4).contains("q35"));
        assert!(on_machine("q35").unwrap().contains("machine = \"q35\""));
    }

    #[test]
    fn a_case_that_was_not_kept_apart_is_an_error() {
        assert!(Way::default().add(&report(&[1.0, 0.0]), true).is_err());
    }
}
