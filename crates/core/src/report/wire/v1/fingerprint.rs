//! The facts that a plan rests on, in `slotwise.plan/1`, and reading them back from a saved plan.

use serde::{Deserialize, Serialize};

use crate::plan::{self, Holds, RestingFact};

/// The longest saved plan that is read, in bytes. One of a hundred VMs has some hundred KiB.
pub const MAX_SAVED_BYTES: usize = 64 << 20;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Fingerprint {
    digest: String,
    facts: Vec<Row>,
}

/// A fact; unknown is null. `until_bound`: it holds until the plan's own steps have taken the function from its driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    subject: String,
    fact: String,
    value: Option<String>,
    until_bound: bool,
}

impl Fingerprint {
    pub(super) fn new(fingerprint: &plan::Fingerprint) -> Self {
        let row = |row: &RestingFact| Row {
            subject: row.subject.clone(),
            fact: row.fact.clone(),
            value: row.value.clone(),
            until_bound: row.holds == Holds::UntilBound,
        };
        Self { digest: fingerprint.digest(), facts: fingerprint.facts().iter().map(row).collect() }
    }
}

/// What of a saved `slotwise.plan/1` is needed to carry it out: what it rests on. Everything else is planned again from
/// the spec, which then must come to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPlan {
    /// The facts that it rests on.
    pub facts: Vec<RestingFact>,
}

/// Why a text is no saved plan.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    /// Longer than any plan.
    #[error("it is longer than {MAX_SAVED_BYTES} bytes")]
    TooLong,
    /// Not JSON of that shape.
    #[error("it is no JSON of a plan")]
    Json(#[source] serde_json::Error),
    /// JSON of another kind.
    #[error("its schema is {0:?}, not \"slotwise.plan/1\"")]
    Schema(String),
    /// A plan that was made on assumptions.
    #[error("it rests on assumptions, not on a host: {0}")]
    Assumed(String),
    /// A plan that does not say what it rests on.
    #[error("it does not say which facts it rests on")]
    NoFacts,
}

#[derive(Deserialize)]
struct Saved {
    schema: String,
    fingerprint: Option<SavedFacts>,
    #[serde(default)]
    assumed: Vec<SavedAssumption>,
}

#[derive(Deserialize)]
struct SavedAssumption {
    text: String,
}

#[derive(Deserialize)]
struct SavedFacts {
    facts: Vec<Row>,
}

impl SavedPlan {
    /// Reads what `slotwise plan --json` printed.
    ///
    /// # Errors
    /// A text that is no such plan, or one made on assumptions, which no host can hold.
    pub fn parse(text: &str) -> Result<Self, SavedPlanError> {
        if text.len() > MAX_SAVED_BYTES {
            return Err(SavedPlanError::TooLong);
        }
        let saved: Saved = serde_json::from_str(text).map_err(SavedPlanError::Json)?;
        if saved.schema != "slotwise.plan/1" {
            return Err(SavedPlanError::Schema(saved.schema.chars().take(80).collect()));
        }
        if !saved.assumed.is_empty() {
            let list: Vec<String> = saved.assumed.into_iter().map(|assumed| assumed.text).collect();
            return Err(SavedPlanError::Assumed(list.join(", ")));
        }
        let facts = saved.fingerprint.ok_or(SavedPlanError::NoFacts)?.facts;
        let row = |row: Row| RestingFact {
            subject: row.subject,
            fact: row.fact,
            value: row.value,
            holds: if row.until_bound { Holds::UntilBound } else { Holds::Always },
        };
        Ok(Self { facts: facts.into_iter().map(row).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::wire::v1::Plan;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::spec::parse;

    #[test]
    fn a_saved_plan_gives_back_what_it_rests_on() {
        let spec =
            "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\nselect = { id = \"1000:0012\" }\n";
        let plan = plan::plan(&parse(spec).expect("spec"), &topology(BENCH)).expect("plan");
        let text = serde_json::to_string(&Plan::new(&plan)).expect("json");
        let saved = SavedPlan::parse(&text).expect("a plan");
        assert_eq!(saved.facts, plan.fingerprint.facts());
        assert_eq!(plan::moved(&saved.facts, plan.fingerprint.facts()), []);
    }

    #[test]
    fn what_is_no_plan_is_told_apart() {
        let error = |text: &str| SavedPlan::parse(text).expect_err("an error").to_string();
        assert_eq!(error("nonsense"), "it is no JSON of a plan");
        assert!(error("{\"schema\": \"slotwise.inspect/1\"}").contains("slotwise.inspect/1"));
        assert_eq!(error("{\"schema\": \"slotwise.plan/1\"}"), "it does not say which facts it rests on");
        let assumed = "{\"schema\": \"slotwise.plan/1\", \"assumed\": [{\"text\": \"iommu=on\"}]}";
        assert_eq!(error(assumed), "it rests on assumptions, not on a host: iommu=on");
    }
}
