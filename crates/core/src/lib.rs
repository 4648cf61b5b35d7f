//! What Slotwise knows without touching a machine: PCI, facts, topology, rules, plans, diagnosis, reports.
//!
//! Nothing in this crate reads a file, a clock or the environment, starts a process or prints. Its functions are
//! functions of their arguments, so whatever they say of a host can be said of a saved one.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod action;
pub mod assume;
pub mod diagnose;
pub mod facts;
pub mod pci;
pub mod plan;
pub mod report;
pub mod rules;
pub mod topology;
pub mod vm;
