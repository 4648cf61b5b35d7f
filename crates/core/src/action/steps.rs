//! Steps: actions in order, each with what must hold before it and why it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Action, Phase, Resource, State};

/// The most steps of one plan: eight functions of each of 256 devices, two steps each.
pub const MAX_STEPS: usize = 4096;

/// The name of a step within its plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(String);

impl StepId {
    /// A step's name: 1 to 64 letters, digits, `-`, `_`, `.` and `:`.
    ///
    /// # Errors
    /// [`StepFault::Id`] for any other text.
    pub fn new(text: &str) -> Result<Self, StepFault> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        if text.is_empty() || text.len() > 64 || !plain {
            return Err(StepFault::Id { text: text.chars().take(80).collect() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a step is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A finding that it remedies.
    Finding {
        /// The rule's id.
        rule: String,
        /// What the finding is about.
        subject: String,
    },
    /// Something that the user asked for, in their words: a VM's device, a file's line.
    Request(String),
}

/// What is wrong with a step or a list of steps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepFault {
    /// A text that is no step's name.
    #[error("{text:?} is not a step id")]
    Id {
        /// The text's beginning.
        text: String,
    },
    /// The action cannot be done from there, or changes nothing.
    #[error("step {id} cannot {action}: before it, {resource} is: {before}")]
    Impossible {
        /// The step.
        id: StepId,
        /// What it would do, as a sentence.
        action: String,
        /// What it would change.
        resource: Resource,
        /// What is said to hold before.
        before: State,
    },
    /// Two steps have one name.
    #[error("two steps are called {id}")]
    Duplicate {
        /// The name.
        id: StepId,
    },
    /// The step belongs before another that comes before it.
    #[error("step {id} comes after its phase")]
    Late {
        /// The step.
        id: StepId,
    },
    /// The step expects something else than an earlier step leaves.
    #[error("step {id} expects that {resource} is: {expected}; an earlier step leaves it: {left}")]
    Discord {
        /// The step.
        id: StepId,
        /// What both change.
        resource: Resource,
        /// What this step expects.
        expected: State,
        /// What the earlier step leaves.
        left: State,
    },
    /// There are more than [`MAX_STEPS`].
    #[error("a plan of {count} steps (the most is {MAX_STEPS})")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// An action, what must hold before it, and why it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    id: StepId,
    action: Action,
    before: State,
    reason: Reason,
}

impl Step {
    /// A step.
    ///
    /// # Errors
    /// [`StepFault::Impossible`] if `action` cannot be done from `before` or would change nothing.
    pub fn new(id: StepId, action: Action, before: State, reason: Reason) -> Result<Self, StepFault> {
        if action.accepts(&before) {
            return Ok(Self { id, action, before, reason });
        }
        Err(StepFault::Impossible { id, action: action.to_string(), resource: action.resource(), before })
    }

    /// Its name within its plan.
    #[must_use]
    pub fn id(&self) -> &StepId {
        &self.id
    }

    /// What it does.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// What must hold before.
    #[must_use]
    pub fn before(&self) -> &State {
        &self.before
    }

    /// What it is for.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// What it changes, for a reader.
    #[must_use]
    pub fn target(&self) -> String {
        match self.action.resource() {
            Resource::Module(module) => module.to_string(),
            Resource::DriverOverride(device) | Resource::Driver(device) => device.to_string(),
            Resource::File(path) => path.to_string(),
        }
    }

    /// What undoes it, for a reader.
    #[must_use]
    pub fn undo(&self) -> String {
        // A step is made only where its action accepts what is before, and then there is an inverse.
        self.action.inverse(&self.before).map_or_else(String::new, |inverse| inverse.to_string())
    }
}

/// Steps that agree with each other, in the order of their phases.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Steps in the order in which they are to be done.
    ///
    /// # Errors
    /// Every fault of the list: names given twice, steps after their phase, steps that expect of a resource what an
    /// earlier one does not leave.
    pub fn new(steps: Vec<Step>) -> Result<Self, Vec<StepFault>> {
        if steps.len() > MAX_STEPS {
            return Err(vec![StepFault::TooMany { count: steps.len() }]);
        }
        let mut faults = Vec::new();
        let mut ids = BTreeSet::new();
        let mut left: BTreeMap<Resource, State> = BTreeMap::new();
        let mut phase = Phase::Load;
        for step in &steps {
            let id = || step.id.clone();
            if !ids.insert(&step.id) {
                faults.push(StepFault::Duplicate { id: id() });
            }
            if step.action.phase() < phase {
                faults.push(StepFault::Late { id: id() });
            }
            phase = phase.max(step.action.phase());
            let resource = step.action.resource();
            if let Some(left) = left.insert(resource.clone(), step.action.after())
                && left != step.before
            {
                faults.push(StepFault::Discord { id: id(), resource, expected: step.before.clone(), left });
            }
        }
        if faults.is_empty() { Ok(Self(steps)) } else { Err(faults) }
    }

    /// The steps.
    #[must_use]
    pub fn as_slice(&self) -> &[Step] {
        &self.0
    }

    /// What each resource must be before the first step, in the order of their first steps.
    #[must_use]
    pub fn before(&self) -> Vec<(Resource, State)> {
        let mut seen = BTreeSet::new();
        let first = |step: &&Step| seen.insert(step.action.resource());
        self.0.iter().filter(first).map(|step| (step.action.resource(), step.before.clone())).collect()
    }

    /// What each resource is after the last step.
    #[must_use]
    pub fn after(&self) -> BTreeMap<Resource, State> {
        self.0.iter().map(|step| (step.action.resource(), step.action.after())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::DriverName;
    use crate::pci::PciAddress;

    fn step(id: &str, action: Action, before: State) -> Step {
        Step::new(StepId::new(id).unwrap(), action, before, Reason::Request("vm bench".to_owned())).unwrap()
    }

    fn handover() -> Vec<Step> {
        let device = PciAddress::new(0, 3, 4, 0).unwrap();
        let ahci = DriverName::new("ahci").unwrap();
        let vfio = DriverName::vfio_pci();
        vec![
            step(
                "override",
                Action::SetDriverOverride { device, driver: Some(vfio.clone()) },
                State::DriverOverride(None),
            ),
            step("unbind", Action::Unbind { device, driver: ahci.clone() }, State::Driver(Some(ahci))),
            step("probe", Action::Probe { device, driver: vfio }, State::Driver(None)),
        ]
    }

    #[test]
    fn handover_reads_as_sentences() {
        let [first, second, third] = handover().try_into().unwrap();
        assert_eq!(first.target(), "0000:03:04.0");
        assert_eq!(first.before().to_string(), "any matching driver may take it");
        assert_eq!(first.action().after().to_string(), "only vfio-pci may take it");
        assert_eq!(first.undo(), "let any matching driver take 0000:03:04.0");
        assert_eq!(second.undo(), "give 0000:03:04.0 to ahci");
        assert_eq!(third.undo(), "take 0000:03:04.0 from vfio-pci");
        assert_eq!(third.action().name(), "probe");
    }

    #[test]
    fn first_and_last_state_of_each_resource_are_kept() {
        let steps = Steps::new(handover()).unwrap();
        assert_eq!(steps.before().len(), 2);
        let device = PciAddress::new(0, 3, 4, 0).unwrap();
        let after = steps.after();
        assert_eq!(after.get(&Resource::Driver(device)), Some(&State::Driver(Some(DriverName::vfio_pci()))));
    }

    #[test]
    fn every_fault_of_a_list_is_told() {
        let mut steps = handover();
        steps.swap(0, 2);
        let mut again = steps.clone();
        steps.append(&mut again);
        let faults = Steps::new(steps).unwrap_err();
        assert!(faults.iter().any(|f| matches!(f, StepFault::Late { id } if id.as_str() == "unbind")));
        assert!(faults.iter().any(|f| matches!(f, StepFault::Duplicate { .. })));
        assert!(faults.iter().any(|f| matches!(f, StepFault::Discord { id, .. } if id.as_str() == "unbind")));
    }

    #[test]
    fn step_that_changes_nothing_cannot_be_made() {
        let device = PciAddress::new(0, 3, 4, 0).unwrap();
        let fault = Step::new(
            StepId::new("a").unwrap(),
            Action::SetDriverOverride { device, driver: None },
            State::DriverOverride(None),
            Reason::Request("vm bench".to_owned()),
        )
        .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "step a cannot let any matching driver take 0000:03:04.0: before it, driver_override of 0000:03:04.0 is: \
             any matching driver may take it"
        );
    }

    #[test]
    fn ids_are_plain_words() {
        for bad in ["", "a b", "a\n", &"a".repeat(65)] {
            assert!(StepId::new(bad).is_err(), "{bad:?}");
        }
    }
}
