//! Where in the facts the disks and network interfaces of a function are, so that no question goes through all of them.

use std::collections::HashMap;

use crate::facts::Facts;
use crate::pci::PciAddress;

/// Positions in the lists of [`crate::facts::UsageFacts`].
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Block devices that hang under a function.
    blocks: HashMap<PciAddress, Vec<usize>>,
    /// The block device of a name; of two the first.
    by_name: HashMap<String, usize>,
    /// Block devices that are made of the one of that name.
    uppers: HashMap<String, Vec<usize>>,
    /// Network interfaces of a function.
    interfaces: HashMap<PciAddress, Vec<usize>>,
    /// The network interface of a name; of two the first.
    interface: HashMap<String, usize>,
}

impl Index {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut index = Self::default();
        for (number, block) in facts.usage.block.known().into_iter().flatten().enumerate() {
            if let Some(function) = block.function {
                index.blocks.entry(function).or_default().push(number);
            }
            for lower in &block.lower {
                index.uppers.entry(lower.clone()).or_default().push(number);
            }
            index.by_name.entry(block.name.clone()).or_insert(number);
        }
        for (number, interface) in facts.usage.network.known().into_iter().flatten().enumerate() {
            if let Some(function) = interface.function {
                index.interfaces.entry(function).or_default().push(number);
            }
            index.interface.entry(interface.name.clone()).or_insert(number);
        }
        index
    }

    pub(super) fn blocks_of(&self, function: PciAddress) -> &[usize] {
        self.blocks.get(&function).map_or(&[], Vec::as_slice)
    }

    pub(super) fn block(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn made_of(&self, name: &str) -> &[usize] {
        self.uppers.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn interfaces_of(&self, function: PciAddress) -> &[usize] {
        self.interfaces.get(&function).map_or(&[], Vec::as_slice)
    }

    pub(super) fn interface(&self, name: &str) -> Option<usize> {
        self.interface.get(name).copied()
    }
}
