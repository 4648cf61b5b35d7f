//! One spec on two states of a host, before and after: will it still work, and what moved.
//!
//! The spec's devices are followed by what they are: a card whose bus got another number is the same card. Facts and
//! findings of the later state are told under the address that the card had in the earlier one.

use std::collections::{BTreeMap, BTreeSet};

use super::fingerprint::differences;
use super::{MovedFact, Plan, PlanError, RestingFact, Verdict, plan};
use crate::facts::FunctionFacts;
use crate::pci::{PciAddress, PciId};
use crate::rules::{Finding, Subject};
use crate::topology::Topology;
use crate::vm::spec::SpecFault;
use crate::vm::{DeviceRequest, Request, VmName};

/// A device of the spec in both states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedDevice {
    /// The VM that it goes to.
    pub vm: VmName,
    /// Where it was.
    pub before: PciAddress,
    /// Where it is; none where it is gone, or where more than one could be it.
    pub after: Option<PciAddress>,
}

/// A finding that is there both times, and says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFinding {
    /// Then.
    pub before: Finding,
    /// Later.
    pub after: Finding,
}

/// A function that is there in one of the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presence {
    /// Where.
    pub address: PciAddress,
    /// What, where known.
    pub id: Option<PciId>,
}

/// What is different between two states of a host, for one spec.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The word for the earlier state.
    pub before: Verdict,
    /// The word for the later one; a device that is gone blocks.
    pub after: Verdict,
    /// The spec's devices.
    pub devices: Vec<FollowedDevice>,
    /// Facts that the plan rested on and that are others now.
    pub moved: Vec<MovedFact>,
    /// Findings of the later state alone.
    pub new: Vec<Finding>,
    /// Findings of the earlier state alone.
    pub gone: Vec<Finding>,
    /// Findings of both that differ.
    pub changed: Vec<ChangedFinding>,
    /// Functions of the later state alone.
    pub appeared: Vec<Presence>,
    /// Functions of the earlier state alone.
    pub disappeared: Vec<Presence>,
}

/// Why two states could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The spec does not fit the earlier state.
    #[error("the spec does not fit the earlier state")]
    Before(#[source] PlanError),
    /// The spec, its devices followed, does not fit the later one.
    #[error("the spec does not fit the later state")]
    After(#[source] PlanError),
}

impl CompareError {
    /// The faults of the spec, where it is those.
    #[must_use]
    pub fn faults(&self) -> &[SpecFault] {
        match self {
            Self::Before(PlanError::Request(faults)) | Self::After(PlanError::Request(faults)) => faults,
            _ => &[],
        }
    }
}

/// Plans a request on both states, and tells the difference.
///
/// # Errors
/// A spec that does not fit the earlier state, or steps that contradict each other.
pub fn compare(request: &Request, before: &Topology, after: &Topology) -> Result<Comparison, CompareError> {
    let earlier = plan(request, before).map_err(CompareError::Before)?;
    let devices = follow(&earlier, before, after);
    let later_request = rewritten(request, &devices, before);
    let later = plan(&later_request, after).map_err(CompareError::After)?;
    let back: BTreeMap<PciAddress, PciAddress> =
        devices.iter().filter_map(|device| Some((device.after?, device.before))).collect();
    let lost = devices.iter().any(|device| device.after.is_none());
    let facts: Vec<RestingFact> = later.fingerprint.facts().iter().map(|row| renamed(row, &back)).collect();
    let findings: Vec<Finding> = later.findings.iter().map(|finding| told_of(finding, &back)).collect();
    let (new, gone, changed) = findings_apart(&earlier.findings, &findings);
    let (there, here) = (present(before, &BTreeMap::new()), present(after, &back));
    Ok(Comparison {
        before: earlier.verdict,
        after: if lost { Verdict::Blocked } else { later.verdict },
        devices,
        moved: differences(earlier.fingerprint.facts(), &facts),
        new,
        gone,
        changed,
        appeared: here.difference(&there).copied().collect(),
        disappeared: there.difference(&here).copied().collect(),
    })
}

/// Finds each device again: in its place, else by what it is, if only one function can be it.
fn follow(earlier: &Plan, before: &Topology, after: &Topology) -> Vec<FollowedDevice> {
    let same = |a: &FunctionFacts, b: &FunctionFacts| {
        a.id.known().is_some()
            && a.id.known() == b.id.known()
            && (a.subsystem.known().is_none() || b.subsystem.known().is_none() || a.subsystem == b.subsystem)
            && a.address.function() == b.address.function()
    };
    let given: Vec<(VmName, PciAddress)> = earlier
        .vms
        .iter()
        .flat_map(|vm| vm.devices.iter().map(|device| (vm.request.name.clone(), device.address)))
        .collect();
    let stays = |address: PciAddress| match (before.function(address), after.function(address)) {
        (Some(then), Some(now)) => same(then, now) || then.id.known().is_none() || now.id.known().is_none(),
        _ => false,
    };
    let mut taken: BTreeSet<PciAddress> =
        given.iter().map(|(_, address)| *address).filter(|address| stays(*address)).collect();
    let mut devices = Vec::new();
    for (vm, address) in given {
        let found = if stays(address) {
            Some(address)
        } else {
            let then = before.function(address);
            // A function that was there before and has not moved is another card of the same make.
            let could_be = |now: &&FunctionFacts| {
                !taken.contains(&now.address)
                    && then.is_some_and(|then| same(then, now))
                    && !before.function(now.address).is_some_and(|old| same(old, now))
            };
            let mut candidates = after.functions().filter(could_be).map(|now| now.address);
            candidates.next().filter(|_| candidates.next().is_none())
        };
        taken.extend(found);
        devices.push(FollowedDevice { vm, before: address, after: found });
    }
    devices
}

/// The request with the slots that the devices have later, without those that are gone.
fn rewritten(request: &Request, devices: &[FollowedDevice], before: &Topology) -> Request {
    let mut request = request.clone();
    let mut left: Vec<&FollowedDevice> = devices.iter().collect();
    for vm in &mut request.vms {
        let name = vm.name.clone();
        let mut later = |mut device: DeviceRequest| {
            let is_it = |followed: &&FollowedDevice| {
                let id = before.function(followed.before).and_then(|function| function.id.known());
                followed.vm == name
                    && device.slot.is_none_or(|slot| slot == followed.before)
                    && device.id.is_none_or(|wanted| id == Some(&wanted))
            };
            let index = left.iter().position(is_it)?;
            device.slot = Some(left.remove(index).after?);
            Some(device)
        };
        vm.devices = vm.devices.drain(..).filter_map(&mut later).collect();
    }
    request
}

fn renamed(row: &RestingFact, back: &BTreeMap<PciAddress, PciAddress>) -> RestingFact {
    // In two passes, by a mark that no fact has in it: cards may have changed places.
    let moved = || back.iter().filter(|(after, before)| after != before).zip(0u32..);
    let rename = |text: &str| {
        let marked = moved().fold(text.to_owned(), |text, ((after, _), number)| {
            text.replace(&after.to_string(), &format!("\u{1}{number}\u{1}"))
        });
        moved().fold(marked, |text, ((_, before), number)| {
            text.replace(&format!("\u{1}{number}\u{1}"), &before.to_string())
        })
    };
    RestingFact {
        subject: rename(&row.subject),
        fact: rename(&row.fact),
        value: row.value.as_deref().map(rename),
        holds: row.holds,
    }
}

fn told_of(finding: &Finding, back: &BTreeMap<PciAddress, PciAddress>) -> Finding {
    let subject = match &finding.subject {
        Subject::Device(address) => Subject::Device(back.get(address).copied().unwrap_or(*address)),
        other => other.clone(),
    };
    Finding { subject, ..finding.clone() }
}

type Apart = (Vec<Finding>, Vec<Finding>, Vec<ChangedFinding>);

/// New, gone and changed findings. A rule may say several things of one subject: equal ones are paired first, then the
/// others in their order.
fn findings_apart(before: &[Finding], after: &[Finding]) -> Apart {
    let told = |finding: &Finding| (finding.severity, finding.summary.clone());
    let mut left: Vec<&Finding> = before.iter().collect();
    let mut rest = Vec::new();
    for finding in after {
        let same = |old: &&Finding| {
            old.rule == finding.rule && old.subject == finding.subject && told(old) == told(finding)
        };
        match left.iter().position(same) {
            Some(index) => drop(left.remove(index)),
            None => rest.push(finding),
        }
    }
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for finding in rest {
        let of_same = |old: &&Finding| old.rule == finding.rule && old.subject == finding.subject;
        match left.iter().position(of_same) {
            Some(index) => {
                changed.push(ChangedFinding { before: left.remove(index).clone(), after: finding.clone() });
            }
            None => new.push(finding.clone()),
        }
    }
    (new, left.into_iter().cloned().collect(), changed)
}

fn present(topology: &Topology, back: &BTreeMap<PciAddress, PciAddress>) -> BTreeSet<Presence> {
    let presence = |function: &FunctionFacts| Presence {
        address: back.get(&function.address).copied().unwrap_or(function.address),
        id: function.id.known().copied(),
    };
    topology.functions().map(presence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{BENCH, topology};
    use crate::vm::spec::parse;

    const SPEC: &str = "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\n\
                        select = { id = \"1000:0012\", slot = \"02:04.0\" }\n";

    fn compared(before: &str, after: &str) -> Comparison {
        compare(&parse(SPEC).expect("spec"), &topology(before), &topology(after)).expect("compared")
    }

    fn moved(comparison: &Comparison) -> Vec<String> {
        comparison.moved.iter().map(ToString::to_string).collect()
    }

    fn rules(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn the_same_host_has_nothing_to_tell() {
        let same = compared(BENCH, BENCH);
        assert_eq!((same.before, same.after), (Verdict::Blocked, Verdict::Blocked));
        assert!(
            same.moved.is_empty() && same.new.is_empty() && same.gone.is_empty() && same.changed.is_empty()
        );
        assert!(same.appeared.is_empty() && same.disappeared.is_empty());
    }

    #[test]
    fn a_new_kernel_and_a_freed_line_are_told_with_what_they_change() {
        let after = BENCH.replace("6.1.0", "6.12.0").replace("pin=23 sym53c8xx eth1", "pin=23 sym53c8xx");
        let told = compared(BENCH, &after);
        assert_eq!((told.before, told.after), (Verdict::Blocked, Verdict::NeedsChanges));
        assert_eq!(rules(&told.gone), ["intx-shared"]);
        assert_eq!(moved(&told)[0], "kernel of host was 6.1.0-56-amd64, is 6.12.0-56-amd64");
        assert!(moved(&told)[1].starts_with("interrupt line of 0000:02:04.0 was IRQ 23, shared with: eth1"));
    }

    #[test]
    fn a_card_on_a_renumbered_bus_is_the_same_card() {
        let told = compared(BENCH, &BENCH.replace("0000:02:", "0000:05:"));
        assert_eq!(told.devices[0].after.map(|a| a.to_string()).as_deref(), Some("0000:05:04.0"));
        assert_eq!(told.after, Verdict::Blocked, "the line is shared there too");
        assert!(told.new.is_empty() && told.gone.is_empty(), "{:?}", told.new);
        assert_eq!(told.appeared.len(), 1, "the network card beside it: {:?}", told.appeared);
    }

    #[test]
    fn a_card_that_is_gone_or_ambiguous_blocks() {
        let gone = compared(BENCH, &BENCH.replace("id=1000:0012", "id=1000:0001"));
        assert_eq!((gone.devices[0].after, gone.after), (None, Verdict::Blocked));
        let twins = BENCH.replace("0000:02:04.0", "0000:02:06.0")
            + "device 0000:02:07.0 class=010000 id=1000:0012 pin=1 group=8 parent=0000:01:00.0";
        assert_eq!(compared(BENCH, &twins).devices[0].after, None);
    }

    #[test]
    fn a_finding_that_got_worse_is_shown_both_ways() {
        let before = BENCH.replace("nointxmask=Y", "nointxmask=N");
        let told = compared(&before, BENCH);
        let changed: Vec<_> = told.changed.iter().map(|c| (c.before.severity, c.after.severity)).collect();
        assert_eq!(changed, [(crate::rules::Severity::Warns, crate::rules::Severity::Blocks)]);
    }
}
