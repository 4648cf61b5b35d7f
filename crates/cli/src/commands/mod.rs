//! The commands, a file each.

mod explain;
mod inspect;
mod lab;
mod plan;

use clap::{Parser, Subcommand};

use crate::error::{Failure, Outcome};

/// Hand PCI devices to virtual machines, and know beforehand whether it will work
///
/// Exit status: 0 fine; 1 a finding that blocks, a failed test, a fault diagnosed; 2 could not do the work.
#[derive(Debug, Parser)]
#[command(name = "slotwise", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Plan(plan::Arguments),
    Explain(explain::Arguments),
    Lab(lab::Arguments),
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Result<Outcome, Failure> {
    match cli.command {
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Lab(arguments) => lab::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn every_command_and_flag_has_help() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                let has_help = argument.get_help().is_some();
                assert!(has_help, "{} {} has no help", command.get_name(), argument.get_id());
            }
        }
    }
}
