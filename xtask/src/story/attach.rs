//! Hot-plug in the virtual lab: a guest starts without its card, gets it, loses it, and the host has it back.
//!
//! The commands are a user's. What the guest sees of the card is told by its agent; that its disk is there, by a test of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::asserts::{has, text_at, what};
use super::faults::PRELUDE;
use super::lab::{Lab, Said};
use super::{FREE_SLOT, driver_is, spec};
use crate::Result;
use crate::build::Dist;

/// The card.
const CARD: &str = "0000:02:06.0";
/// How long all of it may take: a stage nobody waits for is a stage nobody runs.
const LIMIT: Duration = Duration::from_secs(180);

/// A run in the background whose guest is up, without its card.
const RUN: &str = "
slotwise run --without 02:06.0 --until never --deadline 150 bench.toml bench >/tmp/run.log 2>&1 & run=$!
until_true 'grep -q \"ready on\" /tmp/run.log || ! kill -0 $run'
kill -0 $run || { cat /tmp/run.log; exit 98; }
driver() { basename $(readlink /sys/bus/pci/devices/0000:02:06.0/driver); }
echo \"begins on $(driver)\"
";

struct Scene {
    lab: Lab,
}

impl Scene {
    fn script(&self, script: &str) -> Result<Said> {
        let said = self.lab.run(&["bash", "-c", &format!("{PRELUDE}\n{script}")])?;
        Ok(Said { command: script.trim().to_owned(), ..said })
    }

    fn shows(&self, script: &str, status: i32, texts: &[&str]) -> Result<Said> {
        let said = self.script(script)?;
        for text in texts {
            has(&said, text, status)?;
        }
        Ok(said)
    }
}

/// Plays all of it.
pub(crate) fn play(dist: &Dist) -> Result {
    let start = Instant::now();
    let lab = Lab::boot(dist, FREE_SLOT)?;
    println!("a lab host is up in {:.1} s", lab.boot_time().as_secs_f64());
    lab.put("/root/bench.toml", &spec(FREE_SLOT))?;
    let scene = Scene { lab };
    for (title, act) in ACTS {
        let begun = Instant::now();
        let showed = act(&scene).map_err(|error| format!("{title}: {error}"))?;
        println!("{:>6.1} s  {title}: {showed}", begun.elapsed().as_secs_f64());
    }
    scene.lab.end();
    let took = start.elapsed();
    println!("{:.1} s in all", took.as_secs_f64());
    if took < LIMIT { Ok(()) } else { Err("it took too long".into()) }
}

type Act = (&'static str, fn(&Scene) -> Result<String>);

const ACTS: &[Act] = &[
    ("no VM runs", nothing_to_plug_into),
    ("a card comes and goes, and comes again", comes_and_goes),
    ("a first test boots its guest and saves it", first_test),
    ("a second test goes on from the saved guest, and resets the device between cases", second_test),
];

fn nothing_to_plug_into(scene: &Scene) -> Result<String> {
    let texts = ["cannot reach machine bench", "`slotwise run SPEC bench` starts it"];
    scene.shows("slotwise attach bench.toml bench 02:06.0", 2, &texts)?;
    scene.shows("slotwise detach bench.toml bench 02:06.0", 2, &texts[..1])?;
    scene.shows("slotwise attach bench.toml bench 03:00.0", 2, &["gives VM bench no such device", CARD])?;
    scene.shows("slotwise status", 0, &["nothing was changed"])?;
    Ok("exit 2, and what starts one; nothing was changed".into())
}

fn comes_and_goes(scene: &Scene) -> Result<String> {
    let script = format!(
        "{RUN}
         slotwise apply bench.toml 2>&1 | grep -o 'another slotwise is at work'
         slotwise attach --json bench.toml bench 1000:0012 >/tmp/attach.json || {{ cat /tmp/attach.json; exit 97; }}
         echo \"attached on $(driver)\"
         slotwise attach bench.toml bench 02:06.0 && echo twice is once
         slotwise detach bench.toml bench 02:06.0 || exit 96
         echo \"detached on $(driver)\"
         until_true 'dd if=/dev/sda of=/dev/null bs=512 count=1 2>/dev/null' && echo the host reads its disk
         slotwise attach bench.toml bench 02:06.0 || exit 95
         kill -INT $run; wait $run; cat /tmp/run.log
         echo \"ended on $(driver)\"
         slotwise status"
    );
    let texts = [
        "begins on sym53c8xx",
        "another slotwise is at work",
        "attached on vfio-pci",
        "twice is once",
        "detached: 0000:02:06.0 from VM bench; the host has it back",
        "detached on sym53c8xx",
        "the host reads its disk",
        "on driver sym53c8xx",
        "interrupted; the VM was ended",
        "ended on sym53c8xx",
    ];
    scene.shows(&script, 0, &texts)?;
    let report: Value = serde_json::from_slice(&scene.lab.fetch("/tmp/attach.json")?)?;
    what(text_at(&report, "/schema") == "slotwise.attach/1", "it is slotwise.attach/1", &report)?;
    what(text_at(&report, "/devices/0/guest_driver") == "sym53c8xx", "the guest's driver has it", &report)?;
    let steps = report["steps"].as_array().map_or(0, Vec::len);
    Ok(format!(
        "the guest sees it as {}; {steps} changes, taken back by detach and by the run's end",
        text_at(&report, "/devices/0/guest_address")
    ))
}

/// A test of two cases; the reports of its guest's start and of its cases.
fn test(scene: &Scene, flags: &str) -> Result<(Value, Vec<Value>)> {
    let cases = "--only tur-ready --only inq-standard";
    let said = scene.script(&format!("slotwise test --json {flags} {cases} bench.toml"))?;
    let report: Value = serde_json::from_str(&said.out).map_err(|error| format!("{error}: {}", said.err))?;
    let rows: Vec<Value> = report["rows"].as_array().cloned().unwrap_or_default();
    what(said.status == 0 && rows.len() == 2, "both cases pass", &report)?;
    Ok((report["run"]["starts"][0].clone(), rows))
}

fn first_test(scene: &Scene) -> Result<String> {
    let (start, _) = test(scene, "")?;
    what(
        start["way"] == "attached" && start["way_note"].is_null(),
        "it booted, then got its device",
        &start,
    )?;
    scene.shows("ls -l ~/.cache/slotwise/states", 0, &["-rw-------", ".state"])?;
    Ok(format!("first INQUIRY after {:.1} s", seconds(&start)))
}

fn second_test(scene: &Scene) -> Result<String> {
    let (start, rows) = test(scene, "--isolation attach")?;
    what(start["way"] == "restored" && start["way_note"].is_null(), "it was restored", &start)?;
    what(text_at(&start, "/product") == "ST32550N", "the disk is seen behind it", &start)?;
    let again = rows[1]["seconds_to_prepare"].as_f64().unwrap_or_default();
    what(
        again > 0.0 && rows[1]["recovery"] == serde_json::json!([]),
        "the device was reset between them",
        &rows[1],
    )?;
    scene.shows("slotwise status", 0, &["undone"])?;
    driver_is(&scene.lab, FREE_SLOT, "sym53c8xx")?;
    Ok(format!(
        "first INQUIRY after {:.1} s, {again:.1} s between two cases; the host has its card",
        seconds(&start)
    ))
}

fn seconds(start: &Value) -> f64 {
    start["seconds_to_first_inquiry"].as_f64().unwrap_or(f64::NAN)
}
