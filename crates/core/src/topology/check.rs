//! What in the facts contradicts itself.

use std::fmt;

use super::Topology;
use crate::pci::PciAddress;

/// Facts that cannot all be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inconsistency {
    /// The bridge above a function is not among the functions.
    ParentMissing {
        /// The function.
        function: PciAddress,
        /// Its bridge.
        parent: PciAddress,
    },
    /// Following the bridges above a function comes back to it.
    ParentLoop {
        /// The function.
        function: PciAddress,
    },
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inconsistency::ParentMissing { function, parent } => {
                write!(f, "{function} is said to be below {parent}, which is not there")
            }
            Inconsistency::ParentLoop { function } => write!(f, "{function} is said to be below itself"),
        }
    }
}

impl Topology {
    /// Everything in the facts that contradicts itself; empty for a sound host.
    #[must_use]
    pub fn check(&self) -> Vec<Inconsistency> {
        let mut found = Vec::new();
        for function in self.functions() {
            let Some(parent) = function.parent.known().copied() else { continue };
            if self.function(parent).is_none() {
                found.push(Inconsistency::ParentMissing { function: function.address, parent });
            }
            let loops = |at: PciAddress| {
                self.function(at).and_then(|f| f.parent.known()).is_some_and(|p| *p == function.address)
            };
            let above = self.bridges_above(function.address);
            if parent == function.address || above.last().copied().is_some_and(loops) {
                found.push(Inconsistency::ParentLoop { function: function.address });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{BENCH, topology};

    #[test]
    fn a_sound_host_has_nothing_to_tell() {
        assert_eq!(topology(BENCH).check(), []);
    }

    #[test]
    fn loops_and_missing_bridges_are_told() {
        let topology = topology(
            "device 0000:01:00.0 parent=0000:02:00.0
             device 0000:02:00.0 parent=0000:01:00.0
             device 0000:03:00.0 parent=0000:04:00.0",
        );
        let told: Vec<String> = topology.check().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "0000:01:00.0 is said to be below itself",
                "0000:02:00.0 is said to be below itself",
                "0000:03:00.0 is said to be below 0000:04:00.0, which is not there",
            ]
        );
    }
}
