//! Virtual machine monitors: capabilities, command lines and domain files, running.

#![forbid(unsafe_code)]

pub mod capture;
pub mod process;
pub mod qmp;
