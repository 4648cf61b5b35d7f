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
