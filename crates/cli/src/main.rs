//! `slotwise`: hand PCI devices to virtual machines, and know beforehand whether it will work.

#![forbid(unsafe_code)]

mod attachment;
mod commands;
mod error;
mod host;
mod launch;
mod names;
mod paths;
mod print;
mod saved;
mod source;
mod spec;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = commands::Cli::parse();
    match commands::run(arguments) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            failure.print();
            ExitCode::from(2)
        }
    }
}
