//! One way to test a rule: a host as text, the functions that leave it, and what the rule says.

use super::{Assignment, Findings, Rule, VmAssignment};
use crate::topology::fixture::{address, topology};

/// What `rule` says of handing `devices` (addresses, space between) to one VM on the host in `fixture`: one line a
/// finding, severity, subject and summary.
pub(super) fn check_rule(rule: &Rule, fixture: &str, devices: &str) -> Vec<String> {
    let assignment = Assignment {
        vms: vec![VmAssignment {
            name: "bench".parse().expect("name"),
            devices: devices.split_whitespace().map(address).collect(),
        }],
    };
    let mut findings = Findings::of(rule.id);
    (rule.check)(&topology(fixture), &assignment, &mut findings);
    let lines = findings.into_inner().into_iter();
    lines.map(|f| format!("{} {}: {}", f.severity.name(), f.subject, f.summary)).collect()
}
