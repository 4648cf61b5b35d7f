//! Why each rule did or did not say something of each subject of a plan.
//!
//! A rule gives a reason for its silence where it has one to give; where it gives none, what is known is that it looked
//! for what its page says and found nothing of it.

use std::collections::BTreeMap;

use super::finding::Silence;
use super::{Assignment, Findings, RULES, Rule, Severity, Subject, UNKNOWN};
use crate::topology::Topology;

/// What a rule made of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It says something: how grave, and the summary.
    Fired(Severity, String),
    /// A fact that decides could not be read: what it would need.
    Unknown(String),
    /// It is not about such a subject or host: why.
    DoesNotApply(String),
    /// It looked, and all is well: what it saw, where it says so.
    Fine(Option<String>),
}

impl Outcome {
    /// The name in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Fired(..) => "fired",
            Outcome::Unknown(_) => "unknown",
            Outcome::DoesNotApply(_) => "does-not-apply",
            Outcome::Fine(_) => "fine",
        }
    }

    /// The sentence that belongs to it.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Fired(_, text) | Outcome::Unknown(text) | Outcome::DoesNotApply(text) => Some(text),
            Outcome::Fine(text) => text.as_deref(),
        }
    }
}

/// What one rule made of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule.
    pub rule: &'static str,
    /// The subject.
    pub subject: Subject,
    /// What it made of it.
    pub outcome: Outcome,
}

/// What every rule makes of a plan: of each given function, and of the host or a VM where it speaks of those.
#[must_use]
pub fn explain(topology: &Topology, assignment: &Assignment) -> Vec<Explanation> {
    RULES.iter().flat_map(|rule| of_rule(rule, topology, assignment)).collect()
}

fn of_rule(rule: &Rule, topology: &Topology, assignment: &Assignment) -> Vec<Explanation> {
    let mut findings = Findings::of(rule.id);
    (rule.check)(topology, assignment, &mut findings);
    let (list, silences) = findings.into_parts();
    let mut said: Vec<(Subject, Outcome)> = Vec::new();
    for finding in list {
        let outcome = match finding.summary.strip_prefix(UNKNOWN) {
            Some(needs) => Outcome::Unknown(needs.to_owned()),
            None => Outcome::Fired(finding.severity, finding.summary),
        };
        said.push((finding.subject, outcome));
    }
    // A reason is of no use for a subject of which something is said.
    let spoken: Vec<Subject> = said.iter().map(|(subject, _)| subject.clone()).collect();
    let mut reasons: BTreeMap<Subject, Outcome> = BTreeMap::new();
    for (subject, silence) in silences.into_iter().filter(|(subject, _)| !spoken.contains(subject)) {
        reasons.insert(
            subject,
            match silence {
                Silence::DoesNotApply(why) => Outcome::DoesNotApply(why),
                Silence::Fine(saw) => Outcome::Fine(Some(saw)),
            },
        );
    }
    let general = spoken.iter().chain(reasons.keys()).any(|s| !matches!(s, Subject::Device(_)));
    let quiet = assignment.devices().map(Subject::Device);
    let quiet: Vec<Subject> =
        quiet.filter(|s| !general && !spoken.contains(s) && !reasons.contains_key(s)).collect();
    let all = said.into_iter().chain(reasons).chain(quiet.into_iter().map(|s| (s, Outcome::Fine(None))));
    all.map(|(subject, outcome)| Explanation { rule: rule.id, subject, outcome }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resolve;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::spec::parse;

    const SPEC: &str =
        "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\nselect = { id = \"1000:0012\" }\n";

    fn explained(host: &str) -> Vec<Explanation> {
        let topology = topology(host);
        explain(&topology, &resolve(&parse(SPEC).expect("spec"), &topology).expect("resolved"))
    }

    fn of(host: &str, rule: &str) -> Outcome {
        let mut all = explained(host);
        all.retain(|explanation| explanation.rule == rule);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).outcome
    }

    #[test]
    fn every_rule_has_something_to_say() {
        let all = explained(BENCH);
        for rule in RULES {
            assert!(all.iter().any(|explanation| explanation.rule == rule.id), "{}", rule.id);
        }
    }

    #[test]
    fn every_rule_names_the_fact_that_decides() {
        let backends = ["", "backend = \"libvirt\"\n", "backend = \"xen\"\n"];
        let hosts = [
            BENCH.to_owned(),
            "device 0000:02:04.0 id=1000:0012".to_owned(),
            format!(
                "{BENCH}\nplatform uid=1000 memlock=65536 cpus=4 lockdown=none virtualization=on\nmemory 4096 2048"
            ),
        ];
        for (host, backend) in hosts.iter().flat_map(|host| backends.map(|backend| (host, backend))) {
            let topology = topology(host);
            let spec = SPEC.replace("memory", &format!("{backend}memory"));
            let assignment = resolve(&parse(&spec).expect("spec"), &topology).expect("resolved");
            let mut mute = explain(&topology, &assignment);
            mute.retain(|one| one.outcome.reason().is_none());
            let rules: Vec<&str> = mute.iter().map(|one| one.rule).collect();
            assert_eq!(rules, Vec::<&str>::new(), "{backend:?} on {host}");
        }
    }

    #[test]
    fn a_rule_that_fired_says_what() {
        assert!(
            matches!(of(BENCH, "intx-shared"), Outcome::Fired(Severity::Blocks, text) if text.contains("eth1"))
        );
    }

    #[test]
    fn a_rule_that_did_not_says_why() {
        let no_pin = BENCH.replace("pin=1 irq=23 group=8", "pin=0 irq=23 group=8");
        assert_eq!(of(&no_pin, "intx-shared"), Outcome::DoesNotApply("it has no interrupt pin".to_owned()));
        let alone = BENCH.replace("sym53c8xx eth1", "sym53c8xx");
        assert_eq!(of(&alone, "intx-shared"), Outcome::Fine(Some("IRQ 23 has no other user".to_owned())));
        assert_eq!(
            of(BENCH, "bus-reset-takes-siblings"),
            Outcome::Fine(Some("it has a reset of its own: bus".to_owned()))
        );
    }

    #[test]
    fn a_rule_that_lacks_a_fact_says_which() {
        let blind = BENCH.replace("group=8 driver=sym53c8xx", "unread=group driver=sym53c8xx");
        assert_eq!(
            of(&blind, "group-not-viable"),
            Outcome::Unknown("who is in the function's IOMMU group".to_owned())
        );
    }
}
