//! The SCSI bench, played in the virtual lab: predicted, seen to fail, diagnosed, mended, tested, given back.
//!
//! Every step asserts what it shows, so the demo is a test and the test is the demo. The lab host is told nothing that a
//! user would not type.

mod asserts;
pub(crate) mod attach;
pub(crate) mod faults;
pub(crate) mod functions;
pub(crate) mod lab;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;
use crate::build::{self, Dist};
use asserts::{count, has, text_at, what};
use lab::{Lab, Said};

/// Where the card sits first, and where the plan says it should.
const CLASHING_SLOT: u8 = 4;
pub(crate) const FREE_SLOT: u8 = 6;

/// Cases of the suite that QEMU's emulated disk does not pass; `crates/testbench/tests/guest.rs` says why for each.
const DEVIATIONS: [&str; 29] = [
    "diag-bad-page",
    "diag-empty",
    "diag-selftest",
    "diag-selftest-data",
    "flg-reladr-each",
    "inq-caps-honest",
    "inq-reserved-bits",
    "len-zero",
    "ms-dpofua-bit",
    "ms-page-08",
    "ms-page-foreign",
    "op-honest",
    "rb-flag",
    "rb-link",
    "rb-link-ten",
    "rb-op-length",
    "rb-tail-not-run",
    "rd10-reladr",
    "rng-each",
    "rng-straddle-each",
    "rsv-third-party",
    "ss-loej-fixed",
    "ss-stop-immed",
    "ss-stopped-io",
    "sync-beyond",
    "tur-fixed-never-3a",
    "tur-stopped",
    "vfy-beyond",
    "vfy-straddle",
];

/// Whether the user sees what the commands print, or only the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Everything.
    Output,
    /// One line a step.
    Steps,
}

/// One thing that was done, how long it took, what it showed.
pub(crate) struct Beat {
    pub(crate) title: String,
    pub(crate) took: Duration,
    pub(crate) showed: String,
}

/// What the story came to.
pub(crate) struct Told {
    pub(crate) beats: Vec<Beat>,
    pub(crate) report: PathBuf,
    /// From the start of the cold guest to the device's answer to its first INQUIRY.
    pub(crate) first_answer: Duration,
}

struct Teller {
    show: Show,
    beats: Vec<Beat>,
    start: Instant,
}

impl Teller {
    fn begin(&mut self, title: &str) {
        println!("\n=== {title}");
        self.start = Instant::now();
        self.beats.push(Beat { title: title.to_owned(), took: Duration::ZERO, showed: String::new() });
    }

    fn end(&mut self, showed: impl Into<String>) {
        let showed = showed.into();
        let took = self.start.elapsed();
        println!("--- {:.1} s: {showed}", took.as_secs_f64());
        if let Some(beat) = self.beats.last_mut() {
            beat.took = took;
            beat.showed = showed;
        }
    }

    fn run(&self, lab: &Lab, words: &[&str]) -> Result<Said> {
        println!("$ {}", words.join(" "));
        let said = lab.run(words)?;
        if self.show == Show::Output {
            print!("{}{}", said.out, said.err);
        }
        Ok(said)
    }
}

/// The spec, with the card in a slot of the bridge.
pub(crate) fn spec(slot: u8) -> String {
    format!(
        r#"[[vm]]
name    = "bench"
backend = "qemu"
memory  = "96M"
guest   = "debian-12"

[[vm.device]]
select = {{ id = "1000:0012", slot = "0000:02:{slot:02x}.0" }}

[test]
suites = ["scsi-2"]
guests = ["debian-12"]
writes = true
disk   = {{ vendor = "SEAGATE", product = "ST32550N", target = 2 }}
"#
    )
}

/// Plays the whole story.
pub(crate) fn tell(show: Show, dist: &Dist) -> Result<Told> {
    let mut teller = Teller { show, beats: Vec::new(), start: Instant::now() };
    let advice = the_wrong_slot(&mut teller, dist)?;
    let report = the_right_slot(&mut teller, dist, advice)?;
    let first_answer = first_answer(&std::fs::read_to_string(report.join("report.json"))?)?;
    Ok(Told { beats: teller.beats, report: report.join("report.html"), first_answer })
}

/// The card in the first slot: predicted to fail, fails, and the log says why. Gives the slot that the plan advises.
fn the_wrong_slot(teller: &mut Teller, dist: &Dist) -> Result<u8> {
    teller.begin(
        "a lab host boots: emulated IOMMU, PCIe-to-PCI bridge, SCSI controller in slot 4, a neighbour",
    );
    let lab = Lab::boot(dist, CLASHING_SLOT)?;
    teller.end(format!("up in {:.1} s", lab.boot_time().as_secs_f64()));

    teller.begin("inspect: what is here");
    let said = teller.run(&lab, &["slotwise", "inspect"])?;
    has(&said, "0000:02:04.0", 0)?;
    let host: Value = lab.json(&["slotwise", "inspect", "--json"], 0)?;
    let card = asserts::function(&host, "0000:02:04.0")?;
    what(card["driver"] == "sym53c8xx", "the card is on its host driver", card)?;
    what(
        count(&card["interrupt"]["shared_with"]) == 1,
        "one other user of the card's interrupt line is seen",
        card,
    )?;
    teller
        .end(format!("the card is in group {}, its line is IRQ {}", card["group"], card["interrupt"]["irq"]));

    teller.begin("plan: what will happen");
    lab.put("/root/bench.toml", &spec(CLASHING_SLOT))?;
    let said = teller.run(&lab, &["slotwise", "plan", "bench.toml"])?;
    has(&said, "intx-shared", 1)?;
    let plan: Value = lab.json(&["slotwise", "plan", "--json", "bench.toml"], 1)?;
    let (advice, summary) = advice(&plan)?;
    teller.end(format!("predicted: {summary}; advised: slot {advice}"));

    teller.begin("launched all the same");
    let said = teller.run(
        &lab,
        &["slotwise", "run", "--despite", "intx-shared", "--deadline", "60", "bench.toml", "bench"],
    )?;
    has(&said, "INTX-0", 1)?;
    has(&said, "Device or resource busy", 1)?;
    teller.end("QEMU failed with the story's own message");

    teller.begin("diagnose: the cause in the log");
    let said = teller.run(&lab, &["slotwise", "diagnose", "--vm", "bench"])?;
    has(&said, "intx-shared", 1)?;
    let diagnosis: Value = lab.json(&["slotwise", "diagnose", "--json", "--vm", "bench"], 1)?;
    what(
        text_at(&diagnosis, "/findings/0/cause") == "intx-shared",
        "the first cause is intx-shared",
        &diagnosis,
    )?;
    driver_is(&lab, CLASHING_SLOT, "sym53c8xx")?;
    teller.end("named, and the host has its card back");
    lab.end();
    Ok(advice)
}

/// The finding that blocks, and the slot that its remedy names.
fn advice(plan: &Value) -> Result<(u8, String)> {
    what(text_at(plan, "/verdict") == "blocked", "the plan is blocked", plan)?;
    let blocking: Vec<&Value> =
        asserts::list(&plan["findings"]).filter(|f| f["severity"] == "blocks").collect();
    let [finding] = blocking[..] else { return Err(format!("one finding should block: {plan:#}").into()) };
    what(text_at(finding, "/rule") == "intx-shared", "what blocks is intx-shared", finding)?;
    let evidence = finding["evidence"].to_string();
    what(evidence.contains("eth1"), "the other user of the line is named", finding)?;
    let advised = asserts::list(&finding["remedies"])
        .filter_map(|remedy| {
            remedy["text"].as_str()?.split_once("to slot ")?.1.split(' ').next()?.parse().ok()
        })
        .next();
    let advised: u8 = advised.ok_or_else(|| format!("a remedy should name a slot: {finding:#}"))?;
    what(advised == FREE_SLOT, "the free slot is advised", finding)?;
    Ok((advised, text_at(finding, "/summary").to_owned()))
}

/// The card where the plan says: handed over, tested, given back.
fn the_right_slot(teller: &mut Teller, dist: &Dist, slot: u8) -> Result<PathBuf> {
    teller.begin(&format!("the card moves to slot {slot}, and the lab host boots again"));
    let lab = Lab::boot(dist, slot)?;
    lab.put("/root/bench.toml", &spec(slot))?;
    let before = lab.disk_sum()?;
    teller.end(format!("up in {:.1} s; the host reads the disk", lab.boot_time().as_secs_f64()));

    teller.begin("plan: clean now");
    let said = teller.run(&lab, &["slotwise", "plan", "bench.toml"])?;
    has(&said, "will work", 0)?;
    let plan: Value = lab.json(&["slotwise", "plan", "--json", "bench.toml"], 0)?;
    let against = asserts::list(&plan["findings"]).filter(|f| f["severity"] != "notes").count();
    what(against == 0, "nothing stands against it", &plan)?;
    teller.end(format!("{} steps, nothing against it", count(&plan["steps"])));

    teller.begin("apply: exactly this device goes to vfio-pci");
    let said = teller.run(&lab, &["slotwise", "apply", "bench.toml"])?;
    has(&said, "applied", 0)?;
    driver_is(&lab, slot, "vfio-pci")?;
    teller.end("bound");

    teller.begin("run: the guest starts with the card");
    let run = ["slotwise", "run", "--until", "ready on", "--deadline", "90", "bench.toml", "bench"];
    has(&teller.run(&lab, &run)?, "slotwise-agent", 0)?;
    driver_is(&lab, slot, "vfio-pci")?;
    teller.end("the guest came up; what was applied before stays applied");

    teller.begin("test: the SCSI-2 suite, in a Linux guest, on the passed-through controller");
    let said = teller.run(&lab, &["slotwise", "test", "--report", "/root/report", "bench.toml"])?;
    let report = fetch_report(&lab)?;
    let showed = judge(&std::fs::read_to_string(report.join("report.json"))?)?;
    has(&said, "scsi-2", 1)?;
    teller.end(showed);

    teller.begin("undo: the host has its card back");
    has(&teller.run(&lab, &["slotwise", "undo"])?, "undone", 0)?;
    driver_is(&lab, slot, "sym53c8xx")?;
    lab.wait_for_disk()?;
    let after = lab.disk_sum()?;
    what(before != after, "the tests wrote to the disk that the host reads", &Value::from(after))?;
    has(&teller.run(&lab, &["slotwise", "status"])?, "undone", 0)?;
    teller.end("its driver serves it again: the host reads what the tests wrote");
    lab.end();
    Ok(report)
}

/// What the suite found must be what is known of QEMU's disk, no more and no less.
fn judge(report: &str) -> Result<String> {
    let report: Value = serde_json::from_str(report)?;
    what(
        text_at(&report, "/schema") == "slotwise.test/1",
        "the report is slotwise.test/1",
        &report["schema"],
    )?;
    let rows: Vec<&Value> = asserts::list(&report["rows"]).collect();
    let cases = |outcome: &str| {
        let rows = rows.iter().filter(|row| row["outcome"] == outcome);
        rows.filter_map(|row| row["case"].as_str()).collect::<Vec<_>>()
    };
    let (passed, mut failed) = (cases("pass").len(), cases("fail"));
    failed.sort_unstable();
    what(failed == DEVIATIONS, "the suite finds what is known of this disk", &Value::from(failed))?;
    what(
        cases("error").is_empty() && cases("crash").is_empty(),
        "every case could be carried out",
        &report["rows"],
    )?;
    what(passed >= 50, "most cases pass", &Value::from(passed))?;
    Ok(format!("{passed} passed, {} deviations of this emulated disk from SCSI-2 found", DEVIATIONS.len()))
}

fn first_answer(report: &str) -> Result<Duration> {
    let report: Value = serde_json::from_str(report)?;
    let seconds = report.pointer("/run/starts/0/seconds_to_first_inquiry").and_then(Value::as_f64);
    let seconds = seconds.ok_or_else(|| format!("the report tells no first INQUIRY: {:#}", report["run"]))?;
    Ok(Duration::from_secs_f64(seconds))
}

fn fetch_report(lab: &Lab) -> Result<PathBuf> {
    let folder = build::target_directory().join("demo");
    std::fs::create_dir_all(&folder)?;
    for name in ["report.html", "report.xml", "report.json", "report.tap"] {
        std::fs::write(folder.join(name), lab.fetch(&format!("/root/report/{name}"))?)?;
    }
    let junit = std::fs::read_to_string(folder.join("report.xml"))?;
    what(junit.contains("<testsuite"), "JUnit has a suite", &Value::from(junit))?;
    let html = std::fs::read_to_string(folder.join("report.html"))?;
    what(html.contains("</html>"), "the HTML report is whole", &Value::from(html.len()))?;
    Ok(folder)
}

fn driver_is(lab: &Lab, slot: u8, driver: &str) -> Result {
    let address = format!("0000:02:{slot:02x}.0");
    let host: Value = lab.json(&["slotwise", "inspect", "--json", &address], 0)?;
    let card = asserts::function(&host, &address)?;
    what(card["driver"] == driver, &format!("the card is on {driver}"), card)
}
