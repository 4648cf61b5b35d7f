//! The collected cases as people paste logs: quoted and wrapped by mail, with marks of a forum or a pager, other time stamps, and
//! behind the whole boot log of a machine that works. What was found before must be found after, and what was silent must
//! stay silent.

use std::path::Path;

use serde::Deserialize;
use slotwise_core::diagnose::{Input, Verdict, diagnose};

#[derive(Deserialize)]
struct Case {
    verdict: String,
    log: String,
}

struct Paste {
    name: &'static str,
    change: fn(&str) -> String,
    /// How many of a hundred found causes must stay.
    keeps: usize,
    /// How many of the silent ones may speak.
    alarms: usize,
}

const PASTES: &[Paste] = &[
    Paste { name: "mail, quoted and wrapped", change: mail, keeps: 95, alarms: 0 },
    Paste { name: "wrapped with an indent", change: |log| wrapped(log, 72, "    "), keeps: 95, alarms: 0 },
    Paste { name: "broken at 80 columns", change: broken, keeps: 97, alarms: 0 },
    Paste { name: "quoted-printable", change: quoted_printable, keeps: 95, alarms: 0 },
    Paste { name: "escaped Markdown", change: markdown, keeps: 99, alarms: 0 },
    Paste { name: "numbered by a pager", change: numbered, keeps: 99, alarms: 0 },
    Paste {
        name: "indented with tabs",
        change: |log| each(log, |line| format!("\t{line}")),
        keeps: 95,
        alarms: 0,
    },
    Paste { name: "journal with ISO time", change: iso, keeps: 99, alarms: 0 },
    Paste { name: "cut off at 120 columns", change: cut, keeps: 80, alarms: 0 },
    // A host with an IOMMU and an NVIDIA card contradicts some of the reports.
    Paste { name: "behind the log of a host", change: behind_host, keeps: 86, alarms: 6 },
    // A guest runs on this one, with a device that its lines name.
    Paste {
        name: "behind the log of a host that passes a device",
        change: behind_passing,
        keeps: 86,
        alarms: 20,
    },
];

fn each(log: &str, change: impl Fn(&str) -> String) -> String {
    log.lines().map(|line| change(line) + "\n").collect()
}

fn wrapped(log: &str, width: usize, indent: &str) -> String {
    let mut out = String::new();
    for line in log.lines() {
        let mut column = 0;
        for word in line.split(' ') {
            if column > 0 && column + word.len() >= width {
                out.push('\n');
                out.push_str(indent);
                column = indent.len();
            } else if column > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += word.len();
        }
        out.push('\n');
    }
    out
}

fn mail(log: &str) -> String {
    each(&wrapped(log, 72, ""), |line| format!("> > {line}"))
}

fn broken(log: &str) -> String {
    let pieces = |line: &str| {
        let characters: Vec<char> = line.chars().collect();
        characters.chunks(80).map(|piece| piece.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
    };
    each(log, pieces)
}

fn quoted_printable(log: &str) -> String {
    let soft = |line: &str| if line.len() > 56 { format!("{line} =") } else { line.to_owned() };
    each(&wrapped(&log.replace('=', "=3D"), 73, ""), soft)
}

fn markdown(log: &str) -> String {
    log.replace('_', "\\_").replace('*', "\\*").replace('[', "\\[").replace(']', "\\]")
}

fn numbered(log: &str) -> String {
    log.lines().enumerate().map(|(at, line)| format!("{:>5}  {line}\n", at + 1)).collect()
}

fn iso(log: &str) -> String {
    each(log, |line| match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((stamp, rest)) if stamp.trim().parse::<f64>().is_ok() => {
            format!("2024-03-04T12:33:01.123456+01:00 host kernel: {rest}")
        }
        _ => line.to_owned(),
    })
}

fn cut(log: &str) -> String {
    each(log, |line| line.chars().take(120).collect())
}

fn behind_host(log: &str) -> String {
    format!("{}\n{log}", read("working_intel.log"))
}

fn behind_passing(log: &str) -> String {
    format!("{}\n{log}", read("working_amd.log"))
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diagnosis").join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn cases() -> Vec<(String, Case)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diagnosis");
    let folders = ["cases", "fifth", "sixth", "seventh", "lab"];
    let files =
        folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("a folder of cases"));
    let paths = files.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let case =
                toml::from_str(&std::fs::read_to_string(&path).expect("a case")).expect("a valid case");
            (path.file_stem().expect("a name").to_string_lossy().into_owned(), case)
        })
        .collect()
}

/// The fault that a log is said to show.
fn fault(log: &str) -> Option<&'static str> {
    let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
    (diagnosis.verdict == Verdict::Fault).then(|| diagnosis.findings[0].cause.id)
}

#[test]
fn what_a_log_shows_does_not_hang_on_how_it_was_pasted() {
    let cases: Vec<_> = cases().into_iter().map(|(name, case)| (name, fault(&case.log), case)).collect();
    for paste in PASTES {
        let (mut faults, mut lost, mut alarms) = (0_usize, Vec::new(), Vec::new());
        for (name, before, case) in &cases {
            let after = fault(&(paste.change)(&case.log));
            match (before, case.verdict.as_str()) {
                (Some(before), "fault") => {
                    faults += 1;
                    if after != Some(before) {
                        lost.push(format!("{name}: {before}, now {after:?}"));
                    }
                }
                (None, "no-fault") if after.is_some() => alarms.push(format!("{name}: {after:?}")),
                _ => {}
            }
        }
        println!("{}: {} of {faults} stay, {} alarms", paste.name, faults - lost.len(), alarms.len());
        assert!((faults - lost.len()) * 100 >= faults * paste.keeps, "{}: {lost:#?}", paste.name);
        assert!(alarms.len() <= paste.alarms, "{}: {alarms:#?}", paste.name);
    }
}
