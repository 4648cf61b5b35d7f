//! Scores the diagnosis on collected public cases (`testdata/diagnosis`).
//!
//! Cases in `cases` are split by a hash of their name. The build half was looked at while the catalogue was written
//! and must stay above 95 %; the held-out half was not, and its score is printed and only kept from collapsing. Those
//! in `second` were collected later, before the catalogue was widened, and are held out as a whole; those in `third`,
//! `fourth` to `fourteenth` came after it, were scored once, and are built on since. What the lab made (`lab`) must be right to the last.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slotwise_core::diagnose::{Diagnosis, Input, Verdict, diagnose};

#[derive(Deserialize)]
struct Case {
    cause: String,
    verdict: String,
    /// Where it stands, or what was done to make it.
    #[serde(alias = "made")]
    source: String,
    log: String,
}

#[derive(Default)]
struct Score {
    cases: u32,
    right: u32,
    false_alarms: Vec<String>,
    sure: u32,
    sure_and_right: u32,
    wrong: Vec<String>,
}

impl Score {
    fn share(&self) -> f64 {
        f64::from(self.right) / f64::from(self.cases.max(1))
    }
}

/// What a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Build,
    HeldOut,
    Second,
    Third,
    Fourth,
    Fifth,
    Sixth,
    Seventh,
    Eighth,
    Ninth,
    Tenth,
    Eleventh,
    Twelfth,
    Thirteenth,
    Fourteenth,
    Lab,
}

/// Scored before it was built on, if it ever was.
const HELD_OUT: [Set; 14] = [
    Set::HeldOut,
    Set::Second,
    Set::Third,
    Set::Fourth,
    Set::Fifth,
    Set::Sixth,
    Set::Seventh,
    Set::Eighth,
    Set::Ninth,
    Set::Tenth,
    Set::Eleventh,
    Set::Twelfth,
    Set::Thirteenth,
    Set::Fourteenth,
];

/// All that was collected.
fn collected() -> impl Iterator<Item = Set> {
    std::iter::once(Set::Build).chain(HELD_OUT)
}

impl Set {
    fn folder(self) -> PathBuf {
        let name = match self {
            Set::Build | Set::HeldOut => "cases",
            Set::Second => "second",
            Set::Third => "third",
            Set::Fourth => "fourth",
            Set::Fifth => "fifth",
            Set::Sixth => "sixth",
            Set::Seventh => "seventh",
            Set::Eighth => "eighth",
            Set::Ninth => "ninth",
            Set::Tenth => "tenth",
            Set::Eleventh => "eleventh",
            Set::Twelfth => "twelfth",
            Set::Thirteenth => "thirteenth",
            Set::Fourteenth => "fourteenth",
            Set::Lab => "lab",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diagnosis").join(name)
    }

    fn has(self, name: &str) -> bool {
        match self {
            Set::Build => is_build(name),
            Set::HeldOut => !is_build(name),
            _ => true,
        }
    }
}

fn cases(set: Set) -> Vec<(String, Case)> {
    let mut cases: Vec<(String, Case)> = std::fs::read_dir(set.folder())
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a readable case");
            let case = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, case)
        })
        .filter(|(name, _)| set.has(name))
        .collect();
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    cases
}

/// FNV-1a; the half is bit 32.
fn is_build(name: &str) -> bool {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32) & 1 == 0
}

fn is_right(case: &Case, diagnosis: &Diagnosis) -> bool {
    if case.verdict == "fault" {
        diagnosis.verdict == Verdict::Fault
            && diagnosis.findings.first().is_some_and(|finding| finding.cause.id == case.cause)
    } else {
        diagnosis.verdict != Verdict::Fault
    }
}

fn score(set: Set) -> Score {
    let mut score = Score::default();
    for (name, case) in cases(set) {
        let diagnosis = diagnose(&[Input { name: &name, bytes: case.log.as_bytes() }]);
        let right = is_right(&case, &diagnosis);
        score.cases += 1;
        score.right += u32::from(right);
        let first = diagnosis.findings.first();
        if diagnosis.verdict == Verdict::Fault && first.is_some_and(|finding| finding.confidence >= 0.8) {
            score.sure += 1;
            score.sure_and_right += u32::from(right);
        }
        if diagnosis.verdict == Verdict::Fault && case.verdict != "fault" {
            score.false_alarms.push(name.clone());
        }
        if !right {
            score.wrong.push(format!(
                "{name}: {} expected, {:?}",
                case.cause,
                first.map(|finding| finding.cause.id)
            ));
        }
    }
    score
}

fn report(set: Set, score: &Score) {
    println!(
        "{set:?}: {} of {} right, {} of {} sure answers right, {} false alarms",
        score.right,
        score.cases,
        score.sure_and_right,
        score.sure,
        score.false_alarms.len()
    );
}

#[test]
fn the_build_half_is_at_least_95_percent_right_without_false_alarm() {
    let score = score(Set::Build);
    report(Set::Build, &score);
    assert!(score.cases >= 30, "only {} cases", score.cases);
    assert!(score.share() >= 0.95, "{:#?}", score.wrong);
    assert!(score.false_alarms.is_empty(), "false alarms: {:?}", score.false_alarms);
}

#[test]
fn what_the_lab_made_is_right_to_the_last() {
    let score = score(Set::Lab);
    report(Set::Lab, &score);
    assert!(score.cases >= 15, "only {} logs", score.cases);
    assert!(score.wrong.is_empty(), "{:#?}", score.wrong);
}

#[test]
fn the_held_out_sets_are_reported_and_do_not_collapse() {
    for set in HELD_OUT {
        let score = score(set);
        report(set, &score);
        assert!(score.share() >= 0.85, "{set:?}: {} of {}", score.right, score.cases);
        assert!(score.false_alarms.len() <= 1, "{set:?}: {} false alarms", score.false_alarms.len());
    }
}

/// Weights were set on the build half; that they mean probabilities shows where they were not.
#[test]
fn answers_with_a_confidence_of_four_fifths_are_right_nineteen_times_in_twenty() {
    for set in collected() {
        let score = score(set);
        assert!(
            score.sure_and_right * 20 >= score.sure * 19,
            "{set:?}: {} of {} sure answers are right",
            score.sure_and_right,
            score.sure
        );
    }
}

#[test]
fn every_case_names_a_known_cause_and_a_source() {
    for set in collected().chain([Set::Lab]) {
        for (name, case) in cases(set) {
            let cause = slotwise_core::diagnose::cause(&case.cause);
            assert!(cause.is_some(), "{name}: no cause {}", case.cause);
            assert!(set == Set::Lab || case.source.starts_with("http"), "{name}: {}", case.source);
            assert!(matches!(case.verdict.as_str(), "fault" | "no-fault"), "{name}: {}", case.verdict);
        }
    }
}
