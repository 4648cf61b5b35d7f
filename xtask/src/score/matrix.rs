//! What was foretold against what came.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::causes;

/// What came of one scenario.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Trial {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) foretold: Foretold,
    pub(super) came: Came,
    pub(super) took: Duration,
}

/// What the plan said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Foretold {
    /// Rules that said it would not work; none if the plan was that it would.
    Rules(BTreeSet<String>),
    /// No plan is made of such a spec on this host.
    Refused(String),
}

/// What happened when it was tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Came {
    Worked,
    /// It was not even begun.
    Refused(String),
    /// It failed; the cause that its logs name first, and the line that tells most.
    Failed {
        cause: Option<String>,
        said: String,
    },
}

/// A cell of the confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cell {
    /// Foretold to fail, and failed, of that very cause.
    RightFailure,
    /// Foretold to work, and worked.
    RightSuccess,
    /// The spec contradicts the host: plan and run refuse it in the same words.
    RightRefusal,
    /// Foretold to fail, and failed, but the logs name something else.
    OtherCause,
    /// Foretold to work, and failed.
    Miss,
    /// Foretold to fail, and worked.
    FalseAlarm,
}

impl Cell {
    pub(super) const ALL: [Self; 6] = [
        Self::RightFailure,
        Self::RightSuccess,
        Self::RightRefusal,
        Self::OtherCause,
        Self::Miss,
        Self::FalseAlarm,
    ];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::RightFailure => "foretold to fail, failed of that cause",
            Self::RightSuccess => "foretold to work, worked",
            Self::RightRefusal => "contradicted by the host, refused by plan and run",
            Self::OtherCause => "foretold to fail, failed of another cause",
            Self::Miss => "foretold to work, failed (miss)",
            Self::FalseAlarm => "foretold to fail, worked (false alarm)",
        }
    }

    pub(super) const fn is_right(self) -> bool {
        matches!(self, Self::RightFailure | Self::RightSuccess | Self::RightRefusal)
    }
}

impl Trial {
    pub(super) fn cell(&self) -> Cell {
        let rules = match (&self.foretold, &self.came) {
            (Foretold::Refused(plan), Came::Refused(run)) if plan == run => return Cell::RightRefusal,
            (Foretold::Refused(_), Came::Worked) => return Cell::FalseAlarm,
            (Foretold::Refused(_), _) => return Cell::OtherCause,
            (Foretold::Rules(rules), _) => rules,
        };
        match (&self.came, rules.is_empty()) {
            (Came::Worked, true) => Cell::RightSuccess,
            (Came::Worked, false) => Cell::FalseAlarm,
            (Came::Failed { .. } | Came::Refused(_), true) => Cell::Miss,
            (Came::Refused(_), false) => Cell::OtherCause,
            (Came::Failed { cause, .. }, false) => {
                let same = cause.as_ref().is_some_and(|cause| causes(rules).contains(cause.as_str()));
                if same { Cell::RightFailure } else { Cell::OtherCause }
            }
        }
    }

    pub(super) fn line(&self) -> String {
        let foretold = self.foretold.words(str::to_owned);
        let came = match &self.came {
            Came::Worked => "worked".to_owned(),
            Came::Refused(said) => format!("refused: {said}"),
            Came::Failed { cause: Some(cause), .. } => cause.clone(),
            Came::Failed { cause: None, said } => format!("failed: {said}"),
        };
        let mark = if self.cell().is_right() { "right" } else { "WRONG" };
        format!(
            "{mark}  {:>5.1} s  {:<34}  foretold: {foretold}; came: {came}",
            self.took.as_secs_f64(),
            self.name
        )
    }
}

impl Foretold {
    /// Rules, each as `shown`.
    fn words(&self, shown: fn(&str) -> String) -> String {
        match self {
            Self::Refused(said) => format!("refused: {said}"),
            Self::Rules(rules) if rules.is_empty() => "works".to_owned(),
            Self::Rules(rules) => rules.iter().map(|rule| shown(rule)).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The counts, a line a cell.
pub(super) fn counts(trials: &[Trial]) -> String {
    let mut text = String::new();
    for cell in Cell::ALL {
        let count = trials.iter().filter(|trial| trial.cell() == cell).count();
        let _ = writeln!(text, "{count:>3}  {}", cell.words());
    }
    text
}

/// The page of reference.
pub(super) fn page(trials: &[Trial], versions: &str) -> String {
    let mut page = format!(
        "# How often the plan is right\n\nMade by `cargo xtask score --write`: each scenario of `testdata/scenarios` is planned, then really tried \
         in the lab.\n\n{versions}\n\n```text\n{}```\n\n| scenario | what is tried | foretold | came |\n| --- | --- | --- | --- |\n",
        counts(trials)
    );
    for trial in trials {
        let foretold = cell_text(&trial.foretold.words(|rule| format!("[{rule}](rules.md#{rule})")));
        let came = match &trial.came {
            Came::Worked => "worked".to_owned(),
            Came::Refused(said) => format!("refused: {}", cell_text(said)),
            Came::Failed { cause: Some(cause), said } => format!("`{cause}`: {}", cell_text(said)),
            Came::Failed { cause: None, said } => format!("failed: {}", cell_text(said)),
        };
        let wrong = if trial.cell().is_right() { "" } else { "**wrong** " };
        let _ = writeln!(page, "| `{}` | {} | {wrong}{foretold} | {came} |", trial.name, trial.summary);
    }
    page
}

/// A log line as it may stand in a table.
fn cell_text(text: &str) -> String {
    text.replace('|', "\\|").replace(['`', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(foretold: &[&str], came: Came) -> Trial {
        let foretold = Foretold::Rules(foretold.iter().map(|rule| (*rule).to_owned()).collect());
        Trial { name: "x".into(), summary: "y".into(), foretold, came, took: Duration::ZERO }
    }

    #[test]
    fn only_the_same_cause_is_right() {
        let failed =
            |cause: Option<&str>| Came::Failed { cause: cause.map(str::to_owned), said: "no".into() };
        assert_eq!(trial(&[], Came::Worked).cell(), Cell::RightSuccess);
        assert_eq!(trial(&["a"], Came::Worked).cell(), Cell::FalseAlarm);
        assert_eq!(trial(&[], failed(Some("a"))).cell(), Cell::Miss);
        assert_eq!(trial(&["a", "b"], failed(Some("b"))).cell(), Cell::RightFailure);
        assert_eq!(trial(&["a"], failed(Some("c"))).cell(), Cell::OtherCause);
        assert_eq!(trial(&["a"], failed(None)).cell(), Cell::OtherCause);
    }

    #[test]
    fn a_cause_that_the_rule_foretells_under_another_name_is_the_same() {
        let failed = |cause: &str| Came::Failed { cause: Some(cause.into()), said: "no".into() };
        let moved = trial(&["device-moved"], failed("name-changed-after-slot-move"));
        assert_eq!(moved.cell(), Cell::RightFailure);
        assert_eq!(trial(&["device-moved"], failed("intx-shared")).cell(), Cell::OtherCause);
    }

    #[test]
    fn a_refusal_is_right_only_in_the_same_words() {
        let trial = |plan: &str, came| Trial { foretold: Foretold::Refused(plan.into()), ..trial(&[], came) };
        assert_eq!(trial("no", Came::Refused("no".into())).cell(), Cell::RightRefusal);
        assert_eq!(trial("no", Came::Refused("never".into())).cell(), Cell::OtherCause);
        assert_eq!(trial("no", Came::Worked).cell(), Cell::FalseAlarm);
    }

    #[test]
    fn a_log_line_does_not_break_the_table() {
        assert_eq!(cell_text("a|b\n`c`"), "a\\|b  c ");
    }
}
