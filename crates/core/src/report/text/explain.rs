//! Why each rule did or did not say something, for a person.

use std::collections::BTreeMap;

use crate::report::{Role, Text};
use crate::rules::{Explanation, Outcome, Severity, Subject};

/// What every rule made of the host, of each VM and of each function.
#[must_use]
pub fn explanations(list: &[Explanation]) -> Text {
    let mut subjects: BTreeMap<&Subject, Vec<&Explanation>> = BTreeMap::new();
    for explanation in list {
        subjects.entry(&explanation.subject).or_default().push(explanation);
    }
    let width = list.iter().map(|explanation| explanation.rule.len()).max().unwrap_or_default();
    let mut text = Text::default();
    for (subject, explanations) in subjects {
        text.gap().line(Role::Strong, format!("why each rule did or did not fire: {subject}"));
        for explanation in explanations {
            let (role, word) = word(&explanation.outcome);
            text.line(Role::Plain, format!("  {:width$}  ", explanation.rule)).add(role, word);
            let reason = explanation.outcome.reason().unwrap_or("nothing of what its page tells was found");
            text.add(Role::Faint, format!(": {reason}"));
        }
    }
    text
}

const fn word(outcome: &Outcome) -> (Role, &'static str) {
    match outcome {
        Outcome::Fired(Severity::Blocks, _) => (Role::Bad, "fired, blocks"),
        Outcome::Fired(Severity::Warns, _) => (Role::Caution, "fired, warns"),
        Outcome::Fired(Severity::Notes, _) => (Role::Plain, "fired, notes"),
        Outcome::Unknown(_) => (Role::Caution, "unknown, it would need"),
        Outcome::DoesNotApply(_) => (Role::Faint, "does not apply"),
        Outcome::Fine(_) => (Role::Good, "all well"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_its_rules_with_their_reasons() {
        let device = Subject::Device("02:04.0".parse().expect("address"));
        let one = |rule, outcome| Explanation { rule, subject: device.clone(), outcome };
        let text = explanations(&[
            one("intx-shared", Outcome::Fired(Severity::Blocks, "IRQ 23 is also used by eth1".to_owned())),
            one("no-reset", Outcome::Fine(None)),
            one("rmrr", Outcome::Unknown("the reserved ranges".to_owned())),
        ]);
        assert_eq!(
            text.to_string(),
            "
why each rule did or did not fire: 0000:02:04.0
  intx-shared  fired, blocks: IRQ 23 is also used by eth1
  no-reset     all well: nothing of what its page tells was found
  rmrr         unknown, it would need: the reserved ranges
"
        );
    }
}
