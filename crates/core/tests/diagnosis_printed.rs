//! Reads `testdata/diagnosis/printed.txt`: each message that a program prints when a device is handed over, alone or with the one line
//! that goes with it, gives its cause.

use std::collections::BTreeSet;
use std::path::Path;

use slotwise_core::diagnose::{self, Input, Verdict, diagnose};

fn printed() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diagnosis/printed.txt");
    let text = std::fs::read_to_string(path).expect("the table of messages");
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("no bar in {line}")))
        .map(|(cause, log)| (cause.to_owned(), log.replace("\\n", "\n")))
        .collect()
}

#[test]
fn each_message_gives_its_cause() {
    let mut wrong = Vec::new();
    for (cause, log) in printed() {
        let found = diagnose(&[Input { name: "log", bytes: log.as_bytes() }]);
        let first = found.findings.first().map(|finding| finding.cause.id);
        let is_fault = found.verdict == Verdict::Fault;
        let right = if cause == "no-fault" { !is_fault } else { is_fault && first == Some(cause.as_str()) };
        if !right {
            wrong.push(format!("{cause}, found {first:?}: {log}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

#[test]
fn causes_of_the_table_exist_and_no_message_stands_twice() {
    let mut seen = BTreeSet::new();
    for (cause, log) in printed() {
        assert!(cause == "no-fault" || diagnose::cause(&cause).is_some(), "no cause {cause}");
        assert!(seen.insert(log.clone()), "twice: {log}");
    }
    assert!(seen.len() > 200, "only {} messages", seen.len());
}

/// What a message says is not lost among the lines of a host that works otherwise, and those lines make no harmless one a fault.
/// A host whose IOMMU is on contradicts a few of the messages, so not all keep their cause.
#[test]
fn messages_keep_their_cause_in_the_log_of_a_host_that_works_otherwise() {
    for host in ["working_intel.log", "working_amd.log"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diagnosis").join(host);
        keep_their_cause_in(host, &std::fs::read_to_string(path).expect("the log of a working host"), 18);
    }
}

/// The same behind the whole kernel log of a laptop: two thousand lines, among them troubles that machines have of their own (a USB
/// device that goes, a task that hangs, a port that cannot be woken, methods of ACPI that fail).
#[test]
fn messages_keep_their_cause_behind_a_laptops_whole_kernel_log() {
    behind_log_of_corpus("dmesg/016.txt", 18);
}

/// And behind that of a desktop of AMD's with a GPU in its chipset.
#[test]
fn messages_keep_their_cause_behind_a_desktops_whole_kernel_log() {
    behind_log_of_corpus("dmesg/026.txt", 19);
}

fn behind_log_of_corpus(host: &str, least: usize) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var_os("SLOTWISE_CORPUS")
        .map_or_else(|| workspace.join("../shared/testdata"), |path| workspace.join(path));
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "the corpus is not at {}", root.display());
        return;
    }
    let bytes = std::fs::read(root.join(host)).expect("a kernel log");
    keep_their_cause_in(host, &String::from_utf8_lossy(&bytes), least);
}

/// Puts each message behind a log, and asks that of twenty faults `least` keep their cause and that nothing harmless becomes one.
fn keep_their_cause_in(host: &str, around: &str, least: usize) {
    let (mut kept, mut faults, mut lost, mut alarms) = (0_usize, 0_usize, Vec::new(), Vec::new());
    for (cause, log) in printed() {
        let text = format!("{around}{log}\n");
        let found = diagnose(&[Input { name: host, bytes: text.as_bytes() }]);
        let first = found.findings.first().map(|finding| finding.cause.id);
        let is_fault = found.verdict == Verdict::Fault;
        match (cause.as_str(), is_fault) {
            ("no-fault", true) => alarms.push(format!("{first:?}: {log}")),
            ("no-fault", false) => {}
            (cause, _) => {
                faults += 1;
                if is_fault && first == Some(cause) {
                    kept += 1;
                } else {
                    lost.push(format!("{cause}, found {first:?}: {log}"));
                }
            }
        }
    }
    println!("{host}: {kept} of {faults}");
    assert!(alarms.is_empty(), "{host}: {alarms:#?}");
    assert!(kept * 20 >= faults * least, "{host}: {kept} of {faults}: {lost:#?}");
}
