//! Runs of the bench against a firmware served in this process: kept, gone on with, compared, and searched for the build
//! that broke something. No guest is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use slotwise_lab::iscsi::Portal;
use slotwise_lab::target::{DEFECTS, Target};
use slotwise_rigs::SMALL_DISK;

use crate::{Desk, Said};

/// A spec whose flash command hands the firmware to a [`Programmer`] and waits until it is installed.
const SPEC: &str = r#"
[[vm]]
name   = "bench"
memory = "96M"

[test]
suites = ["scsi-2"]
writes = true
disk   = { vendor = "SLOTWISE", product = "TARGET" }
flash  = ["sh", "-c", "cp \"$0\" new && mv new asked && while [ -e asked ]; do sleep 0.02; done; [ ! -e refused ]", "{firmware}"]
"#;

/// Serves a disk, and installs the firmware that is asked for: a file with the id of a defect in it, or `sound`. One
/// that says anything else cannot be installed.
pub(crate) struct Programmer {
    pub(crate) url: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Programmer {
    pub(crate) fn at(desk: &Desk) -> Self {
        let portal = Portal::on_loopback(Target::new(SMALL_DISK, None)).expect("a port");
        let (url, stop) = (portal.url(), Arc::new(AtomicBool::new(false)));
        let (asked, refused) = (desk.path().join("asked"), desk.path().join("refused"));
        let over = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Ok(wanted) = fs::read_to_string(&asked) {
                    let defect = DEFECTS.iter().find(|row| row.id == wanted.trim()).map(|row| row.defect);
                    if defect.is_some() || wanted.trim() == "sound" {
                        portal.with_target(|target| *target = Target::new(SMALL_DISK, defect));
                        let _ = fs::remove_file(&refused);
                    } else {
                        fs::write(&refused, "").expect("written");
                    }
                    fs::remove_file(&asked).expect("it was there");
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { url, stop, thread: Some(thread) }
    }
}

impl Drop for Programmer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

const DEFECT: &str = "capacity-is-count";

fn desk() -> (Desk, Programmer) {
    let desk = Desk::new();
    desk.put("bench.toml", SPEC);
    desk.put("sound.bin", "sound");
    desk.put("broken.bin", DEFECT);
    let programmer = Programmer::at(&desk);
    (desk, programmer)
}

fn test(desk: &Desk, programmer: &Programmer, words: &[&str]) -> Said {
    desk.run(&[&["test", "bench.toml", "--iscsi", &programmer.url], words].concat())
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).expect("written")).expect("JSON")
}

fn outcomes(report: &serde_json::Value) -> Vec<(String, String, u64)> {
    let text = |row: &serde_json::Value, field: &str| row[field].as_str().expect("text").to_owned();
    let rows = report["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| (text(row, "case"), text(row, "outcome"), row["attempt"].as_u64().unwrap_or(0)))
        .collect()
}

#[test]
fn what_a_new_firmware_breaks_is_told_in_text_json_and_page() {
    let (desk, programmer) = desk();
    let cases = ["--only", "cap-*", "--only", "scsi-2/tur-ready"];
    let sound =
        test(&desk, &programmer, &[&cases[..], &["--firmware", "sound.bin", "--report", "old"]].concat());
    assert_eq!(sound.status, Some(0), "{}", sound.told());
    assert!(sound.err.contains("installing sound.bin"), "{}", sound.told());
    let words = [&cases[..], &["--firmware", "broken.bin", "--baseline", "old", "--report", "new"]].concat();
    let broken = test(&desk, &programmer, &words);
    assert_eq!(broken.status, Some(1), "{}", broken.told());
    assert!(broken.out.contains("compared with old: "), "{}", broken.told());
    assert!(broken.out.contains("newly-failing   scsi-2/cap-last-readable"), "{}", broken.told());
    let report = json(&desk.path().join("new/report.json"));
    let changes = report["comparison"]["changes"].as_array().expect("changes");
    assert!(changes.iter().any(|change| change["case"] == "cap-last-readable" && change["was"] == "pass"));
    let page = fs::read_to_string(desk.path().join("new/report.html")).expect("written");
    assert!(page.contains("Changes since old") && page.contains("newly failing"));
    for name in ["journal.jsonl", "report.xml", "report.tap"] {
        assert!(desk.path().join("new").join(name).is_file(), "{name}");
    }
    let cases: Vec<PathBuf> = fs::read_dir(desk.path().join("new/cases"))
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .collect();
    let own =
        cases.iter().find(|path| path.display().to_string().contains("cap-last-readable")).expect("kept");
    let text = fs::read_to_string(own).expect("text");
    assert!(text.contains("sent     28 00 00 00") && text.contains("got      CHECK CONDITION"), "{text}");
}

#[test]
fn a_killed_run_goes_on_and_ends_with_every_row_once() {
    let (desk, programmer) = desk();
    let what = ["--only", "inq-*", "--only", "ms-*", "--only", "di-*", "--repeat", "3", "--seed", "11"];
    let words = ["test", "bench.toml", "--iscsi", &programmer.url, "--report", "run"];
    let mut child = desk
        .command(&[&words[..], &what].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let journal = desk.path().join("run/journal.jsonl");
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    let begin = Instant::now();
    while lines() < 40 {
        assert!(begin.elapsed() < Duration::from_secs(120), "{} lines", lines());
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    let kept = fs::read_to_string(&journal).expect("kept").matches("{\"done\":").count();
    let said = test(&desk, &programmer, &["--resume", "run"]);
    assert!(said.err.contains("seed 11") && said.err.contains("cases are done"), "{}", said.told());
    let resumed = outcomes(&json(&desk.path().join("run/report.json")));
    assert!(resumed.len() > kept, "the run was over before it was killed");
    // Once more from the beginning: the same order, the same outcomes.
    let whole = test(&desk, &programmer, &[&what[..], &["--json"]].concat());
    assert_eq!(whole.status, said.status);
    assert_eq!(outcomes(&whole.json()), resumed);
}

/// Stopped by a signal it stands still as it does where its whole machine is paused: the same clock goes on.
#[test]
fn a_pause_of_this_machine_is_not_put_down_to_the_device() {
    let (desk, programmer) = desk();
    // A thousand commands, each allowed a second.
    let words = ["test", "bench.toml", "--iscsi", &programmer.url, "--only", "tur-loop", "--repeat", "120"];
    let mut command = desk.command(&words);
    let child =
        command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(300));
        for (signal, wait) in [("-STOP", 1_300), ("-CONT", 0)] {
            let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
            assert!(sent.expect("it runs").success(), "the run was over before it was paused");
            thread::sleep(Duration::from_millis(wait));
        }
    }
    let output = child.wait_with_output().expect("it ended");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let outcomes = outcomes(&report);
    assert_eq!(outcomes.len(), 120);
    assert!(outcomes.iter().all(|(_, outcome, _)| outcome == "pass"), "{outcomes:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn known_failures_do_not_fail_a_run_until_their_day_is_over() {
    let (desk, programmer) = desk();
    let known = |day: &str| format!("[[known]]\ncase = \"cap-*\"\nreason = \"counts\"\nexpires = {day}\n");
    desk.put("known.toml", known("2999-12-31"));
    desk.put("over.toml", known("2001-01-01"));
    desk.put("bad.toml", "[[known]]\ncase = \"cap-*\"\nexpires = 2999-12-31\n");
    let words = |file| ["--only", "cap-*", "--firmware", "broken.bin", "--quarantine", file];
    let said = test(&desk, &programmer, &words("known.toml"));
    assert_eq!(said.status, Some(0), "{}", said.told());
    assert!(said.out.contains(" known) in "), "{}", said.told());
    assert!(said.out.contains("passes, and is in quarantine until 2999-12-31 (counts)"), "{}", said.told());
    let said = test(&desk, &programmer, &words("over.toml"));
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert!(said.out.contains("its quarantine is over since 2001-01-01"), "{}", said.told());
    let said = test(&desk, &programmer, &words("bad.toml"));
    assert_eq!(said.status, Some(2), "{}", said.told());
    assert!(said.err.contains("bad.toml:1:1: missing field `reason`"), "{}", said.told());
}

#[test]
fn bisect_finds_the_first_bad_build_in_few_steps_and_goes_around_one_that_cannot_be_installed() {
    let (desk, programmer) = desk();
    let mut names = Vec::new();
    for number in 0..12 {
        let content = match number {
            6 => "no image at all",
            0..=7 => "sound",
            _ => DEFECT,
        };
        names.push(format!("fw-{number:02}.bin"));
        desk.put(&names[number], content);
    }
    let mut words = vec!["bisect", "bench.toml", "--iscsi", &programmer.url, "--only", "cap-*", "--json"];
    words.extend(["--good", &names[0], "--bad", &names[11]]);
    words.extend(names[1..11].iter().map(String::as_str));
    let said = desk.run(&words);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let document = said.json();
    assert_eq!((&document["first_bad"], &document["last_good"]), (&"fw-08.bin".into(), &"fw-07.bin".into()));
    assert_eq!(document["unknown"], serde_json::json!([]));
    let fault = document["fault"].as_array().expect("a fault");
    assert!(fault.iter().any(|one| one["case"] == "scsi-2/cap-last-readable"), "{document:#}");
    let tried = document["tried"].as_array().expect("builds");
    assert!(tried.len() <= 7, "{document:#}");
    // The one that cannot be installed is the oldest that may be bad.
    desk.put("refused.bin", "nothing");
    let words = ["bisect", "bench.toml", "--iscsi", &programmer.url, "--only", "cap-*"];
    let ends = ["--good", "sound.bin", "--bad", "broken.bin", "refused.bin"];
    let said = desk.run(&[&words[..], &ends[..]].concat());
    assert!(
        said.out.contains("first bad  broken.bin") && said.out.contains("refused.bin: the fault may"),
        "{}",
        said.told()
    );
    let same = ["--good", "sound.bin", "--bad", "sound.bin"];
    let said = desk.run(&[&words[..], &same[..]].concat());
    assert_eq!(said.status, Some(2));
    assert!(said.err.contains("fails no case that the good one passes"), "{}", said.told());
}

#[test]
fn what_cannot_be_run_is_told_before_anything_is_sent() {
    let (desk, programmer) = desk();
    desk.put(
        "plain.toml",
        SPEC.lines().filter(|line| !line.starts_with("flash")).collect::<Vec<_>>().join("\n"),
    );
    for (words, message) in [
        (&["test", "bench.toml", "--only", "tur-raedy"][..], "no case fits tur-raedy"),
        (&["test", "bench.toml", "--only", "a b"], "names no suite or case"),
        (&["test", "bench.toml", "--baseline", "nowhere"], "cannot read the baseline nowhere"),
        (&["test", "bench.toml", "--resume", "nowhere"], "cannot read nowhere/journal.jsonl"),
        (&["test", "bench.toml", "--seed", "x"], "a whole number, or `random`"),
        (&["test", "bench.toml", "--repeat", "0"], "invalid value '0'"),
        (&["test", "bench.toml", "--resume", "run", "--seed", "1"], "cannot be used with"),
        (&["test", "bench.toml", "--resume", "run", "--firmware", "sound.bin"], "cannot be used with"),
        (&["test", "bench.toml", "--firmware", "none.bin"], "there is no firmware none.bin"),
        (&["test", "plain.toml", "--firmware", "sound.bin"], "does not say how to install it"),
        (&["test", "bench.toml", "--firmware", "bench.toml"], "sh ended with exit status: 1"),
    ] {
        let said = desk.run(&[words, &["--iscsi", &programmer.url]].concat());
        assert_eq!(said.status, Some(2), "{}", said.told());
        assert!(said.err.contains(message), "{message}: {}", said.told());
    }
}

#[test]
fn until_fail_repeats_up_to_its_bound_and_ends_at_the_failure() {
    let (desk, programmer) = desk();
    let words = ["--only", "cap-basic", "--until-fail", "--repeat", "5", "--json"];
    let said = test(&desk, &programmer, &words);
    assert_eq!((said.status, outcomes(&said.json()).len()), (Some(0), 5), "{}", said.told());
    let words = ["--only", "cap-*", "--until-fail", "--firmware", "broken.bin", "--json"];
    let said = test(&desk, &programmer, &words);
    let last = outcomes(&said.json()).pop().expect("rows");
    assert_eq!((said.status, last.1.as_str(), last.2), (Some(1), "fail", 1), "{}", said.told());
}

/// `script` of util-linux gives the program a terminal.
#[test]
fn the_matrix_fills_on_a_terminal_and_not_in_a_pipe() {
    let (desk, programmer) = desk();
    let said = test(&desk, &programmer, &["--only", "tur-*"]);
    assert!(!said.err.contains("scsi-2 in iscsi"), "{}", said.told());
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: there is no program `script` on this machine");
        return;
    }
    let program = env!("CARGO_BIN_EXE_slotwise");
    let line = format!("{program} test bench.toml --iscsi {} --only tur-*", programmer.url);
    let mut command = std::process::Command::new("/usr/bin/script");
    command.args(["-qec", &format!("stty cols 100; set -f; {line}"), "/dev/null"]).current_dir(desk.path());
    let output = command.env("TERM", "xterm").stdin(Stdio::null()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("scsi-2 in iscsi") && text.contains(" pass"), "{text}");
}
