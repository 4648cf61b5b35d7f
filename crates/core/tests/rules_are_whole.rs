//! Every rule is one file, named after its id, with test cases that see it fire and that see it stay quiet.

use std::fs;
use std::path::Path;

use slotwise_core::diagnose;
use slotwise_core::rules::{self, RULES};

fn source(id: &str) -> String {
    let name = format!("{}.rs", id.replace('-', "_"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_rule_has_a_file_of_its_own_with_a_firing_and_a_quiet_case() {
    for rule in RULES {
        let source = source(rule.id);
        assert!(source.contains(&format!("id: \"{}\"", rule.id)), "{} is not in its file", rule.id);
        let (_, tests) =
            source.split_once("mod tests {").unwrap_or_else(|| panic!("{} has no tests", rule.id));
        let firing = ["\"blocks", "\"warns", "\"notes", ".len(), "].iter().any(|mark| tests.contains(mark));
        assert!(firing, "{} has no case that fires", rule.id);
        assert!(tests.contains("is_empty()"), "{} has no case that stays quiet", rule.id);
    }
}

#[test]
fn every_page_names_where_it_is_known_from() {
    for rule in RULES {
        let source = rule.page.source;
        let cites = [".c", ".h", "§", "(5)", "(7)", "(8)", "/proc", "/sys", "knowledge base"];
        assert!(cites.iter().any(|mark| source.contains(mark)), "{}: {source}", rule.id);
    }
}

#[test]
fn every_relation_between_a_rule_and_a_cause_exists_and_is_told_on_both_sides() {
    for rule in RULES {
        for id in rule.predicts {
            let cause =
                diagnose::cause(id).unwrap_or_else(|| panic!("{} predicts {id}, which is no cause", rule.id));
            assert!(cause.rule.is_some(), "{id} does not name {}, which predicts it", rule.id);
            let page = diagnose::explain(id).expect("a page");
            assert!(page.contains(&format!("`{}`", rule.id)), "the page of {id} does not name {}", rule.id);
        }
        if diagnose::cause(rule.id).is_some() {
            assert_eq!(
                rule.predicts.first(),
                Some(&rule.id),
                "a rule foretells the cause of its own id first"
            );
        }
    }
}

#[test]
fn every_cause_names_the_foremost_rule_that_predicts_it() {
    for id in diagnose::ids() {
        let cause = diagnose::cause(id).expect("a cause");
        let predicting: Vec<&str> = rules::predicting(id).iter().map(|rule| rule.id).collect();
        match cause.rule {
            Some(rule) => assert!(predicting.contains(&rule), "{id} names {rule}, which does not predict it"),
            None => assert!(predicting.is_empty(), "{id} names no rule, and {predicting:?} predict it"),
        }
        if predicting.contains(&id) {
            assert_eq!(cause.rule, Some(id), "the rule of the same id is the foremost");
        }
    }
}
