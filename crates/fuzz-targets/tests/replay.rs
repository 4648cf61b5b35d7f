//! Every target over its corpus, and over some thousand mutated inputs: the part of fuzzing that needs no nightly
//! compiler. `SLOTWISE_FUZZ_SECONDS` gives each target more time, `SLOTWISE_FUZZ_TARGET` names one.

use std::time::Duration;

use slotwise_fuzz_targets::drive::{Effort, corpus, drive};
use slotwise_fuzz_targets::{TARGETS, folder};

/// What a plain `cargo test` tries of each target: a second or two, always the same inputs.
const SHORT: Effort = Effort { inputs: 400, time: Duration::from_secs(2), seed: 1 };

fn effort() -> Effort {
    let seconds = std::env::var("SLOTWISE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    match seconds {
        // Other inputs at each run; the finding is kept, so the seed need not be.
        Some(seconds) => {
            Effort { inputs: usize::MAX, time: Duration::from_secs(seconds), seed: std::process::id().into() }
        }
        None => SHORT,
    }
}

#[test]
fn no_input_near_the_corpus_breaks_a_promise() {
    let only = std::env::var("SLOTWISE_FUZZ_TARGET").ok();
    for target in TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)) {
        let tried = drive(*target, effort()).unwrap_or_else(|finding| panic!("{finding}"));
        println!("{}: {} seeds, {} mutated inputs", target.name, tried.seeds, tried.mutated);
        assert!(tried.seeds > 0, "{} has no corpus", target.name);
    }
}

/// A corpus without a target, or a target without a program, would never be run.
#[test]
fn targets_corpora_and_programs_are_the_same() {
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for target in TARGETS {
        assert!(!corpus(target.name).is_empty(), "{}: no corpus", target.name);
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}: no program", target.name);
        let program = folder().join(format!("fuzz_targets/{}.rs", target.name));
        let text = std::fs::read_to_string(&program).expect("a program");
        assert!(text.contains(&format!("run(\"{}\"", target.name)), "{}: runs another", target.name);
    }
    for entry in std::fs::read_dir(folder().join("corpus")).expect("corpora").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| target.name == name), "{name}: no target");
    }
}
