//! What a guest's initial ramdisk tells the agent that runs as its first program.
//!
//! Lies in the ramdisk as `/slotwise/boot.json`. All of it comes from the guest's definition.

use serde::{Deserialize, Serialize};

/// What the agent does before it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootConfig {
    /// Name of the virtio-serial port to listen on.
    pub port: String,
    /// To load, in this order.
    pub modules: Vec<Module>,
}

/// A kernel module in the ramdisk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Path of the file in the ramdisk.
    pub path: String,
    /// Options as `insmod` takes them, separated by spaces.
    #[serde(default)]
    pub options: String,
    /// To do before it is loaded.
    #[serde(default)]
    pub prepare: Vec<PrepareStep>,
    /// Loaded only where a PCI function's `modalias` fits one of these patterns, in which `*` stands for anything; always if
    /// there are none.
    #[serde(default)]
    pub functions: Vec<String>,
}

/// Registers to read on each PCI function of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareStep {
    /// Vendor id: four lower-case hexadecimal digits.
    pub vendor: String,
    /// Device id: four lower-case hexadecimal digits.
    pub device: String,
    /// In this order, a byte each.
    pub read: Vec<IoRead>,
}

/// One byte in an I/O region of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoRead {
    /// Base address register, 0 to 5.
    pub bar: u8,
    /// Offset in its region.
    pub offset: u64,
}
