//! Holds the causes against the shared vocabulary, which lies outside the project.

use std::collections::BTreeSet;
use std::path::PathBuf;

use slotwise_core::diagnose;

/// The corpus: `SLOTWISE_CORPUS`, or `shared/testdata` beside the checkout.
fn vocabulary() -> Option<String> {
    let corpus = std::env::var_os("SLOTWISE_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata"),
        PathBuf::from,
    );
    std::fs::read_to_string(corpus.join("diagnosis/causes.md")).ok()
}

#[test]
fn every_id_of_the_vocabulary_is_a_cause_and_every_cause_is_in_it() {
    let Some(text) = vocabulary() else {
        assert!(std::env::var_os("CI").is_none(), "CI needs the corpus; set SLOTWISE_CORPUS");
        eprintln!("skipped: no corpus");
        return;
    };
    let listed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|id| *id != "cause" && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .collect();
    assert!(listed.len() > 50, "read only {} ids", listed.len());
    let ours: BTreeSet<&str> = diagnose::ids().collect();
    assert_eq!(listed, ours);
}

#[test]
fn every_cause_has_a_page() {
    for id in diagnose::ids() {
        let page = diagnose::explain(id).expect("a page");
        assert!(page.contains("## Lines that show it"), "{id}");
        assert!(page.contains("## Sources"), "{id}");
    }
    assert!(diagnose::explain("no-such-cause").is_none());
}
